"""When a schedule fires, as its page shows it: saved, or while somebody types."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any

from django.template.loader import render_to_string
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ..languages import translated
from ..models import Kind, Schedule
from ..recurrence import Cron, OddTime, odd_times, zone_info
from . import display, fire_calendar, schedule_words
from .schedule_form import TimingForm

#: Fire times that are named.
NAMED = 5


@dataclass
class Time:
    """A fire time to be shown."""

    local: str
    #: In the zone of the one who looks, if that is another.
    here: str
    distance: str
    iso: str


@dataclass
class Preview:
    """What there is to say about the times of a schedule."""

    words: str = ""
    error: str = ""
    zone: str = ""
    #: The zone of the one who looks, if that is another.
    here: str = ""
    times: list[Time] = field(default_factory=list)
    #: What is unusual: skipped and doubled times.
    notes: list[str] = field(default_factory=list)
    calendar: fire_calendar.Calendar | None = None

    def render(self) -> SafeString:
        """As HTML, with or without JavaScript."""
        context = {"preview": self}
        return SafeString(render_to_string("admin/jobqueue/schedule/times.html", context))


def of_schedule(schedule: Schedule, now: datetime, browser_zone: str = "") -> Preview:
    """The times of a schedule as it is, also in the zone of the one who looks.

    That is the one that the site has activated for the user, else the browser's.
    """
    if not _is_given(schedule):
        return Preview()
    zone, here = schedule.zone(), _here(browser_zone)
    try:
        schedule.recurrence()
        found = list(islice(schedule.fires(now), NAMED))
        calendar = fire_calendar.of(schedule.fires, zone, now) if found else None
        notes = odd_in_words(schedule, now)
    except ValueError as error:
        return Preview(error=translated(error))
    differs = str(here) != schedule.timezone
    return Preview(
        words=schedule_words.of(schedule),
        zone=schedule.timezone,
        here=str(here) if differs else "",
        times=[_time(moment, zone, here if differs else None, now) for moment in found],
        notes=notes,
        calendar=calendar,
    )


def of_form(data: Any, now: datetime) -> dict[str, Any]:
    """The times of what somebody types, as JSON: what to show, and what is wrong in which field."""
    form = TimingForm(data)
    preview = Preview()
    if form.is_valid():
        form.instance.anchor_at = form.instance.anchor_at or now  # as saving does
        preview = of_schedule(form.instance, now, data.get("browser_zone", ""))
    preview.notes[:0] = form.notes
    # What is empty isn't wrong yet.
    typed = {name: errors for name, errors in form.errors.items() if form[name].value()}
    errors = {name: " ".join(map(str, messages)) for name, messages in typed.items()}
    return {"html": "" if errors else preview.render(), "errors": errors}


def words(schedule: Schedule) -> SafeString:
    """For a list: the times in words, the expression as the title."""
    shown = display.short(schedule_words.of(schedule), 80)
    if schedule.kind != Kind.CRON:
        return shown
    expression = display.short(schedule.expression)
    return format_html('{}<div class="jobqueue-second jobqueue-line">{}</div>', shown, expression)


def _here(browser_zone: str) -> tzinfo:
    current = timezone.get_current_timezone()
    if browser_zone and str(current) == str(timezone.get_default_timezone()):
        with suppress(ValueError):
            return zone_info(browser_zone)
    return current


def _is_given(schedule: Schedule) -> bool:
    values = {Kind.CRON: "expression", Kind.INTERVAL: "interval", Kind.ONCE: "once_at"}
    return bool(getattr(schedule, values.get(Kind(schedule.kind), "kind")))


def odd_in_words(schedule: Schedule, now: datetime) -> list[str]:
    """A sentence on each change of clocks within a year that skips or doubles its times."""
    times = schedule.recurrence()
    return [_odd(odd) for odd in odd_times(times, now)] if isinstance(times, Cron) else []


def _odd(odd: OddTime) -> str:
    texts = {
        "made up": _(
            "%(day)s: clocks skip %(begins)s to %(ends)s. What is due then (%(local)s) "
            "runs at %(ends)s, once."
        ),
        "lost": _(
            "%(day)s: clocks skip %(begins)s to %(ends)s. What is due then (%(local)s) doesn't run."
        ),
        "once": _(
            "%(day)s: clocks show %(begins)s to %(ends)s twice. What is due then (%(local)s) "
            "runs the first time only."
        ),
        "twice": _(
            "%(day)s: clocks show %(begins)s to %(ends)s twice. What is due then (%(local)s) "
            "runs both times."
        ),
    }
    moments = {"begins": odd.begins, "ends": odd.ends, "local": odd.local}
    shown = {name: formats.time_format(moment.time(), "H:i") for name, moment in moments.items()}
    return texts[odd.outcome] % {
        **shown,
        "day": formats.date_format(odd.local, pgettext("date format", "D j M Y")),
    }


def _time(moment: datetime, zone: tzinfo, here: tzinfo | None, now: datetime) -> Time:
    return Time(
        _shown(moment.astimezone(zone)),
        _shown(moment.astimezone(here)) if here else "",
        display.distance(moment - now),
        moment.isoformat(),
    )


def _shown(local: datetime) -> str:
    form = pgettext("date format", "D j M Y, H:i:s")
    return f"{formats.date_format(local, form)} {local:%Z}"
