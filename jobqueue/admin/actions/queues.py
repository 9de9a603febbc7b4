"""Pause queues and resume them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from ... import api
from ...models import Queue
from .telling import record, tell, user_name


def pause(
    request: HttpRequest, queues: Iterable[Queue], reason: str, until: datetime | None
) -> list[Queue]:
    """Let queues start nothing, until they are resumed or until a time.

    Returns:
        Their rows, which not each has had before.
    """
    paused = [api.pause(queue.name, user_name(request), reason, until) for queue in queues]
    for queue in paused:
        note = f"Paused{_end(until)}."
        record(request, [queue], f"{note} {reason}".strip())
        tell(request, messages.SUCCESS, _("The queue {queue} is paused."), queue=queue.name)
    return paused


def resume(request: HttpRequest, queues: Iterable[Queue]) -> None:
    """Let queues start runs again."""
    for queue in queues:
        if api.resume(queue.name, user_name(request)):
            record(request, [queue], "Resumed.")
            tell(request, messages.SUCCESS, _("The queue {queue} goes on."), queue=queue.name)
        else:
            text = _("The queue {queue} wasn't paused.")
            tell(request, messages.WARNING, text, queue=queue.name)


def _end(until: datetime | None) -> str:
    """For the record, which all read: in the site's zone."""
    if until is None:
        return ""
    local = timezone.localtime(until, timezone.get_default_timezone())
    return f" until {local:%Y-%m-%d %H:%M:%S %Z}"
