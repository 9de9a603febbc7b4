"""Jobs in the admin: list, form, preview, and running one."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import desk
from jobqueue.api import pause
from jobqueue.desk import reading
from jobqueue.models import Alarm, Execution, Job, Queue, State
from tests.builders import (
    a_cluster,
    a_job,
    a_monitor,
    a_recovery,
    a_run,
    a_schedule,
    a_waiting,
    an_ended,
)
from tests.users import a_client, noted, told

pytestmark = pytest.mark.django_db
LIST = "/admin/jobqueue/job/"


def page(job: Job, name: str = "change") -> str:
    return f"{LIST}{job.pk}/{name}/"


def form_of(job: Job | None = None, **over: Any) -> dict[str, Any]:
    """What the browser sends for a Job's form."""
    answer = a_client("add_job", "change_job").get(page(job) if job else f"{LIST}add/")
    form = answer.context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    sent = (values | over).items()
    return {name: value for name, value in sent if value is not None and value is not False}


def save(job: Job | None = None, **over: Any) -> Any:
    client = a_client("add_job", "change_job", "view_job")
    return client.post(page(job) if job else f"{LIST}add/", form_of(job, **over), follow=True)


def errors(answer: Any) -> dict[str, str]:
    found = answer.context["adminform"].form.errors
    return {name: " ".join(messages) for name, messages in found.items()}


class TestDefaults:
    """A Job needs a name and a command, no more."""

    def test_what_is_not_sent_has_its_default(self) -> None:
        client = a_client("add_job", "view_job")
        client.post(f"{LIST}add/", {"name": "Engine", "argv": "bots-engine", "enabled": "on"})
        job = Job.objects.get()
        assert (job.queue, job.notify, job.max_retries) == ("default", "on_change", 0)

    def test_what_was_emptied_has_its_default_again(self) -> None:
        job = a_job(queue="orders", max_retries=3, retry_on="warned")
        save(job, queue="", max_retries="", retry_on="", retry_delay="", alarm_after="")
        job.refresh_from_db()
        assert (job.queue, job.max_retries, job.retry_on) == ("default", 0, "failed, timed_out")

    def test_what_is_not_sent_stays_as_it_is(self) -> None:
        job = a_job(queue="orders", max_retries=3, enabled=True)
        form = {"name": job.name, "argv": "true", "enabled": "on"}
        a_client("change_job", "view_job").post(page(job), form)
        job.refresh_from_db()
        assert (job.argv, job.queue, job.max_retries) == (["true"], "orders", 3)


class TestList:
    def test_shows_the_last_run(self, admin_client: Client) -> None:
        job = a_job(name="nightly")
        an_ended(job=job, state="succeeded")
        last = an_ended(job=job, state="failed", reason="return code 1")
        answer = admin_client.get(LIST)
        assert f"/admin/jobqueue/execution/{last.pk}/change/" in answer.text
        assert "failed" in answer.text

    def test_takes_the_same_queries_however_many_there_are(
        self, admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(20):
            an_ended(job=(job := a_job()))
            Alarm.objects.create(job=job, is_bad=True)
        with django_assert_max_num_queries(15):
            admin_client.get(LIST)

    def test_shows_each_alarm(self, admin_client: Client) -> None:
        bad = Alarm.objects.create(job=a_job(name="bad one"), is_bad=True, reason="return code 1")
        Alarm.objects.create(job=a_job(name="well one"))
        a_job(name="new one")
        columns = [
            re.sub("<[^>]+>", "", column).strip()
            for column in re.findall(
                r'field-alarm_in_list">(.*?)</td>', admin_client.get(LIST).text, re.DOTALL
            )
        ]
        assert columns == ["✗ bad", "-", "✓ well"]
        assert f"/admin/jobqueue/alarm/{bad.pk}/change/" in admin_client.get(LIST).text

    @pytest.mark.parametrize(
        ("choice", "names"),
        [("bad", ["bad", "seen"]), ("open", ["bad"]), ("well", ["well"]), ("what", None)],
    )
    def test_filter_by_alarm(
        self, admin_client: Client, choice: str, names: list[str] | None
    ) -> None:
        Alarm.objects.create(job=a_job(name="bad"), is_bad=True)
        seen = {"acknowledged_at": timezone.now(), "acknowledged_by": "ada"}
        Alarm.objects.create(job=a_job(name="seen"), is_bad=True, **seen)
        Alarm.objects.create(job=a_job(name="well"))
        a_job(name="new")
        found = admin_client.get(LIST, {"alarm": choice}).context["cl"].result_list
        assert [job.name for job in found] == (names or ["bad", "new", "seen", "well"])

    @pytest.mark.parametrize("words", ["monthly", "Kröger", "'the 2nd'", "-m REPORT"])
    def test_search(self, admin_client: Client, words: str) -> None:
        a_job(name="monthly", argv=["python3", "-m", "report", "--for", "Kröger", "the 2nd"])
        a_job(name="other", argv=["true"])
        found = admin_client.get(LIST, {"q": words}).context["cl"].result_list
        assert [job.name for job in found] == ["monthly"]

    def test_hostile_names_stay_text(self, admin_client: Client) -> None:
        a_job(
            name="<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}gpj", argv=["<b>", "\x1b[2J"]
        )
        shown = admin_client.get(LIST).text
        assert "<script>alert(1)" not in shown
        assert "<b>" not in shown
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
        assert "\\u202egpj" in shown


class TestForm:
    def test_a_command_line_becomes_argv(self) -> None:
        save(name="report", argv="report.py --for 'Kröger & Co' \"\" a\\ b")
        assert Job.objects.get().argv == ["report.py", "--for", "Kröger & Co", "", "a b"]

    def test_the_stored_command_reads_back_the_same(self) -> None:
        job = a_job(argv=["sh", "-c", "echo 'it''s' | tee \"$HOME\"", "", "two\nlines", "a\r\nb"])
        before = job.argv
        save(job, description="edited")
        job.refresh_from_db()
        assert (job.argv, job.description) == (before, "edited")

    def test_line_ends_of_the_browser_do_not_edit_a_command(self) -> None:
        job = a_job(argv=["printf", "one\ntwo\rthree"], env={"TEXT": "one\rtwo"})
        save(job, argv="printf 'one\r\ntwo\r\nthree'", env="TEXT=one\r\ntwo")
        job.refresh_from_db()
        assert (job.argv, job.env) == (["printf", "one\ntwo\rthree"], {"TEXT": "one\rtwo"})

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ("", "This field is required."),
            ("   ", "This field is required."),
            ("''", "The program is empty"),
            ("echo 'open", "no closing quotation"),
            ("echo \0", "NUL character"),
            (f"echo {'x' * 131072}", "is over"),
        ],
    )
    def test_a_command_that_can_not_run_is_refused(self, line: str, error: str) -> None:
        assert error in errors(save(name="bad", argv=line))["argv"]
        assert not Job.objects.exists()

    def test_a_long_argument_is_accepted(self) -> None:
        save(name="long", argv=f"echo {'x' * 100_000} --settings=x")
        assert Job.objects.get().argv == ["echo", "x" * 100_000, "--settings=x"]

    def test_variables_are_lines(self) -> None:
        save(name="a", argv="true", env="LANG=C.UTF-8\r\n\r\nEMPTY=\r\n QUERY = a=b  \r\n")
        assert Job.objects.get().env == {"LANG": "C.UTF-8", "EMPTY": "", "QUERY": " a=b  "}

    @pytest.mark.parametrize("lines", ["LANG", "A=1\nA=2", "=x", " = "])
    def test_variables_that_can_not_be_are_refused(self, lines: str) -> None:
        assert "env" in errors(save(name="bad", argv="true", env=lines))

    def test_environments_come_from_the_settings(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": {"java": {"prefix": ["java"]}}}
        save(name="a", argv="-jar x.jar", environment="java")
        assert Job.objects.get().environment == "java"

    def test_an_unknown_environment_is_kept_in_sight_and_refused(self) -> None:
        job = a_job(environment="gone")
        answer = save(job)
        assert "gone (not in the settings)" in answer.text
        assert "There is no environment" in errors(answer)["environment"]

    def test_a_program_that_is_not_allowed(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_PROGRAMS": ["bots-engine"]}
        assert "isn't allowed" in errors(save(name="a", argv="rm -r /"))["argv"]

    @pytest.mark.parametrize("queue", ["with space", "a/b", "x" * 300, "Upper"])
    def test_a_bad_queue_name(self, queue: str) -> None:
        assert "queue" in errors(save(name="a", argv="true", queue=queue))

    @pytest.mark.parametrize("limit", ["-1", "never"])
    def test_a_bad_limit(self, limit: str) -> None:
        assert "kill_after" in errors(save(name="a", argv="true", kill_after=limit))

    def test_what_it_starts_as_is_shown_without_javascript(self, settings: Settings) -> None:
        environments = {"etl": {"prefix": ["/opt/etl/bin/python"]}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": environments}
        job = a_job(argv=["report.py", "two words"], environment="etl")
        shown = a_client("change_job").get(page(job)).text
        words = ["/opt/etl/bin/python", "report.py", "two words"]
        places = [shown.index(f"<code>{word}</code>") for word in words]
        assert places == sorted(places)

    def test_those_who_only_look_see_no_values_of_variables(self) -> None:
        job = a_job(argv=["send", "--to", "x"], env={"API_KEY": "secret-1"})
        shown = a_client("view_job").get(page(job)).text
        assert "secret-1" not in shown
        assert "API_KEY" in shown
        assert "send --to x" in shown


class TestPreview:
    URL = f"{LIST}preview/"

    def ask(self, client: Client | None = None, **data: str) -> Any:
        return (client or a_client("add_job")).post(self.URL, data)

    def test_splits_as_saving_does(self) -> None:
        assert self.ask(argv="a 'b c' \"\"").json() == {
            "prefix": [], "words": ["a", "b c", ""], "error": "", "note": "",
        }  # fmt: skip

    def test_names_what_is_wrong(self) -> None:
        assert "no closing quotation" in self.ask(argv="a 'b").json()["error"]
        assert "no environment 'x'" in self.ask(argv="a", environment="x").json()["error"]

    def test_says_that_no_shell_reads_it(self) -> None:
        assert "|" in self.ask(argv="a | b").json()["note"]
        assert not self.ask(argv="a '|b'").json()["note"]

    def test_control_characters_can_be_seen(self) -> None:
        assert self.ask(argv="a '\u202eb'").json()["words"] == ["a", "\\u202eb"]

    def test_is_for_those_who_edit(self) -> None:
        assert self.ask(a_client("view_job", "run_job"), argv="a").status_code == 403
        assert self.ask(Client(), argv="a").status_code == 302

    def test_wants_a_post_with_a_token(self) -> None:
        assert a_client("add_job").get(self.URL, {"argv": "a"}).status_code == 405
        assert self.ask(a_client("add_job", enforce_csrf_checks=True), argv="a").status_code == 403


class TestRun:
    def test_queues_at_priority_5_and_tells_where(self) -> None:
        job = a_job(name="nightly", queue="etl")
        a_waiting(queue="etl", priority=5)
        client = a_client("view_job", "run_job", "view_execution", username="anna")
        answer = client.post(page(job, "run"))
        execution = Execution.objects.get(job=job)
        assert (execution.priority, execution.queue) == (5, "etl")
        assert (execution.source, execution.requested_by) == ("admin", "anna")
        assert "“nightly” is queued as" in told(answer)
        assert "place 2 in the queue etl" in told(answer)
        assert f'href="/admin/jobqueue/execution/{execution.pk}/change/"' in told(answer)
        assert noted() == [("anna", f"Run: execution {execution.pk}.")]

    def test_the_place_is_that_of_the_desk(self) -> None:
        a_cluster()
        a_waiting(queue="etl", priority=1, not_before=timezone.now() + timedelta(hours=1))
        a_recovery(queue="etl")
        a_waiting(queue="etl")
        client = a_client("view_job", "run_job")
        answer = client.post(page(a_job(queue="etl"), "run"))
        assert "place 3 in the queue etl" in told(answer)

    def test_the_place_beyond_what_the_desk_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        a_waiting(queue="etl", priority=1, not_before=timezone.now() + timedelta(hours=1))
        for _ in range(3):
            a_waiting(queue="etl")
        monkeypatch.setattr(reading, "READ", 2)
        client = a_client("view_job", "run_job")
        answer = client.post(page(a_job(queue="etl"), "run"))
        assert "place 4 in the queue etl" in told(answer)
        monkeypatch.setattr(desk, "COUNTED", 2)
        answer = client.post(page(a_job(queue="etl"), "run"))
        assert "place 2+ in the queue etl" in told(answer)

    def test_a_second_one_waits_already(self) -> None:
        job = a_job()
        client = a_client("view_job", "run_job")
        client.post(page(job, "run"))
        answer = client.post(page(job, "run"))
        assert "is waiting already" in told(answer)
        assert Execution.objects.count() == 1

    def test_a_worse_one_moves_forward(self) -> None:
        job = a_job()
        waiting = a_waiting(job, priority=9)
        answer = a_client("view_job", "run_job").post(page(job, "run"))
        assert "moved forward" in told(answer)
        waiting.refresh_from_db()
        assert waiting.priority == 5

    def test_says_that_the_queue_is_paused(self) -> None:
        pause("default", "anna")
        answer = a_client("view_job", "run_job").post(page(a_job(), "run"))
        assert "which is paused" in told(answer)

    def test_says_that_no_service_runs(self) -> None:
        assert "qcluster" in told(a_client("view_job", "run_job").post(page(a_job(), "run")))

    def test_a_job_that_asks_first_is_queued_when_that_is_meant(self) -> None:
        job = a_job(name="<b>month end</b>", ask_first=True)
        client = a_client("view_job", "run_job")
        asked = client.post(page(job, "run"), {"next": "/admin/"})
        assert "&lt;b&gt;month end&lt;/b&gt;" in asked.text
        assert 'name="next" value="/admin/"' in asked.text
        assert not Execution.objects.exists()
        answer = client.post(page(job, "run"), {"next": "/admin/", "confirmed": "yes"})
        assert answer["Location"] == "/admin/"
        assert Execution.objects.get().job == job

    def test_at_the_priority_that_is_chosen_beside_the_button(self) -> None:
        job = a_job()
        a_waiting(priority=5)
        client = a_client("view_job", "run_job", username="anna")
        shown = client.get(page(job, "change")).text
        assert 'for="jobqueue-priority"' in shown
        assert '<option value="5" selected>' in shown
        answer = client.post(page(job, "run"), {"priority": "1"})
        execution = Execution.objects.get(job=job)
        assert execution.priority == 1
        assert "place 1 in the queue default" in told(answer)
        assert noted() == [("anna", f"Run at priority 1: execution {execution.pk}.")]
        assert "jobqueue-priority" not in a_client("view_job").get(page(job, "change")).text

    @pytest.mark.parametrize("typed", ["0", "10", "x", "٣"])
    def test_a_bad_priority_is_asked_for_again(self, typed: str) -> None:
        answer = a_client("view_job", "run_job").post(page(a_job(), "run"), {"priority": typed})
        assert "from 1 (first) to 9 (last)" in answer.text
        assert not Execution.objects.exists()

    def test_the_priority_is_asked_about_with_the_job(self) -> None:
        job = a_job(ask_first=True)
        client = a_client("view_job", "run_job")
        asked = client.post(page(job, "run"), {"priority": "2"})
        assert '<option value="2" selected>' in asked.text
        assert '<option value="5" selected>' in client.post(page(job, "run")).text
        client.post(page(job, "run"), {"priority": "3", "confirmed": "yes"})
        assert Execution.objects.get().priority == 3

    def test_the_action_asks_at_which_priority_if_it_asks(self) -> None:
        jobs = [a_job(), a_job(ask_first=True)]
        client = a_client("view_job", "run_job")
        chosen = {"action": "run", ACTION_CHECKBOX_NAME: [job.pk for job in jobs]}
        assert '<option value="5" selected>' in client.post(LIST, chosen).text
        client.post(LIST, {**chosen, "confirmed": "yes", "priority": "4"})
        assert [each.priority for each in Execution.objects.all()] == [4, 4]

    def test_the_action_asks_once_for_all(self) -> None:
        jobs = [a_job(), a_job(ask_first=True)]
        client = a_client("view_job", "run_job")
        chosen = {"action": "run", ACTION_CHECKBOX_NAME: [job.pk for job in jobs]}
        asked = client.post(LIST, chosen)
        assert all(job.name in asked.text for job in jobs)
        assert not Execution.objects.exists()
        client.post(LIST, {**chosen, "confirmed": "yes"})
        assert {each.job for each in Execution.objects.all()} == {*jobs}

    def test_a_disabled_job_is_refused(self) -> None:
        job = a_job(enabled=False)
        answer = a_client("view_job", "run_job").post(page(job, "run"))
        assert "is disabled" in told(answer)
        assert not Execution.objects.exists()
        assert noted() == []

    def test_hostile_names_stay_text_in_messages(self) -> None:
        job = a_job(name="<img src=x onerror=alert(1)>\u202e")
        answer = a_client("view_job", "run_job").post(page(job, "run"), follow=True)
        assert "<img src=x" not in answer.text
        assert "&lt;img src=x onerror=alert(1)&gt;\\u202e" in answer.text

    def test_a_get_runs_nothing(self) -> None:
        job = a_job()
        answer = a_client("view_job", "run_job").get(page(job, "run"))
        assert answer.status_code == 302
        assert not Execution.objects.exists()

    def test_wants_a_token(self) -> None:
        client = a_client("view_job", "run_job", enforce_csrf_checks=True)
        assert client.post(page(a_job(), "run")).status_code == 403
        assert not Execution.objects.exists()

    @pytest.mark.parametrize("permissions", [["view_job"], ["run_job"], ["change_execution"]])
    def test_takes_view_and_run(self, permissions: list[str]) -> None:
        assert a_client(*permissions).post(page(a_job(), "run")).status_code == 403
        assert not Execution.objects.exists()

    def test_a_job_that_is_gone(self) -> None:
        answer = a_client("view_job", "run_job").post(f"{LIST}4711/run/", follow=True)
        assert "4711" in told(answer)

    def test_the_button_is_there_for_those_who_may(self) -> None:
        job = a_job()
        button = f'action="{page(job, "run")}"'
        assert button in a_client("view_job", "run_job").get(page(job)).text
        assert button not in a_client("view_job").get(page(job)).text

    def test_the_action_in_the_list(self) -> None:
        jobs = [a_job(), a_job(), a_job(enabled=False)]
        client = a_client("view_job", "run_job")
        data = {"action": "run", "_selected_action": [job.pk for job in jobs]}
        answer = client.post(LIST, data)
        assert answer.status_code == 302
        assert {e.job for e in Execution.objects.all()} == set(jobs[:2])
        assert "is disabled" in told(answer)

    def test_the_action_is_there_for_those_who_may(self) -> None:
        a_job()
        option = '<option value="run">'
        assert option in a_client("view_job", "run_job").get(LIST).text
        assert option not in a_client("view_job", "change_job").get(LIST).text

    def test_the_running_one_does_not_count_as_waiting(self) -> None:
        job = a_job()
        a_run(job)
        answer = a_client("view_job", "run_job").post(page(job, "run"))
        assert "place 1" in told(answer)
        assert Queue.objects.get().name == "default"


def test_deleting_a_job_keeps_its_executions(admin_client: Client) -> None:
    execution = an_ended(job=(job := a_job(name="old")), job_name="old")
    admin_client.post(page(job, "delete"), {"post": "yes"})
    execution.refresh_from_db()
    assert (execution.job, execution.job_name) == (None, "old")


def test_names_that_hosts_may_reverse() -> None:
    assert reverse("admin:jobqueue_job_run", args=[1]) == f"{LIST}1/run/"
    assert reverse("jobqueue:run", args=[1]) == "/jobqueue/run/1/"


def test_running_one_says_when_it_will_start() -> None:
    job, long = a_job(), a_job()
    client = a_client("view_job", "run_job")
    assert "starts" not in told(client.post(page(job, "run")))
    a_cluster()
    now = timezone.now()
    an_ended(job=long, started_at=now - timedelta(hours=1), ended_at=now)
    run = a_run(long, priority=1)
    assert run.started_at is not None
    about = timezone.localtime(run.started_at + timedelta(hours=1))
    said = told(client.post(page(job, "run")))
    assert f"place 1 in the queue default, starts about {about:%H:%M}." in said
    assert "starts after" in told(client.post(page(a_job(), "run")))


def test_buttons_are_in_no_form() -> None:
    """A theme may have them inside the form of the page, where another one is none."""
    job = a_job()
    client = a_client("view_job", "change_job", "run_job", "view_execution", "stop_execution")
    for url in (page(job, "change"), f"/admin/jobqueue/execution/{a_waiting().pk}/change/"):
        text = client.get(url).text
        tools = text.partition('class="object-tools"')[2].partition("</ul>")[0]
        assert 'form="jobqueue-tools" formaction="' in tools
        assert "<form" not in tools


class TestLastRuns:
    def shown(self, job: Job, *permissions: str) -> str:
        client = a_client("view_job", *permissions)
        return str(client.get(f"/admin/jobqueue/job/{job.pk}/change/").text)

    def ran(self, job: Job, seconds: float, state: State = State.SUCCEEDED) -> Execution:
        now = timezone.now()
        return an_ended(
            job=job, state=state, started_at=now - timedelta(seconds=seconds), ended_at=now
        )

    def test_the_picture(self) -> None:
        job = a_job()
        for seconds in (10, 20, 40):
            self.ran(job, seconds)
        failed = self.ran(job, 80, State.FAILED)
        self.ran(a_job(), 500)
        a_waiting(job)
        text = self.shown(job, "view_execution")
        assert text.count("<rect") == 4
        assert "3 of 4 runs succeeded (75 %)" in text
        assert "usually 20.0 s, at most 40.0 s" in text
        assert f"#{failed.pk} failed" in text
        assert text.count("<text") == 1
        assert [int(h) for h in re.findall(r'width="12" height="(\d+)"', text)] == [10, 20, 40, 80]

    def test_takes_view_execution(self) -> None:
        job = a_job()
        self.ran(job, 1)
        assert "Last runs" not in self.shown(job)
        assert "Last runs" in self.shown(job, "view_execution")

    def test_none_yet_and_none_that_took_any_time(self) -> None:
        job = a_job()
        assert "Last runs" not in self.shown(job, "view_execution")
        an_ended(job=job)
        assert "1 of 1 run succeeded" in self.shown(job, "view_execution")


class TestUsedBy:
    """Rows of other apps that refer to the Job, such as directory monitors."""

    def shown(self, job: Job, *permissions: str) -> str:
        return " ".join(a_client("view_job", *permissions).get(page(job)).text.split())

    def test_monitors_by_name_with_links(self) -> None:
        job = a_job()
        monitor = a_monitor("/in", name="<In>\n", job=job)
        a_monitor("/other", name="Another Job's")
        url = f"/admin/dirmonitor/dirmonitor/{monitor.pk}/change/"
        text = self.shown(job, "view_dirmonitor")
        assert f'Directory monitors: <a href="{url}">&lt;In&gt;\\n</a></p>' in text
        assert "Another Job" not in text

    def test_nothing_uses_it_beside_schedules_and_runs(self) -> None:
        job = a_job()
        a_schedule(job=job)
        an_ended(job=job)
        Alarm.objects.create(job=job)
        assert "Used by" not in self.shown(job, "view_dirmonitor", "view_schedule", "view_alarm")

    def test_those_who_may_not_see_them_read_no_names(self) -> None:
        job = a_job()
        a_monitor("/in", name="Secret", job=job)
        assert "Secret" not in self.shown(job, "change_job")
        assert "Used by" not in self.shown(job, "change_job")

    def test_of_many_the_first_are_named_by_as_many_queries_as_of_one(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        job, client = a_job(), a_client("view_job", "view_dirmonitor")
        a_monitor("/in-0", name="Monitor 0", job=job)
        client.get(page(job))  # what is read once by a process
        with CaptureQueriesContext(connection) as one:
            client.get(page(job))
        for number in range(1, 12):
            a_monitor(f"/in-{number}", name=f"Monitor {number}", job=job)
        with django_assert_num_queries(len(one)):
            text = client.get(page(job)).text
        assert "Monitor 9</a>, …</p>" in text
        assert "Monitor 10" not in text


class TestCheck:
    def check(self, job: Job) -> str:
        answer = a_client("view_job", "change_job").get(f"/admin/jobqueue/job/{job.pk}/check/")
        assert answer.status_code == 200
        return " ".join(answer.text.split())

    def test_all_is_good(self, tmp_path: Path) -> None:
        text = self.check(a_job(argv=["sh", "-c", "exit 1"], working_directory=str(tmp_path)))
        assert "wrong" not in text
        assert "The program is found: /" in text
        assert not Execution.objects.exists()

    def test_what_is_wrong(self, tmp_path: Path) -> None:
        script, plain = tmp_path / "script", tmp_path / "plain"
        script.write_text("#!/no/such/interpreter -x\n")
        script.chmod(0o755)
        plain.write_text("")
        for over, words in (
            ({"argv": ["no-such-program"]}, "The program no-such-program isn&#x27;t found"),
            ({"argv": [str(plain)]}, "or may not be executed"),
            ({"argv": [str(tmp_path)]}, "or may not be executed"),
            ({"argv": [str(script)]}, "Its interpreter isn&#x27;t found: /no/such/interpreter"),
            ({"working_directory": "/no/such"}, "The working directory /no/such isn&#x27;t there"),
            ({"environment": "gone"}, "There is no environment"),
            ({"enabled": False}, "The Job is disabled"),
        ):
            text = self.check(a_job(**over))
            assert words in text
            assert "wrong" in text

    def test_relative_to_the_working_directory_and_by_its_own_path(self, tmp_path: Path) -> None:
        program = tmp_path / "bin" / "program"
        program.parent.mkdir()
        program.write_text("#!/usr/bin/env sh\n")
        program.chmod(0o755)
        text = self.check(a_job(argv=["bin/program"], working_directory=str(tmp_path)))
        assert "Its interpreter is found: sh" in text
        text = self.check(a_job(argv=["program"], env={"PATH": str(program.parent)}))
        assert f"The program is found: {program}" in text

    def test_what_is_typed_is_checked_and_not_saved(self) -> None:
        job = a_job(argv=["true"])
        for of in (None, job):
            answer = save(of, name="Typed", argv="no-such-program", _check="Check")
            assert "The program no-such-program isn&#x27;t found" in answer.text
            assert "Not saved yet" in answer.text
            assert answer.context["adminform"].form["argv"].value() == "no-such-program"
        assert [(row.name, row.argv) for row in Job.objects.all()] == [(job.name, ["true"])]
        assert (noted(), Execution.objects.count()) == ([], 0)

    def test_what_is_typed_and_refused_says_why(self) -> None:
        answer = save(a_job(), argv="echo 'a", _check="Check")
        assert list(errors(answer)) == ["argv"]
        assert "Not saved yet" not in answer.text

    def test_what_is_typed_is_checked_for_those_who_may_save_it(self) -> None:
        job, button = a_job(), 'name="_check"'
        form = form_of(job, _check="Check")
        for client in (a_client("view_job", "run_job"), a_client("view_job", "add_job")):
            assert client.post(page(job), form).status_code == 403
            assert button not in client.get(page(job)).text
        assert a_client("view_job", "change_job").post(f"{LIST}add/", form).status_code == 403
        assert button in a_client("view_job", "add_job").get(f"{LIST}add/").text
        assert button in a_client("view_job", "change_job").get(page(job)).text

    def test_takes_change_job(self) -> None:
        job = a_job()
        url = f"/admin/jobqueue/job/{job.pk}/check/"
        assert a_client("view_job", "run_job").get(url).status_code == 403
        page = f"/admin/jobqueue/job/{job.pk}/change/"
        assert url not in a_client("view_job").get(page).text
        assert url in a_client("view_job", "change_job").get(page).text
