"""How ``import_botsini`` shows what becomes of Jobs and monitors: to people, and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from jobqueue.api import printable

from ..bots.engine import Engine
from ..bots.ini import Remark
from ..bots.steps import CHANGED, NEW, UNCHANGED, JobStep, MonitorStep, Plan

_JOB = ("name", "argv", "codes", "max_runtime", "in_run_menu", "enabled")
_MONITOR = ("name", "path", "filemask", "recursive", "enabled")


def lines(plan: Plan, is_applied: bool) -> Iterator[str]:
    """Tables of what changes, what else there is to say, and a summary."""
    jobs = [_job_row(step) for step in plan.jobs if step.action != UNCHANGED]
    yield from _table(("", "JOB", "COMMAND"), jobs)
    monitors = [_monitor_row(step) for step in plan.monitors if step.action != UNCHANGED]
    yield from _table(("LINE", "", "MONITOR", "PATH", "FILES", "JOB"), monitors)
    for remark in _remarks(plan):
        where = "" if remark.line is None else f"line {remark.line}: "
        yield where + printable(remark.text)
    yield _summary(plan, is_applied)


def as_json(plan: Plan, engine: Engine, is_applied: bool) -> str:
    """One object, in ASCII; durations in seconds."""
    row = {
        "applied": is_applied,
        "engine": list(engine.words),
        "configuration": engine.configuration,
        "jobs": [_job_object(step) for step in plan.jobs],
        "monitors": [_monitor_object(step) for step in plan.monitors],
        "refused": [{"line": one.line, "reason": one.text} for one in plan.refused],
        "notes": [{"line": one.line, "text": one.text} for one in plan.notes],
    }
    return json.dumps(row, indent=2, default=timedelta.total_seconds)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, if there are any rows."""
    if not rows:
        return
    cells = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
    yield ""


def _job_row(step: JobStep) -> list[str]:
    return [step.action, printable(step.job.name), printable(shlex.join(step.job.argv))]


def _monitor_row(step: MonitorStep) -> list[str]:
    monitor = step.monitor
    return [
        str(step.definition.line),
        step.action,
        printable(monitor.name) + ("" if monitor.enabled else " (disabled)"),
        printable(monitor.path),
        printable(monitor.filemask) + (" (recursive)" if monitor.recursive else ""),
        printable(step.job.job.name),
    ]


def _remarks(plan: Plan) -> Iterator[Remark]:
    for job in plan.jobs:
        for text in job.changes:
            yield Remark(None, f"{job.job.name}: {text}")
    for step in plan.monitors:
        if step.action != UNCHANGED:
            for text in (*step.changes, *step.definition.notes):
                yield Remark(step.definition.line, f"[{step.definition.section}] {text}")
    yield from plan.notes
    for refusal in plan.refused:
        yield Remark(refusal.line, f"refused: {refusal.text}")


def _summary(plan: Plan, is_applied: bool) -> str:
    refused = f"; {len(plan.refused)} refused" if plan.refused else ""
    if plan.is_done():
        return f"Nothing to do: {plan.count(UNCHANGED)} unchanged{refused}."
    counts = ", ".join(f"{plan.count(action)} {action}" for action in (NEW, CHANGED, UNCHANGED))
    if is_applied:
        return f"Done: {counts}{refused}."
    return f"To do: {counts}{refused}. Nothing was done yet."


def _job_object(step: JobStep) -> dict[str, Any]:
    shown = {name: getattr(step.job, name) for name in _JOB}
    return {"action": step.action, **shown, "changes": step.changes}


def _monitor_object(step: MonitorStep) -> dict[str, Any]:
    return {
        "line": step.definition.line,
        "section": step.definition.section,
        "action": step.action,
        **{name: getattr(step.monitor, name) for name in _MONITOR},
        "job": step.job.job.name,
        "changes": step.changes,
        "notes": list(step.definition.notes),
    }
