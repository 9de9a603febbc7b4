"""What the next change of clocks does to a schedule, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice

from django.utils import formats
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ..recurrence import Cron

#: So far is looked ahead: in most zones clocks change twice within it.
AHEAD = timedelta(days=366)
#: Times named in a sentence at most.
NAMED = 3

_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True)
class Change:
    """At this moment clocks of the zone begin to differ from UTC in another way."""

    at: datetime
    zone: tzinfo
    before: timedelta
    after: timedelta

    @property
    def local(self) -> tuple[datetime, datetime]:
        """The local times that are skipped, or come twice: from the first, before the second."""
        naive = self.at.replace(tzinfo=None)
        first, second = sorted((naive + self.before, naive + self.after))
        return first, second


def in_words(cron: Cron, zone: tzinfo, now: datetime) -> list[str]:
    """A sentence on each of the clock changes ahead that skips or doubles one of its times."""
    return [text for change in _ahead(zone, now) if (text := _sentence(cron, change))]


def _sentence(cron: Cron, change: Change) -> str:
    start, end = change.local
    times = _times_of_day(cron, start, end)
    if not times:
        return ""
    values = {
        "day": formats.date_format(change.at.astimezone(change.zone), "D j M Y"),
        "times": _listed(times),
        "end": formats.time_format(end.time(), "H:i"),
    }
    if change.after < change.before:
        if _fires(cron, change.at, change.at + (end - start)):
            return _("%(day)s: clocks show %(times)s twice. It runs both times.") % values
        return _("%(day)s: clocks show %(times)s twice. It runs the first time only.") % values
    if _times_of_day(cron, end, end + _SECOND):
        return _("%(day)s: clocks skip %(times)s. At %(end)s it runs as usual.") % values
    if _fires(cron, change.at, change.at + _SECOND):
        return _("%(day)s: clocks skip %(times)s. It runs at %(end)s instead, once.") % values
    return _("%(day)s: clocks skip %(times)s. It isn't made up.") % values


def _times_of_day(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """Its local times from `start` on and before `end`, a few of them, whatever clocks show."""
    in_utc = Cron(cron.expression, "UTC", cron.both_days)
    return _fires(in_utc, start.replace(tzinfo=UTC), end.replace(tzinfo=UTC))


def _fires(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found = islice(cron.fires(start - _SECOND), NAMED + 1)
    return [moment for moment in found if moment < end]


def _listed(times: list[datetime]) -> str:
    shown = [formats.time_format(time.time(), "H:i") for time in times[:NAMED]]
    text = ", ".join(dict.fromkeys(shown))
    return Truncator(text).chars(60) + (", …" if len(times) > NAMED else "")


def _ahead(zone: tzinfo, now: datetime) -> Iterable[Change]:
    moment = now.astimezone(UTC).replace(microsecond=0)
    end = moment + AHEAD
    while moment < end:
        following = moment + _DAY
        if _offset(zone, following) != _offset(zone, moment):
            at = _search(zone, moment, following)
            yield Change(at, zone, _offset(zone, at - _SECOND), _offset(zone, at))
        moment = following


def _search(zone: tzinfo, low: datetime, high: datetime) -> datetime:
    """The first second that has the offset of `high`."""
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == _offset(zone, low) else (low, middle)
    return high


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
