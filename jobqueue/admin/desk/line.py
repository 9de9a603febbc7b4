"""The line of a queue on the desk: what waits, and between it the fire times that come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...desk import Coming, Desk, QueueDesk, Waiting
from ...desk.forecast import SOON, Place
from ...models import Source
from ...models.execution import DEFAULT_PRIORITY, FIRST
from .. import actions, display, links, retry_words
from . import words

#: Waiting requests of a queue that are shown.
SHOWN = 50
_FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass
class LineRow:
    """A request that waits, or a fire time that comes: one place in the line."""

    key: str
    when: SafeString | str
    soon: str
    what: SafeString | str
    facts: list[SafeString | str]
    warning: SafeString | str = ""
    is_coming: bool = False
    forward_url: str = ""
    cancel_url: str = ""
    name: str = ""


def of(request: HttpRequest, found: Desk, row: QueueDesk) -> list[LineRow]:
    """The line, in the order in which it will start."""
    waiting = [
        (item.place.starts_at or _FIRST, _waiting(request, found, row, item))
        for item in row.waiting[:SHOWN]
    ]
    coming: list[tuple[datetime, LineRow]] = []
    if actions.may(request.user, "view_schedule"):
        coming = [
            (item.place.starts_at or item.fire_at, _coming(request, found, row, item))
            for item in row.coming
        ]
    return [line for _, line in sorted(waiting + coming, key=lambda pair: pair[0])]


def _waiting(request: HttpRequest, found: Desk, row: QueueDesk, item: Waiting) -> LineRow:
    execution = item.execution
    age = display.lasting(found.now - execution.queued_at)
    when, soon = _start(found, row, item.place)
    facts = [
        _behind(item.behind),
        _("usually %s") % display.lasting(item.usual) if item.usual else "",
        _("waits for %s") % age,
        _priority(execution.priority),
        words.asked(execution),
        retry_words.in_list(execution),
    ]
    line = LineRow(
        key=f"waiting-{execution.pk}",
        when=when,
        soon=soon,
        what=words.linked(request, execution),
        facts=[fact for fact in facts if fact],
        name=words.name(execution),
    )
    recovers = execution.source == Source.RECOVERY
    if actions.may(request.user, "stop_execution", execution):
        line.cancel_url = links.to_admin(request, "jobqueue_execution_cancel", execution.pk)
        if execution.priority > FIRST and not recovers:
            line.forward_url = links.to_admin(request, "jobqueue_execution_priority", execution.pk)
    return line


def _coming(request: HttpRequest, found: Desk, row: QueueDesk, item: Coming) -> LineRow:
    schedule = item.schedule
    url = links.to_admin(request, "jobqueue_schedule_change", schedule.pk)
    name = display.short(schedule.name, 40)
    facts = [
        format_html(_("schedule {}"), links.anchor(url, name)),
        _("usually %s") % display.lasting(item.usual) if item.usual else "",
        _priority(schedule.priority),
    ]
    return LineRow(
        key=f"coming-{schedule.pk}",
        when=words.time(item.fire_at, found.now),
        soon=display.distance(item.fire_at - found.now),
        what=display.short(schedule.job.name, 80),
        facts=[fact for fact in facts if fact],
        warning=_clash(found, row, item),
        is_coming=True,
    )


def _clash(found: Desk, row: QueueDesk, item: Coming) -> SafeString | str:
    if item.served_by:
        return _("The same request will be waiting already: one run serves both.")
    if item.place.starts_at is None or not item.is_late:
        return ""
    text = _("starts after {}") if item.place.is_earliest else _("starts about {}")
    starts = format_html(text, words.time(item.place.starts_at, found.now))
    return format_html("{}, {}", starts, _behind(item.behind)) if item.behind else starts


def _start(found: Desk, row: QueueDesk, place: Place) -> tuple[SafeString | str, str]:
    """When, and how far ahead; why not, where it doesn't."""
    if place.starts_at is None:
        return (_("held"), "" if found.is_served else _("no cluster"))
    if place.starts_at - found.now < SOON and not place.is_earliest:
        return (_("next"), "")
    text = _("after {}") if place.is_earliest else _("about {}")
    away = place.starts_at - found.now
    soon = display.distance(away) if away > SOON else ""
    return format_html(text, words.time(place.starts_at, found.now)), soon


def _priority(priority: int) -> str:
    return "" if priority == DEFAULT_PRIORITY else _("priority %d") % priority


def _behind(name: str) -> str:
    return _("behind %s") % display.cut(name, 40) if name else ""
