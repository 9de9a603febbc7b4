"""Due schedules become requests: once per fire time, late ones as their schedule says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet
from pytest_django import DjangoAssertNumQueries

from jobqueue import clock, queue, requests, schedules
from jobqueue.api import enqueue
from jobqueue.models import Execution, Fire, Schedule, Source, State
from tests.builders import a_command, a_job, a_schedule, a_waiting

pytestmark = [pytest.mark.database, pytest.mark.django_db]

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PATIENCE = 30  # seconds that a slow machine is given
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


#: What other programs can write into a table and Django can't read.
UNREADABLE = [
    *(("sqlite", "next_fire_at", value) for value in ("", "0")),
    *(("sqlite", "misfire_grace", value) for value in ("", "1:00:00")),
    *(("postgresql", column, "infinity") for column in ("first_at", "planned_at", "last_fire_at")),
    *(("postgresql", "next_fire_at", value) for value in ("-infinity", "0044-03-15 BC")),
    ("postgresql", "misfire_grace", "5000000 years"),
]


def due(at: datetime = NOON, **over: Any) -> Schedule:
    """A schedule whose next fire time is this one."""
    return a_schedule(next_fire_at=at, **over)


def by_hand(schedule: Schedule, **values: Any) -> None:
    """Change a row as somebody does in the database itself."""
    QuerySet.update(Schedule.objects.filter(pk=schedule.pk), **values)


def now(schedule: Schedule) -> Schedule:
    return Schedule.objects.get(pk=schedule.pk)


def triggers() -> list[datetime | None]:
    rows = Execution.objects.waiting().in_order()
    return list(rows.values_list("trigger_at", flat=True))


def history(schedule: Schedule) -> list[tuple[datetime, str, int]]:
    fires = schedule.history.order_by("fire_at")
    return list(fires.values_list("fire_at", "outcome", "missed"))


class TestFiring:
    def test_the_request_says_what_it_is_for(self) -> None:
        job = a_job(queue="night")
        schedule = due(job=job, priority=2)
        (fire,) = schedules.enqueue_due(NOON)
        execution = Execution.objects.get()
        assert (execution.job, execution.source) == (job, Source.SCHEDULE)
        assert (execution.priority, execution.queue) == (2, "night")
        assert execution.trigger_at == NOON
        assert execution.requested_by == schedule.name
        assert execution.details == {}
        assert (fire.schedule, fire.execution, fire.fire_at) == (schedule, execution, NOON)

    def test_the_schedule_can_name_another_queue(self) -> None:
        due(job=a_job(queue="night"), queue="day")
        schedules.enqueue_due(NOON)
        assert Execution.objects.get().queue == "day"

    def test_then_it_waits_for_the_next_time(self) -> None:
        schedule = due()
        schedules.enqueue_due(NOON + timedelta(milliseconds=3))
        assert now(schedule).next_fire_at == NOON + HOUR
        assert now(schedule).last_fire_at == NOON
        assert schedules.enqueue_due(NOON + timedelta(seconds=1)) == []

    def test_not_before_its_time(self) -> None:
        due()
        assert schedules.enqueue_due(NOON - timedelta(microseconds=1)) == []
        assert not Execution.objects.exists()

    def test_not_when_disabled(self) -> None:
        by_hand(due(), enabled=False)
        assert schedules.enqueue_due(NOON) == []

    def test_the_earliest_and_the_best_first(self) -> None:
        late, first = due(), due(NOON - timedelta(seconds=1))
        best = due(priority=1)
        fired = [fire.schedule for fire in schedules.enqueue_due(NOON)]
        assert fired == [first, best, late]

    def test_more_than_fit_in_one_transaction(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedules, "BATCH", 2)
        for _ in range(5):
            due()
        assert len(schedules.enqueue_due(NOON)) == 5
        assert Execution.objects.waiting().count() == 5

    def test_a_disabled_job_refuses_and_the_history_says_so(self) -> None:
        schedule = due(job=a_job(name="Orders", enabled=False))
        (fire,) = schedules.enqueue_due(NOON)
        assert (fire.outcome, fire.execution) == ("refused", None)
        assert "Orders" in fire.reason
        assert "disabled" in fire.reason
        assert now(schedule).next_fire_at == NOON + HOUR

    def test_one_for_once_is_over_then(self) -> None:
        schedule = due(kind="once", once_at=NOON)
        schedules.enqueue_due(NOON)
        assert now(schedule).next_fire_at is None
        assert triggers() == [NOON]

    def test_not_after_its_last_moment(self) -> None:
        schedule = due(last_at=NOON + HOUR - MINUTE)
        schedules.enqueue_due(NOON)
        assert now(schedule).next_fire_at is None

    def test_missed_ones_after_its_last_moment_are_none(self) -> None:
        schedule = due(last_at=NOON + 2 * HOUR, misfire_grace=None)
        schedules.enqueue_due(NOON + 5 * HOUR)
        assert history(schedule) == [(NOON + 2 * HOUR, "added", 2)]


class TestDuplicates:
    def test_a_second_fire_while_the_first_waits_is_one(self) -> None:
        schedule = due()
        schedules.enqueue_due(NOON)
        (fire,) = schedules.enqueue_due(NOON + HOUR)
        assert fire.outcome == "duplicate"
        assert fire.execution == Execution.objects.get()
        assert history(schedule) == [(NOON, "added", 0), (NOON + HOUR, "duplicate", 0)]

    def test_one_that_somebody_asked_for_serves_and_moves_forward(self) -> None:
        job = a_job()
        waiting = a_waiting(job, priority=7)
        due(job=job, priority=3)
        (fire,) = schedules.enqueue_due(NOON)
        assert (fire.outcome, fire.execution) == ("promoted", waiting)

    def test_a_given_trigger_is_another_request(self) -> None:
        job = a_job()
        a_waiting(job, trigger=NOON)
        due(job=job)
        (fire,) = schedules.enqueue_due(NOON)
        assert fire.outcome == "added"

    def test_the_same_while_one_runs_is_a_new_one(self) -> None:
        due()
        schedules.enqueue_due(NOON)
        queue.claim("default")
        (fire,) = schedules.enqueue_due(NOON + HOUR)
        assert fire.outcome == "added"


class TestOnce:
    def test_a_fire_time_that_has_been_is_not_queued_again(self) -> None:
        schedule = due()
        schedules.enqueue_due(NOON)
        queue.cancel(Execution.objects.get(), by="me")
        Schedule.objects.update(next_fire_at=NOON)
        assert schedules.enqueue_due(NOON) == []
        assert not Execution.objects.waiting().exists()
        assert now(schedule).next_fire_at == NOON + HOUR

    def test_the_database_takes_it_once(self) -> None:
        schedule = a_schedule()
        Fire.objects.create(schedule=schedule, fire_at=NOON, outcome="added")
        with pytest.raises(IntegrityError), transaction.atomic():
            Fire.objects.create(schedule=schedule, fire_at=NOON, outcome="missed")

    def test_another_clock_was_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It fired between our look and our write, as on SQLite without immediate transactions."""
        schedule = due()
        real = schedules._noted

        def meanwhile(found: Any) -> Any:
            known = real(found)
            Fire.objects.get_or_create(
                schedule=schedule, fire_at=NOON, defaults={"outcome": "added"}
            )
            return known

        monkeypatch.setattr(schedules, "_noted", meanwhile)
        schedules.enqueue_due(NOON)
        assert not Execution.objects.exists()


@contextmanager
def an_open_transaction(change: Callable[[], object]) -> Iterator[None]:
    """Another connection has changed something, and doesn't commit while in it."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite locks no rows")
    holds, may_go = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            change()
            holds.set()
            may_go.wait(PATIENCE)
        connection.close()

    holder = Thread(target=hold)
    holder.start()
    try:
        assert holds.wait(PATIENCE)
        yield
    finally:
        may_go.set()
        holder.join()


@pytest.mark.django_db(transaction=True)
class TestOpenTransactionsOfOthers:
    def test_an_edit_holds_up_no_other_schedule(self) -> None:
        edited, fine = due(), due()
        with an_open_transaction(lambda: Schedule.objects.select_for_update().get(pk=edited.pk)):
            assert [fire.schedule for fire in schedules.enqueue_due(NOON)] == [fine]
        assert [fire.schedule for fire in schedules.enqueue_due(NOON)] == [edited]

    def test_the_same_request_holds_up_no_other_schedule(self) -> None:
        """Whether it will wait in the queue is known at the end of that transaction only."""
        asked, fine = due(), due()
        with an_open_transaction(lambda: enqueue(asked.job)):
            with pytest.raises(OperationalError):
                schedules.enqueue_due(NOON)
            assert [fire.schedule for fire in Fire.objects.all()] == [fine]
        (fire,) = schedules.enqueue_due(NOON)
        assert (fire.schedule, fire.outcome) == (asked, "duplicate")

    def test_who_fires_is_as_patient_afterwards_as_before(self) -> None:
        before = patience()
        with queue.impatient():
            inside = patience()
        assert patience() == before
        assert (inside == before) is (connection.vendor == "sqlite")


def patience() -> object:
    """How long this connection waits for a row that another one holds, in the database's words."""
    ask = {"postgresql": "SHOW lock_timeout", "mysql": "SELECT @@innodb_lock_wait_timeout"}
    with connection.cursor() as cursor:
        cursor.execute(ask.get(connection.vendor, "SELECT 0"))
        return cursor.fetchone()[0]


class TestMisfires:
    """The service was away from noon on; a schedule of every hour."""

    def test_the_latest_is_made_up_and_told_how_many_were_missed(self) -> None:
        schedule = due()
        schedules.enqueue_due(NOON + 3 * HOUR + 10 * MINUTE)
        assert triggers() == [NOON + 3 * HOUR]
        assert Execution.objects.get().details == {"missed": 3}
        assert history(schedule) == [(NOON + 3 * HOUR, "added", 3)]
        assert now(schedule).next_fire_at == NOON + 4 * HOUR

    def test_none_is_made_up_after_the_grace(self) -> None:
        schedule = due(misfire_grace=5 * MINUTE)
        schedules.enqueue_due(NOON + 3 * HOUR + 10 * MINUTE)
        assert triggers() == []
        assert history(schedule) == [(NOON + 3 * HOUR, "missed", 4)]
        assert "0:05:00" in schedule.history.get().reason
        assert now(schedule).next_fire_at == NOON + 4 * HOUR

    def test_without_a_limit_it_is_made_up_after_a_year(self) -> None:
        due(expression="0 12 21 * *", misfire_grace=None)
        schedules.enqueue_due(NOON + 366 * DAY)
        assert triggers() == [datetime(2027, 11, 21, 12, tzinfo=UTC)]

    def test_all_are_made_up_in_order(self) -> None:
        schedule = due(catch_up="all", misfire_grace=None)
        schedules.enqueue_due(NOON + 3 * HOUR + 10 * MINUTE)
        times = [NOON + n * HOUR for n in range(4)]
        assert triggers() == times
        assert history(schedule) == [(time, "added", 0) for time in times]

    def test_all_within_the_grace(self) -> None:
        schedule = due(catch_up="all", misfire_grace=2 * HOUR)
        schedules.enqueue_due(NOON + 3 * HOUR + 10 * MINUTE)
        assert triggers() == [NOON + 2 * HOUR, NOON + 3 * HOUR]
        assert history(schedule) == [(NOON + 2 * HOUR, "added", 2), (NOON + 3 * HOUR, "added", 0)]

    def test_all_are_a_thousand_at_most(self) -> None:
        schedule = due(catch_up="all", misfire_grace=None, expression="* * * * *")
        schedules.enqueue_due(NOON + 1200 * MINUTE)
        made_up = triggers()
        assert len(made_up) == 1000
        assert made_up[0] == NOON + 201 * MINUTE
        assert made_up[-1] == NOON + 1200 * MINUTE
        assert history(schedule)[0] == (NOON + 201 * MINUTE, "added", 201)

    def test_none(self) -> None:
        schedule = due(catch_up="none")
        schedules.enqueue_due(NOON + 3 * HOUR + 10 * MINUTE)
        assert triggers() == []
        assert history(schedule) == [(NOON + 3 * HOUR, "missed", 4)]

    @pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
    def test_one_that_is_a_little_late_is_on_time(self, catch_up: str) -> None:
        schedule = due(catch_up=catch_up, misfire_grace=timedelta(0))
        schedules.enqueue_due(NOON + timedelta(seconds=5))
        assert history(schedule) == [(NOON, "added", 0)]

    def test_of_several_only_the_punctual_one(self) -> None:
        schedule = due(catch_up="none", expression="*/2 * * * * *")
        schedules.enqueue_due(NOON + timedelta(seconds=4.5))
        assert history(schedule) == [(NOON + timedelta(seconds=4), "added", 2)]

    def test_a_year_of_seconds_is_answered(self) -> None:
        schedule = due(expression="* * * * * *")
        schedules.enqueue_due(NOON + 365 * DAY)
        assert triggers() == [NOON + 365 * DAY]
        assert now(schedule).next_fire_at == NOON + 365 * DAY + timedelta(seconds=1)

    def test_a_fire_time_worked_out_by_hand_counts(self) -> None:
        schedule = due(NOON + 7 * MINUTE)
        schedules.enqueue_due(NOON + 7 * MINUTE)
        assert history(schedule) == [(NOON + 7 * MINUTE, "added", 0)]


class TestPlanning:
    def test_a_new_one_fires_after_now(self) -> None:
        schedule = a_schedule(expression="* * * * * *")
        assert schedule.next_fire_at is not None
        assert abs(schedule.next_fire_at - datetime.now(UTC)) <= timedelta(seconds=2)
        assert now(schedule).next_fire_at == schedule.next_fire_at

    @pytest.mark.parametrize(
        "change",
        [
            {"expression": "30 * * * *"},
            {"timezone": "Asia/Kolkata"},
            {"kind": "interval", "interval": HOUR},
            {"first_at": NOON + 10_000 * DAY},
        ],
    )
    def test_edited_times_make_nothing_up(self, change: dict[str, Any]) -> None:
        schedule = now(due())
        for name, value in change.items():
            setattr(schedule, name, value)
        schedule.save()
        assert schedule.next_fire_at is not None
        assert schedule.next_fire_at > datetime.now(UTC)
        assert now(schedule).next_fire_at == schedule.next_fire_at

    def test_enabled_again_it_makes_nothing_up(self) -> None:
        schedule = now(due())
        schedule.enabled = False
        schedule.save(update_fields=["enabled"])
        assert now(schedule).next_fire_at is None
        schedule.enabled = True
        schedule.save(update_fields=["enabled"])
        planned = now(schedule).next_fire_at
        assert planned is not None
        assert planned > datetime.now(UTC)

    def test_other_changes_leave_a_missed_time_alone(self) -> None:
        schedule = now(due())
        schedule.priority = 1
        schedule.save()
        assert now(schedule).next_fire_at == NOON

    def test_what_was_loaded_before_a_fire_does_not_bring_its_time_back(self) -> None:
        loaded_before = now(due())
        schedules.enqueue_due(NOON)
        loaded_before.name = "Another name"
        loaded_before.save()
        assert now(loaded_before).next_fire_at == NOON + HOUR
        assert now(loaded_before).last_fire_at == NOON
        assert now(loaded_before).name == "Another name"

    def test_a_moment_in_another_zone_is_the_same_moment(self) -> None:
        zoned = (NOON + 10_000 * DAY).astimezone()
        schedule = now(a_schedule(kind="once", once_at=zoned))
        assert not schedule.is_to_plan

    def test_an_interval_is_counted_from_now(self) -> None:
        schedule = a_schedule(kind="interval", interval=timedelta(minutes=90))
        assert schedule.anchor_at is not None
        assert schedule.next_fire_at == schedule.anchor_at + timedelta(minutes=90)

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"expression": "61 * * * *"}, "expression"),
            ({"expression": "0 0 31 2 *"}, "expression"),
            ({"expression": ""}, "expression"),
            ({"timezone": "Europe/Atlantis"}, "timezone"),
            ({"kind": "weekly"}, "kind"),
            ({"kind": "interval"}, "interval"),
            ({"kind": "interval", "interval": timedelta(0)}, "interval"),
            ({"kind": "once"}, "once_at"),
            ({"kind": "once", "once_at": NOON - 10_000 * DAY}, "once_at"),
            ({"first_at": NOON, "last_at": NOON - HOUR}, "last_at"),
            ({"last_at": NOON - 10_000 * DAY}, "expression"),
        ],
    )
    def test_what_cannot_be_is_refused_at_its_field(
        self, values: dict[str, Any], field: str
    ) -> None:
        complete = {"name": "x", "job": a_job(), "expression": "0 * * * *", "timezone": "UTC"}
        with pytest.raises(ValidationError) as refused:
            Schedule(**{**complete, **values}).full_clean()
        assert set(refused.value.message_dict) == {field}

    def test_saved_without_a_form_it_is_refused_too(self) -> None:
        with pytest.raises(ValueError, match="61"):
            a_schedule(expression="61 * * * *")

    def test_one_that_is_over_can_still_be_edited(self) -> None:
        schedule = due(kind="once", once_at=NOON)
        schedules.enqueue_due(NOON)
        over = now(schedule)
        over.priority = 1
        over.full_clean()
        over.save()


class TestBroken:
    @pytest.mark.parametrize(
        "values",
        [
            {"expression": "61 * * * *"},
            {"timezone": "Europe/Atlantis"},
            {"kind": "interval", "interval": None},
            {"expression": "0 0 31 2 *"},
        ],
    )
    def test_one_put_there_by_hand_stops_no_other(self, values: dict[str, Any]) -> None:
        broken, fine = due(NOON - MINUTE), due()
        by_hand(broken, **values)
        fired = schedules.enqueue_due(NOON)
        assert [fire.schedule for fire in fired] == [fine]
        assert now(broken).problem
        assert now(broken).next_fire_at is None

    @pytest.mark.parametrize(("vendor", "column", "value"), UNREADABLE)
    def test_one_that_cannot_even_be_read_stops_no_other(
        self, vendor: str, column: str, value: str
    ) -> None:
        if connection.vendor != vendor:
            pytest.skip(f"only {vendor} stores that")
        broken, fine = due(NOON - MINUTE), due()
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE jobqueue_schedule SET {column} = %s WHERE id = %s", [value, broken.pk]
            )
        schedules.refresh(NOON - HOUR)
        assert schedules.next_fire_at() == NOON
        assert [fire.schedule for fire in schedules.enqueue_due(NOON)] == [fine]
        put_aside = Schedule.objects.filter(pk=broken.pk).values_list("problem", flat=True).get()
        assert put_aside
        assert schedules.next_fire_at() == NOON + HOUR

    def test_one_found_when_it_is_due_stops_no_other(self) -> None:
        broken, fine = due(NOON - MINUTE), due()
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE jobqueue_schedule SET misfire_grace = 'an hour' WHERE id = %s",
                    [broken.pk],
                )
        else:
            by_hand(broken, timezone="Europe/Atlantis")
        assert [fire.schedule for fire in schedules.enqueue_due(NOON)] == [fine]
        assert schedules.enqueue_due(NOON) == []

    def test_one_that_the_database_refuses_stops_no_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken, fine = due(), due()
        build = requests.build

        def refuses_one(job: Any, **over: Any) -> Execution:
            request = build(job, **over)
            if job == broken.job:
                request.queue = None  # type: ignore[assignment]
            return request

        monkeypatch.setattr(requests, "build", refuses_one)
        fired = schedules.enqueue_due(NOON)
        assert [fire.schedule for fire in fired] == [fine]
        assert now(broken).problem
        assert Execution.objects.get().job == fine.job

    def test_with_the_database_away_none_is_put_aside(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        schedule = due()

        def away(*args: Any, **over: Any) -> None:
            raise OperationalError("the database is away")

        with monkeypatch.context() as patched:
            patched.setattr(requests, "build", away)
            with pytest.raises(OperationalError):
                schedules.enqueue_due(NOON)
        assert now(schedule).next_fire_at == NOON
        assert len(schedules.enqueue_due(NOON)) == 1

    def test_mended_it_fires_again(self) -> None:
        schedule = due()
        by_hand(schedule, expression="61 * * * *")
        schedules.enqueue_due(NOON)
        mended = now(schedule)
        mended.expression = "0 * * * *"
        mended.save()
        assert now(schedule).problem == ""
        assert now(schedule).next_fire_at is not None


class TestHosts:
    """What a host's own code does to a schedule through the ORM."""

    def test_an_update_of_its_times_plans_it_anew(self) -> None:
        schedule = due()
        Schedule.objects.filter(pk=schedule.pk).update(expression="30 * * * *")
        assert schedules.enqueue_due(NOON + 3 * HOUR) == []
        schedules.refresh(NOON + 3 * HOUR, planned_before=NOON - DAY)
        assert now(schedule).next_fire_at == NOON + 3 * HOUR + 30 * MINUTE

    def test_enabled_by_an_update_it_makes_nothing_up(self) -> None:
        schedule = due()
        Schedule.objects.update(enabled=False)
        Schedule.objects.update(enabled=True)
        assert schedules.enqueue_due(NOON + 3 * HOUR) == []
        schedules.refresh(NOON + 3 * HOUR, planned_before=NOON - DAY)
        assert now(schedule).next_fire_at == NOON + 4 * HOUR

    def test_an_update_of_something_else_leaves_its_times(self) -> None:
        schedule = due()
        Schedule.objects.update(priority=1)
        assert now(schedule).next_fire_at == NOON

    def test_a_save_of_some_fields_plans_by_those_that_are_saved(self) -> None:
        schedule = due()
        schedule.expression = "30 * * * *"
        schedule.name = "Another"
        schedule.save(update_fields=["name"])
        assert (now(schedule).name, now(schedule).next_fire_at) == ("Another", NOON)

    def test_a_copy_is_new(self) -> None:
        schedule = due()
        schedules.enqueue_due(NOON)
        copied = now(schedule)
        copied.pk, copied.name = None, "Copy"
        copied.save()
        assert copied.pk != schedule.pk
        assert now(copied).last_fire_at is None
        planned = now(copied).next_fire_at
        assert planned is not None
        assert planned > datetime.now(UTC)

    def test_limits_at_the_ends_of_the_calendar(self) -> None:
        first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
        assert a_schedule(first_at=first, last_at=last).next_fire_at is not None

    def test_a_grace_of_ages_is_refused(self) -> None:
        schedule = a_schedule()
        schedule.misfire_grace = timedelta(days=999_999_999)
        with pytest.raises(ValidationError, match="no limit"):
            schedule.full_clean()


class TestRefresh:
    def test_what_was_changed_behind_our_back_is_worked_out_anew(self) -> None:
        schedule = a_schedule()
        by_hand(schedule, expression="30 * * * *")
        assert schedules.refresh(NOON) == 1
        assert now(schedule).next_fire_at == NOON + 30 * MINUTE

    def test_what_is_due_stays_due(self) -> None:
        schedule = due()
        schedules.refresh(NOON + 3 * HOUR)
        assert now(schedule).next_fire_at == NOON

    def test_only_those_of_long_ago(self) -> None:
        old, new = a_schedule(), a_schedule()
        Schedule.objects.update(next_fire_at=NOON + DAY)
        Schedule.objects.filter(pk=old.pk).update(planned_at=NOON - DAY)
        Schedule.objects.filter(pk=new.pk).update(planned_at=NOON - HOUR)
        assert schedules.refresh(NOON, planned_before=NOON - HOUR) == 1
        assert now(old).next_fire_at == NOON + HOUR
        assert now(new).next_fire_at == NOON + DAY

    def test_a_few_at_a_time(self) -> None:
        for _ in range(3):
            a_schedule()
        Schedule.objects.update(planned_at=NOON - DAY)
        assert [schedules.refresh(NOON, NOON - HOUR, limit=2) for _ in range(3)] == [2, 1, 0]

    def test_those_that_were_planned_with_a_clock_ahead(self) -> None:
        a_schedule()
        Schedule.objects.update(planned_at=NOON + HOUR)
        assert schedules.refresh(NOON, NOON - HOUR) == 1

    def test_a_broken_one_stops_no_other(self) -> None:
        broken, fine = a_schedule(), a_schedule()
        Schedule.objects.update(next_fire_at=NOON + DAY)
        by_hand(broken, timezone="Europe/Atlantis")
        schedules.refresh(NOON)
        assert now(fine).next_fire_at == NOON + HOUR
        assert "Europe/Atlantis" in now(broken).problem

    def test_with_the_clock_set_back_a_little_nothing_runs_twice(self) -> None:
        schedule = due()
        schedules.enqueue_due(NOON)
        queue.cancel(Execution.objects.get(), by="me")
        schedules.refresh(NOON - 30 * MINUTE)
        assert now(schedule).next_fire_at == NOON + HOUR

    def test_set_back_by_hours_it_goes_on_from_now(self, caplog: pytest.LogCaptureFixture) -> None:
        schedule = due()
        schedules.enqueue_due(NOON)
        with caplog.at_level(logging.WARNING):
            schedules.refresh(NOON - 3 * HOUR)
        assert now(schedule).next_fire_at == NOON - 2 * HOUR
        assert "set back" in caplog.text


class TestClock:
    def test_at_rest_it_asks_one_question(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        planned = a_schedule().next_fire_at
        assert planned is not None
        with django_assert_num_queries(1):
            assert clock.Clock().fire(planned - MINUTE) == planned

    def test_it_notices_that_it_was_set_back(self) -> None:
        schedule = due(NOON + DAY)
        keeper = clock.Clock()
        keeper.fire(NOON + 12 * HOUR)
        keeper.fire(NOON - 30 * MINUTE)
        assert now(schedule).next_fire_at == NOON

    def test_many_at_once_are_few_statements(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(10):
            due()
        with django_assert_max_num_queries(15):
            schedules.enqueue_due(NOON)

    def test_a_paused_queue_takes_requests(self) -> None:
        queue.pause("default", by="me", reason="stocktaking")
        due(job=a_job(argv=a_command()))
        schedules.enqueue_due(NOON)
        assert Execution.objects.get().state == State.WAITING
