"""A week of 500 schedules in five zones over a clock change, moment by moment, in real rows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from jobqueue import queue, schedules
from jobqueue.models import Execution, Fire, Schedule
from tests.builders import a_job
from tests.cronoracle import Oracle

pytestmark = pytest.mark.django_db

#: In this week Amsterdam goes an hour forward, Troll two, and Lord Howe half an hour back.
ZONES = (
    *("Europe/Amsterdam", "Antarctica/Troll", "Australia/Lord_Howe"),
    *("America/New_York", "Asia/Kolkata"),
)
START = datetime(2026, 3, 29, tzinfo=UTC)
WEEK = timedelta(days=7)
EXPRESSIONS = (
    *("30 2 * * *", "0 2,3 * * *", "15 * * * *", "5 */6 * * *", "*/20 1-3 * * 7"),
    *("0 8-18/2 * * 1-5", "0 0 1 * *", "59 23 L * *", "0 6 LW * *", "10 5 * * 1#1"),
    *("0 4 * * 5L", "45 1 * 3 *", "0 0 27-31 * SUN", "0 12 * * MON", "*/30 2 * * *"),
    *("0,30 */8 * * *", "0 0 * * *", "40 1 5 4 *", "45 1-2 * * SUN", "0 3 28-30 * *"),
)
COPIES = 5


def a_week() -> list[Schedule]:
    job = a_job()
    planned = [
        Schedule(
            name=f"{zone} {expression} {number}",
            job=job,
            expression=expression,
            timezone=zone,
            misfire_grace=timedelta(0),
        )
        for zone in ZONES
        for expression in EXPRESSIONS
        for number in range(COPIES)
    ]
    for schedule in planned:
        schedule.plan(START)
    Schedule.objects.bulk_create(planned)
    return list(Schedule.objects.all())


@cache
def expected(expression: str, zone: str) -> tuple[datetime, ...]:
    return tuple(Oracle(expression, zone).fires(START, START + WEEK))


def test_each_fire_of_the_week_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = a_week()
    assert len(planned) == 500
    # What waits isn't what is tried here, and it is in the way of nothing.
    monkeypatch.setattr(queue, "enqueue_all", lambda asked: [_served(request) for request in asked])

    while (moment := schedules.next_fire_at()) is not None and moment <= START + WEEK:
        schedules.enqueue_due(moment)

    fired = Counter(Fire.objects.values_list("schedule_id", "fire_at"))
    wanted = Counter(
        (schedule.pk, moment)
        for schedule in planned
        for moment in expected(schedule.expression, schedule.timezone)
    )
    assert set(wanted.values()) == {1}
    assert fired - wanted == Counter()
    assert wanted - fired == Counter()
    assert set(Fire.objects.values_list("outcome", "missed")) == {("added", 0)}


def _served(request: Execution) -> queue.Enqueued:
    request.state = "succeeded"
    request.save()
    return queue.Enqueued(queue.ADDED, request)
