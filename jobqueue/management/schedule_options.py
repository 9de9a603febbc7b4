"""The options that describe a Schedule, for ``schedules create`` and ``schedules edit``."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from .. import recurrence
from ..models import CatchUp, Job, Kind, Schedule
from . import asking, named, times
from .base import one_line, refuse

#: Options that go into a field of the same name as they are.
_PLAIN = ("timezone", "queue", "catch_up", "both_days", "enabled")
#: Options with a local time of the schedule's zone.
_MOMENTS = {"first_at": "--from", "last_at": "--until", "anchor_at": "--anchor"}
_NONE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for each field; one that isn't given is None."""
    parser.usage = f"{parser.prog} NAME [options]"
    add, toggle = parser.add_argument, argparse.BooleanOptionalAction
    add("name", metavar="NAME")
    add("--job", metavar="JOB", help="the name of the Job that is queued")
    _add_times(parser)
    add("-p", "--priority", metavar="N", help="1 (first) to 9 (last), by default 5")
    add("-q", "--queue", help='by default the Job\'s queue; "" goes back to that')
    add("--catch-up", choices=CatchUp.values, help="what is made up after the service was away")
    add("--grace", metavar="TIME", help='missed for longer isn\'t made up; 1h, or "none": no limit')
    add("--from", dest="first_at", metavar="MOMENT", help='not before; "none" takes it away')
    add("--until", dest="last_at", metavar="MOMENT", help='not after; "none" takes it away')
    add("--both-days", action=toggle, help="whether day and weekday must both match")
    add("--disabled", action="store_false", dest="enabled", default=None)
    add("--enabled", action="store_true", dest="enabled", default=None)


def _add_times(parser: argparse.ArgumentParser) -> None:
    kinds: Any = parser.add_mutually_exclusive_group()
    kinds.add_argument("--cron", metavar="EXPR", help='such as "30 6 * * MON-FRI"')
    kinds.add_argument("--every", metavar="TIME", help="such as 90 (seconds), 15m, 1h30m, 14d")
    kinds.add_argument("--once", metavar="MOMENT", help="such as 2026-01-31T14:30")
    add = parser.add_argument
    add("--anchor", dest="anchor_at", metavar="MOMENT", help="what --every is counted from")
    add("--zone", dest="timezone", metavar="ZONE", help="such as Europe/Amsterdam")


def apply(options: Namespace, schedule: Schedule) -> Iterator[str]:
    """Give a Schedule what the options say.

    Yields:
        What is to be told about it.

    Raises:
        CommandError: a value can't be read.
    """
    for name in _PLAIN:
        if (value := getattr(options, name)) is not None:
            setattr(schedule, name, value)
    if options.job is not None:
        schedule.job = named.find(Job, options.job)
    if options.priority is not None:
        with one_line("--priority: "):
            schedule.priority = asking.priority(options.priority)
    if options.grace is not None:
        with one_line("--grace: "):
            schedule.misfire_grace = _grace(options.grace)
    yield from _apply_kind(options, schedule)
    for name, option in _MOMENTS.items():
        if (text := getattr(options, name)) is not None:
            yield from _set_moment(schedule, name, text, option)


def _apply_kind(options: Namespace, schedule: Schedule) -> Iterator[str]:
    """The times, if they are given; those of another kind before are forgotten."""
    if (options.cron, options.every, options.once) == (None, None, None):
        return
    schedule.expression, schedule.interval, schedule.once_at = "", None, None
    if options.every is None:
        schedule.anchor_at = None
    if options.cron is not None:
        schedule.kind, schedule.expression = Kind.CRON, options.cron
    elif options.every is not None:
        with one_line("--every: "):
            schedule.kind, schedule.interval = Kind.INTERVAL, times.duration(options.every)
    else:
        schedule.kind = Kind.ONCE
        yield from _set_moment(schedule, "once_at", options.once, "--once")


def _set_moment(schedule: Schedule, name: str, text: str, option: str) -> Iterator[str]:
    if text == _NONE and name != "once_at":
        setattr(schedule, name, None)
        return
    with one_line(f"{option}: "):
        at = times.local(text, schedule.timezone)
    setattr(schedule, name, at)
    yield from _odd(text, at, schedule.timezone)


def _odd(text: str, at: datetime, zone: str) -> Iterator[str]:
    """What becomes of a local time that a clock change skips or repeats."""
    oddity = recurrence.oddity(times.naive(text), zone)
    if oddity == "gap":
        wall = at.astimezone(recurrence.zone_info(zone))
        yield f"{text} is skipped by a clock change in {zone}: {wall:%H:%M:%S} is meant."
    elif oddity == "fold":
        yield f"{text} comes twice in {zone}: the first time is meant."


def _grace(text: str) -> timedelta | None:
    return None if text == _NONE else times.duration(text)


def refuse_without(options: Namespace) -> None:
    """Refuse a new schedule without a Job, or without times."""
    if options.job is None:
        refuse("No Job: say --job NAME; `manage.py jobs list` shows them.")
    if (options.cron, options.every, options.once) == (None, None, None):
        refuse("No times: say one of --cron, --every and --once.")
