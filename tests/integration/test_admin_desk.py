"""The desk in the admin: who sees it, what it says, what one can do there, and what it costs."""

from __future__ import annotations

import html
import re
import types
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import api, queue
from jobqueue.admin import ExecutionAdmin, QueueAdmin
from jobqueue.admin.desk import pages as desk_page
from jobqueue.models import Alarm, Execution, Queue, State
from tests.builders import (
    a_cluster,
    a_job,
    a_lost,
    a_recovery,
    a_run,
    a_schedule,
    a_waiting,
    an_ended,
)
from tests.users import a_client, told

pytestmark = pytest.mark.django_db
DESK, LIVE = "/admin/jobqueue/execution/desk/", "/admin/jobqueue/execution/desk/live/"
MINUTE = timedelta(minutes=1)


def shown(*permissions: str) -> str:
    """The text of the page for a superuser, or for a user with these permissions."""
    client = a_client("view_execution", *permissions, is_superuser=not permissions)
    return " ".join(client.get(DESK).text.split())


def ran(job: Any, minutes: float) -> None:
    now = timezone.now()
    an_ended(job=job, job_name=job.name, started_at=now - minutes * MINUTE, ended_at=now)


class TestWhoSeesIt:
    @pytest.mark.parametrize("url", [DESK, LIVE])
    def test_takes_view_execution(self, url: str, client: Client) -> None:
        assert a_client("view_execution").get(url).status_code == 200
        assert a_client("view_job", "run_job", "stop_execution").get(url).status_code == 403
        assert client.get(url).status_code == 302

    def test_the_link_in_the_header_and_on_the_index(self) -> None:
        a_waiting()
        for url in ("/admin/", "/admin/jobqueue/"):
            text = a_client("view_execution").get(url).text
            assert text.count(f'href="{DESK}"') == 2
            assert "1 waiting" in text
            assert DESK not in a_client("view_job").get(url).text
        assert a_client("view_execution").get("/admin/auth/").status_code == 404
        text = a_client(is_superuser=True).get("/admin/auth/").text
        assert text.count(f'href="{DESK}"') == 1

    def test_actions_only_for_those_who_may(self) -> None:
        queue.pause("default", "ada")
        run, waiting = a_run(queue="etl"), a_waiting()
        bad = an_ended(state=State.FAILED)
        pages = {
            "stop_execution": (f"{run.pk}/stop/", f"{waiting.pk}/cancel/", f"{waiting.pk}/prior"),
            "run_job": (f"{bad.pk}/again/",),
            "control_queue": ("/resume/", "/pause/"),
        }
        for permission, urls in pages.items():
            text = shown(permission)
            others = [u for p, some in pages.items() if p != permission for u in some]
            assert [url for url in urls if url not in text] == []
            assert [url for url in others if url in text] == []

    def test_to_run_a_job_again_takes_what_running_it_takes(self) -> None:
        again = f"{an_ended(job=a_job(), state=State.FAILED).pk}/again/"
        assert again not in shown("run_job")
        assert again in shown("run_job", "view_job")

    def test_schedules_and_clusters_only_for_those_who_may(self) -> None:
        a_cluster(name="thunder")
        a_schedule(name="Every hour", next_fire_at=timezone.now() + MINUTE)
        text = shown("run_job")
        assert "Every hour" not in text
        assert "thunder" not in text
        assert "1 cluster serves the queues" in text
        assert "Every hour" in shown("view_schedule")
        assert "thunder" in shown("view_cluster")


class TestOtherSites:
    def test_a_second_admin_site_has_its_own_addresses(self, settings: Settings) -> None:
        operators = admin.AdminSite(name="operators")
        operators.register(Execution, ExecutionAdmin)
        operators.register(Queue, QueueAdmin)
        urls: Any = types.ModuleType("urls")
        urls.urlpatterns = [path("admin/", admin.site.urls), path("ops/", operators.urls)]
        settings.ROOT_URLCONF = urls
        run, _waiting = a_run(), a_waiting()
        an_ended(state=State.FAILED)
        client = a_client(is_superuser=True)
        for url in (DESK, LIVE, "/admin/jobqueue/execution/timeline/", "/admin/"):
            text = client.get(url.replace("/admin/", "/ops/")).text
            elsewhere = re.findall(r'(?:href|action|value)=.?"/admin/jobqueue/[eq]\S+', text)
            assert elsewhere == []
        assert (
            f"/ops/jobqueue/execution/{run.pk}/stop/?next=/ops/"
            in client.get("/ops/jobqueue/execution/desk/").text
        )

    def test_a_site_of_a_host_that_shows_no_executions(self, settings: Settings) -> None:
        urls: Any = types.ModuleType("urls")
        urls.urlpatterns = [path("bare/", admin.AdminSite(name="bare").urls)]
        settings.ROOT_URLCONF = urls
        assert "Desk" not in a_client(is_superuser=True).get("/bare/").text


class TestWhatItSays:
    def test_calm(self) -> None:
        a_cluster()
        text = shown()
        assert "Nothing runs, nothing waits." in text
        assert "All is well." in text

    def test_what_runs_comes_first_and_idle_queues_are_one_card(self) -> None:
        for name in ("asleep", "free"):
            Queue.objects.create(name=name)
        a_schedule(job=a_job(queue="comes"), next_fire_at=timezone.now() + MINUTE)
        queue.pause("held", "anna")
        a_waiting(queue="line")
        a_run(queue="runs")
        text = shown()
        headings = re.findall(r'id="(desk-queue-[a-z]+|desk-idle)"', text)
        expected = ["runs", "held", "line", "comes"]
        assert headings[:5] == [*(f"desk-queue-{name}" for name in expected), "desk-idle"]
        assert headings[5:] == [f"desk-queue-{name}" for name in ("asleep", "default", "free")]
        idle = text.split('id="desk-idle"')[1].split("</section>")[0]
        assert "Nothing runs" not in idle
        assert 'aria-label="Pause the queue asleep"' in idle

    def test_what_went_wrong_says_the_last_line_of_its_output(self) -> None:
        said = "reading 3 files\n\x1b[31merror: disk 5 is <full>\x1b[0m\r\n \n\n"
        an_ended(state=State.FAILED, reason="return code 6", log_tail="x" * 5000 + said)
        text = shown()
        assert "error: disk 5 is &lt;full&gt;</span></samp>" in text
        assert "reading 3 files" not in text

    def test_what_went_wrong_without_a_word(self) -> None:
        an_ended(state=State.FAILED, reason="return code 6", log_tail=" \n")
        assert "<samp" not in shown()

    def test_a_long_last_line_is_cut(self) -> None:
        an_ended(state=State.FAILED, log_tail="e" * 5000 + "\u202e")
        [line] = re.findall(r"<samp[^>]*>(?:<[^>]*>)?([^<]*)", shown())
        assert line == "e" * 159 + "…"

    def test_the_others_that_went_wrong_are_what_the_link_leads_to(self) -> None:
        an_ended(job_name="went well")
        for number in range(12):
            an_ended(state=State.FAILED, job_name=f"number {number}.")
        client = a_client(is_superuser=True)
        [url] = re.findall(r'<a href="([^"]+)">and 2 others', client.get(DESK).text)
        text = client.get(html.unescape(url)).text
        assert "number 0." in text
        assert "number 11." in text
        assert "went well" not in text.split('id="result_list"')[1]

    @pytest.mark.parametrize("url", [DESK, "/admin/jobqueue/execution/timeline/"])
    def test_the_sidebar_does_not_say_that_it_is_the_list(self, url: str) -> None:
        text = a_client(is_superuser=True).get(url).text
        assert 'id="nav-sidebar"' in text
        assert "current-model" not in text

    def test_no_cluster(self) -> None:
        a_waiting()
        text = shown()
        assert "No cluster runs: nothing will start." in text
        assert "held" in text
        assert "All is well." not in text

    def test_one_that_is_stopping(self) -> None:
        a_run()
        a_waiting()
        a_cluster(stopping_at=timezone.now())
        text = shown()
        assert "The cluster is stopping: nothing more will start until" in text
        assert "No cluster runs" not in text
        assert "held" in text
        assert "starts nothing more" in text
        assert "The cluster is stopping" in a_client("view_execution").get("/admin/").text
        a_cluster()
        assert "The cluster is stopping" not in shown()

    def test_the_index_says_so_too(self) -> None:
        client = a_client("view_execution")
        text = client.get("/admin/").text
        assert "No cluster runs: nothing will start." in text
        assert "nothing went wrong" not in text
        a_cluster()
        text = client.get("/admin/").text
        assert "No cluster runs" not in text
        assert "nothing went wrong" in text

    def test_what_runs_and_what_waits_behind_it(self) -> None:
        a_cluster()
        orders, invoices = a_job(name="Orders"), a_job(name="Invoices")
        ran(orders, 14)
        ran(invoices, 5)
        run = a_run(orders, requested_by="anna", source="admin")
        Execution.objects.filter(pk=run.pk).update(log_tail="one\ntwo\n")
        a_waiting(invoices)
        a_waiting(orders)
        text = shown()
        assert "1 running, 2 waiting." in text
        assert "usually 14 min" in text
        assert "anna, admin" in text
        assert '<progress max="840' in text
        assert "one two</pre>" in text
        assert "behind Orders" in text
        assert "about <time" in text

    def test_nobody_knows_how_long(self) -> None:
        a_cluster()
        a_run()
        a_waiting()
        text = shown()
        assert "<progress" not in text
        assert "after <time" in text

    def test_longer_than_usual(self) -> None:
        job = a_job()
        ran(job, 1)
        run = a_run(job)
        Execution.objects.filter(pk=run.pk).update(started_at=timezone.now() - 5 * MINUTE)
        assert "longer than usual (1 min)" in shown()

    def test_a_pause(self) -> None:
        queue.pause("default", "ada", "<b>The partner moves.</b>", timezone.now() + MINUTE)
        text = shown()
        assert "Paused by ada since" in text
        assert "&lt;b&gt;The partner moves." in text
        queue.pause("default", "", "")
        assert "Paused by somebody since" in shown()
        assert "until somebody resumes it." in shown()

    def test_a_schedule_that_clashes(self) -> None:
        a_cluster()
        long, job = a_job(name="Long"), a_job(name="Orders")
        ran(long, 60)
        ran(job, 1)
        a_run(long)
        a_schedule(name="Every hour", job=job, next_fire_at=timezone.now() + MINUTE)
        text = shown()
        assert "starts about <time" in text
        assert "behind Long" in text
        a_waiting(job)
        assert "will be waiting already" in shown()

    def test_overload(self) -> None:
        a_cluster()
        job = a_job()
        ran(job, 7)
        a_schedule(job=job, expression="*/5 * * * *")
        text = shown()
        assert "Overload: more work arrives than fits." in text
        assert "default is overloaded." in text

    def test_what_went_wrong(self) -> None:
        a_cluster()
        job = a_job(name="Orders")
        bad = an_ended(job=job, job_name="Orders", state=State.FAILED, reason="no partner <x>")
        text = shown()
        assert "1 went wrong." in text
        assert "no partner &lt;x&gt;" in text
        ran(job, 1)
        text = shown()
        assert "succeeded since:" in text
        assert "All is well." in text
        assert f"/{bad.pk}/again/" in text

    def test_the_first_that_went_wrong_are_in_sight(self) -> None:
        a_cluster()
        bad = [an_ended(state=State.FAILED) for _ in range(14)]
        text = shown()
        assert "14 went wrong." in text
        in_sight, folded = text.split('id="desk-more-bad"')
        assert [e.pk for e in bad if f"/{e.pk}/again/" in in_sight] == [e.pk for e in bad[-3:]]
        assert [e.pk for e in bad if f"/{e.pk}/again/" in folded] == [e.pk for e in bad[4:-3]]
        assert "<summary>11 more</summary>" in folded
        assert "and 4 others</a>" in folded

    def test_what_somebody_is_on_comes_after_them(self) -> None:
        a_cluster()
        bad = [an_ended(state=State.FAILED) for _ in range(5)]
        for execution in bad[2:]:
            api.acknowledge(execution, "anna")
        in_sight, folded = shown().split('id="desk-more-bad"')
        assert "2 went wrong." in in_sight
        assert in_sight.count("is on it since") == 1
        assert folded.count("is on it since") == 2
        assert "<summary>2 more</summary>" in folded

    def test_three_need_no_fold(self) -> None:
        for _ in range(3):
            an_ended(state=State.FAILED)
        assert "desk-more-bad" not in shown()

    def test_is_never_calm_when_not_all_was_looked_at(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jobqueue.desk.bad_ends.LOOKED_AT", 2)
        a_cluster()
        job = a_job(name="Orders")
        for _ in range(2):
            an_ended(job=job, job_name="Orders", state=State.FAILED)
        ran(job, 1)
        text = shown()
        assert "Too much went wrong to look at all of it." in text
        assert "only the newest were looked at" in text
        assert "All is well." not in text
        text = a_client("view_execution").get("/admin/").text
        assert "Too much went wrong" in text
        assert "nothing went wrong" not in text

    def test_an_alarm_that_nobody_is_on(self) -> None:
        a_cluster()
        evil = "<script>x</script>\u202e"
        job = a_job(name=f"Orders {evil}")
        alarm = Alarm.objects.create(job=job, is_bad=True, since=timezone.now(), reason=evil)
        for permission in ("view_alarm", "acknowledge_alarm"):
            text = shown(permission)
            assert "1 bad alarm." in text
            assert "All is well." not in text
            assert f'<a href="/admin/jobqueue/alarm/{alarm.pk}/change/">' in text
            assert text.count("&lt;script&gt;x") == 2
            assert "<script>x" not in text
            assert "\u202e" not in text
        text = shown("view_job")
        assert "1 bad alarm." in text
        assert "Orders" not in text
        text = a_client("view_execution").get("/admin/").text
        assert "1 bad alarm" in text
        assert "nothing went wrong" not in text

    def test_an_alarm_that_somebody_is_on(self) -> None:
        a_cluster()
        now = timezone.now()
        values = {"acknowledged_by": "anna", "acknowledged_at": now, "note": "I call them"}
        Alarm.objects.create(job=a_job(), is_bad=True, since=now, reason="why", **values)
        text = shown()
        assert "anna is on it since" in text
        assert "I call them" in text
        assert "Somebody is on what went wrong." in text
        assert "All is well." not in text
        assert "nothing went wrong" in a_client("view_execution").get("/admin/").text

    def test_those_of_what_is_told_anyway_are_not_counted_again(self) -> None:
        job = a_job()
        an_ended(job=job, job_name="Orders", state=State.FAILED)
        for bad in (job, a_job()):
            Alarm.objects.create(job=bad, is_bad=True, since=timezone.now())
        assert "1 other bad alarm." in shown()

    def test_many_alarms(self) -> None:
        for _ in range(12):
            Alarm.objects.create(job=a_job(), is_bad=True, since=timezone.now())
        text = shown()
        assert "12 bad alarms." in text
        assert "/admin/jobqueue/alarm/?is_bad__exact=1" in text
        in_sight, folded = text.split('id="desk-more-alarms"')
        assert (in_sight.count('id="desk-alarm-'), folded.count('id="desk-alarm-')) == (3, 7)
        assert "<summary>9 more</summary>" in folded
        assert "and 2 others" in text

    def test_a_paused_queue_is_calm_until_something_waits(self) -> None:
        a_cluster()
        queue.pause("default", "ada")
        assert "All is well." in shown()
        a_waiting()
        text = shown()
        assert "default is paused, and requests wait." in text
        assert "All is well." not in text

    def test_adopted_and_lost(self) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(details={"adopted": 1, "overdue": True})
        a_lost(details={"queued_again_as": run.pk})
        text = shown()
        assert "The worker of this run died" in text
        assert "It ran longer than its limit" in text
        assert "was lost and is queued again as" in text

    def test_a_recovery_run_goes_before_all(self) -> None:
        recovery = a_recovery()
        text = shown()
        assert f"/{recovery.pk}/cancel/" in text
        assert f"/{recovery.pk}/priority/" not in text

    def test_hostile_text(self) -> None:
        a_cluster()
        evil = "<script>alert(1)</script>\u202egnp.exe"
        job = a_job(name=evil)
        run = a_run(job, requested_by=evil)
        Execution.objects.filter(pk=run.pk).update(log_tail=f"{evil}\x1b[31m" + "x" * 5000)
        a_waiting([evil, "y" * 100_000], requested_by=evil)
        a_schedule(name=evil, job=a_job(name=f"2 {evil}"), next_fire_at=timezone.now() + MINUTE)
        an_ended(job_name=evil, state=State.FAILED, reason=evil, details={"not_queued_again": evil})
        queue.pause("etl", evil, evil)
        text = shown()
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert len(text) < 60_000

    @pytest.mark.parametrize(
        "details", [{"queued_again_as": "<b>"}, {"queued_again_as": [1]}, {"adopted": "x"}]
    )
    def test_details_that_a_requester_wrote(self, details: dict[str, Any]) -> None:
        a_lost(details=details)
        assert "Went wrong" in shown()

    def test_many_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jobqueue.admin.desk.line.SHOWN", 3)
        for _ in range(5):
            a_waiting()
        text = shown()
        assert text.count("waits for") == 3
        assert "and 2 others" in text


class TestActions:
    def test_come_back_to_the_desk(self, admin_client: Client) -> None:
        waiting, bad = a_waiting(), an_ended(state=State.FAILED)
        for url, data in (
            (f"/admin/jobqueue/execution/{waiting.pk}/priority/", {"priority": "1"}),
            (f"/admin/jobqueue/execution/{bad.pk}/again/", {}),
            (f"/admin/jobqueue/execution/{waiting.pk}/cancel/", {"confirmed": "yes"}),
        ):
            answer = admin_client.post(url, {**data, "next": DESK})
            assert answer.headers["Location"] == DESK
        waiting.refresh_from_db()
        assert (waiting.priority, waiting.state) == (1, "cancelled")

    @pytest.mark.parametrize(
        ("name", "words"), [("stop", "is being stopped"), ("cancel", "was cancelled")]
    )
    def test_a_question_knows_the_way_back(
        self, admin_client: Client, name: str, words: str
    ) -> None:
        execution = a_run() if name == "stop" else a_waiting()
        url = f"/admin/jobqueue/execution/{execution.pk}/{name}/"
        text = admin_client.get(url, {"next": DESK}).text
        assert f'<input type="hidden" name="next" value="{DESK}">' in text
        assert f'href="{DESK}" class="closelink"' in text
        answer = admin_client.post(url, {"confirmed": "yes", "next": DESK})
        assert answer.headers["Location"] == DESK
        assert words in told(answer)

    @pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:x"])
    def test_no_way_to_another_site(self, admin_client: Client, evil: str) -> None:
        run = a_run()
        url = f"/admin/jobqueue/execution/{run.pk}/stop/"
        assert evil not in admin_client.get(url, {"next": evil}).text


@pytest.fixture
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn anew because time went on."""
    monkeypatch.setattr(desk_page, "REDRAWN", 10**9)


@pytest.mark.usefixtures("in_no_time")
class TestLive:
    def test_only_what_changed(self, admin_client: Client) -> None:
        first = admin_client.get(LIVE)
        tag = first.headers["ETag"]
        assert "Nothing runs" in first.json()["html"]
        again = admin_client.get(LIVE, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        weak = admin_client.get(LIVE, headers={"If-None-Match": f"W/{tag}"})  # by a proxy
        assert weak.status_code == 304
        a_waiting()
        changed = admin_client.get(LIVE, headers={"If-None-Match": tag})
        assert "0 running, 1 waiting." in changed.json()["html"]
        assert changed.headers["ETag"] != tag

    def test_what_a_colleague_acknowledges(self, admin_client: Client) -> None:
        bad = an_ended(state=State.FAILED)
        tag = admin_client.get(LIVE).headers["ETag"]
        api.acknowledge(bad, "anna", "the partner is told")
        changed = admin_client.get(LIVE, headers={"If-None-Match": tag})
        assert "the partner is told" in changed.json()["html"]

    def test_time_goes_on(self, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        tag = admin_client.get(LIVE).headers["ETag"]
        monkeypatch.setattr(desk_page, "REDRAWN", 7)
        assert admin_client.get(LIVE, headers={"If-None-Match": tag}).status_code == 200

    def test_one_of_another_user_does_not_hold(self, admin_client: Client) -> None:
        tag = admin_client.get(LIVE).headers["ETag"]
        other = a_client("view_execution")
        assert other.get(LIVE, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.usefixtures("in_no_time")
class TestCost:
    #: Permissions of a user who may do anything on the desk, without being a superuser.
    ALL = (
        *("view_execution", "stop_execution", "run_job", "view_job", "control_queue"),
        *("view_schedule", "view_cluster", "view_message"),
    )

    def a_busy_site(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jobqueue.desk.reading.READ", 10)
        a_cluster()
        a_run(queue="busy")
        for number in range(12):
            job = a_job(in_run_menu=True)
            a_waiting(job, queue=f"queue-{number % 3}")
            a_waiting(queue=f"queue-{number % 3}")
            a_waiting(job, queue="full")
            a_schedule(job=job, next_fire_at=timezone.now() + MINUTE)
            an_ended(job=job, state=State.FAILED)
            an_ended(state=State.FAILED)

    def test_of_the_page(
        self,
        admin_client: Client,
        django_assert_max_num_queries: DjangoAssertNumQueries,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.a_busy_site(monkeypatch)
        with django_assert_max_num_queries(15):
            admin_client.get(DESK)
        client = a_client(*self.ALL)
        with django_assert_max_num_queries(15 + 2):  # Django's look at his permissions
            client.get(DESK)

    def test_of_news(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        client = a_client("view_execution")
        a_waiting()
        with django_assert_max_num_queries(15):
            client.get(LIVE)

    def test_of_nothing_new(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        client = a_client("view_execution")
        tag = client.get(LIVE).headers["ETag"]
        with django_assert_max_num_queries(8):
            assert client.get(LIVE, headers={"If-None-Match": tag}).status_code == 304
