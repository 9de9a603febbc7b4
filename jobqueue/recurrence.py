"""When schedules fire. Pure: no Django, no clock, no database.

cronsim reads the fields of an expression and walks the calendar, on local times without a zone. What
is here: clear refusals, the zones, and what becomes of the times that a clock change skips or
repeats. All arithmetic is on naive UTC; what comes in and goes out is aware.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from itertools import islice, takewhile
from typing import Literal, NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim
from cronsim.explain import Expression

#: Characters that an expression may have; the tables have room for so many.
EXPRESSION_LIMIT = 200
#: A clock change of this size or more is taken for a correction: nothing is made up for.
BIG_JUMP = timedelta(hours=3)
#: An expression that doesn't fire for so long never does.
GIVE_UP_YEARS = 50
#: An interval is neither shorter nor longer.
SHORTEST_INTERVAL = timedelta(seconds=1)
LONGEST_INTERVAL = timedelta(days=366)
#: `latest` counts no further.
COUNT_LIMIT = 100_000
#: `odd_times` lists no more fires of one clock change.
ODD_FIRES_LIMIT = 100

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class Recurrence(Protocol):
    """What fires again and again: `Cron`, `Interval`, `Once`."""

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        ...


# --------------------------------------------------------------------------------------- questions


def next_fires(
    expression: str, after: datetime, zone: str, count: int, *, both_days: bool = False
) -> list[datetime]:
    """At most `count` moments in UTC, strictly later than `after`, at which an expression fires.

    `after` is aware, `zone` an IANA name. `both_days`: day and weekday must both match, whatever
    they begin with.

    Raises:
        ValueError: the expression or the zone can't be used, or `after` has no zone.
    """
    return list(islice(Cron(expression, zone, both_days).fires(after), max(0, count)))


def latest(recurrence: Recurrence, after: datetime, until: datetime) -> tuple[datetime | None, int]:
    """The last fire later than `after` and not later than `until`, and how many there were.

    Not more than `COUNT_LIMIT` of them are counted; the last fire is right all the same.
    """
    if isinstance(recurrence, Interval):
        return recurrence.latest(after, until)
    last, count = None, 0
    for last in islice(_until(recurrence, after, until), COUNT_LIMIT):  # noqa: B007
        count += 1
    if last is not None and count == COUNT_LIMIT:
        last = _search_last(recurrence, last, until)
    return last, count


def local_moment(naive: datetime, zone: str) -> datetime:
    """The moment in UTC at which clocks of `zone` show a local time, for the first time.

    A local time that a clock change skips is the moment of the change.

    Raises:
        ValueError: the zone is unknown, the time isn't naive, or there is no such moment.
    """
    if naive.tzinfo is not None:
        raise ValueError(f"{naive} is no local time: it has a zone of its own.")
    info = zone_info(zone)
    for change in _changes_around(info, naive):
        if change.skips(naive):
            return change.at.replace(tzinfo=UTC)
    try:
        return naive.replace(tzinfo=info, fold=0).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{naive} is too near to the end of the calendar.") from None


def zone_info(name: str) -> ZoneInfo:
    """The zone with an IANA name.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(name, str) or name not in _zone_names():
        raise ValueError(f"{_shown(name)} is no time zone: say an IANA name as Europe/Amsterdam.")
    return ZoneInfo(name)


def describe(expression: str, both_days: bool = False) -> str:
    """An expression in English words.

    Raises:
        ValueError: it can't be used.
    """
    return Cron(expression, "UTC", both_days).words()


# -------------------------------------------------------------------------------------- recurrences


@dataclass(frozen=True)
class Cron:
    """A cron expression in a zone (an IANA name).

    It is *wildcard* when its minute or hour begins with ``*``, else *fixed*. Clock changes of less
    than `BIG_JUMP` are treated as cron(8) does:

    - Forward: what a fixed one would have done in the skipped time it does once, at the end of
      it. For a wildcard one nothing is made up.
    - Back: of the time that comes twice, a fixed one takes the first pass, a wildcard one both.

    After a bigger one, the new time holds as if nothing had been.

    Raises:
        ValueError: in one line, what is wrong with the expression or the zone.
    """

    expression: str
    zone: str
    #: Day and weekday must both match, whatever they begin with.
    both_days: bool = False

    def __post_init__(self) -> None:
        if not self._zone or next(self._local_times(datetime(2000, 1, 1)), None) is None:
            raise ValueError(f"It never fires: {_shown(self.expression)}.")

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        reached = _utc(after).replace(microsecond=0)
        for year in range(reached.year, datetime.max.year + 1):
            if year > reached.year + GIVE_UP_YEARS:
                return
            for stretch in _stretches(self._zone, year):
                if stretch.end > reached:
                    for reached in self._fires_within(stretch, reached):
                        yield reached.replace(tzinfo=UTC)

    def words(self) -> str:
        """The expression in English words."""
        return self._fields.words(self.both_days)

    @cached_property
    def _fields(self) -> _Fields:
        return _read(self.expression)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return zone_info(self.zone)

    def _fires_within(self, stretch: _Stretch, after: datetime) -> Iterator[datetime]:
        """The moments later than `after` while clocks run evenly, in naive UTC."""
        first = max(stretch.start, after + _SECOND)
        local = _shift(first, stretch.offset)
        change = stretch.change
        if change and self._fields.is_fixed and not change.is_big:
            if change.is_gap and first == change.at:
                if self._has_time_between(*change.span):
                    yield first
                    local += _SECOND
            elif not change.is_gap:
                local = max(local, change.span.end)
        end = _shift(stretch.end, stretch.offset)
        for time in takewhile(lambda time: time < end, self._local_times(local)):
            yield time - stretch.offset

    def _has_time_between(self, start: datetime, end: datetime) -> bool:
        return next(self._local_times(start), end) < end

    def _local_times(self, start: datetime) -> Iterator[datetime]:
        """The local times from `start` on that match, whether or not clocks ever show them."""
        walk = CronSim(self._fields.text, _shift(start, -_SECOND))
        walk.day_and = self.both_days or self._fields.day_and
        try:
            yield from walk
        except OverflowError:  # the end of the calendar
            return


@dataclass(frozen=True)
class Interval:
    """Moments that are `every` apart in elapsed time: `anchor` is one, before and after it others.

    Raises:
        ValueError: `every` is out of range, or `anchor` isn't aware.
    """

    every: timedelta
    anchor: datetime

    def __post_init__(self) -> None:
        if not SHORTEST_INTERVAL <= self.every <= LONGEST_INTERVAL:
            raise ValueError(
                f"An interval is of {SHORTEST_INTERVAL.seconds} second to"
                f" {LONGEST_INTERVAL.days} days, not {self.every}."
            )
        _utc(self.anchor)

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        moment = self._last(after)
        try:
            while True:
                moment += self.every
                yield moment.replace(tzinfo=UTC)
        except OverflowError:  # the end of the calendar
            return

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        """As the function of that name, and counted to the end."""
        last = self._last(until)
        count = (last - self._last(after)) // self.every
        return (last.replace(tzinfo=UTC), count) if count > 0 else (None, 0)

    def _last(self, moment: datetime) -> datetime:
        """The last fire that isn't later than a moment, in naive UTC."""
        moment = _utc(moment)
        return moment - (moment - _utc(self.anchor)) % self.every


@dataclass(frozen=True)
class Once:
    """One moment.

    Raises:
        ValueError: it isn't aware.
    """

    at: datetime

    def __post_init__(self) -> None:
        _utc(self.at)

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moment in UTC if it is strictly later than `after` (aware)."""
        if _utc(self.at) > _utc(after):
            yield _utc(self.at).replace(tzinfo=UTC)


def _until(recurrence: Recurrence, after: datetime, until: datetime) -> Iterator[datetime]:
    return takewhile(lambda moment: moment <= until, recurrence.fires(after))


def _search_last(recurrence: Recurrence, fire: datetime, until: datetime) -> datetime:
    """The last fire until `until`, given an earlier one: found by halving."""
    high = until
    while high - fire > _SECOND:
        middle = fire + (high - fire) / 2
        later = next(_until(recurrence, middle, until), None)
        fire, high = (fire, middle) if later is None else (later, high)
    return fire


# -------------------------------------------------------------------------------------- expressions

_ALIASES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_ITEM = re.compile(r"(?:(?P<star>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]+))?")
_NTH = re.compile(r"(\w+)#([0-9]+)")
_LAST = re.compile(r"([0-9]+)L")
_WRONG_ORDINAL = re.compile(r"\b([0-9]*(?<!1)([123]))th\b")


class _Field(NamedTuple):
    """One of the six fields, and what may stand in it."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def read(self, text: str) -> str:
        """The field as cronsim understands it right; the values stay the same.

        Raises:
            ValueError: what is wrong.
        """
        return ",".join(self._item(item) for item in text.split(","))

    def _item(self, item: str) -> str:
        if self.name == "day" and item in ("L", "LW"):
            return item
        if self.name == "weekday" and (found := _LAST.fullmatch(item)):
            return f"{self._number(found[1])}L"
        if self.name == "weekday" and (found := _NTH.fullmatch(item)):
            return f"{self._number(found[1])}#{_within(int(found[2]), 1, 5)}"
        if not (found := _ITEM.fullmatch(item)):
            raise ValueError(f"{_shown(item)} is not understood; {self._hint()}")
        return self._range(**found.groupdict())

    def _range(self, star: str | None, first: str, last: str | None, step: str | None) -> str:
        low = self.low if star else self._number(first)
        high = self._number(last) if last else self.high if star or step else low
        if low > high:
            raise ValueError(f"{first}-{last} runs backwards; a range goes up")
        if step is not None and int(step) == 0:
            raise ValueError("a step of 0 leads nowhere; it is 1 or more")
        if low == high or int(step or 1) > high - low:
            return str(low)
        span = "*" if star else f"{low}-{high}"
        return f"{span}/{int(step)}" if step else span

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        if not text.isdigit():
            raise ValueError(f"{_shown(text)} is not understood; {self._hint()}")
        return _within(int(text), self.low, self.high)

    def _hint(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        more = {"day": ", L or LW", "weekday": ", 5L or 1#2"}.get(self.name, "")
        return f"it takes *, {self.low}-{self.high}{names}, ranges, steps and lists of these{more}"


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split())),
    _Field("weekday", 0, 7, tuple("SUN MON TUE WED THU FRI SAT".split())),
)


class _Fields(NamedTuple):
    """A checked expression."""

    #: Six fields for cronsim.
    text: str
    #: Neither minute nor hour begin with ``*``.
    is_fixed: bool
    #: Day and weekday must both match, since one of them begins with ``*``.
    day_and: bool

    def words(self, both_days: bool) -> str:
        words = self.text.split()
        walk = CronSim(self.text, datetime(2000, 1, 1))
        day_and = both_days or self.day_and
        if not day_and and (walk.days >= {*range(1, 32)} or walk.weekdays >= {*range(1, 7)}):
            words[3] = words[5] = "*"
        explained = Expression(words)
        explained.day_and = day_and
        return _WRONG_ORDINAL.sub(_ordinal, explained.explain())


def _read(expression: str) -> _Fields:
    """An expression, checked.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(expression, str) or not expression.isascii():
        raise ValueError(f"An expression is plain ASCII text, not {_shown(expression)}.")
    if len(expression) > EXPRESSION_LIMIT:
        raise ValueError(
            f"An expression has at most {EXPRESSION_LIMIT} characters: {_shown(expression)}."
        )
    text = expression.strip().upper()
    words = _ALIASES.get(text, text).split()
    if text.startswith("@") and text not in _ALIASES:
        raise ValueError(
            f"{_shown(expression)} is unknown; there are {', '.join(_ALIASES).lower()}."
        )
    if len(words) not in (5, 6):
        raise ValueError(
            "An expression has 5 fields (minute, hour, day, month, weekday) or 6 (second first),"
            f" not {len(words)}: {_shown(expression)}."
        )
    words = ["0"] * (6 - len(words)) + words
    return _Fields(
        text=" ".join(_read_field(*pair, expression) for pair in zip(_FIELDS, words, strict=True)),
        is_fixed=not words[1].startswith("*") and not words[2].startswith("*"),
        day_and=words[3].startswith("*") or words[5].startswith("*"),
    )


def _read_field(field: _Field, text: str, expression: str) -> str:
    try:
        return field.read(text)
    except ValueError as error:
        raise ValueError(f"{field.name}: {error}, in {_shown(expression)}.") from None


def _within(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise ValueError(f"{number} is not within {low}-{high}")
    return number


def _ordinal(found: re.Match[str]) -> str:
    return found[1] + {"1": "st", "2": "nd", "3": "rd"}[found[2]]


def _shown(text: object) -> str:
    """Hostile text for a message: one line, plain ASCII, not too long."""
    shown = ascii(text)
    return shown if len(shown) <= EXPRESSION_LIMIT else f"{shown[:60]}..."


# -------------------------------------------------------------------------------------------- zones


class _Span(NamedTuple):
    """From `start` on, before `end`."""

    start: datetime
    end: datetime


class _Change(NamedTuple):
    """A clock change: at a moment in naive UTC another offset begins."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        return self.after > self.before

    @property
    def is_big(self) -> bool:
        return abs(self.after - self.before) >= BIG_JUMP

    @property
    def span(self) -> _Span:
        """The local times that are skipped, or come twice."""
        return _Span(*sorted((self.at + self.before, self.at + self.after)))

    def skips(self, local: datetime) -> bool:
        return self.is_gap and self.span.start <= local < self.span.end


class _Stretch(NamedTuple):
    """Naive UTC from `start` to before `end`: clocks run evenly."""

    start: datetime
    end: datetime
    offset: timedelta
    #: What it begins with, if it doesn't begin with the year.
    change: _Change | None


@cache
def _zone_names() -> frozenset[str]:
    # The two are files of the machine, not zones.
    return frozenset(available_timezones() - {"localtime", "posixrules"})


@lru_cache(maxsize=1024)
def _stretches(zone: ZoneInfo, year: int) -> tuple[_Stretch, ...]:
    """A year of UTC, cut where clocks change."""
    begin, end = _year(year)
    changes = _changes(zone, year)
    starts = [begin, *(change.at for change in changes)]
    ends = [*starts[1:], end]
    offsets = [_offset(zone, start) for start in starts]
    stretches = map(_Stretch, starts, ends, offsets, [None, *changes])
    return tuple(stretch for stretch in stretches if stretch.start < stretch.end)


@lru_cache(maxsize=1024)
def _changes(zone: ZoneInfo, year: int) -> tuple[_Change, ...]:
    """The clock changes in a year of UTC. zoneinfo has no list of them, so they are searched."""
    begin, end = _year(year)
    changes = []
    moment = _shift(begin, -_SECOND)
    while moment < end - _SECOND:
        next_moment = min(_shift(moment, _DAY), end - _SECOND)
        while (before := _offset(zone, moment)) != _offset(zone, next_moment):
            moment = _search_change(zone, moment, next_moment)
            changes.append(_Change(moment, before, _offset(zone, moment)))
        moment = next_moment
    return tuple(changes)


def _search_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second with another offset than `low`, which `high` has; found by halving."""
    offset = _offset(zone, low)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return high


def _changes_around(zone: ZoneInfo, local: datetime) -> Iterator[_Change]:
    """The clock changes that a local time may have to do with."""
    for year in range(_shift(local, -2 * _DAY).year, _shift(local, 2 * _DAY).year + 1):
        yield from _changes(zone, year)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    """What is to be added to a moment in naive UTC to get local time."""
    # The first and last day of the calendar are not asked for: their local time may lie outside.
    moment = min(max(moment, datetime.min + _DAY), datetime.max - _DAY)
    return zone.fromutc(moment.replace(tzinfo=zone)).replace(tzinfo=None) - moment


def _year(year: int) -> _Span:
    end = datetime(year + 1, 1, 1) if year < datetime.max.year else datetime.max
    return _Span(datetime(year, 1, 1), end)


def _shift(moment: datetime, by: timedelta) -> datetime:
    """`moment` + `by`, or the end of the calendar if it lies beyond."""
    try:
        return moment + by
    except OverflowError:
        return datetime.max if by > timedelta() else datetime.min


def _utc(moment: datetime) -> datetime:
    """A moment in naive UTC.

    Raises:
        ValueError: it isn't aware, or lies outside of the calendar.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ValueError(f"{_shown(moment)} is no moment: it needs a zone.")
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError(f"{moment} is too near to the end of the calendar.") from None
