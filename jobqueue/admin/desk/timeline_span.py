"""From when to when a timeline is drawn: the last hours and those to come, or a past day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import formats, timezone

#: What is shown before now, and after.
BEFORE, AFTER = timedelta(hours=24), timedelta(hours=6)
#: Pixels of an hour.
HOUR = 30
#: No run is older.
FIRST_DAY = date(2000, 1, 1)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """Moments, and where they are from the left in pixels."""

    start: datetime
    end: datetime
    now: datetime
    #: None: the last hours, and those to come.
    day: date | None = None

    @property
    def width(self) -> int:
        """Of the picture; a day on which the clocks change isn't as long as others."""
        return round((self.end - self.start) / _HOUR * HOUR)

    def x(self, moment: datetime) -> float:
        """Pixels from the left, within the picture."""
        return round(min(max(0.0, (moment - self.start) / _HOUR * HOUR), self.width), 1)

    def hours(self) -> Iterator[tuple[float, str]]:
        """Each third full hour of the viewer's zone."""
        begun = timezone.localtime(self.start).replace(minute=0, second=0, microsecond=0)
        moment = begun.astimezone(UTC)  # in which an hour later is an hour later
        while (moment := moment + _HOUR) < self.end:
            if (local := timezone.localtime(moment)).hour % 3 == 0:
                yield self.x(moment), formats.date_format(local, "H:i")

    @property
    def yesterday(self) -> date:
        """The last day of the past."""
        return timezone.localdate(self.now) - _DAY

    @property
    def day_before(self) -> date | None:
        """The day before the one that is shown, None if that is the first."""
        before = self.yesterday if self.day is None else self.day - _DAY
        return before if before >= FIRST_DAY else None

    @property
    def day_after(self) -> date | None:
        """The day after it, if that is of the past."""
        after = self.day + _DAY if self.day else None
        return after if after and after <= self.yesterday else None


def latest(now: datetime) -> Span:
    """The last hours, and those to come."""
    return Span(now - BEFORE, now + AFTER, now)


def of_day(typed: str, now: datetime) -> Span:
    """A day of the past in the viewer's zone, from one midnight to the next.

    Raises:
        ValueError: it isn't a date as ``2026-11-20``, or not one of the past.
    """
    day = date.fromisoformat(typed)
    if not FIRST_DAY <= day < timezone.localdate(now):
        raise ValueError(f"{day} isn't a day of the past")
    return Span(_midnight(day), _midnight(day + _DAY), now, day)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time())).astimezone(UTC)
