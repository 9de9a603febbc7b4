"""Executions in the admin: the record, and what can be done with one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from jobqueue import conf, queue
from jobqueue.admin import ExecutionAdmin
from jobqueue.admin.actions import budget
from jobqueue.models import Execution, State
from tests.builders import a_job, a_lost, a_recovery, a_request, a_run, a_waiting, an_end, an_ended
from tests.users import a_client, noted, told

pytestmark = pytest.mark.django_db
LIST = "/admin/jobqueue/execution/"
#: Seconds: max_runtime and kill_after.
Limits = tuple[int | None, int | None]


def page(execution: Execution, name: str = "change") -> str:
    return f"{LIST}{execution.pk}/{name}/"


def shown(execution: Execution, *permissions: str) -> str:
    client = a_client("view_execution", *permissions)
    return str(client.get(page(execution)).text)


def state(execution: Execution) -> str:
    execution.refresh_from_db()
    return execution.state


class TestList:
    def test_shows_what_matters(self, admin_client: Client) -> None:
        an_ended(
            job_name="nightly", state="failed", return_code=7, reason="return code 7", queue="etl",
            priority=3, source="command", requested_by="carl",
        )  # fmt: skip
        text = admin_client.get(LIST).text
        for word in ("nightly", "✗", "failed", "code 7", "return code 7", "etl", "priority 3",
                     "carl, command"):  # fmt: skip
            assert word in text

    @pytest.mark.parametrize(
        ("code", "codes", "words"),
        [
            (127, "exit-status", "a program that wasn&#x27;t found"),
            (126, "exit-status", "a program that can&#x27;t be executed"),
            (143, "exit-status", "an end by SIGTERM"),
            (7, "exit-status", ""),
            (127, "bots-engine", ""),
        ],
    )
    def test_return_codes_in_words(self, code: int, codes: str, words: str) -> None:
        text = shown(an_ended(return_code=code, codes=codes, state="failed"))
        assert f"{code}, read as" in text
        assert ("by the custom of shells" in text) == bool(words)
        assert words in text

    @pytest.mark.parametrize("value", State.values)
    def test_every_state_has_a_word_and_a_sign(self, admin_client: Client, value: str) -> None:
        execution = an_ended(state=value)
        text = admin_client.get(LIST).text
        assert f'<span class="jobqueue-state jobqueue-{value}">' in text
        assert f"</span> {execution.get_state_display()}</span>" in text

    def test_reads_no_output(self, admin_client: Client) -> None:
        an_ended(log_tail="x")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin_client.get(LIST)
        assert not any("log_tail" in query["sql"] for query in queries)

    def test_takes_the_same_queries_however_many_there_are(self, admin_client: Client) -> None:
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                admin_client.get(LIST)
            return len(queries)

        an_ended(job=a_job())
        admin_client.get(LIST)  # fills caches
        few = count()
        for _ in range(30):
            an_ended(job=a_job(), retry_of=Execution.objects.first())
        assert count() == few

    @pytest.mark.parametrize("words", ["nightly", "Kröger", "spoon 2", "'2nd try'", "no such host"])
    def test_search(self, admin_client: Client, words: str) -> None:
        wanted = an_ended(
            job_name="nightly", argv=["spoon", "Kröger", "2nd try"], reason="No such host"
        )
        an_ended(job_name="other", argv=["true"])
        found = admin_client.get(LIST, {"q": words}).context["cl"].result_list
        assert list(found) == [wanted]

    def test_search_by_number(self, admin_client: Client) -> None:
        wanted = an_ended(argv=["a"])
        found = admin_client.get(LIST, {"q": f"#{wanted.pk}"}).context["cl"].result_list
        assert wanted in found

    def test_filters(self, admin_client: Client) -> None:
        job = a_job(queue="etl")
        wanted = an_ended(job=job, queue="etl", source="schedule", state="lost")
        an_ended()
        for query in (
            {"queue": "etl"},
            {"state__exact": "lost"},
            {"source__exact": "schedule"},
            {"job__id__exact": str(job.pk)},
        ):
            found = admin_client.get(LIST, query).context["cl"].result_list
            assert list(found) == [wanted], query

    def test_a_queue_that_nobody_knows(self, admin_client: Client) -> None:
        an_ended()
        assert admin_client.get(LIST, {"queue": "<b>"}).context["cl"].result_count == 0


class TestRecord:
    def test_nobody_adds_edits_or_deletes(self, admin_client: Client) -> None:
        execution = an_ended()
        assert admin_client.get(f"{LIST}add/").status_code == 403
        assert admin_client.post(page(execution), {"state": "waiting"}).status_code == 403
        assert admin_client.post(page(execution, "delete"), {"post": "yes"}).status_code == 403
        assert '<option value="delete_selected">' not in admin_client.get(LIST).text

    def test_says_what_happened(self) -> None:
        job = a_job(name="nightly")
        first = an_ended(job=job)
        execution = an_ended(
            job=job, job_name="nightly", argv=["send", "two words"], state="failed", return_code=3,
            codes="bots-engine", reason="another engine was running", requested_by="carl",
            source="command", host="edi-1", pid=4242, retry_of=first, attempt=2,
            working_directory="/srv/edi", details={"log_cut": True}, log_tail="the output",
        )  # fmt: skip
        later = an_ended(retry_of=execution)
        text = shown(execution, "view_job")
        for word in (
            "nightly", "send &#x27;two words&#x27;", "<code>two words</code>", "failed",
            "3, read as bots-engine", "another engine was running", "carl (command)",
            "4242 on edi-1", "attempt 2", "/srv/edi", "the middle is left out", "the output",
            page(first), page(later),
        ):  # fmt: skip
            assert word in text, word

    def test_the_command_can_be_pasted_into_bash(self) -> None:
        execution = an_ended(argv=["sh", "-c", "echo 1\necho \u202e2"])
        command = escape(r"sh -c $'echo 1\necho \xe2\x80\xae2'")
        assert f'<pre class="jobqueue-output jobqueue-copy">{command}</pre>' in shown(execution)

    @pytest.mark.parametrize(
        ("own", "site", "words"),
        [
            ((None, None), (None, None), "no alert (the site's); never ended by one (the site's)"),
            ((None, 5), (60, None), "alert after 1:00 (the site's); ended after 5.0 s"),
            ((30, None), (60, 90), "alert after 30.0 s; ended after 1:30 (the site's)"),
            ((0, 0), (60, 90), "no alert; never ended by one"),
        ],
    )
    def test_limits_are_its_own_or_else_the_site_s(
        self, settings: Settings, own: Limits, site: Limits, words: str
    ) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "MAX_RUNTIME": site[0], "KILL_AFTER": site[1]}
        seconds = [None if limit is None else timedelta(seconds=limit) for limit in own]
        execution = an_ended(max_runtime=seconds[0], kill_after=seconds[1])
        assert f">{escape(words)}<" in shown(execution)

    def test_values_of_variables_are_for_those_who_may_change_jobs(self) -> None:
        execution = an_ended(env={"API_KEY": "secret-1"})
        assert "secret-1" not in shown(execution)
        assert "API_KEY" in shown(execution)
        assert "API_KEY=secret-1" in shown(execution, "change_job")

    def test_takes_view_execution(self) -> None:
        assert a_client("view_job", "run_job").get(page(an_ended())).status_code == 403

    def test_one_that_is_gone(self, admin_client: Client) -> None:
        for name in ("change", "cancel", "stop", "priority", "again", "log"):
            answer = admin_client.get(f"{LIST}4711/{name}/", follow=True)
            assert "4711" in told(answer), name
            assert admin_client.get(f"{LIST}x/{name}/").status_code == 302

    @pytest.mark.parametrize("name", ["cancel", "stop", "priority", "again"])
    def test_the_way_back_from_one_that_is_gone(self, admin_client: Client, name: str) -> None:
        for sent, back in (({}, LIST), ({"next": "/admin/x/"}, "/admin/x/")):
            answer = admin_client.post(f"{LIST}4711/{name}/", sent)
            assert answer["Location"] == back
            assert "4711" in told(answer)
        assert a_client().post(f"{LIST}4711/{name}/")["Location"] == "/admin/"

    def test_only_an_open_one_loads_itself_again(self) -> None:
        refresh = "http-equiv"
        assert refresh in shown(a_waiting())
        assert refresh not in shown(an_ended())

    def test_a_stop_that_is_under_way(self) -> None:
        run = a_run()
        queue.request_stop(run, "anna")
        assert "by anna" in shown(run)


class TestRecovered:
    """What became of runs that lost their worker, their host or their engine."""

    def both(self, execution: Execution) -> list[str]:
        client = a_client("view_execution")
        return [client.get(LIST).text, client.get(page(execution)).text]

    def test_an_adopted_one(self) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(details={"adopted": 1})
        in_list, on_page = self.both(run)
        assert "its worker died, another one took over" in in_list
        assert "Its worker died; another one took it over." in on_page
        queue.finish(Execution.objects.get(pk=run.pk), an_end())
        in_list, on_page = self.both(run)
        assert "its worker died" not in in_list
        assert "Its worker died" in on_page

    def test_a_recovery_run_and_the_one_that_it_is_for(self) -> None:
        recovery = a_recovery()
        engine = Execution.objects.get(details__recovered_by=recovery.pk)
        for text in self.both(recovery):
            assert f'recovery run after <a href="{page(engine)}">#{engine.pk}</a>' in text
        for text in self.both(engine):
            assert f'recovery run: <a href="{page(recovery)}">#{recovery.pk}</a>' in text

    def test_one_that_is_queued_again(self) -> None:
        other = a_waiting()
        lost = a_lost(details={"queued_again_as": other.pk})
        for text in self.both(lost):
            assert text.count(f'queued again as <a href="{page(other)}">#{other.pk}</a>') == 1

    def test_one_that_is_given_up(self) -> None:
        lost = a_lost(details={"not_queued_again": "it was lost 3 times in a row"})
        for text in self.both(lost):
            assert "not queued again: it was lost 3 times in a row" in text
        Execution.objects.update(reason="Gone. Not queued again: it was lost 3 times in a row.")
        assert self.both(lost)[0].count("3 times in a row") == 1

    @pytest.mark.database
    def test_what_askers_put_there(self) -> None:
        bad = "<script>alert(1)</script>"
        names = ("adopted", "recovers", "recovered_by", "queued_again_as", "not_queued_again")
        for value in (bad, [bad], {bad: bad}, True, None, 1.5, "12"):
            run = an_ended(
                state="running" if value == bad else "lost", details=dict.fromkeys(names, value)
            )
            assert all(bad not in text for text in self.both(run))


class TestEndOfARecoveryRun:
    @pytest.fixture
    def client(self) -> Client:
        return a_client("view_execution", "stop_execution")

    def test_stop_warns(self, client: Client) -> None:
        recovery = a_recovery()
        queue.claim("default")
        for asked in (
            client.get(page(recovery, "stop")),
            client.post(LIST, {"action": "stop", "_selected_action": [recovery.pk]}),
        ):
            assert "until it has run through, files may be lost" in asked.text
        assert Execution.objects.get(pk=recovery.pk).stop_requested_at is None
        client.post(page(recovery, "stop"), {"confirmed": "yes"})
        assert Execution.objects.get(pk=recovery.pk).stop_requested_at is not None

    def test_that_of_another_run_does_not(self, client: Client) -> None:
        run = a_run()
        assert "files may be lost" not in client.get(page(run, "stop")).text

    def test_cancel_warns(self, client: Client) -> None:
        recovery = a_recovery()
        for asked in (
            client.post(page(recovery, "cancel")),
            client.post(LIST, {"action": "cancel", "_selected_action": [recovery.pk]}),
        ):
            assert "This cancels a recovery run" in asked.text
        assert state(recovery) == "waiting"
        client.post(page(recovery, "cancel"), {"confirmed": "yes"})
        assert state(recovery) == "cancelled"

    def test_its_place_is_no_choice(self, client: Client) -> None:
        text = client.get(page(a_recovery())).text
        assert "jobqueue-danger" in text
        assert 'name="priority"' not in text


class TestFiles:
    """Whoever asks for a run may name files in its details."""

    def test_the_first_are_named_and_the_others_counted(self) -> None:
        names = [f"/in/{number:03}.edi" for number in range(100)]
        text = shown(an_ended(details={"files": names, "count": 1200}))
        assert "<br>".join(names[:20]) + "<br>and 1180 more" in text
        assert names[20] not in text

    def test_who_joined_the_request_is_named(self) -> None:
        run = an_ended(
            requested_by="One", source="dirmonitor", details={"joined": ["Two", "Three"]}
        )
        assert "One (directory monitor); joined by Two, Three" in shown(run)

    @pytest.mark.parametrize("found", ["a.edi", {"a.edi": 1}, [], [1, None, ["a.edi"]], None])
    def test_what_is_no_list_of_names_is_not_shown(self, found: object) -> None:
        details = {"files": found, "joined": found, "count": 3}
        text = shown(an_ended(details=details))
        assert "a.edi" not in text
        assert "field-files" not in text
        assert "joined" not in text


class TestHostileText:
    SCRIPT = "<script>alert(1)</script>"

    def test_everywhere(self, admin_client: Client) -> None:
        bad = f"{self.SCRIPT}\"'\u202e"
        execution = an_ended(
            job_name=bad, argv=[bad, bad], reason=bad, requested_by=bad, log_tail=bad, host=bad,
            working_directory=bad, environment=bad, env={bad: bad},
            details={"note": bad, "files": [bad], "joined": [bad]}, state="failed",
        )  # fmt: skip
        for url in (LIST, page(execution), page(execution, "history")):
            text = admin_client.get(url).text
            assert self.SCRIPT not in text, url
            assert "\u202e" not in text, url

    def test_output_shows_what_can_not_be_seen(self) -> None:
        tail = "\x1b[31mred\x1b[0m\r\nnext\x07\u202egpj\ttab\rover"
        text = shown(an_ended(log_tail=tail))
        assert "red\nnext\\x07\\u202egpj\ttab\nover" in text

    def test_a_megabyte_in_one_line(self) -> None:
        text = shown(an_ended(log_tail="x" * 2**20, argv=["a" * 100_000], reason="r" * 10_000))
        assert "x" * 2**20 in text
        assert len(text) < 2**20 + 350_000


class TestLog:
    @pytest.fixture(autouse=True)
    def data(self, data_dir: Path) -> Path:
        return data_dir

    def a_log(self, execution: Execution, content: bytes = b"<b>all</b> of it\xff\n") -> Path:
        path = conf.current().log_path(execution.pk)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return path

    def test_is_downloaded_as_text(self) -> None:
        execution = an_ended(log_tail="it")
        self.a_log(execution)
        assert page(execution, "log") in shown(execution)
        answer: Any = a_client("view_execution").get(page(execution, "log"))
        assert b"".join(answer.streaming_content) == b"<b>all</b> of it\xff\n"
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["Content-Disposition"] == (
            f'attachment; filename="execution-{execution.pk}.log"'
        )
        assert answer["X-Content-Type-Options"] == "nosniff"
        answer.close()

    def test_takes_view_execution(self) -> None:
        self.a_log(execution := an_ended())
        assert a_client("view_job").get(page(execution, "log")).status_code == 403

    def test_one_that_is_not_here(self) -> None:
        execution = an_ended(log_tail="it")
        assert page(execution, "log") not in shown(execution)
        assert a_client("view_execution").get(page(execution, "log")).status_code == 404

    def test_nothing_outside_the_directory_of_logs(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("key")
        execution = an_ended(log_path=str(secret))
        link = self.a_log(execution)
        link.unlink()
        link.symlink_to(secret)
        assert a_client("view_execution").get(page(execution, "log")).status_code == 404

    def test_says_that_only_the_end_is_shown(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "LOG_TAIL": 100}
        execution = an_ended(log_tail="end")
        assert "Only the end is shown" not in shown(execution)
        self.a_log(execution, b"x" * 101)
        assert "Only the end is shown" in shown(execution)


class TestSteering:
    def test_cancel_asks_first(self) -> None:
        client = a_client("view_execution", "stop_execution", username="anna")
        execution = a_waiting()
        for ask in (client.get, client.post):
            asked = ask(page(execution, "cancel"))
            assert str(execution) in asked.text
            assert "This request will not run." in asked.text
            assert "recovery run" not in asked.text
        assert state(execution) == "waiting"
        assert noted() == []
        answer = client.post(page(execution, "cancel"), {"confirmed": "yes"})
        assert answer["Location"] == page(execution)
        assert state(execution) == "cancelled"
        assert execution.reason == "cancelled by anna"
        assert "was cancelled" in told(answer)
        assert noted() == [("anna", "Cancelled.")]

    def test_cancel_what_has_started_meanwhile(self) -> None:
        run = a_run()
        permissions = ("view_execution", "stop_execution")
        answer = a_client(*permissions).post(page(run, "cancel"), {"confirmed": "yes"})
        assert "doesn't wait any more" in told(answer)
        assert "(running)" in told(answer)
        for method in ("get", "post"):
            asked = getattr(a_client(*permissions), method)(page(run, "cancel"))
            assert asked.status_code == 302
            assert "doesn't wait any more" in told(asked)
            assert "(running)" in told(asked)
        assert state(run) == "running"
        assert noted() == []

    def test_stop_asks_first(self) -> None:
        run = a_run()
        client = a_client("view_execution", "stop_execution", username="anna")
        asked = client.get(page(run, "stop"))
        assert str(run) in asked.text
        assert not asked_to_stop(run)
        answer = client.post(page(run, "stop"), {"confirmed": "yes"})
        assert asked_to_stop(run)
        assert run.stop_requested_by == "anna"
        assert "is being stopped" in told(answer)
        assert noted() == [("anna", "Stop.")]

    def test_stop_what_has_ended_meanwhile(self) -> None:
        run = a_run()
        queue.finish(run, an_end())
        permissions = ("view_execution", "stop_execution")
        answer = a_client(*permissions).post(page(run, "stop"), {"confirmed": "yes"})
        assert "doesn't run any more" in told(answer)
        assert "(succeeded)" in told(answer)
        for method in ("get", "post"):
            asked = getattr(a_client(*permissions), method)(page(run, "stop"))
            assert asked.status_code == 302
            assert "doesn't run any more" in told(asked)
            assert "(succeeded)" in told(asked)

    def test_priority(self) -> None:
        execution = a_waiting(priority=5)
        client = a_client("view_execution", "stop_execution", username="anna")
        answer = client.post(page(execution, "priority"), {"priority": "2"})
        execution.refresh_from_db()
        assert execution.priority == 2
        assert "has priority 2 now" in told(answer)
        assert noted() == [("anna", "Priority 2.")]

    @pytest.mark.parametrize("typed", ["0", "10", "abc", "", "٣", "1e1", "-1", "5" * 9999])
    def test_a_bad_priority(self, typed: str) -> None:
        execution = a_waiting(priority=5)
        client = a_client("view_execution", "stop_execution")
        answer = client.post(page(execution, "priority"), {"priority": typed})
        execution.refresh_from_db()
        assert execution.priority == 5
        assert "from 1 (first) to 9 (last)" in told(answer)

    def test_the_priority_of_a_recovery_run_stays(self) -> None:
        recovery = a_recovery()
        client = a_client("view_execution", "stop_execution")
        answer = client.post(page(recovery, "priority"), {"priority": "9"})
        assert "which goes before all others" in told(answer)
        assert priorities(recovery) == [0]
        assert noted() == []

    @pytest.mark.parametrize("name", ["cancel", "stop", "priority", "again"])
    def test_a_get_changes_nothing(self, name: str, admin_client: Client) -> None:
        for execution in (a_waiting(queue="a"), a_run(queue="b"), an_ended()):
            before = Execution.objects.values().get(pk=execution.pk)
            admin_client.get(page(execution, name), {"confirmed": "yes", "priority": "1"})
            assert Execution.objects.values().get(pk=execution.pk) == before
        assert Execution.objects.count() == 3

    @pytest.mark.parametrize("name", ["cancel", "stop", "priority", "again"])
    def test_takes_a_permission_of_its_own(self, name: str) -> None:
        execution = a_run() if name == "stop" else a_waiting()
        client = a_client("view_execution", "change_execution", "delete_execution", "view_job")
        assert client.post(page(execution, name), {"confirmed": "yes"}).status_code == 403

    @pytest.mark.parametrize("name", ["cancel", "stop", "priority", "again"])
    def test_wants_a_token(self, name: str) -> None:
        client = a_client("view_execution", "stop_execution", "run_job", enforce_csrf_checks=True)
        assert client.post(page(a_waiting(), name), {"confirmed": "yes"}).status_code == 403

    def test_buttons_fit_the_state_and_the_user(self) -> None:
        def buttons(execution: Execution, *permissions: str) -> set[str]:
            text = shown(execution, *permissions)
            names = ("cancel", "stop", "priority", "again")
            return {name for name in names if page(execution, name) in text}

        every = ("stop_execution", "run_job")
        assert buttons(a_waiting(queue="a"), *every) == {"cancel", "priority"}
        assert buttons(a_run(queue="b"), *every) == {"stop"}
        assert buttons(an_ended(), *every) == {"again"}
        assert buttons(an_ended(), "stop_execution") == set()
        assert buttons(a_waiting(queue="c"), "run_job") == set()


class TestRunAgain:
    def test_through_its_job(self) -> None:
        job = a_job(argv=["new"])
        old = an_ended(job=job, job_name=job.name, argv=["old"], queue="etl")
        client = a_client("view_execution", "view_job", "run_job", username="anna")
        answer = client.post(page(old, "again"))
        again = Execution.objects.waiting().get()
        assert (again.job, again.argv, again.queue) == (job, ["new"], "etl")
        assert (again.priority, again.source, again.requested_by) == (5, "admin", "anna")
        assert again.details == {"again_of": old.pk}
        assert f"#{again.pk}" in told(answer)
        assert noted() == [("anna", f"Run again: execution {again.pk}.")]
        assert page(old) in client.get(page(again)).text

    def test_a_bare_command(self) -> None:
        moment = timezone.now() - timedelta(days=1)
        old = an_ended(
            argv=["send"], env={"A": "1"}, working_directory="/srv", trigger_at=moment,
            details={"files": ["a.edi"], "joined": ["Two"], "overdue": True},
        )  # fmt: skip
        a_client("view_execution", "run_job").post(page(old, "again"))
        again = Execution.objects.waiting().get()
        assert again.request_digest() == old.request_digest()
        assert again.details == {"files": ["a.edi"], "again_of": old.pk}

    def test_a_disabled_job_is_refused(self) -> None:
        old = an_ended(job=a_job(enabled=False))
        answer = a_client("view_execution", "view_job", "run_job").post(page(old, "again"))
        assert "is disabled" in told(answer)
        assert not Execution.objects.waiting().exists()

    def test_a_job_takes_what_running_it_takes(self) -> None:
        old, bare = an_ended(job=a_job()), an_ended()
        client = a_client("view_execution", "run_job")
        assert page(old, "again") not in client.get(page(old)).text
        assert client.post(page(old, "again")).status_code == 403
        data = {"action": "run_again", "_selected_action": [bare.pk, old.pk], "confirmed": "yes"}
        assert client.post(LIST, data).status_code == 403
        assert not Execution.objects.waiting().exists()
        assert page(bare, "again") in client.get(page(bare)).text
        client.post(page(bare, "again"))
        assert Execution.objects.waiting().get().details == {"again_of": bare.pk}

    def test_one_that_has_not_ended(self) -> None:
        run = a_run()
        answer = a_client("view_execution", "run_job").post(page(run, "again"))
        assert "has not ended" in told(answer)
        assert Execution.objects.count() == 1


class TestActions:
    def act(self, client: Client, name: str, *executions: Execution, **more: str) -> Any:
        data = {"action": name, "_selected_action": [e.pk for e in executions], **more}
        return client.post(LIST, data)

    def test_cancel_several_asks_first(self) -> None:
        waiting, run = [a_waiting(queue="a"), a_waiting(queue="a")], a_run(queue="b")
        client = a_client("view_execution", "stop_execution", username="anna")
        asked = self.act(client, "cancel", *waiting, run)
        assert all(str(execution) in asked.text for execution in waiting)
        assert str(run) not in asked.text
        assert [state(execution) for execution in waiting] == ["waiting", "waiting"]
        answer = self.act(client, "cancel", *waiting, confirmed="yes")
        assert [state(execution) for execution in waiting] == ["cancelled", "cancelled"]
        assert "2 executions were cancelled" in told(answer)
        assert noted() == [("anna", "Cancelled.")] * 2

    def test_what_ended_between_question_and_answer_is_told(self) -> None:
        waiting, run = a_waiting(queue="a"), a_run(queue="b")
        client = a_client("view_execution", "stop_execution")
        answer = self.act(client, "cancel", waiting, run, confirmed="yes")
        assert state(waiting) == "cancelled"
        assert state(run) == "running"
        assert f"#{run.pk}</a> (running)" in told(answer)

    def test_stop(self) -> None:
        run = a_run()
        client = a_client("view_execution", "stop_execution")
        assert str(run) in self.act(client, "stop", run).text
        self.act(client, "stop", run, confirmed="yes")
        assert asked_to_stop(run)

    def test_nothing_fits(self) -> None:
        client = a_client("view_execution", "stop_execution")
        answer = self.act(client, "stop", an_ended())
        assert "None of them is running." in told(answer)

    def test_all_of_a_list_means_those_of_then(self) -> None:
        waiting = [a_waiting(queue="a") for _ in range(120)]
        other = a_waiting(queue="b")
        client = a_client("view_execution", "stop_execution")
        url = f"{LIST}?queue=a"
        data: dict[str, Any] = {"action": "cancel", "_selected_action": [waiting[0].pk]}
        asked = client.post(url, {**data, "select_across": "1"})
        assert "and 20 more" in asked.text
        assert "<strong>120 executions</strong>" in asked.text
        hidden = dict(asked.context["hidden"])
        later = a_waiting(queue="a")
        client.post(url, {**data, **hidden})
        assert set(Execution.objects.waiting()) == {other, later}

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("cancel", "None of them waits any more."),
            ("set_priority", "None of them waits any more."),
            ("stop", "None of them runs any more."),
            ("acknowledge", "None of them has gone wrong."),
            ("run_again", "None of them is there any more."),
        ],
    )
    def test_what_was_done_in_another_window_is_said(self, name: str, says: str) -> None:
        permissions = ("stop_execution", "acknowledge_execution", "run_job")
        client, row = a_client("view_execution", *permissions), an_ended()
        across = {"select_across": "1", "up_to": "0" if name == "run_again" else str(row.pk)}
        answer = self.act(client, name, row, confirmed="yes", priority="1", **across)
        assert told(answer).startswith(says)
        assert noted() == []

    @pytest.mark.parametrize("forged", ["9" * 5000, "9" * 30, "٣", "-1", "x", ""])
    def test_a_forged_end_of_a_list_is_none(self, forged: str) -> None:
        waiting, client = a_waiting(), a_client("view_execution", "stop_execution")
        answer = self.act(client, "cancel", waiting, confirmed="yes", up_to=forged)
        assert answer.status_code == 302
        assert state(waiting) == "cancelled"

    def test_many_that_were_chosen_one_by_one(self) -> None:
        waiting = [a_waiting(queue="a") for _ in range(130)]
        spared = a_waiting(queue="a")
        client = a_client("view_execution", "stop_execution")
        asked = self.act(client, "cancel", *waiting, select_across="0")
        hidden = asked.context["hidden"]
        pks = [value for name, value in hidden if name == "_selected_action"]
        data = {**dict(hidden), "_selected_action": pks}
        client.post(LIST, data)
        assert set(Execution.objects.waiting()) == {spared}

    def test_what_takes_too_long_is_left_as_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budget, "SECONDS", 0)
        waiting = [a_waiting() for _ in range(budget.STEP + 2)]
        client = a_client("view_execution", "stop_execution", username="anna")
        answer = self.act(client, "cancel", *waiting, confirmed="yes")
        assert f"{budget.STEP} executions were cancelled" in told(answer)
        left = Execution.objects.waiting().order_by("-pk")
        assert f"It took long: 2 executions are left as they were: {links(*left)}." in told(answer)
        assert "Nothing was changed where" not in told(answer)
        assert noted() == [("anna", "Cancelled.")] * budget.STEP
        client = a_client("view_execution", "stop_execution")
        answer = self.act(client, "cancel", *left, confirmed="yes")
        assert "are left" not in told(answer)
        assert not Execution.objects.waiting().exists()

    def test_what_takes_too_long_is_not_run_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budget, "SECONDS", 0)
        first, *others = (an_ended(argv=[word]) for word in "abc")
        client = a_client("view_execution", "run_job", username="anna")
        answer = self.act(client, "run_again", first, *others, confirmed="yes")
        again = Execution.objects.waiting().get()
        assert again.details["again_of"] == first.pk
        assert noted() == [("anna", f"Run again: execution {again.pk}.")]
        assert f"are left as they were: {links(*others)}. Choose them again." in told(answer)

    def test_many_are_run_again_with_few_reads(self) -> None:
        old = [an_ended(argv=[str(number)]) for number in range(40)]
        client = a_client("view_execution", "run_job")
        with CaptureQueriesContext(connection) as queries:
            self.act(client, "run_again", *old, confirmed="yes")
        assert Execution.objects.waiting().count() == 40
        reads = [q["sql"] for q in queries if q["sql"].startswith("SELECT")]
        assert [sql for sql in reads if "details" in sql and "priority" not in sql] == []

    def test_run_again_in_the_order_of_arrival(self) -> None:
        old = [an_ended(argv=["a"]), an_ended(argv=["b"])]
        client = a_client("view_execution", "run_job")
        asked = self.act(client, "run_again", *reversed(old))
        assert "Run again?" in asked.text
        assert not Execution.objects.waiting().exists()
        answer = self.act(client, "run_again", *reversed(old), confirmed="yes")
        assert "2 requests are queued: " in told(answer)
        assert [e.argv for e in Execution.objects.waiting().in_order()] == [["a"], ["b"]]

    def test_what_is_not_run_again_is_told_once_with_the_reason(self) -> None:
        same = [an_ended(argv=["a"]), an_ended(argv=["a"])]
        orphan, client = an_ended(job_name="x"), a_client("view_execution", "run_job")
        answer = self.act(client, "run_again", *same, orphan, confirmed="yes")
        assert Execution.objects.waiting().count() == 1
        assert "1 request is queued" in told(answer)
        assert told(answer).count("Not run again") == 1
        assert "(the same waits already)" in told(answer)
        assert "(its Job was deleted)" in told(answer)

    def test_none_to_run_again(self) -> None:
        client = a_client("view_execution", "run_job")
        answer = self.act(client, "run_again", a_waiting())
        assert "None of them has ended." in told(answer)

    def test_priority_asks_first_and_says_what_is_left_out(self) -> None:
        waiting, run = [a_waiting(queue="a"), a_waiting(queue="a", priority=9)], a_run(queue="b")
        recovery = a_recovery(queue="c")
        client = a_client("view_execution", "stop_execution", username="anna")
        asked = self.act(client, "set_priority", *waiting, run, recovery)
        named, _, left_out = asked.text.partition("Left out: ")
        assert all(str(execution) in named for execution in waiting)
        assert all(str(execution) not in asked.text for execution in (run, recovery))
        assert f"#{run.pk}</a> (running)" in left_out
        assert f"#{recovery.pk}</a> (waiting, recovery)" in left_out
        assert '<option value="1" selected>' in asked.text
        assert priorities(*waiting) == [5, 9]
        answer = self.act(client, "set_priority", *waiting, confirmed="yes", priority="2")
        assert priorities(*waiting, recovery) == [2, 2, 0]
        assert "2 executions have priority 2 now" in told(answer)
        assert noted() == [("anna", "Priority 2.")] * 2

    def test_priority_of_what_has_started_since_the_question(self) -> None:
        waiting, run, recovery = a_waiting(queue="a"), a_run(queue="b"), a_recovery(queue="c")
        client = a_client("view_execution", "stop_execution")
        answer = self.act(
            client, "set_priority", waiting, run, recovery, confirmed="yes", priority="1"
        )
        assert priorities(waiting, run, recovery) == [1, 5, 0]
        assert f"#{run.pk}</a> (running)" in told(answer)
        assert noted() == [(noted()[0][0], "Priority 1.")]

    @pytest.mark.parametrize("typed", ["0", "10", "x"])
    def test_a_bad_priority_is_asked_for_again(self, typed: str) -> None:
        waiting = a_waiting()
        client = a_client("view_execution", "stop_execution")
        answer = self.act(client, "set_priority", waiting, confirmed="yes", priority=typed)
        assert "from 1 (first) to 9 (last)" in answer.text
        assert priorities(waiting) == [5]

    def test_priority_where_none_waits(self) -> None:
        client = a_client("view_execution", "stop_execution")
        assert "None of them is waiting." in told(self.act(client, "set_priority", an_ended()))

    @pytest.mark.parametrize("name", ["cancel", "stop", "set_priority", "run_again"])
    def test_one_that_the_user_may_not_change_changes_none(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if name == "run_again":
            mine, other = an_ended(), an_ended()
        elif name == "stop":
            mine, other = a_run(queue="a"), a_run(queue="b")
        else:
            mine, other = a_waiting(), a_waiting()

        def may(_self: object, _request: object, obj: Execution | None = None) -> bool:
            return obj != other

        permission = "has_run_permission" if name == "run_again" else "has_stop_permission"
        monkeypatch.setattr(ExecutionAdmin, permission, may)
        before = [*Execution.objects.order_by("pk").values()]
        client = a_client("view_execution")
        answer = self.act(client, name, mine, other, confirmed="yes", priority="1")
        assert answer.status_code == 403
        assert [*Execution.objects.order_by("pk").values()] == before
        assert noted() == []

    @pytest.mark.parametrize("name", ["cancel", "set_priority"])
    def test_more_than_a_form_can_carry(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budget, "SECONDS", float("inf"))
        count = 1_200
        requests = [a_request() for _ in range(count)]
        Execution.objects.bulk_create(requests)
        client = a_client("view_execution", "stop_execution")
        data = {"action": name, "select_across": "1", "_selected_action": [requests[0].pk]}
        asked: Any = client.post(LIST, data)
        assert f"and {count - 100:,} more" in asked.text
        assert f"<strong>{count:,} executions</strong>" in asked.text
        answer = client.post(LIST, {**data, **dict(asked.context["hidden"]), "priority": "3"})
        rows = Execution.objects
        done = rows.filter(state="cancelled") if name == "cancel" else rows.filter(priority=3)
        assert done.count() == count
        assert f"{count:,} executions" in told(answer)
        assert LogEntry.objects.count() == count

    @pytest.mark.parametrize("name", ["cancel", "stop", "run_again", "set_priority"])
    def test_without_the_permission(self, name: str) -> None:
        execution = a_run() if name == "stop" else a_waiting()
        client = a_client("view_execution")
        assert f'<option value="{name}">' not in client.get(LIST).text
        self.act(client, name, execution, confirmed="yes", priority="1")
        assert Execution.objects.count() == 1
        assert priorities(execution) == [5]
        assert state(execution) in ("waiting", "running")
        assert not asked_to_stop(execution)


def links(*executions: Execution) -> str:
    return ", ".join(f'<a href="{page(each)}">#{each.pk}</a>' for each in executions)


def priorities(*executions: Execution) -> list[int]:
    found = dict(Execution.objects.values_list("pk", "priority"))
    return [found[execution.pk] for execution in executions]


def asked_to_stop(execution: Execution) -> bool:
    execution.refresh_from_db()
    return execution.stop_requested_at is not None
