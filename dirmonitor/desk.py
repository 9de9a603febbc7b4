"""What the desk of the job queue tells of monitors: that they watch, or which doesn't, and why."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobqueue.api import DeskLine

from .models import GOOD, DirMonitor, Service

#: Monitors that are read; more of them are not looked at.
_MOST = 500


def lines(user: Any, **_kwargs: object) -> list[DeskLine]:
    """For those who may see monitors, where any is enabled."""
    if not user.has_perm("dirmonitor.view_dirmonitor"):
        return []
    monitors = DirMonitor.objects.filter(enabled=True).only("name", "status", "status_note")
    found: list[Any] = list(monitors.annotate(is_served=Exists(Service.objects.alive()))[:_MOST])
    if found and not found[0].is_served:
        what = _("Directory monitors")
        text = _("none runs: files wait until “manage.py dirmonitor” is started")
        return [DeskLine(False, what, text)]
    wrong = [monitor for monitor in found if monitor.status not in GOOD]
    told = [DeskLine(False, monitor.name, _in_words(monitor)) for monitor in wrong]
    if good := len(found) - len(wrong):
        text = ngettext("%d watches its directory", "%d watch their directories", good) % good
        told.append(DeskLine(True, _("Directory monitors"), text))
    return told


def _in_words(monitor: DirMonitor) -> str:
    state = monitor.get_status_display() or _("not watched yet")
    return f"{state}: {monitor.status_note}" if monitor.status_note else str(state)
