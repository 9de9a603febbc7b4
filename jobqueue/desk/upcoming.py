"""The fire times that come next, of all schedules together."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from ..models import Schedule

#: Fire times are looked for so far ahead, so many in all, of so many schedules.
AHEAD, FIRES, SCHEDULES = timedelta(hours=6), 300, 100

Fire = tuple[datetime, Schedule]


def schedules(now: datetime) -> list[Schedule]:
    """Those that will fire soon, and whose Job accepts it."""
    planned = Schedule.objects.planned().filter(next_fire_at__lte=now + AHEAD, job__enabled=True)
    return list(planned.select_related("job")[:SCHEDULES])


def fires(schedules: Sequence[Schedule], now: datetime) -> list[Fire]:
    """Their fire times in order, the due ones included."""
    each = (_fires_of(schedule, now + AHEAD) for schedule in schedules)
    return list(islice(heapq.merge(*each, key=lambda fire: fire[0]), FIRES))


def ahead(schedules: Sequence[Schedule], fires: Sequence[Fire], now: datetime) -> timedelta:
    """Up to where these are all that there are."""
    ends = [now + AHEAD]
    if len(schedules) >= SCHEDULES and schedules[-1].next_fire_at is not None:
        ends.append(schedules[-1].next_fire_at)
    if len(fires) >= FIRES:
        ends.append(fires[-1][0])
    return min(ends) - now


def queue_of(schedule: Schedule) -> str:
    """Where it queues its Job."""
    return schedule.queue or schedule.job.queue


def _fires_of(schedule: Schedule, until: datetime) -> Iterator[tuple[datetime, Schedule]]:
    moment = schedule.next_fire_at
    if moment is None:
        return
    yield moment, schedule
    try:
        for later in schedule.fires(moment):
            if later > until:
                return
            yield later, schedule
    except ValueError:
        return  # the clock will put it aside
