"""When cron expressions fire, found the slow way: each second or minute is looked at.

The rules of `jobqueue.recurrence` once more, and nothing of its code: fields are read by asking of
each value whether it matches, and what clocks do is asked of Python's `fold`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

BIG = timedelta(hours=3)
_NAMES = {
    name: str(value)
    for names, start in (
        ("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", 1),
        ("SUN MON TUE WED THU FRI SAT", 0),
    )
    for value, name in enumerate(names.split(), start)
}


class Oracle:
    """Knows five or six fields, and no ``@`` names."""

    def __init__(self, expression: str, zone: str, both_days: bool = False) -> None:
        fields = expression.upper().split()
        self.step = timedelta(minutes=1) if len(fields) == 5 else timedelta(seconds=1)
        second, minute, hour, self._day, month, self._weekday = ["0"] * (6 - len(fields)) + fields
        self._seconds = _values(second, 0, 59)
        self._minutes = _values(minute, 0, 59)
        self._hours = _values(hour, 0, 23)
        self._months = _values(month, 1, 12)
        self._is_fixed = minute[0] != "*" and hour[0] != "*"
        self._day_and = both_days or self._day[0] == "*" or self._weekday[0] == "*"
        self._zone = ZoneInfo(zone)
        self._dates: dict[date, bool] = {}

    def fires(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The moments later than `after` and not later than `until`; both are on a whole step."""
        moment, before = after, after.astimezone(self._zone)
        while moment < until:
            moment += self.step
            local = moment.astimezone(self._zone)
            if self._is_due(local) or self._is_made_up(before, local):
                yield moment
            before = local

    def _is_due(self, local: datetime) -> bool:
        if not self._matches(local):
            return False
        passes = [local.replace(fold=fold).utcoffset() for fold in (0, 1)]
        assert passes[0] is not None
        assert passes[1] is not None
        return not (self._is_fixed and local.fold and passes[0] - passes[1] < BIG)

    def _is_made_up(self, before: datetime, local: datetime) -> bool:
        """Whether something was due since the last step, at a time that clocks have skipped."""
        skipped = before.replace(tzinfo=None) + self.step
        end = local.replace(tzinfo=None)
        if not self._is_fixed or not skipped < end < skipped + BIG:
            return False
        while skipped < end:
            if self._matches(skipped):
                return True
            skipped += self.step
        return False

    def _matches(self, local: datetime) -> bool:
        return (
            local.minute in self._minutes
            and local.second in self._seconds
            and local.hour in self._hours
            and local.month in self._months
            and self._matches_date(local.date())
        )

    def _matches_date(self, day: date) -> bool:
        if day not in self._dates:
            by_day = any(_is_day(item, day) for item in self._day.split(","))
            by_weekday = any(_is_weekday(item, day) for item in self._weekday.split(","))
            both = by_day and by_weekday
            self._dates[day] = both if self._day_and else by_day or by_weekday
        return self._dates[day]


def _values(field: str, low: int, high: int) -> set[int]:
    return {
        value
        for value in range(low, high + 1)
        if any(_is_value(item, value, low, high) for item in field.split(","))
    }


def _is_value(item: str, value: int, low: int, high: int) -> bool:
    span, slash, step = item.partition("/")
    if span == "*":
        start, end = low, high
    else:
        first, dash, last = span.partition("-")
        start = int(_NAMES.get(first, first))
        end = int(_NAMES.get(last, last)) if dash else high if slash else start
    return start <= value <= end and (value - start) % int(step or 1) == 0


def _is_day(item: str, day: date) -> bool:
    following = [day + timedelta(days=n) for n in range(1, 31)]
    rest = [other for other in following if (other.year, other.month) == (day.year, day.month)]
    if item == "L":
        return not rest
    if item == "LW":
        return day.isoweekday() <= 5 and not any(other.isoweekday() <= 5 for other in rest)
    return _is_value(item, day.day, 1, 31)


def _is_weekday(item: str, day: date) -> bool:
    numbers = {day.isoweekday(), day.isoweekday() % 7}
    if item.endswith("L"):
        return int(item[:-1]) in numbers and (day + timedelta(days=7)).month != day.month
    if "#" in item:
        name, _, nth = item.partition("#")
        return int(_NAMES.get(name, name)) in numbers and (day.day + 6) // 7 == int(nth)
    return any(_is_value(item, number, 0, 7) for number in numbers)
