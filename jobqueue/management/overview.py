"""``queue status``: for each queue, what runs, waits and was lost; and who serves them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone

from .. import desk
from ..commandline import printable
from ..desk.forecast import SOON, Place
from ..models import Cluster, Execution
from ..models.execution import ExecutionQuerySet
from . import json_rows, situation
from .console import Cell, Console, ago

#: So many waiting ones are listed for people; JSON has them all.
SHOWN = 10
#: So many of the runs that were lost lately.
LOST_SHOWN = 5
_COLUMNS = (
    "id",
    "priority",
    "queued_at",
    "not_before",
    "source",
    "requested_by",
    "job_name",
    "trigger_at",
    "retry",
    "state",
)


def as_rows(names: list[str], now: datetime) -> list[json_rows.Row]:
    """An object for each queue, as ``--json`` prints it."""
    clusters = json_rows.clusters(Cluster.objects.living())
    return [{**_as_row(name, now), "clusters": clusters} for name in names]


def show(names: list[str], now: datetime, console: Console) -> None:
    """A paragraph for each queue, and the clusters."""
    forecast = desk.places(now)
    for name in names:
        _show_queue(name, now, console, forecast)
    clusters = list(Cluster.objects.with_silence())
    for cluster in clusters:
        colour = "" if cluster.is_serving else "yellow" if cluster.is_alive else "red"
        console.say(situation.cluster_in_words(cluster, now), colour)
    for obstacle in situation.unserved():
        console.say(obstacle, "yellow")


def _as_row(name: str, now: datetime) -> json_rows.Row:
    running = json_rows.executions(Execution.objects.filter(queue=name).running())
    ready = json_rows.executions(situation.ready_in_order(name, now))
    return {
        "queue": name,
        "paused": json_rows.pause(situation.paused(name, now)),
        "running": running[0] if running else None,
        "waiting": ready + json_rows.executions(situation.delayed_in_order(name, now)),
    }


def _show_queue(name: str, now: datetime, console: Console, forecast: Mapping[int, Place]) -> None:
    row, running = situation.paused(name, now), situation.running(name)
    ready, delayed = situation.ready_in_order(name, now), situation.delayed_in_order(name, now)
    waiting = ready.count() + delayed.count()
    what = f"execution {running.pk} runs" if running else "nothing runs"
    console.say(f"Queue {name}: {what}, {waiting or 'nothing'} {_waits(waiting)}", "bold")
    if row is not None:
        paused = situation.pause_in_words(row, now)
        console.say(f"  {paused[:1].upper()}{paused[1:]}", "yellow")
    if running is not None:
        console.say(f"  Running: {situation.running_in_words(running, now)}", "cyan")
    if waiting:
        listed = [*_first(ready, SHOWN)]
        listed += _first(delayed, SHOWN - len(listed))
        titles = ["ID", "PRIORITY", "QUEUED", "STARTS", "ASKED BY", "WHAT"]
        console.table([titles, *(_cells(e, now, forecast.get(e.pk)) for e in listed)], indent="  ")
        if waiting > len(listed):
            console.say(f"  … and {waiting - len(listed)} more")
    _show_lost(name, now, console)
    console.say()


def _show_lost(name: str, now: datetime, console: Console) -> None:
    lost = situation.lost_lately(name, now)
    listed = list(lost.defer("log_tail")[:LOST_SHOWN])
    if listed:
        console.say("  Lost in the last 24 hours:", "red")
    for execution in listed:
        when = situation.clock(execution.ended_at or now, now)
        console.say(f"    {when}  {situation.lost_in_words(execution, now)}")
    if len(listed) == LOST_SHOWN and (more := lost.count() - LOST_SHOWN):
        console.say(f"    … and {more} more; `queue list --state lost` has them")


def _waits(count: int) -> str:
    return "waits" if count <= 1 else "wait"


def _first(rows: ExecutionQuerySet, count: int) -> list[Execution]:
    return list(rows.only(*_COLUMNS, "argv")[:count])


def _cells(execution: Execution, now: datetime, place: Place | None) -> list[str | Cell]:
    return [
        str(execution.pk),
        str(execution.priority),
        ago(execution.queued_at, now),
        _starts(execution, now, place),
        asked_by(execution),
        situation.label(execution, now),
    ]


def _starts(execution: Execution, now: datetime, place: Place | None) -> str:
    """``about 06:14``; ``after 06:14`` where something before it takes nobody knows how long."""
    if execution.not_before is not None and execution.not_before > now:
        return ago(execution.not_before, now)
    if place is None or place.starts_at is None or place.starts_at - now < SOON:
        return "next"
    local = timezone.localtime(place.starts_at)
    shown = f"{local:%H:%M}" if local.date() == timezone.localdate(now) else f"{local:%a %H:%M}"
    return f"{'after' if place.is_earliest else 'about'} {shown}"


def asked_by(execution: Execution) -> str:
    """``ada (command)``."""
    who = printable(execution.requested_by)
    return f"{who} ({execution.source})" if who else execution.source
