"""What a bots.ini says, held against the Jobs and monitors that are there.

First come those that do the same, whatever their names: of them changes only what the file says.
Then those of the same name and configuration: they are changed. What is left is new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import router, transaction

from jobqueue.api import Job, UniqueNames

from ..models import DirMonitor
from . import menu
from .engine import Engine
from .ini import Contents, Monitor, Remark, quoted
from .routes import Route
from .steps import CHANGED, NAME_LIMIT, NEW, UNCHANGED, JobStep, MonitorStep, Plan, change

#: Rows in one statement.
_BATCH = 500


def plan(contents: Contents, engine: Engine, routes: Sequence[Route] | None) -> Plan:
    """What is to be done to have what a file says; changes nothing.

    Args:
        routes: those of Bots' database; None if they aren't known.
    """
    found = Plan(refused=list(contents.refused), notes=list(contents.notes))
    menu.plan(found, contents, engine, routes)
    _plan_monitors(found, contents, engine)
    if routes is not None:
        found.notes += _about_routes(contents, routes)
    for remarks in (found.refused, found.notes):
        remarks.sort(key=lambda remark: remark.line or 0)
    return found


def apply(found: Plan) -> None:
    """Do it, all or nothing."""
    with transaction.atomic(using=router.db_for_write(DirMonitor)):
        _store(Job, [(step.action, step.job) for step in found.jobs], "argv", "max_runtime")
        for step in found.monitors:
            if step.action != UNCHANGED:
                step.monitor.job = step.job.job
        rows = [(step.action, step.monitor) for step in found.monitors]
        _store(DirMonitor, rows, "job", "path", "filemask", "recursive")


def _store(model: Any, rows: Sequence[tuple[str, Any]], *fields: str) -> None:
    manager = model.objects.using(router.db_for_write(model))
    new = [row for action, row in rows if action == NEW]
    changed = [row for action, row in rows if action == CHANGED]
    manager.bulk_create(new, batch_size=_BATCH)
    manager.bulk_update(changed, fields, batch_size=_BATCH)


def _plan_monitors(found: Plan, contents: Contents, engine: Engine) -> None:
    jobs = {tuple(step.job.argv): step for step in found.jobs}
    there = _Monitors(engine)
    ready = []
    for definition in contents.monitors:
        job = jobs.get(tuple(engine.argv(definition.route or menu.RUN_NEW)))
        if why := "its Job is refused." if job is None else _wrong(definition):
            found.refused.append(Remark(definition.line, f"[{definition.section}] {why}"))
        elif job is not None:
            ready.append((definition, job, there.same(definition, job)))
    for definition, job, same in ready:
        name = f"{engine.title}: {definition.section}"[:NAME_LIMIT]
        step = there.step(definition, job, same, name)
        if step.action == NEW:
            step.monitor.enabled = contents.are_monitors_on and not definition.is_idle
        found.monitors.append(step)


def _wrong(definition: Monitor) -> str:
    """What its fields would be refused for; "" if they aren't."""
    monitor = DirMonitor(**_fields(definition))
    try:
        monitor.clean_fields(exclude=["name", "job"])
        monitor.clean()
    except ValidationError as error:
        problems = error.message_dict.items()
        return " ".join(f"{name}: {' '.join(texts)}" for name, texts in problems)
    return ""


def _fields(definition: Monitor) -> dict[str, Any]:
    names = ("path", "filemask", "recursive")
    return {name: getattr(definition, name) for name in names}


class _Monitors:
    """The monitors that are there, and which are taken."""

    def __init__(self, engine: Engine) -> None:
        using = router.db_for_write(DirMonitor)
        rows = DirMonitor.objects.using(using).select_related("job").order_by("pk")
        self._names = UniqueNames(row.name for row in rows)
        self._by_content: dict[object, list[DirMonitor]] = defaultdict(list)
        self._by_name: dict[str, DirMonitor] = {}
        for row in rows:
            content = (row.path.rstrip("/") or "/", row.filemask, row.recursive)
            self._by_content[content, row.job_id].append(row)
            if menu.is_bare(row.job):
                self._by_content[content, tuple(row.job.argv)].append(row)
                if engine.option in row.job.argv:
                    self._by_name[UniqueNames.fold(row.name)] = row
        self._taken: set[int] = set()

    def same(self, definition: Monitor, job: JobStep) -> DirMonitor | None:
        """The one that does this; it is taken then."""
        content = tuple(_fields(definition).values())
        for runs in (job.job.pk, tuple(job.job.argv)):
            for row in self._by_content.get((content, runs), ()):
                if row.pk not in self._taken:
                    self._taken.add(row.pk)
                    return row
        return None

    def step(
        self, definition: Monitor, job: JobStep, same: DirMonitor | None, name: str
    ) -> MonitorStep:
        """What becomes of a section; `same` does the same.

        Another monitor of this name is changed only if it runs the same configuration.
        """
        if same is not None:
            return MonitorStep(definition, same, job, UNCHANGED)
        row = self._by_name.get(UniqueNames.fold(name))
        if row is None or row.pk in self._taken:
            monitor = DirMonitor(name=self._names.take(name), **_fields(definition))
            return MonitorStep(definition, monitor, job)
        self._taken.add(row.pk)
        changes = change(row, _fields(definition))
        if row.job_id != job.job.pk:
            changes.append(f"job: {row.job.name} -> {job.job.name}")
        return MonitorStep(definition, row, job, CHANGED, changes)


def _about_routes(contents: Contents, routes: Sequence[Route]) -> Iterator[Remark]:
    """Of those that a monitor would run in vain."""
    known = {route.name: route.is_active for route in routes}
    for monitor in contents.monitors:
        if monitor.route and not known.get(monitor.route):
            what = "isn't active" if monitor.route in known else "isn't in Bots' database"
            route = f"[{monitor.section}] route: {quoted(monitor.route)}"
            text = f"{route} {what}: its runs do nothing."
            yield Remark(monitor.line, text)
