"""Schedules as the commands show them: their times in their own zone, and in words."""

from __future__ import annotations

from datetime import datetime, tzinfo
from itertools import islice

from ..commandline import printable
from ..models import Schedule


def moment(at: datetime | None, where: tzinfo) -> str:
    """``Sat 2026-01-31 14:30:00 CET``, ``-`` for none."""
    return "-" if at is None else f"{at.astimezone(where):%a %Y-%m-%d %H:%M:%S %Z}"


def timing(schedule: Schedule) -> str:
    """The times in words, when the next one is, and what keeps it from coming."""
    return f"{words(schedule)}; {upcoming(schedule)}"


def words(schedule: Schedule) -> str:
    """The times in words, and what is wrong with them."""
    found = printable(schedule.in_words())
    if schedule.problem and schedule.problem not in found:
        found += f" (problem: {printable(schedule.problem)})"
    return found


def upcoming(schedule: Schedule) -> str:
    """When the next time is, or why there is none."""
    if not schedule.enabled:
        return "disabled"
    if schedule.problem:
        return f"it won't fire: {printable(schedule.problem)}"
    if schedule.next_fire_at is None:
        return "no more times"
    return f"next {moment(schedule.next_fire_at, schedule.zone())}"


def coming(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    """At most so many fire times after a moment; none if they can't be understood."""
    try:
        return list(islice(schedule.fires(after), count))
    except ValueError:
        return []
