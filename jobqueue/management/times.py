"""Durations and moments as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from django.utils import timezone

from .. import recurrence
from ..models.queue import LONGEST_PAUSE

_UNITS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d)")
_TRIGGER = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T/]\d{2}:\d{2}:\d{2})?")
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T/ ]\d{2}:\d{2}(?::\d{2})?)?", re.ASCII)
_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def duration(text: str) -> timedelta:
    """``90`` (seconds), ``15m``, ``1h30m``, ``2d``, or ``HH:MM:SS``.

    Raises:
        ValueError: it is none of these, or too long.
    """
    try:
        if re.fullmatch(r"\d+", text, re.ASCII):
            return timedelta(seconds=int(text))
        if text and (found := _UNITS.fullmatch(text)):
            days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
            return timedelta(days, seconds, minutes=minutes, hours=hours)
        if found := _CLOCK.fullmatch(text):
            hours, minutes, seconds = map(int, found.groups())
            return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text!r} is too long a time.") from None
    raise ValueError(f"{text!r} is no duration: say 90 (seconds), 15m, 1h30m or HH:MM:SS.")


def trigger(text: str) -> datetime:
    """``YYYY-MM-DD``, with ``T`` or ``/`` and ``HH:MM:SS`` behind it, in the site's time zone.

    Raises:
        ValueError: it is none of these, or there is no such moment.
    """
    if not _TRIGGER.fullmatch(text):
        raise ValueError(
            f"{text!r} is no trigger time: say YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS (or a / for T)."
        )
    return _moment(text.replace("/", "T"))


def local(text: str, zone: str) -> datetime:
    """The moment of a :func:`naive` local time in a zone.

    A time that comes twice there is meant for the first time, a skipped one is the end of the gap.

    Raises:
        ValueError: it is no local time, there is no such moment or no such zone.
    """
    return recurrence.local_moment(naive(text), zone)


def naive(text: str) -> datetime:
    """``YYYY-MM-DD``, with ``T``, ``/`` or a blank and ``HH:MM[:SS]`` behind it, in no zone.

    Raises:
        ValueError: it is none of these, or no clock shows it.
    """
    if not _LOCAL.fullmatch(text):
        raise ValueError(f"{text!r} is no local time: say 2026-01-31T14:30.")
    try:
        return datetime.fromisoformat(text.replace("/", "T"))
    except ValueError:
        raise ValueError(f"There is no such moment as {text!r}.") from None


def looks_like_trigger(word: str) -> bool:
    """Whether a word was meant as a trigger time, right or wrong."""
    return re.match(r"\d{4}-\d{1,2}-\d", word, re.ASCII) is not None


def until(text: str, now: datetime) -> datetime:
    """The end of a pause: ``HH:MM`` (the next one), ``YYYY-MM-DDTHH:MM``, or after ``30m``.

    Raises:
        ValueError: it is none of these, over, or more than ten years ahead.
    """
    moment = _end(text, now)
    if moment > now + LONGEST_PAUSE:
        raise ValueError(f"{text} is more than ten years ahead: leave it out for no end.")
    return moment


def _end(text: str, now: datetime) -> datetime:
    if found := _OF_DAY.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return _next(text, (hours, minutes, seconds), now)
    if looks_like_trigger(text):
        moment = _moment(text.replace("/", "T"))
        if moment <= now:
            raise ValueError(f"{text} is over.")
        return moment
    if _UNITS.fullmatch(text) and text:
        return _after(text, now)
    raise ValueError(f"{text!r} is no time: say 14:30, 2026-01-31T14:30 or 30m.")


def _after(text: str, now: datetime) -> datetime:
    try:
        return now + duration(text)
    except OverflowError:
        raise ValueError(f"{text!r} is too long a time.") from None


def _next(text: str, parts: tuple[int, int, int], now: datetime) -> datetime:
    """The next moment at which clocks here show this."""
    try:
        at = time(*parts)
    except ValueError:
        raise ValueError(f"{text!r} is no time of day.") from None
    today = timezone.localdate(now)
    moment = timezone.make_aware(datetime.combine(today, at))
    if moment > now:
        return moment
    return timezone.make_aware(datetime.combine(today + timedelta(days=1), at))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        aware = timezone.make_aware(moment) if moment.tzinfo is None else moment
        return aware.astimezone(UTC).astimezone(aware.tzinfo)
    except (ValueError, OverflowError):
        raise ValueError(f"There is no such moment as {text!r}.") from None
