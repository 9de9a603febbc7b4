"""When schedules fire. Pure: no Django, no clock, no database.

The answers depend on a recurrence and the moment before, on nothing else. Moments are aware, those
that go out are in UTC; the arithmetic between is on naive UTC and naive local times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from itertools import islice, takewhile
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from . import expressions, zones
from .expressions import EXPRESSION_LIMIT, GIVE_UP_YEARS, Expression
from .refusals import Refusal, gettext_noop
from .zones import (
    Change,
    Stretch,
    forget_zones,
    local_moment,
    oddity,
    shift,
    to_utc,
    zone_info,
)

__all__ = [
    "COUNT_LIMIT",
    "EXPRESSION_LIMIT",
    "LONGEST_INTERVAL",
    "SHORTEST_INTERVAL",
    "Cron",
    "Interval",
    "OddTime",
    "Once",
    "Recurrence",
    "describe",
    "describe_interval",
    "forget_zones",
    "latest",
    "local_moment",
    "next_fires",
    "odd_times",
    "oddity",
    "zone_info",
]

#: An interval is neither shorter nor longer.
SHORTEST_INTERVAL = timedelta(seconds=1)
LONGEST_INTERVAL = timedelta(days=366)
#: `latest` counts no further.
COUNT_LIMIT = 100_000
#: `odd_times` lists no more fires of one clock change.
ODD_FIRES_LIMIT = 100

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
#: So much is walked at a time.
_PORTION = timedelta(days=32)


class Recurrence(Protocol):
    """What fires: `Cron`, `Interval`, `Once`."""

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        ...


@dataclass(frozen=True)
class Cron:
    """A cron expression in a zone (an IANA name).

    It is *wildcard* when its minute or hour begins with ``*``, else *fixed*. At a clock change of
    less than three hours it does as cron(8):

    - Forward: what a fixed one would have done in the skipped time it does once, at the end of
      it. For a wildcard one nothing is made up.
    - Back: of the time that comes twice, a fixed one takes the first pass, a wildcard one both.

    At a bigger one the new time holds at once: what is skipped is lost, what comes twice is twice.

    Raises:
        ValueError: in one line, what is wrong with the expression or the zone.
    """

    expression: str
    zone: str
    #: Day and weekday must both match, whatever they begin with.
    both_days: bool = False

    def __post_init__(self) -> None:
        _ = self._read, self._zone  # refused here and now if they can't be used

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        moment = last = shift(to_utc(after).replace(microsecond=0), _SECOND)
        # The date may be another one here, but by one day only; until it matches nothing happens.
        while day := next(self._read.days(shift(moment, -_DAY).date()), None):
            moment = max(moment, shift(datetime.combine(day, time()), -_DAY))
            end = shift(moment, _PORTION)
            if moment == end or moment.year > last.year + GIVE_UP_YEARS:
                return
            for stretch in zones.stretches(self._zone, moment, end):
                for last in self._fires_within(stretch):
                    yield last.replace(tzinfo=UTC)
            moment = end

    def odd_time(self, change: Change) -> OddTime | None:
        """What a clock change does to it; None if nothing is due in that time."""
        local = next(self._read.times(change.begins, change.ends), None)
        if local is None:
            return None
        if change.is_gap:
            outcome: Outcome = "made up" if self._runs_once(change) else "lost"
            fires = [change.at.replace(tzinfo=UTC)] if self._runs_once(change) else []
        else:
            outcome = "once" if self._runs_once(change) else "twice"
            fires = list(islice(self._both_passes(change), ODD_FIRES_LIMIT))
        return OddTime(outcome, change.begins, change.ends, local, tuple(fires))

    @cached_property
    def _read(self) -> Expression:
        return expressions.read(self.expression, self.both_days)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return zone_info(self.zone)

    def _runs_once(self, change: Change) -> bool:
        """Whether it runs once for a time that is skipped, or that comes twice."""
        return self._read.is_fixed and not change.is_big

    def _fires_within(self, stretch: Stretch) -> Iterator[datetime]:
        """The moments of a stretch, in naive UTC."""
        start, end = shift(stretch.start, stretch.offset), shift(stretch.end, stretch.offset)
        change = stretch.change
        if change and self._runs_once(change):
            if not change.is_gap:
                start = max(start, change.ends)
            elif change.at == stretch.start and any(self._read.times(change.begins, change.ends)):
                yield change.at
                start += _SECOND
        for local in self._read.times(start, end):
            yield local - stretch.offset

    def _both_passes(self, change: Change) -> Iterator[datetime]:
        """The moments in the time that comes twice."""
        before, last = change.at - change.size - _SECOND, change.at + change.size - _SECOND
        return _until(self, before.replace(tzinfo=UTC), last.replace(tzinfo=UTC))


@dataclass(frozen=True)
class Interval:
    """Moments that are `every` apart in elapsed time; `anchor` is one of them, not the first.

    Raises:
        ValueError: `every` is out of range, or `anchor` isn't aware.
    """

    every: timedelta
    anchor: datetime

    def __post_init__(self) -> None:
        if not SHORTEST_INTERVAL <= self.every <= LONGEST_INTERVAL:
            text = gettext_noop("An interval is from 1 second to 366 days, not %(interval)s.")
            raise Refusal(text, interval=self.every)
        to_utc(self.anchor)

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        moment = to_utc(after)
        wait = self.every - self._since_last(moment)
        try:
            while True:
                moment, wait = moment + wait, self.every
                yield moment.replace(tzinfo=UTC)
        except OverflowError:  # the end of the calendar
            return

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        """As the function `latest`, but all are counted."""
        start, end = to_utc(after), to_utc(until)
        last = end - self._since_last(end)
        count = (last - start + self._since_last(start)) // self.every
        return (last.replace(tzinfo=UTC), count) if count > 0 else (None, 0)

    def _since_last(self, moment: datetime) -> timedelta:
        return (moment - to_utc(self.anchor)) % self.every


@dataclass(frozen=True)
class Once:
    """One moment; `local_moment` makes it of a local time.

    Raises:
        ValueError: it isn't aware.
    """

    at: datetime

    def __post_init__(self) -> None:
        to_utc(self.at)

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moment in UTC if it is strictly later than `after` (aware)."""
        if to_utc(self.at) > to_utc(after):
            yield to_utc(self.at).replace(tzinfo=UTC)


#: What becomes of the times that a clock change skips (runs once at the end of the gap, or never)
#: or repeats (runs in the first pass only, or in both).
Outcome = Literal["made up", "lost", "once", "twice"]


@dataclass(frozen=True)
class OddTime:
    """What a clock change does to a cron schedule."""

    outcome: Outcome
    #: Local times from here on and before the end are skipped, or come twice; naive.
    begins: datetime
    ends: datetime
    #: The first one of them at which the schedule is due; naive.
    local: datetime
    #: When it fires for them, in UTC; of very many the first.
    fires: tuple[datetime, ...]

    @property
    def kind(self) -> Literal["gap", "fold"]:
        """Whether the local times are skipped or come twice."""
        return "gap" if self.outcome in ("made up", "lost") else "fold"


def next_fires(
    expression: str, after: datetime, zone: str, count: int, *, both_days: bool = False
) -> list[datetime]:
    """At most `count` moments in UTC, strictly later than `after`, at which an expression fires.

    `after` is aware, `zone` an IANA name. `both_days`: day and weekday must both match, whatever
    they begin with.

    Raises:
        ValueError: the expression or the zone can't be used, or `after` isn't aware.
    """
    return list(islice(Cron(expression, zone, both_days).fires(after), max(0, count)))


def latest(recurrence: Recurrence, after: datetime, until: datetime) -> tuple[datetime | None, int]:
    """The last fire later than `after` and not later than `until`, and how many there were.

    Not more than `COUNT_LIMIT` are counted (of an `Interval` all); the last fire is right anyway.
    """
    if isinstance(recurrence, Interval):
        return recurrence.latest(after, until)
    last, count = None, 0
    for fire in islice(_until(recurrence, after, until), COUNT_LIMIT):
        last, count = fire, count + 1
    if last is not None and count == COUNT_LIMIT:
        last = _search_last(recurrence, last, until)
    return last, count


def odd_times(cron: Cron, after: datetime, until: datetime | None = None) -> list[OddTime]:
    """What clock changes later than `after` and not later than `until` do to a cron schedule.

    `until` is a year later if it isn't given.
    """
    start = shift(to_utc(after), _SECOND)
    end = shift(start, LONGEST_INTERVAL) if until is None else shift(to_utc(until), _SECOND)
    found = (cron.odd_time(change) for change in zones.changes(zone_info(cron.zone), start, end))
    return [odd for odd in found if odd is not None]


def describe(expression: str, both_days: bool = False) -> str:
    """An expression in English words.

    Raises:
        ValueError: it can't be used.
    """
    return expressions.read(expression, both_days).words()


def describe_interval(every: timedelta) -> str:
    """An interval in English words, such as ``every 14 days`` or ``every 1 h 30 min``."""
    parts, left = [], every // _SECOND
    for seconds, unit in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
    return f"every {' '.join(parts)}"


def _until(recurrence: Recurrence, after: datetime, until: datetime) -> Iterator[datetime]:
    return takewhile(lambda moment: moment <= until, recurrence.fires(after))


def _search_last(recurrence: Recurrence, fire: datetime, until: datetime) -> datetime:
    """The last fire until `until`, given an earlier one: found by halving."""
    high = until
    while high - fire >= _SECOND:
        middle = fire + (high - fire) / 2
        later = next(_until(recurrence, middle, until), None)
        fire, high = (fire, middle) if later is None else (later, high)
    return fire
