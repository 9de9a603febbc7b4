"""What the files of other schedulers say, held against the Jobs and Schedules that are there.

First come the schedules that run the same at the same times, whatever their names: they stay as
they are. Then those of the same name: they are changed. What is left is new. Jobs that run the same
are shared, and one that others use as well isn't changed but replaced.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import router, transaction

from .. import codes, commandline, environments
from ..definitions import Contents, Definition, Remark, UniqueNames, job_key, times_key
from ..models import Job, Kind, Schedule
from ..models.schedule import PLAN

NEW, CHANGED, UNCHANGED = "new", "changed", "unchanged"
#: Rows in one statement; and lines between two reports of progress.
_BATCH, _REPORT = 500, 5000
_JOB_FIELDS = ("argv", "env", "environment", "working_directory", "description", "codes")
_SCHEDULE_FIELDS = (
    *("job", "kind", "expression", "interval", "once_at", "anchor_at", "timezone", "both_days"),
    *("enabled", *PLAN),
)

Progress = Callable[[str, int, int], None]


@dataclass
class Step:
    """What becomes of a line."""

    definition: Definition
    schedule: Schedule
    action: str = NEW
    job: Job = field(default_factory=Job)
    job_action: str = UNCHANGED
    #: In words, such as ``expression: 0 5 * * * -> 0 6 * * *``.
    changes: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """What becomes of all lines."""

    steps: list[Step]
    refused: list[Remark]

    def count(self, action: str) -> int:
        """How many schedules are new, changed or unchanged."""
        return sum(step.action == action for step in self.steps)


def plan(contents: Contents, progress: Progress) -> Plan:
    """What is to be done to have what a file says; changes nothing."""
    found = _Comparison()
    refused = list(contents.refused)
    allowed = []
    for number, definition in enumerate(contents.definitions):
        if number % _REPORT == 0:
            progress("checked", number, len(contents.definitions))
        try:
            _check(definition)
            allowed.append(definition)
        except ValueError as error:
            refused.append(Remark(definition.line, str(error)))
    return Plan(found.steps(allowed), sorted(refused, key=lambda remark: remark.line))


def apply(steps: list[Step], now: datetime, progress: Progress) -> None:
    """Do it, all or nothing.

    Raises:
        ValueError: the times of a schedule can't be understood.
    """
    todo = [step for step in steps if step.action != UNCHANGED]
    planned: dict[object, Schedule] = {}
    for number, step in enumerate(todo):
        if number % _REPORT == 0:
            progress("planned", number, len(todo))
        _plan(step.schedule, now, planned)
    progress("stored", 0, len(todo))
    with transaction.atomic(using=router.db_for_write(Schedule)):
        _store(todo)


def _store(todo: list[Step]) -> None:
    new_jobs = {id(step.job): step.job for step in todo if step.job_action == NEW}
    changed_jobs = {id(step.job): step.job for step in todo if step.job_action == CHANGED}
    Job.objects.bulk_create(new_jobs.values(), batch_size=_BATCH)
    Job.objects.bulk_update(changed_jobs.values(), _JOB_FIELDS, batch_size=_BATCH)
    for step in todo:
        step.schedule.job = step.job
    new = [step.schedule for step in todo if step.action == NEW]
    changed = [step.schedule for step in todo if step.action == CHANGED]
    Schedule.objects.bulk_create(new, batch_size=_BATCH)
    Schedule.objects.bulk_update(changed, _SCHEDULE_FIELDS, batch_size=_BATCH)


def _plan(schedule: Schedule, now: datetime, planned: dict[object, Schedule]) -> None:
    """Work out the next fire time, once for all schedules with the same times."""
    key = (
        *(schedule.expression, schedule.timezone, schedule.both_days),
        *(schedule.enabled, schedule.first_at, schedule.last_at),
    )
    if (same := planned.get(key)) is None:
        schedule.plan(now)
        planned[key] = schedule
        return
    for name in PLAN:
        setattr(schedule, name, getattr(same, name))


def _check(definition: Definition) -> None:
    """Raise a ValueError if the Job would be refused; its times were understood already."""
    commandline.validate(definition.argv)
    commandline.validate_env(definition.env)
    commandline.validate_directory(definition.working_directory)
    _resolved(definition)


def _resolved(definition: Definition) -> list[str]:
    """The argv with that of its environment."""
    return environments.resolve(
        definition.environment, definition.argv, definition.env, definition.working_directory
    ).argv


class _Comparison:
    """The rows that are there, and which of them are taken by which line."""

    def __init__(self) -> None:
        self._schedules = list(Schedule.objects.select_related("job"))
        self._by_name = {schedule.name: schedule for schedule in self._schedules}
        self._by_content: dict[object, list[Schedule]] = defaultdict(list)
        for schedule in self._schedules:
            if schedule.kind == Kind.CRON and schedule.expression:
                self._by_content[_schedule_key(schedule)].append(schedule)
        self._jobs: dict[object, Job] = {}
        for job in Job.objects.order_by("-pk"):  # the oldest one wins
            self._jobs[_job_key(job)] = job
        self._users = Counter(schedule.job_id for schedule in self._schedules)
        self._job_names = UniqueNames(Job.objects.values_list("name", flat=True))
        self._schedule_names = UniqueNames(self._by_name)
        self._taken: set[int] = set()
        self._new_jobs: set[int] = set()

    def steps(self, definitions: list[Definition]) -> list[Step]:
        """A step for each definition, in their order."""
        names = _numbered(definition.name for definition in definitions)
        named = list(zip(definitions, names, strict=True))
        found = [self._same(definition, name) for definition, name in named]
        return [
            step if step is not None else self._other(definition, name)
            for (definition, name), step in zip(named, found, strict=True)
        ]

    def _same(self, definition: Definition, name: str) -> Step | None:
        """The schedule that runs the same at the same times."""
        key = (definition.job_key(), definition.times_key())
        free = [row for row in self._by_content.get(key, ()) if row.pk not in self._taken]
        if not free:
            return None
        schedule = next((row for row in free if row.name == name), free[0])
        self._taken.add(schedule.pk)
        step = Step(definition, schedule, UNCHANGED, schedule.job)
        if definition.enabled not in (None, schedule.enabled):
            step.action = CHANGED
            self._change(step)
        return step

    def _other(self, definition: Definition, name: str) -> Step:
        """The schedule of the same name, or a new one."""
        schedule = self._by_name.get(name)
        if schedule is not None and schedule.pk not in self._taken:
            self._taken.add(schedule.pk)
            step = Step(definition, schedule, CHANGED)
            self._find_job(step, schedule.job)
        else:
            step = Step(definition, Schedule(name=self._schedule_names.take(definition.name)))
            self._find_job(step, None)
        self._change(step)
        return step

    def _find_job(self, step: Step, before: Job | None) -> None:
        """One that runs the same; else the schedule's own, if no other uses it; else a new one."""
        definition = step.definition
        if (job := self._jobs.get(definition.job_key())) is not None:
            step.job = job
            step.job_action = NEW if id(job) in self._new_jobs else UNCHANGED
            if not job.enabled:
                step.changes.append(f"The Job {job.name} is disabled: it will refuse.")
        elif before is not None and self._users[before.pk] == 1:
            self._jobs.pop(_job_key(before), None)
            step.job, step.job_action = before, CHANGED
            step.changes.append(f"command: {before.command} -> {commandline.join(definition.argv)}")
            _fill(before, definition)
        else:
            step.job = Job(name=self._job_names.take(definition.name))
            step.job_action = NEW
            self._new_jobs.add(id(step.job))
            _fill(step.job, definition)
        self._jobs[definition.job_key()] = step.job
        self._users[step.job.pk] += 1

    @staticmethod
    def _change(step: Step) -> None:
        """Give the schedule what the definition says."""
        definition, schedule = step.definition, step.schedule
        enabled = schedule.enabled if definition.enabled is None else definition.enabled
        values = {
            "kind": Kind.CRON.value,
            "expression": definition.expression,
            "timezone": definition.zone,
            "both_days": definition.both_days,
            "enabled": enabled,
            "interval": None,
            "once_at": None,
            "anchor_at": None,
        }
        before = copy.copy(schedule.__dict__)
        for name, value in values.items():
            if step.action == CHANGED and before[name] != value:
                step.changes.append(f"{name}: {before[name]} -> {value}")
            setattr(schedule, name, value)
        if step.action == CHANGED and schedule.job_id != step.job.pk:
            step.changes.append(f"job: {schedule.job.name} -> {step.job.name}")


def _numbered(names: Iterable[str]) -> Iterator[str]:
    """The second of a name gets ``(2)``, so that it finds its schedule again."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"


def _fill(job: Job, definition: Definition) -> None:
    if job.codes in ("", codes.recognise(job.argv or [])):  # nobody chose another reading
        job.codes = codes.recognise(_resolved(definition))
    for name in ("argv", "env", "environment", "working_directory"):
        setattr(job, name, getattr(definition, name))
    job.description = definition.description or job.description


def _job_key(job: Job) -> object:
    return job_key(job.argv, job.env, job.environment, job.working_directory)


def _schedule_key(schedule: Schedule) -> object:
    times = times_key(schedule.expression, schedule.timezone, schedule.both_days)
    return (_job_key(schedule.job), times)
