"""Schedules in the admin: list, form, preview, calendar, history, and what can be done with one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin import site
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobqueue.admin import fire_calendar, schedule_preview
from jobqueue.models import Execution, Fire, Job, Schedule
from jobqueue.recurrence import Cron, Interval
from tests.builders import a_job, a_run, a_schedule, a_waiting, an_ended
from tests.users import a_client, noted, told

pytestmark = pytest.mark.django_db
LIST = "/admin/jobqueue/schedule/"
FIRES = "/admin/jobqueue/fire/"
AMSTERDAM = "Europe/Amsterdam"
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"


def page(schedule: Schedule, name: str = "change") -> str:
    return f"{LIST}{schedule.pk}/{name}/"


def a_fire(schedule: Schedule, **over: Any) -> Fire:
    """A fire time on the record."""
    at = over.pop("fire_at", timezone.now() - timedelta(minutes=1))
    values = {"fire_at": at, "outcome": "added", "recorded_at": at + timedelta(seconds=2)}
    Schedule.objects.filter(pk=schedule.pk).update(last_fire_at=at)
    return Fire.objects.create(schedule=schedule, **{**values, **over})


def form_of(schedule: Schedule | None = None, **over: Any) -> dict[str, Any]:
    """What the browser sends for a schedule's form."""
    client = a_client("add_schedule", "change_schedule", "view_job")
    answer = client.get(page(schedule) if schedule else f"{LIST}add/")
    form = answer.context["adminform"].form
    values = {
        name: form.fields[name].widget.format_value(form[name].value())
        if name.endswith("_at")
        else form[name].value()
        for name in form.fields
    }
    return {name: value for name, value in (values | over).items() if value not in (None, False)}


def save(schedule: Schedule | None = None, **over: Any) -> Any:
    client = a_client(
        "add_schedule", "change_schedule", "view_schedule", username=over.pop("by", "x")
    )
    if schedule is None:
        over = {"name": "nightly", "job": a_job().pk, "timezone": AMSTERDAM, **over}
    data = form_of(schedule, **over)
    return client.post(page(schedule) if schedule else f"{LIST}add/", data, follow=True)


def errors(answer: Any) -> dict[str, str]:
    found = answer.context["adminform"].form.errors
    return {name: " ".join(messages) for name, messages in found.items()}


def act(action: str, *schedules: Schedule, client: Client | None = None) -> Any:
    client = client or a_client("change_schedule", "run_job", username="anna")
    data = {"action": action, "_selected_action": [schedule.pk for schedule in schedules]}
    return client.post(LIST, data)


class TestList:
    def rows(self, query: str = "") -> list[str]:
        answer = a_client("view_schedule").get(f"{LIST}{query}")
        return [schedule.name for schedule in answer.context["cl"].result_list]

    def test_shows_the_times_in_words(self, admin_client: Client) -> None:
        a_schedule(expression="30 2 * * 1-5")
        shown = admin_client.get(LIST).text
        assert "At 02:30 on Monday through Friday" in shown
        assert "30 2 * * 1-5" in shown

    def test_the_next_time_is_of_the_schedules_zone(self, admin_client: Client) -> None:
        next_fire_at = timezone.now() + timedelta(minutes=5, seconds=30)
        a_schedule(timezone="Asia/Kolkata", next_fire_at=next_fire_at)
        shown = admin_client.get(LIST).text
        assert next_fire_at.astimezone(ZoneInfo("Asia/Kolkata")).isoformat() in shown
        assert " IST<" in shown
        assert "in 5 min" in shown

    def test_the_last_time_leads_to_its_run(self, admin_client: Client) -> None:
        failed = an_ended(state="failed")
        a_fire(a_schedule(), execution=failed)
        shown = admin_client.get(LIST).text
        assert f"/admin/jobqueue/execution/{failed.pk}/change/" in shown
        assert "jobqueue-failed" in shown

    @pytest.mark.parametrize(
        ("fire", "words"),
        [
            ({"outcome": "missed", "missed": 3, "reason": "It slept."}, ["3 times", "It slept."]),
            ({"outcome": "refused", "reason": "It's <off>."}, ["refused", "&lt;off&gt;"]),
            ({"outcome": "duplicate"}, ["duplicate of a waiting request"]),
            ({"missed": 2}, ["2 missed before"]),
        ],
    )
    def test_what_became_of_the_last_time(
        self, admin_client: Client, fire: dict[str, Any], words: list[str]
    ) -> None:
        schedule = a_schedule()
        a_fire(schedule, fire_at=timezone.now() - timedelta(days=1), reason="an older one")
        a_fire(schedule, **fire)
        shown = admin_client.get(LIST).text
        assert [word for word in words if word not in shown] == []
        assert "an older one" not in shown

    def test_what_can_not_fire_says_so(self, admin_client: Client) -> None:
        broken = a_schedule(job=a_job(enabled=False))
        Schedule.objects.filter(pk=broken.pk).update(problem="no zone <Mars>", next_fire_at=None)
        a_schedule(enabled=False)
        shown = admin_client.get(LIST).text
        assert "put aside" in shown
        assert "no zone &lt;Mars&gt;" in shown
        assert "disabled</span>" in shown
        assert "off</span>" in shown

    def test_takes_the_same_queries_however_many_there_are(
        self, admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(100):
            a_fire(a_schedule(), execution=an_ended())
        with django_assert_max_num_queries(12):
            answer = admin_client.get(LIST)
        assert len(answer.context["cl"].result_list) == 100

    def test_filters(self) -> None:
        a_schedule(name="off", enabled=False, job=a_job(queue="etl"))
        a_schedule(name="fails", kind="interval", interval=timedelta(hours=1), expression="")
        a_fire(Schedule.objects.get(name="fails"), execution=an_ended(state="failed"))
        a_fire(a_schedule(name="misses"), outcome="missed", missed=2)
        a_schedule(name="no Job", job=a_job(enabled=False))
        assert self.rows("?enabled__exact=0") == ["off"]
        assert self.rows("?kind__exact=interval") == ["fails"]
        assert self.rows("?job__queue=etl") == ["off"]
        assert self.rows("?last=failed") == ["fails"]
        assert self.rows("?last=missed") == ["misses"]
        assert self.rows("?last=problem") == ["no Job"]
        assert self.rows("?last=never") == ["no Job", "off"]

    def test_search(self) -> None:
        a_schedule(name="nightly", job=a_job(name="orders"))
        a_schedule(name="other")
        assert self.rows("?q=night") == self.rows("?q=orders") == ["nightly"]

    def test_nothing_yet(self, admin_client: Client) -> None:
        assert "There is no schedule yet." in admin_client.get(LIST).text
        a_schedule()
        assert "There is no schedule yet." not in admin_client.get(f"{LIST}?q=nothing").text


class TestForm:
    def test_moments_are_of_the_schedules_zone(self) -> None:
        answer = save(kind="once", once_at="2199-07-01T06:00", first_at="2199-01-01T00:00")
        schedule = Schedule.objects.get()
        assert schedule.once_at == datetime(2199, 7, 1, 4, tzinfo=UTC)
        assert schedule.first_at == datetime(2198, 12, 31, 23, tzinfo=UTC)
        assert "2199" in told(answer) or "2199" in answer.text

    def test_and_are_shown_so(self) -> None:
        schedule = a_schedule(timezone=AMSTERDAM, last_at=datetime(2199, 7, 1, 4, tzinfo=UTC))
        shown = a_client("change_schedule").get(page(schedule)).text
        assert 'value="2199-07-01T06:00:00"' in shown
        assert f'Local time in <b data-zone="">{AMSTERDAM}</b>' in shown

    def test_what_was_not_edited_stays_as_it_is(self) -> None:
        second_pass = datetime(2026, 10, 25, 1, 30, 0, 123456, tzinfo=UTC)
        schedule = a_schedule(
            timezone=AMSTERDAM, kind="interval", interval=timedelta(hours=1), anchor_at=second_pass
        )
        before = schedule.next_fire_at
        save(schedule, name="renamed")
        schedule.refresh_from_db()
        assert (schedule.name, schedule.anchor_at) == ("renamed", second_pass)
        assert schedule.next_fire_at == before

    def test_another_zone_means_the_same_local_times(self) -> None:
        schedule = a_schedule(timezone="UTC", last_at=datetime(2199, 7, 1, 6, tzinfo=UTC))
        save(schedule, timezone=AMSTERDAM)
        schedule.refresh_from_db()
        assert schedule.last_at == datetime(2199, 7, 1, 4, tzinfo=UTC)

    def test_a_time_that_clocks_skip_moves_to_the_end_of_the_gap(self) -> None:
        answer = save(last_at="2027-03-28T02:30", expression="0 0 * * *")
        assert Schedule.objects.get().last_at == datetime(2027, 3, 28, 1, tzinfo=UTC)
        assert "Clocks skip 2027-03-28 02:30:00: 2027-03-28 03:00:00 CEST is taken" in answer.text

    def test_a_time_that_comes_twice_is_the_first_one(self) -> None:
        answer = save(last_at="2027-10-31T02:30", expression="0 0 * * *")
        assert Schedule.objects.get().last_at == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
        assert "twice: the first is taken" in answer.text

    def test_saving_tells_what_comes_next(self) -> None:
        assert "Next: <time" in save(expression="0 0 * * *").text

    def test_and_what_stands_in_its_way(self) -> None:
        job = a_job(enabled=False)
        assert "Its Job is disabled" in save(expression="0 0 * * *", job=job.pk).text

    @pytest.mark.parametrize(
        ("typed", "field", "words"),
        [
            ({"expression": "61 * * * *"}, "expression", "minute: 61 is not within 0-59"),
            ({"expression": "0 0 30 2 *"}, "expression", "never fires"),
            ({"expression": ""}, "expression", "5 fields"),
            ({"timezone": "Mars/Base"}, "timezone", "no time zone"),
            ({"timezone": ""}, "timezone", "required"),
            ({"kind": "interval"}, "interval", "needs an interval"),
            ({"kind": "interval", "interval": "often"}, "interval", "valid duration"),
            ({"kind": "once", "once_at": "2001-01-01T00:00"}, "once_at", "is over"),
            ({"kind": "once", "once_at": "soon"}, "once_at", "valid date"),
            ({"kind": "once", "once_at": "2199-01-01T00:00+01:00"}, "once_at", "valid date"),
            ({"queue": "no such"}, "queue", "A queue's name"),
            ({"priority": "0"}, "priority", "from 1 (first)"),
        ],
    )
    def test_what_is_wrong_is_said_once_at_its_field(
        self, typed: dict[str, Any], field: str, words: str
    ) -> None:
        answer = save(None, **{"expression": "0 0 * * *", **typed})
        assert list(errors(answer)) == [field]
        assert words in errors(answer)[field]
        assert len(answer.context["adminform"].form.errors[field]) == 1
        assert not Schedule.objects.exists()

    def test_a_new_one_has_the_usual_priority(self) -> None:
        save(expression="0 0 * * *")
        assert Schedule.objects.get().priority == 5

    def test_the_job_can_be_given(self) -> None:
        job = a_job()
        shown = a_client("add_schedule", "view_job").get(f"{LIST}add/?job={job.pk}").text
        assert f'<option value="{job.pk}" selected>' in shown

    def test_zones_are_proposed(self) -> None:
        shown = a_client("add_schedule").get(f"{LIST}add/").text
        assert '<option value="Europe/Amsterdam">' in shown

    def test_those_who_only_look_see_times_of_the_schedules_zone(self) -> None:
        schedule = a_schedule(timezone=AMSTERDAM, last_at=datetime(2199, 7, 1, 4, tzinfo=UTC))
        shown = a_client("view_schedule").get(page(schedule)).text
        assert "2199-07-01T06:00:00+02:00" in shown
        assert '<input type="submit"' not in shown

    @pytest.mark.parametrize("permissions", [[], ["view_job"], ["run_job"]])
    def test_needs_permissions(self, permissions: list[str]) -> None:
        client, schedule = a_client(*permissions), a_schedule()
        for url in (LIST, f"{LIST}add/", page(schedule), page(schedule, "delete")):
            assert client.get(url).status_code == 403

    def test_hostile_names_stay_text(self, admin_client: Client) -> None:
        schedule = a_schedule(name=HOSTILE, job=a_job(name=HOSTILE + "2"))
        a_fire(schedule, outcome="refused", reason=HOSTILE)
        for url in (LIST, page(schedule), page(schedule, "delete"), FIRES):
            shown = admin_client.get(url).text
            assert "<script>alert(1)" not in shown
            assert "\\u202e" in shown

    def test_a_zone_that_is_gone_can_be_mended(self, admin_client: Client) -> None:
        schedule = a_schedule(last_at=datetime(2199, 7, 1, 4, tzinfo=UTC))
        Schedule.objects.filter(pk=schedule.pk).update(timezone="Mars/Base")
        for url in (LIST, page(schedule)):
            assert admin_client.get(url).status_code == 200
        save(schedule, timezone="UTC")
        schedule.refresh_from_db()
        assert schedule.timezone == "UTC"


class TestPreview:
    URL = f"{LIST}preview/"

    def ask(self, client: Client | None = None, **over: Any) -> Any:
        data = {"kind": "cron", "expression": "30 2 * * *", "timezone": AMSTERDAM, **over}
        return (client or a_client("add_schedule")).post(self.URL, data)

    def shown(self, **over: Any) -> str:
        html: str = self.ask(**over).json()["html"]
        return html

    def test_words_and_the_next_five_times(self) -> None:
        shown = self.shown(expression="0 12 1 1 *")
        assert "At 12:00 on January 1" in shown
        now, zone = timezone.now(), ZoneInfo(AMSTERDAM)
        # In the morning of a first of January, it is the first of them.
        noons = (datetime(now.year + n, 1, 1, 12, tzinfo=zone) for n in range(7))
        days = [noon for noon in noons if noon > now][:5]
        places = [shown.index(f'datetime="{day.astimezone(UTC).isoformat()}"') for day in days]
        assert places == sorted(places)
        assert shown.count("datetime=") == 5

    def test_in_the_zone_of_the_one_who_looks_too(self) -> None:
        assert "here, UTC" in self.shown()
        assert "here," not in self.shown(timezone="UTC")

    def test_that_is_the_browser_s_unless_the_site_has_activated_another(self) -> None:
        zone = {"browser_zone": "Asia/Kolkata"}
        assert "here, Asia/Kolkata" in self.shown(**zone)
        with timezone.override("America/New_York"):
            assert "here, America/New_York" in self.shown(**zone)

    @pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "<b>", "x" * 10_000])
    def test_a_browser_that_names_no_zone(self, zone: str) -> None:
        assert "here, UTC" in self.shown(browser_zone=zone)

    def test_intervals_and_once(self) -> None:
        interval = self.shown(kind="interval", interval="01:30:00")
        assert "every 1 h 30 min" in interval
        assert "in 1 h 30 min" in interval
        assert ">now<" not in interval
        once = self.shown(kind="once", once_at="2199-03-31T02:30")
        assert "once at 2199-03-31 03:00:00" in once
        assert "Clocks skip 2199-03-31 02:30:00" in once

    def test_says_what_clock_changes_do(self) -> None:
        assert "clocks skip 02:00 to 03:00" in self.shown()
        assert "clocks" not in self.shown(timezone="UTC")

    @pytest.mark.parametrize(
        ("typed", "field"),
        [
            ({"expression": "61 * * * *"}, "expression"),
            ({"timezone": "<b>"}, "timezone"),
            ({"kind": "interval", "interval": "x"}, "interval"),
            ({"kind": "once", "once_at": "2001-01-01T00:00"}, "once_at"),
        ],
    )
    def test_names_what_is_wrong_at_its_field(self, typed: dict[str, Any], field: str) -> None:
        answer = self.ask(**typed).json()
        assert list(answer["errors"]) == [field]
        assert answer["html"] == ""

    def test_what_is_empty_is_not_wrong_yet(self) -> None:
        answer = self.ask(expression="").json()
        assert answer["errors"] == {}
        assert "appear here" in answer["html"]

    def test_a_kind_that_does_not_exist(self) -> None:
        assert self.ask(kind="never").status_code == 200

    def test_is_for_those_who_see_schedules(self) -> None:
        assert self.ask(a_client("view_job", "run_job")).status_code == 403
        assert self.ask(Client()).status_code == 302
        assert self.ask(a_client("view_schedule")).status_code == 200

    def test_wants_a_post_with_a_token(self) -> None:
        assert a_client("add_schedule").get(self.URL).status_code == 405
        assert self.ask(a_client("add_schedule", enforce_csrf_checks=True)).status_code == 403

    def test_changes_nothing(self) -> None:
        self.ask()
        assert not Schedule.objects.exists()

    def test_a_saved_one_shows_the_same(self) -> None:
        schedule = a_schedule(expression="30 2 * * *", timezone=AMSTERDAM)
        shown = a_client("change_schedule").get(page(schedule)).text
        assert "At 02:30 every day" in shown
        assert "clocks skip 02:00 to 03:00" in shown
        assert "jobqueue-calendar" in shown


class TestClockChanges:
    NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def words(self, expression: str, zone: str = AMSTERDAM) -> list[str]:
        schedule = Schedule(expression=expression, timezone=zone)
        return schedule_preview.odd_in_words(schedule, self.NOW)

    def test_fixed_times(self) -> None:
        assert self.words("30 2 * * *") == [
            "Sun 28 Mar 2027: clocks skip 02:00 to 03:00. What is due then (02:30) "
            "runs at 03:00, once.",
            "Sun 31 Oct 2027: clocks show 02:00 to 03:00 twice. What is due then (02:30) "
            "runs the first time only.",
        ]

    def test_times_that_follow_the_clock(self) -> None:
        gap, fold = self.words("*/30 2 * * *")
        assert gap.endswith("(02:00) doesn't run.")
        assert fold.endswith("(02:00) runs both times.")

    def test_other_times_are_not_mentioned(self) -> None:
        assert self.words("0 12 * * *") == []

    def test_half_an_hour(self) -> None:
        (fold,) = self.words("45 1 * * *", "Australia/Lord_Howe")
        assert "clocks show 01:30 to 02:00 twice" in fold


class TestCalendar:
    NOW = datetime(2026, 11, 18, 12, 30, tzinfo=UTC)  # a Wednesday

    def days(self, fires: Any, zone: str = "UTC") -> dict[date, fire_calendar.Day]:
        calendar = fire_calendar.of(fires, ZoneInfo(zone), self.NOW)
        return {day.day: day for week in calendar.weeks for day in week}

    def test_counts_each_day(self) -> None:
        days = self.days(Cron("0 6,12,18 * * 1-5", "UTC").fires)
        assert len(days) == 35
        assert [days[date(2026, 11, n)].count for n in (17, 18, 19, 21)] == ["", "1", "3", ""]
        assert days[date(2026, 11, 19)].in_words.endswith("3 times: 06:00, 12:00, 18:00")
        assert [day.day for day in days.values() if day.is_today] == [date(2026, 11, 18)]

    def test_days_are_those_of_the_zone(self) -> None:
        days = self.days(Cron("0 0 1,20 * *", "Asia/Kolkata").fires, "Asia/Kolkata")
        assert [day.day for day in days.values() if day.fires] == [
            date(2026, 11, 20),
            date(2026, 12, 1),
        ]

    def test_what_fires_all_the_time_is_not_counted_to_the_end(self) -> None:
        taken = count()

        def fires(after: datetime) -> Any:
            for moment in Interval(timedelta(seconds=1), self.NOW).fires(after):
                next(taken)
                yield moment

        days = self.days(fires)
        assert days[date(2026, 11, 19)].count == "many"
        assert "more than 300 times: 00:00, 00:00:01" in days[date(2026, 11, 19)].in_words
        assert next(taken) < 35 * (fire_calendar.COUNTED + 10)

    def test_what_fires_rarely_is_not_searched_day_by_day(self) -> None:
        asked = count()

        def fires(after: datetime) -> Any:
            next(asked)
            return Cron("0 0 29 2 *", "UTC").fires(after)

        assert not any(day.fires for day in self.days(fires).values())
        assert next(asked) <= 2

    def test_shades_grow_with_the_number(self) -> None:
        hours = [Cron(text, "UTC") for text in ("0 6 * * *", "0 */8 * * *", "0 * * * *")]
        days = [self.days(cron.fires)[date(2026, 11, 19)] for cron in hours]
        shades = [day.shade for day in days]
        assert shades == sorted(set(shades))
        assert self.days(Cron("0 0 1 1 *", "UTC").fires)[date(2026, 11, 19)].shade == 0


class TestActions:
    def test_run_now_queues_as_the_schedule_does(self) -> None:
        schedule = a_schedule(priority=2, queue="night")
        before = schedule.next_fire_at
        answer = act("run", schedule)
        execution = Execution.objects.get()
        assert (execution.job, execution.queue) == (schedule.job, "night")
        assert (execution.priority, execution.source) == (2, "admin")
        assert execution.requested_by == "anna"
        assert "is queued as" in told(answer)
        assert noted() == [("anna", f"Run now: execution {execution.pk}.")]
        schedule.refresh_from_db()
        assert (schedule.next_fire_at, schedule.last_fire_at) == (before, None)
        assert not Fire.objects.exists()

    def test_run_now_tells_of_duplicates(self) -> None:
        schedule = a_schedule(priority=2)
        a_waiting(schedule.job, priority=9)
        assert "moved forward" in told(act("run", schedule))
        client = a_client("view_schedule", "run_job")
        assert "is waiting already" in told(client.post(page(schedule, "run")))
        assert Execution.objects.count() == 1

    def test_a_disabled_one_can_be_run_a_disabled_job_can_not(self) -> None:
        assert "is queued" in told(act("run", a_schedule(enabled=False)))
        answer = act(
            "run", a_schedule(job=a_job(enabled=False)), client=a_client("view_schedule", "run_job")
        )
        assert "is disabled" in told(answer)
        assert Execution.objects.count() == 1

    @pytest.mark.parametrize("permissions", [["view_schedule"], ["run_job"], ["change_job"]])
    def test_run_now_takes_view_and_run(self, permissions: list[str]) -> None:
        schedule = a_schedule()
        assert a_client(*permissions).post(page(schedule, "run")).status_code == 403
        act("run", schedule, client=a_client(*permissions))
        assert not Execution.objects.exists()

    def test_a_get_runs_nothing(self) -> None:
        client = a_client("view_schedule", "run_job")
        assert client.get(page(a_schedule(), "run")).status_code == 302
        assert not Execution.objects.exists()

    def test_the_button_is_there_for_those_who_may(self) -> None:
        schedule = a_schedule()
        button = f'action="{page(schedule, "run")}"'
        assert button in a_client("view_schedule", "run_job").get(page(schedule)).text
        assert button not in a_client("change_schedule").get(page(schedule)).text

    def test_disable_and_enable(self) -> None:
        schedule = a_schedule(name="nightly")
        assert "doesn't fire any more" in told(act("disable", schedule))
        schedule.refresh_from_db()
        assert (schedule.enabled, schedule.next_fire_at) == (False, None)
        answer = act("enable", schedule, client=a_client("change_schedule", username="carl"))
        schedule.refresh_from_db()
        assert schedule.enabled
        assert schedule.next_fire_at is not None
        assert schedule.next_fire_at > timezone.now()
        assert "“nightly” is enabled. Next: <time" in told(answer)
        assert noted() == [("anna", "Disabled."), ("carl", "Enabled.")]

    def test_enabling_what_can_not_be_understood(self) -> None:
        schedule = a_schedule(enabled=False)
        Schedule.objects.filter(pk=schedule.pk).update(expression="61 * * * *")
        answer = act("enable", schedule)
        assert "wasn't enabled: minute: 61" in told(answer)
        schedule.refresh_from_db()
        assert not schedule.enabled
        assert noted() == []

    def test_enabling_what_is_over(self) -> None:
        once_at = timezone.now() + timedelta(hours=1)
        schedule = a_schedule(enabled=False, kind="once", once_at=once_at)
        Schedule.objects.filter(pk=schedule.pk).update(once_at=once_at - timedelta(days=1))
        assert "No time is left" in told(act("enable", schedule))

    @pytest.mark.parametrize("action", ["enable", "disable"])
    def test_enabling_takes_the_right_to_change(self, action: str) -> None:
        schedule = a_schedule(enabled=action == "disable")
        act(action, schedule, client=a_client("view_schedule", "run_job"))
        schedule.refresh_from_db()
        assert schedule.enabled == (action == "disable")


class TestHistory:
    def test_the_last_fires(self, admin_client: Client) -> None:
        schedule, run = a_schedule(timezone="Asia/Kolkata"), a_run()
        a_fire(schedule, execution=run, missed=4)
        shown = admin_client.get(page(schedule)).text
        assert f"/admin/jobqueue/execution/{run.pk}/change/" in shown
        assert "4 missed before" in shown
        assert "2.0 s" in shown
        assert f"{FIRES}?schedule__id__exact={schedule.pk}" in shown

    def test_twenty_of_many(
        self, admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        schedule, now = a_schedule(), timezone.now()
        for n in range(50):
            a_fire(schedule, fire_at=now - timedelta(days=n), execution=an_ended())
        with django_assert_max_num_queries(12):
            answer = admin_client.get(page(schedule))
        assert len(answer.context["history"]) == 20

    def test_none_yet(self, admin_client: Client) -> None:
        assert "hasn't fired yet" in admin_client.get(page(a_schedule())).text

    def test_the_list_of_all(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        one, other = a_schedule(name="one"), a_schedule(name="other")
        a_fire(one, outcome="missed", missed=3, reason="It slept.")
        a_fire(other, execution=an_ended())
        client = a_client("view_fire")
        with django_assert_max_num_queries(12):
            shown = client.get(f"{FIRES}?schedule__id__exact={one.pk}")
        assert [fire.schedule for fire in shown.context["cl"].result_list] == [one]
        assert "It slept." in shown.text

    def test_nobody_edits_it(self, admin_client: Client) -> None:
        fire = a_fire(a_schedule())
        assert admin_client.get(f"{FIRES}add/").status_code == 403
        assert admin_client.post(f"{FIRES}{fire.pk}/delete/", {"post": "yes"}).status_code == 403
        assert admin_client.post(f"{FIRES}{fire.pk}/change/", {"missed": 9}).status_code == 403


class TestElsewhere:
    def test_an_execution_names_its_schedule(self, admin_client: Client) -> None:
        schedule, execution = a_schedule(name="nightly"), an_ended()
        url = f"/admin/jobqueue/execution/{execution.pk}/change/"
        assert "field-schedules" not in admin_client.get(url).text
        a_fire(schedule, execution=execution, missed=2)
        shown = admin_client.get(url).text
        assert f'<a href="{page(schedule)}">nightly</a>' in shown
        assert "2 times missed before" in shown

    def job_page(self, job: Job, *permissions: str) -> str:
        text: str = (
            a_client("view_job", *permissions).get(f"/admin/jobqueue/job/{job.pk}/change/").text
        )
        return text

    def test_a_job_lists_its_schedules(self) -> None:
        schedule, job = a_schedule(name="nightly"), a_job()
        shown = self.job_page(schedule.job, "view_schedule", "add_schedule")
        assert f'<a href="{page(schedule)}">nightly</a>' in shown
        assert f'href="{LIST}add/?job={schedule.job_id}"' in shown
        assert "It has no schedule." in self.job_page(job, "add_schedule")

    def test_only_for_those_who_may_see_them(self) -> None:
        schedule = a_schedule(name="nightly")
        assert "nightly" not in self.job_page(schedule.job)

    def test_a_queue_shows_what_comes_next(self, admin_client: Client) -> None:
        queue = a_run(queue="etl").queue
        a_schedule(name="by its Job", job=a_job(queue="etl"))
        a_schedule(name="by itself", queue="etl")
        a_schedule(name="elsewhere", job=a_job(queue="etl"), queue="other")
        a_schedule(name="off", queue="etl", enabled=False)
        found = admin_client.get("/admin/jobqueue/queue/").context["cl"].result_list
        (row,) = [one for one in found if one.name == queue]
        planned = admin_client.get(f"/admin/jobqueue/queue/{row.pk}/change/").context["planned"]
        assert {one.name for one in planned} == {"by its Job", "by itself"}

    def test_deleting_a_job_names_its_schedules_and_not_each_fire_time(self) -> None:
        schedule = a_schedule(name="nightly")
        fire = a_fire(schedule)
        url = f"/admin/jobqueue/job/{schedule.job_id}/delete/"
        client = a_client("delete_job", "delete_schedule")
        shown = client.get(url).text
        assert f'Schedule: <a href="{page(schedule)}">nightly</a>' in shown
        assert str(fire) not in shown
        assert "Fire times: 1" in shown
        client.post(url, {"post": "yes"})
        assert not Schedule.objects.exists()
        assert not Fire.objects.exists()

    def test_deleting_a_job_takes_the_right_to_delete_its_schedules(self) -> None:
        schedule = a_schedule()
        client = a_client("delete_job")
        answer = client.post(f"/admin/jobqueue/job/{schedule.job_id}/delete/", {"post": "yes"})
        assert answer.status_code == 403
        assert Schedule.objects.exists()

    def test_deleting_schedules_with_their_history(self) -> None:
        schedule = a_schedule()
        a_fire(schedule)
        answer = a_client("delete_schedule", "view_schedule").post(
            page(schedule, "delete"), {"post": "yes"}
        )
        assert answer.status_code == 302
        assert not Fire.objects.exists()

    def test_both_are_in_the_admin(self) -> None:
        assert site.is_registered(Schedule)
        assert site.is_registered(Fire)
