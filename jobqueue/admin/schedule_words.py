"""The times of a schedule in the reader's words.

In English they are those of the commands; cronsim knows no other language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product

from cronsim.explain import Expression, Field, Sequence, format_time
from django.utils import dates, formats
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from .. import expressions, recurrence
from ..languages import is_english, translated
from ..models import Schedule

#: So many times of a day are named.
NAMED = 4


def of(schedule: Schedule) -> str:
    """The times; what is wrong with them if they can't be understood."""
    if is_english():
        return schedule.in_words()
    try:
        times = schedule.recurrence()
    except ValueError as error:
        return translated(error)
    if isinstance(times, recurrence.Interval):
        return capfirst(_("every %s") % _interval(times.every))
    if isinstance(times, recurrence.Once):
        moment = times.at.astimezone(schedule.zone())
        form = pgettext("date format", "D j M Y, H:i:s")
        return capfirst(_("once at %s") % formats.date_format(moment, form))
    return _cron(expressions.read(schedule.expression, schedule.both_days))


def _interval(every: timedelta) -> str:
    """``14 days``, ``24 h``, ``1 h 30 min``."""
    days, rest = (0, every) if every.days == 1 else divmod(every, timedelta(days=1))
    minutes, seconds = divmod(rest // timedelta(seconds=1), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        (days, ngettext("%d day", "%d days", days)),
        (hours, _("%d h")),
        (minutes, _("%d min")),
        (seconds, _("%d s")),
    ]
    return " ".join(text % count for count, text in parts if count)


def _cron(read: expressions.Expression) -> str:
    words = Expression(read.shown_fields())
    when, date = _time(words), _date(words, read.day_and)
    if date:
        return capfirst(_("%(date)s, %(time)s") % {"date": date, "time": when})
    is_daily = words.hour.all_singles
    return capfirst(_("daily, %s") % when if is_daily else when)


def _time(words: Expression) -> str:
    second, minute, hour = words.second, words.minute, words.hour
    if second.all_singles and minute.all_singles and hour.all_singles:
        clock = [*product(hour.singles(), minute.singles(), second.singles())]
        if len(clock) <= NAMED:
            shown = (format_time(h, m, None if second.zero else s) for h, m, s in sorted(clock))
            return _("at %s") % ", ".join(shown)
    is_hourly = hour.star and minute.all_singles
    parts = [
        _("hourly") if is_hourly else _part(hour, _("hour %s"), _("every %d. hour")),
        _part(minute, _("minute %s"), _("every %d. minute")) or _("every minute"),
    ]
    if not second.zero:
        parts.append(_part(second, _("second %s"), _("every %d. second")) or _("every second"))
    return ", ".join(filter(None, parts))


def _part(field: Field, named: str, stepped: str, label: Callable[[int], str] = str) -> str:
    """What a field restricts, such as ``minute 0, 5-10``; "" where it takes all."""
    if field.star:
        return ""
    steps = [stepped % seq.step for seq in field.parsed if seq.start is None]
    given = [_sequence(seq, stepped, label) for seq in field.parsed if seq.nth is None]
    listed = ", ".join(filter(None, given))
    nth = [_nth(seq, label) for seq in field.parsed if seq.nth is not None]
    return ", ".join([*steps, *([named % listed] if listed else []), *nth])


def _sequence(seq: Sequence, stepped: str, label: Callable[[int], str]) -> str:
    """``5``, ``5-10``, ``5-10 (every 2. minute)``."""
    if seq.start is None or seq.stop is None:
        return ""
    if seq.start == seq.stop:
        return label(seq.start)
    span = f"{label(seq.start)}-{label(seq.stop)}"
    return span if seq.step == 1 else f"{span} ({stepped % seq.step})"


def _nth(seq: Sequence, label: Callable[[int], str]) -> str:
    """What ``L``, ``LW``, ``5L`` and ``1#2`` mean."""
    value, nth = seq.start or 0, seq.nth or 0
    if value < 0:
        last, working = _("last day of the month"), _("last working day of the month")
        return last if value == -1 else working
    if nth < 0:
        return _("last %(weekday)s of the month") % {"weekday": label(value)}
    return _("%(nth)d. %(weekday)s of the month") % {"nth": nth, "weekday": label(value)}


def _date(words: Expression, day_and: bool) -> str:
    days = _part(words.day, _("day %s of the month"), _("every %d. day of the month"))
    weekdays = _part(words.dow, "%s", _("every %d. day of the week"), _weekday)
    both = _("%(days)s, if it is %(weekdays)s") if day_and else _("%(days)s and %(weekdays)s")
    named = both % {"days": days, "weekdays": weekdays} if days and weekdays else days or weekdays
    months = _part(words.month, "%s", _("every %d. month"), _month)
    return " ".join(_dated(named, months))


def _dated(days: str, months: str) -> Iterator[str]:
    if days or months:
        yield days or _("daily")
    if months:
        yield f"({months})"


def _weekday(number: int) -> str:
    return str(dates.WEEKDAYS[(number - 1) % 7])


def _month(number: int) -> str:
    return str(dates.MONTHS[number])
