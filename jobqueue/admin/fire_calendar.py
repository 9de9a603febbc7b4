"""Five weeks of fire times, as a calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo

from django.utils import dates, formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

WEEKS = 5
#: More fire times of one day are not counted.
COUNTED = 300
#: So many of one day are named.
NAMED = 6
#: Up to how many fires a day has which shade; there is one more for all above.
_SHADES = (1, 4, 24, 99)

#: The fire times later than a moment.
Fires = Callable[[datetime], Iterator[datetime]]

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Day:
    """A day and how often it fires."""

    day: date
    today: date
    #: Its first fire times in local time, one more than are counted at most.
    fires: list[datetime] = field(default_factory=list)

    @property
    def is_today(self) -> bool:
        return self.day == self.today

    @property
    def is_over(self) -> bool:
        return self.day < self.today

    @property
    def starts_month(self) -> bool:
        return self.day.day == 1

    @property
    def count(self) -> str:
        """How often, in a word; empty when it doesn't."""
        if len(self.fires) > COUNTED:
            return _("many")
        return str(len(self.fires) or "")

    @property
    def shade(self) -> int:
        """0 for a day without, 5 for a full one."""
        return sum(len(self.fires) > limit for limit in (0, *_SHADES))

    @property
    def in_words(self) -> str:
        """The date, and its fire times as far as there is room."""
        day = formats.date_format(self.day, pgettext("date format", "l j F Y"))
        if self.is_over:
            return day
        if not self.fires:
            return _("%s: never") % day
        times = ", ".join(f"{fire:%H:%M:%S}".removesuffix(":00") for fire in self.fires[:NAMED])
        if len(self.fires) > COUNTED:
            return _("%(day)s, more than %(n)d times: %(times)s, …") % {
                "day": day, "n": COUNTED, "times": times,
            }  # fmt: skip
        count = ngettext("%d time", "%d times", len(self.fires)) % len(self.fires)
        return f"{day}, {count}: {times}" + (", …" if len(self.fires) > NAMED else "")


@dataclass(frozen=True)
class Calendar:
    """Weeks of days, the first one with today."""

    #: The days' names, short and full.
    weekdays: list[tuple[str, str]]
    weeks: list[list[Day]]


def of(fires: Fires, zone: tzinfo, now: datetime) -> Calendar:
    """The calendar of a schedule in its zone. What it costs is bounded, however often it fires."""
    today = timezone.localdate(now, zone)
    first_weekday = (formats.get_format("FIRST_DAY_OF_WEEK") - 1) % 7
    start = today - timedelta(days=(today.weekday() - first_weekday) % 7)
    days = [start + timedelta(days=n) for n in range(7 * WEEKS)]
    counted = _count(fires, zone, now, days)
    cells = [Day(day, today, counted.get(day, [])) for day in days]
    names = [
        (str(dates.WEEKDAYS_ABBR[d.weekday()]), str(dates.WEEKDAYS[d.weekday()])) for d in days
    ]
    return Calendar(names[:7], [cells[n : n + 7] for n in range(0, len(cells), 7)])


def _count(
    fires: Fires, zone: tzinfo, now: datetime, days: list[date]
) -> dict[date, list[datetime]]:
    """The fire times of each day that has any; of a day with too many, the first ones."""
    found: dict[date, list[datetime]] = {}
    after: datetime | None = now
    while after is not None:
        after = _count_from(fires(after), zone, days[-1], found)
    return found


def _count_from(
    moments: Iterator[datetime], zone: tzinfo, end: date, found: dict[date, list[datetime]]
) -> datetime | None:
    """Add moments up to a day; if one gets too many, stop and return from where to go on."""
    for moment in moments:
        local = moment.astimezone(zone)
        day = local.date()
        if day > end:
            return None
        found.setdefault(day, []).append(local)
        if len(found[day]) > COUNTED:
            following = datetime.combine(day + timedelta(days=1), time(), zone)
            return max(following - _INSTANT, moment)
    return None
