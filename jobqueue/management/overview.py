"""``queue status``: for each queue, what runs, what waits and who paused it."""

from __future__ import annotations

from datetime import datetime

from ..commandline import printable
from ..models import Execution
from ..models.execution import ExecutionQuerySet
from . import json_rows, situation
from .console import Cell, Console, ago, lasting

#: So many waiting ones are listed for people; JSON has them all.
SHOWN = 10
_COLUMNS = (
    "id",
    "priority",
    "queued_at",
    "not_before",
    "source",
    "requested_by",
    "job_name",
    "trigger_at",
)


def as_rows(names: list[str], now: datetime) -> list[json_rows.Row]:
    """An object for each queue, as ``--json`` prints it."""
    clusters = json_rows.clusters(situation.alive_clusters())
    return [{**_as_row(name, now), "clusters": clusters} for name in names]


def show(names: list[str], now: datetime, console: Console) -> None:
    """A paragraph for each queue, and the clusters."""
    for name in names:
        _show_queue(name, now, console)
    clusters = situation.alive_clusters()
    for cluster in clusters:
        what = f"{printable(cluster.name)} on {printable(cluster.host)}, process {cluster.pid}"
        console.say(f"Cluster {what}, running for {lasting(now - cluster.started_at)}.")
    if not clusters:
        console.say(situation.NO_CLUSTER, "yellow")


def _as_row(name: str, now: datetime) -> json_rows.Row:
    running = json_rows.executions(Execution.objects.filter(queue=name).running())
    ready = json_rows.executions(situation.ready_in_order(name, now))
    return {
        "queue": name,
        "paused": json_rows.pause(situation.paused(name, now)),
        "running": running[0] if running else None,
        "waiting": ready + json_rows.executions(situation.delayed_in_order(name, now)),
    }


def _show_queue(name: str, now: datetime, console: Console) -> None:
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
        console.table([titles, *(_cells(execution, now) for execution in listed)], indent="  ")
        if waiting > len(listed):
            console.say(f"  … and {waiting - len(listed)} more")
    console.say()


def _waits(count: int) -> str:
    return "waits" if count <= 1 else "wait"


def _first(rows: ExecutionQuerySet, count: int) -> list[Execution]:
    return list(rows.only(*_COLUMNS, "argv")[:count])


def _cells(execution: Execution, now: datetime) -> list[str | Cell]:
    later = execution.not_before is not None and execution.not_before > now
    return [
        str(execution.pk),
        str(execution.priority),
        ago(execution.queued_at, now),
        ago(execution.not_before, now) if later else "next",
        asked_by(execution),
        situation.label(execution, now),
    ]


def asked_by(execution: Execution) -> str:
    """``ada (command)``."""
    who = printable(execution.requested_by)
    return f"{who} ({execution.source})" if who else execution.source
