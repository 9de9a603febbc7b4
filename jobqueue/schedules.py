"""Due schedules become requests, once for each fire time.

A look takes the schedules whose time has come, queues their Jobs, notes each fire time and works
out the next one, all in one transaction. Any number of clocks may look at once: the rows are locked
meanwhile, and the database takes each fire time once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import InterfaceError, OperationalError, connections, router, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from . import queue, recurrence, requests
from .models import CatchUp, Execution, Fire, FireOutcome, Job, Schedule, Source
from .models.schedule import PLAN

log = logging.getLogger(__name__)

#: Schedules in one transaction.
BATCH = 100
#: A fire this late is on time; the second holds if there is only one.
ON_TIME, ON_TIME_ALONE = timedelta(seconds=1), timedelta(seconds=5)
#: Missed fires of one schedule that are made up at most.
MADE_UP_MOST = 1000
#: A clock that was set back by less goes on from where it was.
SET_BACK = timedelta(hours=3)
#: After so long a next fire time is worked out anew: the rules of a zone may have changed.
PLAN_HOLDS = timedelta(days=1)

_INSTANT = timedelta(microseconds=1)
#: The database is away, locked or busy: that is no schedule's fault.
_AWAY = (OperationalError, InterfaceError)


@dataclass(frozen=True)
class Due:
    """What is to be done about a schedule whose time has come."""

    #: The fire times to queue, in order.
    run: list[datetime]
    #: The last fire time that has come.
    last: datetime
    #: How many that came are left out.
    missed: int
    #: The next fire time, later than now.
    next: datetime | None


def enqueue_due(now: datetime) -> list[Fire]:
    """Queue all that is due at this moment; the fire times, as they were noted.

    A schedule that can't be queued is put aside, with its problem, and disturbs no other.
    """
    noted: list[Fire] = []
    seen: set[int] = set()
    while True:
        due = list(Schedule.objects.due(now).values_list("pk", flat=True)[:BATCH])
        if seen.issuperset(due):
            return noted
        seen.update(due)
        noted += _enqueue(due, now)
        if len(due) < BATCH:
            return noted


def next_fire_at() -> datetime | None:
    """When the next schedule fires; None if none will."""
    planned = Schedule.objects.planned().values_list("pk", "next_fire_at")
    try:
        first = planned.first()
    except _AWAY:
        raise
    except Exception:
        _put_aside_unreadable(Schedule.objects.planned())
        first = planned.first()
    if first is None:
        return None
    pk, moment = first
    if moment is None:  # it isn't NULL, but nothing that can be read
        _put_aside(pk, ValueError("The next fire time can't be read."))
        return next_fire_at()
    return moment


def refresh(now: datetime, planned_before: datetime | None = None, limit: int | None = None) -> int:
    """Work out the next fire times anew, of all schedules or of those that were planned before.

    What is due stays due.

    Returns:
        How many were looked at, the limit at most.
    """
    schedules = Schedule.objects.filter(enabled=True)
    if planned_before is not None:
        was_planned = Q(planned_at__gte=planned_before, planned_at__lte=now)
        schedules = schedules.filter(Q(planned_at=None) | ~was_planned)
    pks = list(schedules.order_by("next_fire_at").values_list("pk", flat=True)[:limit])
    for start in range(0, len(pks), BATCH):
        chosen = Schedule.objects.filter(pk__in=pks[start : start + BATCH])
        as_before = [schedule.pk for schedule in _read(chosen) if not _plan_anew(schedule, now)]
        Schedule.objects.filter(pk__in=as_before).update(planned_at=now)
    return len(pks)


def _read(schedules: QuerySet[Schedule]) -> list[Schedule]:
    """All of them that can be read; others, changed by hand in the database, are put aside."""
    try:
        return list(schedules)
    except _AWAY:
        raise
    except Exception:
        _put_aside_unreadable(schedules)
        return list(schedules.filter(problem=""))


def _put_aside_unreadable(schedules: QuerySet[Schedule]) -> None:
    for pk in list(schedules.values_list("pk", flat=True)):
        try:
            Schedule.objects.get(pk=pk)
        except _AWAY:
            raise
        except Exception as error:
            _put_aside(pk, error)


def _plan_anew(schedule: Schedule, now: datetime) -> bool:
    before, is_to_plan = schedule.next_fire_at, schedule.is_to_plan
    if before is not None and before <= now and not is_to_plan:
        return False
    try:
        schedule.plan(_from(schedule, now))
    except Exception as error:  # of whatever kind: the others must fire
        _put_aside(schedule.pk, error)
        return True
    if schedule.next_fire_at == before and not is_to_plan:
        return False
    # Unless somebody else has changed the next fire time meanwhile.
    unchanged = Schedule.objects.filter(pk=schedule.pk, next_fire_at=before)
    unchanged.update(**{name: getattr(schedule, name) for name in PLAN})
    return True


def _from(schedule: Schedule, now: datetime) -> datetime:
    """The moment after which the next fire is due: with a clock set back, not what has been."""
    last = schedule.last_fire_at
    if last is None or last <= now:
        return now
    if last - now < SET_BACK:
        return last
    log.warning(
        "schedule %s: the clock was set back by hours, it goes on from now",
        schedule,
        extra={"event": "schedule.set_back", "schedule": schedule.name},
    )
    return now


def _enqueue(pks: Sequence[int], now: datetime) -> list[Fire]:
    """All in one transaction; when that fails, each in its own, so that one disturbs no other."""
    try:
        return _in_one_transaction(pks, now)
    except _AWAY:
        if len(pks) == 1 or not connections[_alias()].is_usable():
            raise  # the database is away, locked or busy: the next look tries again
        return _one_by_one(pks, now)
    except Exception as error:
        if len(pks) > 1:
            log.warning("schedules: %s; one by one", error, extra={"event": "schedule.one_by_one"})
            return _one_by_one(pks, now)
        if Schedule.objects.due(now).filter(pk__in=pks).exists():  # no other clock was first
            _put_aside(pks[0], error)
        return []


def _one_by_one(pks: Sequence[int], now: datetime) -> list[Fire]:
    fires, failed = [], None
    for pk in pks:
        try:
            fires += _enqueue([pk], now)
        except _AWAY as error:
            failed = error
    if failed is not None:
        raise failed
    return fires


def _in_one_transaction(pks: Sequence[int], now: datetime) -> list[Fire]:
    with queue.durable(), queue.impatient(), transaction.atomic(using=_alias()):
        # One that somebody else holds, another clock or an edit that isn't committed, is left for
        # the next look: this thread has more to do.
        skips = connections[_alias()].features.has_select_for_update_skip_locked
        due_now = Schedule.objects.due(now).filter(pk__in=pks)
        locked = due_now.select_for_update(skip_locked=skips)
        due = {schedule: found for schedule in locked if (found := _look(schedule, now))}
        known = _noted(due)
        jobs = Job.objects.in_bulk({schedule.job_id for schedule in due})
        asked = [
            (fire, jobs[schedule.job_id], schedule)
            for schedule, found in due.items()
            for fire in _fires(schedule, found, known)
        ]
        _request(asked)
        fires = [fire for fire, _, _ in asked]
        recorded_at = timezone.now()
        for fire in fires:
            fire.recorded_at = recorded_at
        Fire.objects.bulk_create(fires)
        _move_on(due, now)
    return fires


def _move_on(due: Mapping[Schedule, Due], now: datetime) -> None:
    """To the next fire times: one update for all that have the same."""
    together: dict[tuple[datetime, datetime | None], list[int]] = {}
    for schedule, found in due.items():
        together.setdefault((found.last, found.next), []).append(schedule.pk)
    for (last, following), pks in together.items():
        Schedule.objects.filter(pk__in=pks).update(
            last_fire_at=last, next_fire_at=following, planned_at=now
        )


def _noted(due: dict[Schedule, Due]) -> set[tuple[int, datetime]]:
    """The fire times that have been before, such as after the clock was set back."""
    if not due:
        return set()
    since = min(found.run[0] if found.run else found.last for found in due.values())
    fires = Fire.objects.filter(schedule__in=list(due), fire_at__gte=since)
    return set(fires.values_list("schedule_id", "fire_at"))


# What is due


def _look(schedule: Schedule, now: datetime) -> Due | None:
    """None if its times can't be understood."""
    try:
        return look(schedule, now)
    except Exception as error:  # of whatever kind: the others must fire
        _put_aside(schedule.pk, error)
        return None


def look(schedule: Schedule, now: datetime) -> Due:
    """What is to be done at this moment about a schedule that is due; changes nothing.

    Raises:
        ValueError: its times can't be understood.
    """
    first = schedule.next_fire_at
    if first is None or first > now:
        raise ValueError(f"The schedule {schedule} isn't due.")
    last, count, following = first, 0, schedule.next_after(first)
    if following is not None and following <= now:
        until = min(now, schedule.last_at or now)
        latest, count = recurrence.latest(schedule.recurrence(), first, until)
        last, following = latest or first, schedule.next_after(now)
    is_on_time = now - last <= (ON_TIME if count else ON_TIME_ALONE)
    run = _to_run(schedule, first, last, now) or ([last] if is_on_time else [])
    return Due(run, last, count + 1 - len(run), following)


def _to_run(schedule: Schedule, first: datetime, last: datetime, now: datetime) -> list[datetime]:
    """What is made up, the last fire included; nothing if that came too long ago."""
    grace = schedule.misfire_grace
    if schedule.catch_up == CatchUp.NONE or (grace is not None and now - last > grace):
        return []
    if schedule.catch_up == CatchUp.LATEST:
        return [last]
    since = first if grace is None else max(first, now - grace)
    return _last_ones(schedule, first, since, last)


def _last_ones(
    schedule: Schedule, first: datetime, since: datetime, last: datetime
) -> list[datetime]:
    """The fires from one moment to another, the last thousand at most; `first` is one."""
    length = timedelta(hours=1)
    while True:
        start = max(since, last - length) - _INSTANT
        found = list(takewhile(lambda fire: fire <= last, schedule.fires(max(first, start))))
        if start < first <= last:
            found.insert(0, first)
        if len(found) >= MADE_UP_MOST or start < since:
            return found[-MADE_UP_MOST:]
        length *= 2


# Firing


def _fires(schedule: Schedule, due: Due, known: set[tuple[int, datetime]]) -> Iterator[Fire]:
    """Each fire time that is to be queued, or the last of those that are left out."""
    missed = due.missed
    if missed:
        log.warning(
            "schedule %s: %s fire times missed, up to %s",
            schedule,
            missed,
            due.last,
            extra={"event": "schedule.missed", "schedule": schedule.name, "missed": missed},
        )
    for moment in due.run:
        if (schedule.pk, moment) not in known:
            yield Fire(schedule=schedule, fire_at=moment, missed=missed)
            missed = 0
    if not due.run and (schedule.pk, due.last) not in known:
        yield Fire(
            schedule=schedule,
            fire_at=due.last,
            missed=missed,
            outcome=FireOutcome.MISSED,
            reason=_why_missed(schedule),
        )


def _request(asked: Iterable[tuple[Fire, Job, Schedule]]) -> None:
    """Queue what is to be queued, all at once; each fire time then knows what became of it."""
    requested: list[tuple[Fire, Execution]] = []
    for fire, job, schedule in asked:
        if fire.outcome == FireOutcome.MISSED:
            continue
        try:
            requested.append((fire, _build(fire, job, schedule)))
        except requests.NotQueued as error:
            fire.outcome, fire.reason = FireOutcome.REFUSED, str(error)
            log.warning(
                "schedule %s: fire of %s refused: %s",
                schedule,
                fire.fire_at,
                error,
                extra={"event": "schedule.refused", "schedule": schedule.name},
            )
    answers = queue.enqueue_all([request for _, request in requested])
    for (fire, _), answer in zip(requested, answers, strict=True):
        fire.outcome, fire.execution = FireOutcome(answer.outcome), answer.execution


def _build(fire: Fire, job: Job, schedule: Schedule) -> Execution:
    # Where each time that was missed counts, no two are the same request.
    is_given = schedule.catch_up == CatchUp.ALL
    return requests.build(
        job,
        is_current=True,
        priority=schedule.priority,
        queue=schedule.queue or None,
        trigger=fire.fire_at if is_given else None,
        fire_at=fire.fire_at,
        source=Source.SCHEDULE,
        requested_by=schedule.name,
        details={"missed": fire.missed} if fire.missed else None,
    )


def _why_missed(schedule: Schedule) -> str:
    if schedule.catch_up == CatchUp.NONE:
        return "The service was away, and this schedule makes nothing up."
    return f"The service was away for longer than the misfire grace, {schedule.misfire_grace}."


def _put_aside(pk: int, error: Exception) -> None:
    """Fire it no more until its times are mended, or worked out anew; it may not be readable."""
    log.error(
        "schedule %s is put aside: %s",
        pk,
        error,
        extra={"event": "schedule.put_aside", "schedule_id": pk},
    )
    Schedule.objects.filter(pk=pk).update(
        next_fire_at=None, problem=str(error), planned_at=timezone.now(), planned_from=""
    )


def _alias() -> str:
    return router.db_for_write(Schedule)
