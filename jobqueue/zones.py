"""Time zones: their names, when their clocks change, and local times. Pure.

What is called a moment here is in naive UTC, unless it is said to be aware.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from .refusals import Refusal
from .refusals import gettext_noop as _

#: A clock change of this size or more is taken for a correction of the clock.
BIG_CHANGE = timedelta(hours=3)

_TOO_LATE = _("%(moment)s is too near to the end of the calendar.")
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
#: No zone has ever changed its clocks twice within three days.
_PROBE = timedelta(days=2)
_FIRST = datetime.min  # noqa: DTZ901
_LAST = datetime.max  # noqa: DTZ901


class Change(NamedTuple):
    """A clock change: at a moment another offset to UTC begins."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        """Whether local times are skipped; else some come twice."""
        return self.after > self.before

    @property
    def size(self) -> timedelta:
        return abs(self.after - self.before)

    @property
    def is_big(self) -> bool:
        return self.size >= BIG_CHANGE

    @property
    def begins(self) -> datetime:
        """The first local time that is skipped or comes twice."""
        return self.at + min(self.before, self.after)

    @property
    def ends(self) -> datetime:
        """The first local time that isn't any more."""
        return self.at + max(self.before, self.after)


class Stretch(NamedTuple):
    """Moments from `start` on and before `end`, in which clocks run evenly."""

    start: datetime
    end: datetime
    offset: timedelta
    #: The last change of clocks, if it is less than a day ago.
    change: Change | None


def zone_info(name: str) -> ZoneInfo:
    """The zone with an IANA name.

    Raises:
        ValueError: there is none.
    """
    if name not in _names():
        text = _("%(name)s is no time zone: say an IANA name, as Europe/Berlin.")
        raise Refusal(text, name=ascii(str(name)[:60]))
    return ZoneInfo(name)


def forget_zones() -> None:
    """Read the zones' rules anew when they are asked for: an update may have changed them."""
    ZoneInfo.clear_cache()
    _names.cache_clear()


def local_moment(naive: datetime, zone: str) -> datetime:
    """The aware moment, in UTC, at which clocks of `zone` show a local time for the first time.

    If clocks skip it, it is the moment at which they do.

    Raises:
        ValueError: the zone is unknown, the time has one already, or there is no such moment.
    """
    if naive.tzinfo is not None:
        raise Refusal(_("%(time)s is no local time: it has a zone."), time=naive)
    info = zone_info(zone)
    for change in changes(info, shift(naive, -2 * _DAY), shift(naive, 2 * _DAY)):
        if change.is_gap and change.begins <= naive < change.ends:
            return change.at.replace(tzinfo=UTC)
    try:
        return naive.replace(tzinfo=info, fold=0).astimezone(UTC)
    except OverflowError:
        raise Refusal(_TOO_LATE, moment=naive) from None


def oddity(naive: datetime, zone: str) -> Literal["gap", "fold"] | None:
    """Whether clocks of `zone` skip a local time, or show it twice.

    Raises:
        ValueError: as `local_moment`.
    """
    shown = local_moment(naive, zone).astimezone(zone_info(zone))
    if shown.replace(tzinfo=None) != naive:
        return "gap"
    return None if shown.replace(fold=1).utcoffset() == shown.utcoffset() else "fold"


def to_utc(moment: object) -> datetime:
    """An aware moment in naive UTC.

    Raises:
        ValueError: it isn't aware, or lies outside of the calendar.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        text = _("%(moment)s is no moment: it needs a zone.")
        raise Refusal(text, moment=ascii(str(moment)[:60]))
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise Refusal(_TOO_LATE, moment=moment) from None


def stretches(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Stretch]:
    """The time from `start` on and before `end`, cut where clocks change."""
    latest = None
    for change in changes(zone, shift(start, -_DAY), end):
        if change.at > start:
            yield Stretch(start, change.at, change.before, latest)
            start = change.at
        latest = change
    yield Stretch(start, end, _offset(zone, start), latest)


def changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Change]:
    """The clock changes from `start` on and before `end`; summer time is only one kind of them.

    zoneinfo has no list of them, so they are searched.
    """
    moment, end = shift(start, -_SECOND), shift(end, -_SECOND)
    before = _offset(zone, moment)
    while moment < end:
        probe = min(shift(moment, _PROBE), end)
        after = _offset(zone, probe)
        if after != before:
            probe = _search_change(zone, moment, probe)
            yield Change(probe, before, after)
        moment, before = probe, after


def shift(moment: datetime, by: timedelta) -> datetime:
    """`moment` + `by`, or the end of the calendar if that lies beyond it."""
    try:
        return moment + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST


@cache
def _names() -> frozenset[str]:
    # These two are files of the machine, not zones.
    return frozenset(available_timezones() - {"localtime", "posixrules"})


def _search_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second with another offset than `low`, which `high` has; found by halving."""
    offset = _offset(zone, low)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return high


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    """What is to be added to a moment to get local time."""
    # The first and last day of the calendar aren't asked for: their local time may lie outside.
    moment = min(max(moment, _FIRST + _DAY), _LAST - _DAY)
    return zone.fromutc(moment.replace(tzinfo=zone)).replace(tzinfo=None) - moment
