"""``manage.py schedules``: describing when Jobs are queued, and looking at what comes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobqueue import schedules
from jobqueue.models import Execution, Fire, FireOutcome, Schedule
from tests.builders import a_job, a_schedule
from tests.terminal import Done, call, lines, run, run_on_terminal

FIELDS = [
    *("id", "name", "kind", "expression", "interval", "anchor_at", "once_at", "timezone"),
    *("both_days", "first_at", "last_at", "priority", "queue", "enabled", "catch_up"),
    *("misfire_grace", "next_fire_at", "last_fire_at", "problem", "job", "words"),
]
FAR = "2099-06-15T12:00"


def assert_refused(done: Done, *words: str) -> None:
    """One line that says why, and exit code 1."""
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("schedules: ")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


@pytest.mark.django_db
class TestCreate:
    @pytest.fixture(autouse=True)
    def _job(self) -> None:
        a_job(name="Report")

    def create(self, *words: str) -> Schedule:
        done = call("schedules", "create", "New", "--job", "Report", *words)
        assert (done.code, done.out[:27]) == (0, "Created: New queues Report ")
        return Schedule.objects.get()

    def test_cron(self) -> None:
        schedule = self.create("--cron", "30 6 * * MON-FRI")
        assert (schedule.name, schedule.job.name, schedule.kind) == ("New", "Report", "cron")
        assert (schedule.expression, schedule.timezone) == ("30 6 * * MON-FRI", "UTC")
        assert (schedule.priority, schedule.queue, schedule.enabled) == (5, "", True)
        assert (schedule.catch_up, schedule.misfire_grace) == ("latest", timedelta(hours=1))
        assert schedule.next_fire_at is not None

    def test_everything(self) -> None:
        schedule = self.create(
            *("--cron", "0 0 1 * MON", "--zone", "Europe/Amsterdam", "-p2", "-q", "night"),
            *("--catch-up", "all", "--grace", "1h30m", "--both-days", "--disabled"),
            *("--from", "2099-01-01", "--until", FAR),
        )
        assert (schedule.timezone, schedule.both_days) == ("Europe/Amsterdam", True)
        assert (schedule.priority, schedule.queue, schedule.catch_up) == (2, "night", "all")
        assert (schedule.misfire_grace, schedule.enabled) == (timedelta(minutes=90), False)
        assert schedule.first_at == datetime(2098, 12, 31, 23, tzinfo=UTC)
        assert schedule.last_at == datetime(2099, 6, 15, 10, tzinfo=UTC)
        assert schedule.next_fire_at is None

    def test_an_interval_with_its_anchor(self) -> None:
        schedule = self.create(
            *("--every", "90m", "--anchor", "2026-07-01T06:00", "--zone", "Europe/Amsterdam"),
            *("--grace", "none"),
        )
        assert (schedule.kind, schedule.interval) == ("interval", timedelta(minutes=90))
        assert schedule.anchor_at == datetime(2026, 7, 1, 4, tzinfo=UTC)
        assert schedule.misfire_grace is None

    @pytest.mark.parametrize(
        ("local", "utc", "note"),
        [
            ("2099-06-15T12:00", "2099-06-15T10:00", ""),
            ("2099-06-15/12:00:05", "2099-06-15T10:00:05", ""),
            ("2099-06-15", "2099-06-14T22:00", ""),
            (
                "2035-03-25T02:30",
                "2035-03-25T01:00",
                "Note: 2035-03-25T02:30 is skipped by a clock change in Europe/Amsterdam:"
                " 03:00:00 is meant.\n",
            ),
            (
                "2035-10-28T02:30",
                "2035-10-28T00:30",
                "Note: 2035-10-28T02:30 comes twice in Europe/Amsterdam:"
                " the first time is meant.\n",
            ),
        ],
    )
    def test_once_at_a_local_time(self, local: str, utc: str, note: str) -> None:
        words = ("--once", local, "--zone", "Europe/Amsterdam")
        done = call("schedules", "create", "New", "--job", "Report", *words)
        assert (done.code, done.err) == (0, note)
        assert Schedule.objects.get().once_at == datetime.fromisoformat(f"{utc}+00:00")

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["--cron", "@daily"], "No Job"),
            (["--job", "Report"], "No times"),
            (["--job", "Raport", "--cron", "@daily"], "did you mean 'Report'?"),
            (["--job", "Report", "--cron", "@daily", "--every", "5"], "not allowed with"),
            (["--job", "Report", "--cron", "61 * * * *"], "expression: minute: 61"),
            (["--job", "Report", "--cron", "0 0 30 2 *"], "day, month: no such date, it never"),
            (["--job", "Report", "--cron", "0 " * 250], "expression: Ensure this value has at"),
            (["--job", "Report", "--cron", "@daily", "--zone", "Mars/X"], "timezone: "),
            (["--job", "Report", "--cron", "@daily", "--zone", "../../etc"], "timezone: "),
            (["--job", "Report", "--cron", "@daily", "-p0"], "--priority: "),
            (["--job", "Report", "--cron", "@daily", "-q", "A b"], "queue: "),
            (["--job", "Report", "--cron", "@daily", "--grace", "soon"], "--grace: 'soon'"),
            (["--job", "Report", "--cron", "@daily", "--catch-up", "x"], "invalid choice"),
            (["--job", "Report", "--cron", "@daily", "--from", "x"], "--from: 'x' is no local"),
            (["--job", "Report", "--every", "0"], "interval: "),
            (["--job", "Report", "--every", "often"], "--every: 'often'"),
            (["--job", "Report", "--once", "2020-01-01"], "once_at: This time is over"),
            (["--job", "Report", "--once", "2099-02-30"], "--once: There is no such moment"),
            (["--job", "Report", "--once", "none"], "--once: 'none' is no local time"),
        ],
    )
    def test_refused(self, words: list[str], why: str) -> None:
        assert_refused(call("schedules", "create", "New", *words), why)
        assert not Schedule.objects.exists()

    @pytest.mark.parametrize("name", ["", "x" * 201, "Taken"])
    def test_a_name_that_can_not_be(self, name: str) -> None:
        a_schedule(name="Taken")
        words = ("--job", "Report", "--cron", "@daily")
        assert_refused(call("schedules", "create", name, *words), "name: ")
        assert Schedule.objects.count() == 1

    def test_a_disabled_job_is_pointed_out(self) -> None:
        a_job(name="Off", enabled=False)
        done = call("schedules", "create", "New", "--job", "Off", "--cron", "@daily")
        assert (done.code, done.err) == (0, "Note: the Job Off is disabled: it will be refused.\n")


@pytest.mark.django_db
class TestEdit:
    def test_only_what_is_given_changes(self) -> None:
        schedule = a_schedule(priority=2, queue="night", both_days=True)
        assert call("schedules", "edit", schedule.name, "-p3").code == 0
        schedule.refresh_from_db()
        assert (schedule.priority, schedule.queue, schedule.both_days) == (3, "night", True)
        assert schedule.expression == "0 * * * *"

    def test_back_to_what_is_usual(self) -> None:
        until = datetime(2099, 1, 1, tzinfo=UTC)
        schedule = a_schedule(queue="night", both_days=True, last_at=until)
        words = ("-q", "", "--no-both-days", "--until", "none", "--grace", "none")
        assert call("schedules", "edit", schedule.name, *words).code == 0
        schedule.refresh_from_db()
        assert (schedule.queue, schedule.both_days, schedule.last_at) == ("", False, None)
        assert schedule.misfire_grace is None

    def test_another_kind_forgets_the_times_of_the_first(self) -> None:
        schedule = a_schedule()
        call("schedules", "edit", schedule.name, "--every", "5m", "--anchor", FAR)
        call("schedules", "edit", schedule.name, "--once", FAR)
        schedule.refresh_from_db()
        assert (schedule.kind, schedule.once_at) == ("once", datetime(2099, 6, 15, 12, tzinfo=UTC))
        assert (schedule.expression, schedule.interval, schedule.anchor_at) == ("", None, None)

    def test_other_times_come_next(self) -> None:
        schedule = a_schedule()
        call("schedules", "edit", schedule.name, "--once", FAR)
        schedule.refresh_from_db()
        assert schedule.next_fire_at == datetime(2099, 6, 15, 12, tzinfo=UTC)

    @pytest.mark.parametrize("option", ["--rename", "--name"])
    def test_another_name(self, option: str) -> None:
        a_schedule(name="Old")
        assert call("schedules", "edit", "Old", option, "New").code == 0
        assert Schedule.objects.get().name == "New"

    def test_refused(self) -> None:
        a_schedule(name="Orders")
        a_schedule(name="Other")
        assert_refused(call("schedules", "edit", "Order", "-p1"), "did you mean 'Orders'")
        assert_refused(call("schedules", "edit", "Orders", "--rename", "Other"), "name: ")
        assert_refused(call("schedules", "edit", "Orders", "--cron", "x"), "expression: ")

    def test_disable_and_enable(self) -> None:
        one, two = a_schedule(), a_schedule()
        assert call("schedules", "disable", one.name, two.name).code == 0
        assert not Schedule.objects.planned().exists()
        assert_refused(call("schedules", "enable", one.name, "none"), "There is no schedule 'none'")
        assert not Schedule.objects.planned().exists()
        done = call("schedules", "enable", one.name)
        assert done.out.startswith(f"Enabled: {one.name}; next ")
        assert Schedule.objects.planned().get() == one

    def test_one_that_can_not_be_enabled_and_none_is(self) -> None:
        good, bad = a_schedule(enabled=False), a_schedule(enabled=False)
        Schedule.objects.filter(pk=bad.pk).update(expression="bad")
        assert_refused(call("schedules", "enable", good.name, bad.name), f"{bad.name}: ")
        assert not Schedule.objects.filter(enabled=True).exists()


@pytest.mark.django_db(transaction=True)
class TestDelete:
    def test_it_takes_a_yes(self) -> None:
        schedule = a_schedule(name="Old")
        assert_refused(run("schedules", "delete", "Old"), "say --yes")
        assert run("schedules", "delete", "Old", "--yes").out == "Deleted: Old\n"
        assert not Schedule.objects.exists()
        schedule.job.refresh_from_db()

    @pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
    def test_a_terminal_is_asked(self, answer: str, left: int) -> None:
        a_schedule(name="Old")
        done = run_on_terminal("schedules", "delete", "Old", answer=answer)
        assert "Delete Old? [y/N]" in done.out
        assert (done.code, Schedule.objects.count()) == (left, left)


@pytest.mark.django_db
class TestJobs:
    """What `manage.py jobs` says about the schedules of a Job."""

    def test_show(self) -> None:
        a_schedule(name="Daily", job=a_job(name="Report"), enabled=False)
        assert re.search("^schedule: +Daily: ", call("jobs", "show", "Report").out, re.MULTILINE)


@pytest.mark.django_db
class TestLooking:
    def test_no_schedules(self) -> None:
        assert json.loads(call("schedules", "list", "--json").out) == []
        done = call("schedules", "list")
        assert (done.code, done.out) == (0, "")
        assert "no schedules yet" in done.err
        assert call("schedules", "next").err == "Nothing comes next.\n"

    def test_list_json(self) -> None:
        a_schedule(name="B")
        a_schedule(name="A", job=a_job(name="Report"))
        listed = json.loads(call("schedules", "list", "--json").out)
        assert [list(row) for row in listed] == [FIELDS, FIELDS]
        assert [row["name"] for row in listed] == ["A", "B"]
        assert (listed[0]["job"], listed[0]["misfire_grace"]) == ("Report", 3600)
        assert listed[0]["words"]

    def test_list_for_people(self) -> None:
        a_schedule(name="A", job=a_job(name="Report", enabled=False))
        broken = a_schedule(name="B", enabled=False)
        Schedule.objects.filter(pk=broken.pk).update(problem="It is broken.")
        title, one, two = lines(call("schedules", "list").out)
        assert title.split() == ["NAME", "JOB", "ENABLED", "NEXT", "LAST", "TIMES"]
        assert one.split()[:3] == ["A", "Report", "yes"]
        assert one.endswith("(its Job is disabled)")
        assert " no " in two
        assert two.endswith("(problem: It is broken.)")

    def test_hostile_names(self) -> None:
        a_schedule(name="\x1b[2J\nEvil", job=a_job(name="\r\x07Job"))
        for words in (["list"], ["next"], ["show", "\x1b[2J\nEvil"]):
            out = call("schedules", *words).out
            assert r"\x1b[2J\nEvil" in out
            assert "\x1b" not in out
            assert "\x07" not in out

    def test_show_tells_what_came_and_what_comes(self) -> None:
        schedule = a_schedule(name="Orders", expression="0 0 1 1 *", timezone="Asia/Tokyo")
        due = timezone.now() - timedelta(seconds=1)
        Schedule.objects.update(next_fire_at=due)
        schedules.enqueue_due(timezone.now())
        execution = Execution.objects.get()
        out = call("schedules", "show", "Orders").out
        assert out.count("next:          ") == 5
        assert out.count("-01-01 00:00:00 JST") == 6
        assert f"queued, execution {execution.pk} waiting\n" in out
        row = json.loads(call("schedules", "show", "Orders", "--json").out)
        assert list(row) == [*FIELDS, "next", "last"]
        assert len(row["next"]) == 5
        assert [fire["execution"] for fire in row["last"]] == [execution.pk]
        assert schedule.pk == row["id"]

    def test_show_tells_what_was_missed_and_why(self) -> None:
        schedule = a_schedule(name="Orders")
        Fire.objects.create(
            schedule=schedule,
            fire_at=timezone.now(),
            outcome=FireOutcome.MISSED,
            missed=3,
            reason="It was away.",
        )
        assert "missed; 3 missed; It was away." in call("schedules", "show", "Orders").out

    def test_one_with_broken_times_can_be_looked_at(self) -> None:
        schedule = a_schedule(name="Broken")
        broken = {"timezone": "Mars/X", "expression": "bad"}
        Schedule.objects.filter(pk=schedule.pk).update(**broken)
        for words in (["list"], ["show", "Broken"], ["next", "Broken"], ["list", "--json"]):
            assert call("schedules", *words).code == 0


@pytest.mark.django_db
class TestNext:
    def test_of_an_expression(self) -> None:
        words = ("--cron", "0 12 1 1 *", "--zone", "Asia/Tokyo", "-n", "2")
        title, *rows = lines(call("schedules", "next", *words).out)
        assert title.split() == ["AT", "IN"]
        assert len(rows) == 2
        assert all("-01-01 12:00:00 JST" in row for row in rows)
        found = json.loads(call("schedules", "next", *words, "--json").out)
        assert all(row["at"].endswith("-01-01T03:00:00+00:00") for row in found)

    def test_of_both_days(self) -> None:
        words = ("next", "--cron", "0 0 1 * MON", "-n", "50", "--both-days")
        rows = lines(call("schedules", *words).out)[1:]
        assert all(row.startswith("Mon ") and "-01 00:00" in row for row in rows)

    def test_of_one(self) -> None:
        a_schedule(name="Orders")
        a_schedule(name="Other")
        rows = lines(call("schedules", "next", "Orders", "-n3").out)[1:]
        assert len(rows) == 3
        assert all("Orders" in row for row in rows)

    def test_of_all_in_their_order(self) -> None:
        start = timezone.now().replace(microsecond=0) + timedelta(hours=1)
        hourly = {"kind": "interval", "expression": "", "interval": timedelta(hours=1)}
        a_schedule(name="A", anchor_at=start, **hourly)
        a_schedule(name="B", anchor_at=start + timedelta(minutes=10), **hourly)
        a_schedule(name="Off", anchor_at=start, enabled=False, **hourly)
        rows = json.loads(call("schedules", "next", "-n4", "--json").out)
        assert sorted(row["at"] for row in rows) == [row["at"] for row in rows]
        assert sorted(row["schedule"] for row in rows) == ["A", "A", "B", "B"]

    def test_a_disabled_one_says_so(self) -> None:
        a_schedule(name="Off", enabled=False)
        done = call("schedules", "next", "Off")
        assert (done.err, len(lines(done.out))) == ("Note: Off is disabled.\n", 6)

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["None"], "There is no schedule 'None'"),
            (["A", "--cron", "@daily"], "not both"),
            (["--zone", "UTC"], "go with --cron"),
            (["--cron", "x"], "--cron: "),
            (["--cron", "@daily", "--zone", "X"], "--cron: 'X' is no time zone"),
            (["-n", "0"], "from 1 to 10000"),
        ],
    )
    def test_refused(self, words: list[str], why: str) -> None:
        assert_refused(call("schedules", "next", *words), why)
