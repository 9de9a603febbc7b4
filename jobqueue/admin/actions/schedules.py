"""Let schedules fire, or not."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from ...commandline import printable
from ...languages import translated
from ...models import Schedule
from .. import display
from .telling import record, shortened, tell


def enable(request: HttpRequest, schedules: Iterable[Schedule]) -> None:
    """Let schedules fire from now on, nothing made up; tell when the next time comes."""
    for schedule in schedules:
        schedule.enabled = True
        try:
            schedule.save()
        except ValueError as error:
            text = _("“{name}” wasn't enabled: {why}")
            why = printable(translated(error))
            tell(request, messages.ERROR, text, name=shortened(schedule.name), why=why)
        else:
            record(request, [schedule], "Enabled.")
            tell_next(request, schedule, _("“{name}” is enabled."))


def disable(request: HttpRequest, schedules: Iterable[Schedule]) -> None:
    """Let schedules fire no more."""
    for schedule in schedules:
        schedule.enabled = False
        schedule.save()
        record(request, [schedule], "Disabled.")
        text = _("“{name}” is disabled: it doesn't fire any more.")
        tell(request, messages.SUCCESS, text, name=shortened(schedule.name))


def tell_next(request: HttpRequest, schedule: Schedule, text: str = "") -> None:
    """Say when a schedule fires next, and what stands in the way."""
    level, values = messages.WARNING, {"name": shortened(schedule.name)}
    if not schedule.enabled:
        more = _("It is disabled and doesn't fire.")
    elif schedule.next_fire_at is None:
        more = _("No time is left: it doesn't fire any more.")
    elif not schedule.job.enabled:
        more = _("Its Job is disabled and accepts no requests.")
    else:
        level, more = messages.SUCCESS, _("Next: {moment}, {distance}.")
        values["moment"] = display.moment(schedule.next_fire_at, schedule.zone())
        values["distance"] = display.distance(schedule.next_fire_at - timezone.now())
    tell(request, level, f"{text} {more}".strip(), **values)
