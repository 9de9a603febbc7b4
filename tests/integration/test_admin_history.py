"""The history of executions: the list of a long one, and the last day as a picture."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue.admin import display, filters, history
from jobqueue.admin.desk import timeline, timeline_span
from jobqueue.models import Execution, State
from tests.builders import a_cluster, a_job, a_run, a_schedule, a_waiting, an_ended
from tests.users import a_client

pytestmark = pytest.mark.django_db
LIST, TIMELINE = "/admin/jobqueue/execution/", "/admin/jobqueue/execution/timeline/"
HOUR = timedelta(hours=1)


def ended(hours_ago: float, took: float = 0.5, **over: Any) -> Execution:
    started_at = timezone.now() - hours_ago * HOUR
    values = {"queued_at": started_at, "started_at": started_at}
    return an_ended(**{**values, "ended_at": started_at + took * HOUR, **over})


def listed(client: Client, **query: str) -> list[int]:
    return [e.pk for e in client.get(LIST, query).context["cl"].result_list]


@pytest.mark.usefixtures("at_noon")
class TestSince:
    def test_spans(self, admin_client: Client) -> None:
        now = timezone.localtime()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        old = ended(24 * 8)
        week = ended(24 * 6)
        yesterday = an_ended(queued_at=midnight - timedelta(seconds=1))
        today = an_ended(queued_at=midnight)
        latest = an_ended()
        everything = [row.pk for row in (latest, today, yesterday, week, old)]
        assert listed(admin_client) == everything
        assert listed(admin_client, since="7days") == everything[:4]
        assert listed(admin_client, since="today") == everything[:2]
        assert latest.pk in listed(admin_client, since="hour")
        assert yesterday.pk not in listed(admin_client, since="hour")
        assert listed(admin_client, since="forged") == everything

    def test_what_was_queued_again_hides_nothing(self, admin_client: Client) -> None:
        """It has a new number and its old time."""
        first = ended(48)
        fresh = an_ended()
        an_ended(retry_of=first, queued_at=first.queued_at)
        assert listed(admin_client, since="today") == [fresh.pk]


class TestLongHistory:
    def test_is_counted_only_so_far(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(history, "MOST", 60)
        for _ in range(60):
            an_ended()
        text = admin_client.get(LIST, {"q": "true"}).text
        assert "60 results" in text
        assert "Select all 60 executions" in text
        assert "more than" not in text
        assert "These are the newest" not in text
        for _ in range(3):
            an_ended()
        text = admin_client.get(LIST, {"q": "true"}).text
        for words in ("results", "executions"):
            assert f"more than 60 {words}" in text
            assert f"60 {words}" not in text.replace(f"more than 60 {words}", "")
        assert "Select all, more than 60" in text
        assert "All selected, more than 60" in text
        answer = admin_client.get(LIST, {"p": "2"})
        assert "These are the newest 60;" in answer.text
        assert len(answer.context["cl"].result_list) == 10

    def test_no_query_counts_or_sorts_all(self, admin_client: Client) -> None:
        for _ in range(51):  # more than a page
            an_ended(state=State.FAILED)
        for query in ({}, {"state__exact": "failed"}, {"since": "today"}, {"o": "3"}, {"o": "5"}):
            with CaptureQueriesContext(connection) as queries:
                assert admin_client.get(LIST, query).status_code == 200
            said = [q["sql"] for q in queries if "jobqueue_execution" in q["sql"]]
            assert [sql for sql in said if "LIMIT" not in sql] == []
            orders = {match for sql in said for match in re.findall(r"ORDER BY (\S+)", sql)}
            # `1` orders nothing: it's how Django asks whether there is any.
            names = {order.rpartition(".")[2].strip('`"') for order in orders} - {"1"}
            assert names == {"id"}

    def test_bars_are_measured_by_the_longest_of_the_page(self, admin_client: Client) -> None:
        ended(5, took=1)
        ended(4, took=0.5, state=State.FAILED)
        an_ended(started_at=None, state=State.CANCELLED)
        text = admin_client.get(LIST).text
        assert re.findall(r'class="jobqueue-bar-(\w+)" width="(\d+)"', text) == [
            ("failed", "30"), ("succeeded", "60"),
        ]  # fmt: skip


class TestReach:
    """What no index leads to is looked for among the newest ones, unless all are wanted."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filters, "REACH", 3)

    @pytest.mark.parametrize(
        "query", [{"q": "orders"}, {"queue": "etl"}, {"source__exact": "command"}]
    )
    def test_older_ones_are_a_click_away(self, admin_client: Client, query: dict[str, str]) -> None:
        wanted: dict[str, Any] = {"queue": "etl", "source": "command", "job_name": "Orders"}
        old = an_ended(**wanted)
        rows = [an_ended(**wanted), an_ended(), an_ended(**wanted)]
        answer = admin_client.get(LIST, query)
        assert [e.pk for e in answer.context["cl"].result_list] == [rows[2].pk, rows[0].pk]
        assert "Looked at are the newest" in answer.text
        further = answer.context["cl"].further_url
        assert further.replace("&", "&amp;") in answer.text
        answer = admin_client.get(f"{LIST}{further}")
        assert [e.pk for e in answer.context["cl"].result_list][-1] == old.pk
        assert "Looked at are" not in answer.text

    def test_a_short_history_is_looked_through(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(filters, "REACH", an_ended(queue="etl").pk)
        assert "looked at" not in admin_client.get(LIST, {"queue": "etl"}).text.lower()

    def test_an_index_reaches_all(self, admin_client: Client) -> None:
        job = a_job()
        old = an_ended(job=job, state=State.FAILED)
        for _ in range(4):
            an_ended()
        assert listed(admin_client, state__exact="failed") == [old.pk]
        assert listed(admin_client, job__id__exact=str(job.pk)) == [old.pk]
        assert len(listed(admin_client, since="7days")) == 5

    def test_what_waits_is_never_left_out(self, admin_client: Client) -> None:
        waiting = a_waiting(queue="etl")
        for _ in range(4):
            an_ended(queue="etl")
        assert listed(admin_client, state__exact="waiting", queue="etl") == [waiting.pk]

    @pytest.mark.parametrize("typed", ["", "forged"])
    def test_what_is_no_choice_means_the_newest(self, admin_client: Client, typed: str) -> None:
        for _ in range(5):
            an_ended(queue="etl")
        assert len(listed(admin_client, queue="etl", reach=typed)) == 3


class TestTimeline:
    def test_takes_view_execution(self, client: Client) -> None:
        assert a_client("view_job").get(TIMELINE).status_code == 403
        assert client.get(TIMELINE).status_code == 302

    def test_what_ran_when(self) -> None:
        ended(30)
        ended(23, took=2, job_name="Orders")
        ended(12, took=0.001, queued_at=timezone.now() - 13 * HOUR, state=State.FAILED)
        ended(1, queue="etl")
        lanes = {lane.name: lane for lane in self.picture().lanes}
        assert list(lanes) == ["default", "etl"]
        failed, orders = lanes["default"].blocks
        assert orders.x == pytest.approx(timeline_span.HOUR, abs=0.2)
        assert orders.width == pytest.approx(2 * timeline_span.HOUR, abs=0.2)
        assert "Orders: succeeded" in orders.title
        assert failed.x - failed.waits_from == pytest.approx(timeline_span.HOUR, abs=0.2)
        assert (failed.width, failed.sign) == (2.0, "✗")
        assert lanes["etl"].y == timeline.LANE

    def test_what_is_expected(self) -> None:
        a_cluster()
        job = a_job(name="Orders")
        ended(5, took=1, job=job, job_name="Orders")
        a_run(job)
        a_waiting(job)
        a_schedule(job=a_job(name="Later"), next_fire_at=timezone.now() + 4 * HOUR)
        blocks = self.picture().lanes[0].blocks
        expected = [block for block in blocks if block.state == "forecast"]
        assert [block.title.split(":")[0] for block in expected] == ["Orders", "Orders", "Later"]
        now_x = self.picture().now_x
        assert now_x is not None
        assert [round((b.x - now_x) / timeline_span.HOUR, 1) for b in expected] == [0, 1, 4]

    def test_schedules_only_for_those_who_may(self) -> None:
        a_cluster()
        a_schedule(job=a_job(name="Later"), next_fire_at=timezone.now() + HOUR)
        assert "Later" not in a_client("view_execution").get(TIMELINE).text
        assert "Later" in a_client("view_execution", "view_schedule").get(TIMELINE).text

    def test_more_than_is_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timeline, "RUNS", 3)
        ended(30)
        for hours in (5, 4):
            ended(hours)
        assert self.picture().since == ""
        ended(3)
        assert self.picture().since != ""

    @pytest.mark.database
    def test_however_much_was_asked_for_since(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timeline, "RUNS", 3)
        run = a_run(queue="long")
        failed = ended(5, state=State.FAILED)
        for _ in range(4):
            a_waiting(queue="paused")
            an_ended(state=State.CANCELLED, started_at=None)
        picture = self.picture()
        assert [row.state for row in picture.rows] == [
            display.state(failed.state), display.state(run.state)
        ]  # fmt: skip
        assert not picture.is_cut
        for _ in range(3):
            ended(2)
        picture = self.picture()
        assert len(picture.rows) == 4
        assert f"#{run.pk}" in [row.what for row in picture.rows]
        assert f"#{failed.pk}" not in [row.what for row in picture.rows]
        assert picture.is_cut

    @pytest.mark.usefixtures("at_noon")
    def test_a_day_after_which_too_much_ran(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timeline, "RUNS", 2)
        now = timezone.now()
        for _ in range(3):
            ended(1, queued_at=now - 60 * HOUR)
        day = timezone.localdate(now - 60 * HOUR)
        text = a_client("view_execution").get(TIMELINE, {"day": f"{day}"}).text
        assert "There were so many runs later that those of this time are left out." in text
        assert "Nothing did" not in text

    def test_the_table_says_the_same(self) -> None:
        ended(3, job_name="<b>Orders</b>", state=State.FAILED)
        text = a_client("view_execution").get(TIMELINE).text
        assert text.count("&lt;b&gt;Orders&lt;/b&gt;") == 3
        assert "<b>Orders" not in text
        assert "30:00</td>" in text

    def test_cost(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        client = a_client("view_execution", "view_schedule", "view_job", "run_job")
        for _ in range(5):
            job = a_job()
            ended(3, job=job)
            a_waiting(job)
            a_schedule(job=job, next_fire_at=timezone.now() + HOUR)
        with django_assert_max_num_queries(16):
            client.get(TIMELINE)

    def picture(self, day: str = "") -> timeline.Timeline:
        client = a_client("view_execution", "view_schedule")
        found: timeline.Timeline = client.get(TIMELINE, {"day": day}).context["timeline"]
        return found

    def test_a_day_of_the_past(self) -> None:
        a_schedule(next_fire_at=timezone.now() + HOUR)
        noon = datetime(2026, 11, 3, 12, tzinfo=UTC)
        for hours in (-24, -13, 0, 11, 12.5, 48):
            at = noon + hours * HOUR
            an_ended(queued_at=at, started_at=at, ended_at=at + 2 * HOUR)
        picture = self.picture("2026-11-03")
        [lane] = picture.lanes
        hour = timeline_span.HOUR
        assert [(b.x / hour, b.width / hour) for b in lane.blocks] == [(23, 1), (12, 2), (0, 1)]
        assert (picture.width, picture.now_x) == (24 * hour, None)
        assert (picture.day_before, picture.day_after) == (date(2026, 11, 2), date(2026, 11, 4))
        assert len(picture.rows) == 3

    @pytest.mark.usefixtures("at_noon")
    def test_what_still_runs_since_then(self) -> None:
        run = a_run()
        at = timezone.now() - 50 * HOUR
        Execution.objects.filter(pk=run.pk).update(queued_at=at, started_at=at)
        for days in (0, 1):
            day = timezone.localdate(at) + timedelta(days=days)
            assert [block.state for block in self.picture(f"{day}").lanes[0].blocks] == ["running"]

    def test_a_day_on_which_the_clocks_change(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Amsterdam"
        assert self.picture("2026-03-29").width == 23 * timeline_span.HOUR
        longer = self.picture("2026-10-25")
        assert longer.width == 25 * timeline_span.HOUR
        assert [text for _, text in longer.hours][:3] == ["03:00", "06:00", "09:00"]

    @pytest.mark.usefixtures("at_noon")
    def test_yesterday_is_the_last_one(self) -> None:
        today = timezone.localdate()
        now, yesterday = self.picture(), self.picture(f"{today - timedelta(days=1)}")
        assert (now.day_before, now.day_after) == (yesterday.day, None)
        assert yesterday.day_after is None
        assert self.picture("2000-01-01").day_before is None

    @pytest.mark.parametrize(
        "typed", ["yesterday", "2026-02-30", "9999-12-31", "0001-01-01", "<b>" * 9999, "\0", "٣"]
    )
    def test_what_is_no_day_of_the_past(self, typed: str) -> None:
        client = a_client("view_execution")
        answer = client.get(TIMELINE, {"day": typed})
        assert answer["Location"] == TIMELINE
        text = client.get(TIMELINE).text
        assert "is no day of the past" in text
        assert "<b><b>" not in text

    @pytest.mark.usefixtures("at_noon")
    def test_a_day_costs_little(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = a_client("view_execution", "view_schedule", "view_job", "run_job")
        ended(40)
        with django_assert_max_num_queries(8):
            client.get(TIMELINE, {"day": f"{timezone.localdate() - timedelta(days=1)}"})
