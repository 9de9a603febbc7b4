"""Cron expressions: clear refusals, and which days and times of day match. Pure.

cronsim reads the checked fields, says which days match, and has the words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import NamedTuple

from cronsim import CronSim, CronSimError
from cronsim.explain import Expression as Words

from .refusals import Phrase, Refusal
from .refusals import gettext_noop as _

#: Characters that an expression may have; the tables have room for so many.
EXPRESSION_LIMIT = 200
#: An expression that doesn't match for so long never does.
GIVE_UP_YEARS = 50

_DAY = timedelta(days=1)
#: From here on an expression is asked whether it ever matches.
_ANY_DAY = date(2000, 1, 1)
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


@dataclass(frozen=True)
class Expression:
    """A cron expression that was checked; make it by `read`."""

    #: Six fields for cronsim.
    fields: tuple[str, ...]
    #: Neither minute nor hour begin with ``*``.
    is_fixed: bool
    #: Day and weekday must both match.
    day_and: bool

    def times(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The naive times that match, from `start` on and before `end`."""
        for day in self.days(start.date(), end.date()):
            for hour, minute in self._from(start.time() if day == start.date() else time()):
                first = datetime.combine(day, time(hour, minute))
                if first >= end:
                    return
                times = (first.replace(second=second) for second in self._seconds)
                yield from (moment for moment in times if start <= moment < end)

    def _from(self, start: time) -> Iterator[tuple[int, int]]:
        """The hours and minutes of a day that match, from a time on."""
        for hour in self._hours[bisect_left(self._hours, start.hour) :]:
            skipped = bisect_left(self._minutes, start.minute) if hour == start.hour else 0
            for minute in self._minutes[skipped:]:
                yield hour, minute

    def days(self, first: date, last: date = date.max) -> Iterator[date]:
        """The dates that match, from `first` to `last`, until none does for `GIVE_UP_YEARS`."""
        day = found = first
        try:
            while day <= last and day.year <= found.year + GIVE_UP_YEARS:
                if day.month not in self._walk.months:
                    day = (day.replace(day=28) + 4 * _DAY).replace(day=1)
                    continue
                if self._walk.match_day(day):
                    found = day
                    yield day
                day += _DAY
        except OverflowError:  # the end of the calendar
            return

    def ever_matches(self) -> bool:
        """Whether there is such a date."""
        try:
            return any(self.days(_ANY_DAY))
        except CronSimError:  # it looks for itself whether a month has so many days
            return False

    def dates(self) -> tuple[Phrase, ...]:
        """The names of the fields that restrict the date."""
        fields = zip(FIELDS[3:], self.fields[3:], strict=True)
        return tuple(Phrase(field.name) for field, text in fields if text != "*")

    def words(self) -> str:
        """It in English."""
        words = Words(self.shown_fields())
        words.day_and = self.day_and
        return _WRONG_ORDINAL.sub(_ordinal, words.explain())

    def shown_fields(self) -> list[str]:
        """The fields; without those of days that restrict nothing."""
        fields = list(self.fields)
        if not self.day_and and self._takes_any_day():
            fields[3] = fields[5] = "*"
        return fields

    def _takes_any_day(self) -> bool:
        weekdays = {day % 7 for day in self._walk.weekdays if isinstance(day, int)}
        return self._walk.days >= {*range(1, 32)} or len(weekdays) == 7

    @cached_property
    def _walk(self) -> CronSim:
        walk = CronSim(" ".join(self.fields), datetime.combine(_ANY_DAY, time()))
        walk.day_and = self.day_and
        return walk

    @cached_property
    def _seconds(self) -> list[int]:
        return sorted(self._walk.seconds)

    @cached_property
    def _minutes(self) -> list[int]:
        return sorted(self._walk.minutes)

    @cached_property
    def _hours(self) -> list[int]:
        return sorted(self._walk.hours)


def read(expression: object, both_days: bool) -> Expression:
    """An expression, checked.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(expression, str) or not expression.isascii():
        text = _("An expression is plain ASCII text, not %(expression)s.")
        raise Refusal(text, expression=shown(expression))
    if len(expression) > EXPRESSION_LIMIT:
        text = _("An expression has at most %(most)s characters: %(expression)s.")
        raise Refusal(text, most=EXPRESSION_LIMIT, expression=shown(expression))
    return _read(expression, both_days)


@lru_cache(maxsize=4096)  # to read one costs more than to find its next time
def _read(expression: str, both_days: bool) -> Expression:
    text = expression.strip().upper()
    words = _ALIASES.get(text, text).split()
    if text.startswith("@") and text not in _ALIASES:
        unknown = _("%(expression)s is unknown; there are %(known)s.")
        raise Refusal(unknown, expression=shown(expression), known=", ".join(_ALIASES).lower())
    if len(words) not in (5, 6):
        wrong = _(
            "An expression has 5 fields (minute, hour, day, month, weekday) or 6 (second first),"
            " not %(count)s: %(expression)s."
        )
        raise Refusal(wrong, count=len(words), expression=shown(expression))
    words = ["0"] * (6 - len(words)) + words
    read = Expression(
        fields=tuple(_read_field(*pair, expression) for pair in zip(FIELDS, words, strict=True)),
        is_fixed=not words[1].startswith("*") and not words[2].startswith("*"),
        day_and=both_days or words[3].startswith("*") or words[5].startswith("*"),
    )
    if not read.ever_matches():
        never = _("%(fields)s: no such date, it never fires: %(expression)s.")
        raise Refusal(never, fields=read.dates(), expression=shown(expression))
    return read


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
        if self.name == "weekday" and (found := _NTH.fullmatch(item)) and self._has(found[1]):
            return f"{self._number(found[1])}#{_within(int(found[2]), 1, 5)}"
        found = _ITEM.fullmatch(item)
        if not found or not all(map(self._has, filter(None, found.group("first", "last")))):
            text = _("%(item)s is not understood; it takes %(known)s")
            raise Refusal(text, item=shown(item), known=self._known())
        return self._range(**found.groupdict())

    def _range(self, star: str | None, first: str, last: str | None, step: str | None) -> str:
        low = self.low if star else self._number(first)
        high = self._number(last) if last else self.high if star or step else low
        if low > high:
            split = f"{first}-{self.high},{self.low}-{last}"
            text = _("%(range)s runs backwards; say %(split)s if you mean that")
            raise Refusal(text, range=f"{first}-{last}", split=split)
        if step is not None and int(step) == 0:
            raise Refusal(_("a step of 0 leads nowhere; it is 1 or more"))
        if low == high or int(step or 1) > high - low:
            return str(low)
        span = "*" if star else f"{low}-{high}"
        return f"{span}/{int(step)}" if step else span

    def _has(self, text: str) -> bool:
        return text in self.names or text.isdigit()

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        return _within(int(text), self.low, self.high)

    def _known(self) -> tuple[object, ...]:
        names = (f"{self.names[0]}-{self.names[-1]}",) if self.names else ()
        more = {"day": (Phrase(_("L or LW")),), "weekday": (Phrase(_("5L or 1#2")),)}
        lists = Phrase(_("ranges, steps and lists of these"))
        return ("*", f"{self.low}-{self.high}", *names, lists, *more.get(self.name, ()))


#: What stands in six of them, the second first.
FIELDS = (
    _Field(_("second"), 0, 59),
    _Field(_("minute"), 0, 59),
    _Field(_("hour"), 0, 23),
    _Field(_("day"), 1, 31),
    _Field(_("month"), 1, 12, _MONTHS),
    _Field(_("weekday"), 0, 7, _WEEKDAYS),
)


def _read_field(field: _Field, text: str, expression: object) -> str:
    try:
        return field.read(text)
    except ValueError as error:
        wrong = _("%(field)s: %(problem)s, in %(expression)s.")
        values = {"problem": error, "expression": shown(expression)}
        raise Refusal(wrong, field=Phrase(field.name), **values) from None


def _within(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise Refusal(_("%(number)s is not within %(range)s"), number=number, range=f"{low}-{high}")
    return number


def _ordinal(found: re.Match[str]) -> str:
    return found[1] + {"1": "st", "2": "nd", "3": "rd"}[found[2]]


def shown(text: object) -> str:
    """Hostile text for a message: one line, plain ASCII, not too long."""
    line = ascii(text)
    return line if len(line) <= EXPRESSION_LIMIT + len("''") else f"{line[:60]}..."
