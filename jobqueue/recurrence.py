"""When schedules fire. Pure: no Django, no clock, no database.

cronsim reads the fields of an expression, says which days match, and has the words. What is here:
clear refusals, the walk over the times of those days (cronsim's own goes hour by hour), and what
becomes of times that a clock change skips or repeats. All arithmetic is on naive UTC; what comes in
and goes out is aware.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property
from itertools import islice, product, takewhile
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
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
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_FIRST = datetime.min  # noqa: DTZ901
_LAST = datetime.max  # noqa: DTZ901
#: From here on an expression is asked whether it ever fires; the calendar has a leap year here.
_ANY_DAY = date(2000, 1, 1)
#: So much is walked at a time.
_PORTION = timedelta(days=32)
#: No zone has ever changed its clocks twice within three days.
_PROBE = timedelta(days=2)


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
    for change in _changes(info, _shift(naive, -2 * _DAY), _shift(naive, 2 * _DAY)):
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
    if name not in _zone_names():
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
        zone_info(self.zone)
        try:
            fires = any(self._days(_ANY_DAY))
        except CronSimError:  # it looks for itself whether a month has such a day
            fires = False
        if not fires:
            raise ValueError(f"It never fires: {_shown(self.expression)}.")

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The moments in UTC, strictly later than `after` (aware), strictly increasing."""
        moment = last = _shift(_utc(after).replace(microsecond=0), _SECOND)
        # A local date is at most one day off; until the next one that matches nothing happens.
        while day := next(self._days(_shift(moment, -_DAY).date()), None):
            moment = max(moment, _shift(_midnight(day), -_DAY))
            end = _shift(moment, _PORTION)
            if moment == end or moment.year > last.year + GIVE_UP_YEARS:
                return
            for stretch in _stretches(self._zone, moment, end):
                for last in self._fires_within(stretch):
                    yield last.replace(tzinfo=UTC)
            moment = end

    def words(self) -> str:
        """The expression in English words."""
        return self._fields.explain()

    @cached_property
    def _fields(self) -> _Fields:
        return _read(self.expression, self.both_days)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return zone_info(self.zone)

    def _fires_within(self, stretch: _Stretch) -> Iterator[datetime]:
        """The moments while clocks run evenly, in naive UTC."""
        start, end = _shift(stretch.start, stretch.offset), _shift(stretch.end, stretch.offset)
        change = stretch.change
        if change and self._fields.is_fixed and not change.is_big:
            if not change.is_gap:
                start = max(start, change.span.end)
            elif stretch.start == change.at and any(self._local_times(*change.span)):
                yield change.at
                start += _SECOND
        for local in self._local_times(start, end):
            yield local - stretch.offset

    def _local_times(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The matching times from `start` on and before `end`, whether clocks show them or not."""
        fields = self._fields
        for day in takewhile(lambda day: day <= end.date(), self._days(start.date())):
            for hour, minute in product(fields.hours, fields.minutes):
                local = datetime.combine(day, time(hour, minute))
                if _shift(local, _MINUTE) > start:
                    times = (local.replace(second=second) for second in fields.seconds)
                    yield from (local for local in times if start <= local < end)

    def _days(self, first: date) -> Iterator[date]:
        """The dates from `first` on that match, until there is none for `GIVE_UP_YEARS`."""
        months, match_day = self._fields.walk.months, self._fields.walk.match_day
        last = first
        try:
            while first.year <= last.year + GIVE_UP_YEARS:
                if first.month not in months:
                    first = (first.replace(day=28) + 4 * _DAY).replace(day=1)
                    continue
                if match_day(first):
                    last = first
                    yield first
                first += _DAY
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
        moment = _utc(after)
        wait = self.every - self._since_last(moment)
        try:
            while True:
                moment, wait = moment + wait, self.every
                yield moment.replace(tzinfo=UTC)
        except OverflowError:  # the end of the calendar
            return

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        """As the function of that name, and counted to the end."""
        start, end = _utc(after), _utc(until)
        last = end - self._since_last(end)
        count = (last - start + self._since_last(start)) // self.every
        return (last.replace(tzinfo=UTC), count) if count > 0 else (None, 0)

    def _since_last(self, moment: datetime) -> timedelta:
        return (moment - _utc(self.anchor)) % self.every


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
    while high - fire >= _SECOND:
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
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ITEM = re.compile(r"(?:(?P<star>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]+))?")
_NTH = re.compile(r"(\w+)#([0-9]+)")
_LAST_WEEKDAY = re.compile(r"([0-9]+)L")
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
        if self.name == "weekday" and (found := _LAST_WEEKDAY.fullmatch(item)):
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
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True)
class _Fields:
    """A checked expression."""

    #: Six fields for cronsim.
    words: list[str]
    #: Neither minute nor hour begin with ``*``.
    is_fixed: bool
    #: Day and weekday must both match.
    day_and: bool

    @cached_property
    def seconds(self) -> list[int]:
        return sorted(self.walk.seconds)

    @cached_property
    def minutes(self) -> list[int]:
        return sorted(self.walk.minutes)

    @cached_property
    def hours(self) -> list[int]:
        return sorted(self.walk.hours)

    @cached_property
    def walk(self) -> CronSim:
        walk = CronSim(" ".join(self.words), _FIRST)
        walk.day_and = self.day_and
        return walk

    def explain(self) -> str:
        """The expression in English words."""
        words = list(self.words)
        if not self.day_and and self._takes_any_day():
            words[3] = words[5] = "*"
        explained = Expression(words)
        explained.day_and = self.day_and
        return _WRONG_ORDINAL.sub(_ordinal, explained.explain())

    def _takes_any_day(self) -> bool:
        weekdays = {day % 7 for day in self.walk.weekdays if isinstance(day, int)}
        return self.walk.days >= {*range(1, 32)} or len(weekdays) == 7


def _read(expression: object, both_days: bool) -> _Fields:
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
        words=[_read_field(*pair, expression) for pair in zip(_FIELDS, words, strict=True)],
        is_fixed=not words[1].startswith("*") and not words[2].startswith("*"),
        day_and=both_days or words[3].startswith("*") or words[5].startswith("*"),
    )


def _read_field(field: _Field, text: str, expression: object) -> str:
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
    #: The last change of clocks, if it was of late.
    change: _Change | None


@cache
def _zone_names() -> frozenset[str]:
    # The two are files of the machine, not zones.
    return frozenset(available_timezones() - {"localtime", "posixrules"})


def _stretches(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[_Stretch]:
    """Naive UTC from `start` to before `end`, cut where clocks change."""
    change = None
    for following in _changes(zone, _shift(start, -_DAY), end):
        if following.at > start:
            yield _Stretch(start, following.at, following.before, change)
            start = following.at
        change = following
    yield _Stretch(start, end, _offset(zone, start), change)


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[_Change]:
    """The clock changes from `start` on and before `end`, in naive UTC.

    zoneinfo has no list of them, so they are searched.
    """
    moment, end = _shift(start, -_SECOND), _shift(end, -_SECOND)
    before = _offset(zone, moment)
    while moment < end:
        probe = min(_shift(moment, _PROBE), end)
        if (offset := _offset(zone, probe)) != before:
            probe = _search_change(zone, moment, probe)
            offset = _offset(zone, probe)
            yield _Change(probe, before, offset)
        moment, before = probe, offset


def _search_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second with another offset than `low`, which `high` has; found by halving."""
    offset = _offset(zone, low)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return high


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    """What is to be added to a moment in naive UTC to get local time."""
    # The first and last day of the calendar are not asked for: their local time may lie outside.
    moment = min(max(moment, _FIRST + _DAY), _LAST - _DAY)
    return zone.fromutc(moment.replace(tzinfo=zone)).replace(tzinfo=None) - moment


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _shift(moment: datetime, by: timedelta) -> datetime:
    """`moment` + `by`, or the end of the calendar if it lies beyond."""
    try:
        return moment + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST


def _utc(moment: object) -> datetime:
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
