"""How an alarm looks: on its own page, in the list, and on the page of its Job."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import endpoints, recipients
from ..alarms import judging
from ..commandline import printable
from ..languages import translated
from ..models import Alarm, Job, Notify
from . import display, links

#: So many addresses are named, of more of them how many they are.
NAMED = 10


def state(alarm: Alarm) -> SafeString:
    """Bad or well as a sign and a word."""
    if alarm.is_bad:
        return display.signed("failed", "✗", _("bad"))
    if alarm.in_a_row:
        return display.signed("warned", "!", _("well, but the last run went wrong"))
    return display.signed("succeeded", "✓", _("well"))


def of_job(site: str, job: Job) -> str:
    """The state of a Job's alarm, with a link to its page."""
    alarm = Alarm.objects.filter(job=job.pk).first() if job.pk else None
    more = since(alarm) if alarm and alarm.is_bad else ""
    return display.two_lines(linked(site, alarm), more)


def linked(site: str, alarm: Alarm | None) -> str:
    """Bad or well, with a link to the page of the alarm."""
    if alarm is None:
        return display.EMPTY
    return links.linked(site, "jobqueue_alarm_change", alarm.pk, state(alarm))


def since(alarm: Alarm) -> str:
    """Since when it is bad, why, and who is on it."""
    if not alarm.is_bad:
        return display.EMPTY
    words = format_html(
        _("since {}: {}"), display.moment(alarm.since), display.short(alarm.reason, 90)
    )
    return format_html("{} {}", words, acknowledged(alarm)) if alarm.acknowledged_at else words


def acknowledged(alarm: Alarm) -> str:
    """Who is on it, since when, and what he says."""
    if not alarm.acknowledged_at:
        return display.EMPTY
    by, at = printable(alarm.acknowledged_by), display.moment(alarm.acknowledged_at)
    note = display.short(alarm.note, 200)
    return format_html(_("{} is on it since {}. {}"), by, at, note)


def ping_place(job: Job) -> str:
    """The host that hears of each run; the rest of the address is a secret of a kind."""
    try:
        return endpoints.parse(job.ping_url).place if job.ping_url else display.EMPTY
    except ValueError as error:
        return translated(error)


def people(job: Job | None) -> str:
    """The addresses and channels that hear of a Job, or of the service."""
    if job is not None and job.notify == Notify.NEVER:
        return _("nobody")
    groups = judging.told(job, job.queue if job else "")
    told = [who for group in groups for who in group.addresses]
    if not told:
        return _("nobody: the Job names none, nor does its queue, and the site has no MANAGERS")
    gone = recipients.unknown(job.recipients, job.queue) if job else []
    words = _(" (not in the settings, so nobody: %s)") % _listed(gone) if gone else ""
    return _listed(told) + words


def _listed(words: Sequence[str]) -> str:
    more = len(words) - NAMED
    shown = ", ".join(printable(word[:100]) for word in words[:NAMED])
    return shown + (_(" and %d more") % more if more > 0 else "")
