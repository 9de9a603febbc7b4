"""Monitors as the commands show them: as JSON, whose names others rely on, and in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.text import Truncator

from jobqueue.api import printable
from jobqueue.commands import Cell, ago

from ..models import DirMonitor, Service, Status

_FIELDS = (
    *("id", "name", "path", "filemask", "recursive", "priority", "queue", "settle"),
    *("poll_interval", "mode", "enabled", "status", "status_since", "status_note"),
    *("files_pending", "pending_note", "last_trigger_at"),
)
#: Characters of the masks that are shown in a line.
_MASKS = 60
_COLOURS: dict[str, str] = {Status.MISSING: "red", Status.UNREACHABLE: "red"}
NO_SERVICE = "No directory monitor runs: start `manage.py dirmonitor`."

TITLES = ["NAME", "JOB", "ENABLED", "STATUS", "SINCE", "PENDING", "LAST TRIGGER", "FILES"]


def row(monitor: DirMonitor) -> dict[str, Any]:
    """One object, with the Job's name as `job`."""
    shown = {name: getattr(monitor, name) for name in _FIELDS}
    return shown | {"job": monitor.job.name, "last_execution": monitor.last_execution_id}


def cells(monitor: DirMonitor, now: datetime) -> list[str | Cell]:
    """A line of a table."""
    status = status_in_words(monitor)
    return [
        printable(monitor.name),
        printable(monitor.job.name),
        "yes" if monitor.enabled else Cell("no", "yellow"),
        Cell(status, _COLOURS.get(monitor.status, "") if monitor.enabled else ""),
        ago(monitor.status_since if monitor.enabled else None, now),
        str(monitor.files_pending or "-"),
        ago(monitor.last_trigger_at, now),
        files(monitor),
    ]


def files(monitor: DirMonitor) -> str:
    """``*.edi in /in and below``."""
    where = f"{monitor.path} and below" if monitor.recursive else monitor.path
    disabled = "" if monitor.job.enabled else " (its Job is disabled)"
    masks = Truncator(monitor.filemask).chars(_MASKS)
    return printable(f"{masks} in {where}{disabled}")


def status_in_words(monitor: DirMonitor) -> str:
    """What the service said last, if it watches."""
    if not monitor.enabled:
        return "disabled"
    return str(monitor.get_status_display()) or "not seen yet"


def line(monitor: DirMonitor) -> str:
    """``In: watching /in; 2 pending (2 settling)``."""
    parts = [f"{monitor.name}: {status_in_words(monitor)}{_since(monitor)} {monitor.path}"]
    if monitor.enabled and monitor.files_pending:
        parts.append(f"{monitor.files_pending} pending ({monitor.pending_note})")
    if monitor.last_trigger_at:
        parts.append(f"last trigger {_moment(monitor.last_trigger_at)}, execution")
        parts[-1] += f" {monitor.last_execution_id}"
    parts += [monitor.status_note] if monitor.enabled and monitor.status_note else []
    return printable("; ".join(parts))


def _since(monitor: DirMonitor) -> str:
    """Since when nothing can be seen of it."""
    is_bad = monitor.enabled and monitor.status in _COLOURS
    since = monitor.status_since if is_bad else None
    return f" since {_moment(since)}:" if since else ""


def _moment(value: datetime) -> str:
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"


def lacks_service(monitors: Iterable[DirMonitor]) -> bool:
    """Whether some of these are enabled and no service is alive."""
    return any(monitor.enabled for monitor in monitors) and not Service.objects.alive().exists()
