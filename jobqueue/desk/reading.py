"""What an operator has to know, read at one moment: what runs, waits, comes next and went wrong.

What it costs doesn't depend on the size of the tables: see :mod:`jobqueue.bounded`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from django.db.models import TextField, Value
from django.db.models.functions import Right

from .. import bounded
from ..models import Cluster, Execution, Queue
from ..models.execution import ExecutionQuerySet
from ..models.fields import DEFAULT_QUEUE
from . import bad_alarms, bad_ends, durations, queues, upcoming
from .bad_alarms import BadAlarms
from .bad_ends import BadEnd, Lately
from .forecast import Place
from .queues import Found, QueueDesk
from .upcoming import Fire

#: Waiting requests of a queue that are read; of more than that, so many are counted.
READ, COUNTED = 200, 10_000
#: Characters at the end of the output of what runs.
OUTPUT = 2000
_COLUMNS = (
    *("id", "job_id", "job_name", "queue", "priority", "state", "argv", "digest", "source"),
    *("requested_by", "trigger_at", "queued_at", "not_before", "attempt", "retry_of_id", "retry"),
)


@dataclass(frozen=True)
class Desk:
    """All of it."""

    now: datetime
    queues: tuple[QueueDesk, ...]
    bad_ends: tuple[BadEnd, ...]
    #: The same and those that aren't told.
    lately: Lately
    alarms: BadAlarms
    clusters: tuple[Cluster, ...]
    #: How far ahead fire times were looked for.
    ahead: timedelta

    @property
    def is_served(self) -> bool:
        """Whether a cluster starts what waits."""
        return _workers(self.clusters) > 0

    @property
    def is_stopping(self) -> bool:
        """Whether one that lives starts nothing more."""
        return any(cluster.is_stopping for cluster in self.clusters)


@dataclass(frozen=True)
class Counts:
    """A line for other pages."""

    running: int
    #: `COUNTED` stands for that or more.
    waiting: int
    lately: Lately
    alarms: BadAlarms
    #: Whether a cluster starts what waits; whether one that lives starts nothing more.
    is_served: bool
    is_stopping: bool


def counts(now: datetime) -> Counts:
    """How many run, wait, and went wrong lately."""
    waiting: ExecutionQuerySet = Execution.objects.waiting()
    lately = bad_ends.lately(now)
    clusters = list(Cluster.objects.with_silence())
    return Counts(
        running=Execution.objects.running().count(),
        waiting=waiting.order_by()[:COUNTED].count(),
        lately=lately,
        alarms=bad_alarms.read().without(lately.jobs),
        is_served=_workers(clusters) > 0,
        is_stopping=any(cluster.is_stopping for cluster in clusters),
    )


@dataclass(frozen=True)
class Glance:
    """A few small looks, by which one knows whether the desk has changed."""

    #: Those that have a row.
    queues: dict[str, Queue]
    #: The names of those in which something waits.
    waiting: set[str]
    alarms: BadAlarms


def glance() -> Glance:
    """What is read first."""
    rows, waiting = bounded.queues()
    return Glance({row.name: row for row in rows}, waiting, bad_alarms.read())


def read(now: datetime, seen: Glance | None = None) -> Desk:
    """The desk at this moment, of which so much was seen already."""
    return _Reading(now, seen or glance()).desk()


def places(now: datetime) -> dict[int, Place]:
    """When what waits will start, by its number."""
    found = read(now)
    return {item.execution.pk: item.place for queue in found.queues for item in queue.waiting}


def fingerprint(seen: Glance) -> object:
    """Changes when the desk does, as far as a few small looks can tell."""
    columns = ("pk", "priority", "stop_requested_at")
    nothing = Value("", TextField())
    running = Execution.objects.running().annotate(seen=Right("log_tail", 200))
    rows = Execution.objects.annotate(seen=nothing)
    parts = [
        running.order_by("queue").only(*columns)[:READ],
        rows.waiting().order_by("queue", "priority", "queued_at", "id").only(*columns)[:READ],
        rows.order_by("-pk").only(*columns)[:1],
    ]
    found = bounded.together(parts)
    return (
        sorted((e.pk, e.priority, str(e.stop_requested_at), e.__dict__["seen"]) for e in found),
        [(row.name, row.paused_at, row.paused_until) for row in seen.queues.values()],
        bad_ends.seen_to(),
        [(alarm.pk, alarm.since, alarm.acknowledged_at) for alarm in seen.alarms.found],
    )


class _Reading:
    """What is read, one statement each."""

    def __init__(self, now: datetime, seen: Glance) -> None:
        self.now = now
        self.rows = seen.queues
        # What starts between the two is in both, and not in none.
        self.waiting = self._read_waiting(seen.waiting)
        self.running = self._read_running()
        self.counts = self._count_long_ones()
        self.schedules = upcoming.schedules(now)
        self.fires = upcoming.fires(self.schedules, now)
        wrong = bad_ends.went_wrong(now)
        runs = bounded.together([*durations.parts(self._jobs()), *bad_ends.later(wrong)])
        self.durations = durations.of(runs)
        self.lately = bad_ends.mended(wrong, runs)
        self.alarms = seen.alarms.without(self.lately.jobs)
        self.clusters = tuple(Cluster.objects.with_silence())
        self.workers = _workers(self.clusters)
        self.ahead = upcoming.ahead(self.schedules, self.fires, now)
        self.fires_of = self._group_fires()
        self.is_shared = self._is_shared()

    def desk(self) -> Desk:
        """All of it, each queue played ahead."""
        names = {DEFAULT_QUEUE, *self.rows, *self.waiting, *self.running}
        names |= {upcoming.queue_of(schedule) for schedule in self.schedules}
        return Desk(
            self.now,
            tuple(queues.together([self._queue(name) for name in sorted(names)], self.workers)),
            bad_ends.told(self.lately.found),
            self.lately,
            self.alarms,
            self.clusters,
            self.ahead,
        )

    def _queue(self, name: str) -> QueueDesk:
        running = self.running.get(name)
        waiting = [e for e in self.waiting.get(name, []) if running is None or e.pk != running.pk]
        found = Found(
            now=self.now,
            row=self.rows.get(name),
            running=running,
            waiting=waiting,
            count=max(len(waiting), self.counts.get(name, 0)),
            fires=self.fires_of.get(name, []),
            ahead=self.ahead,
            durations=self.durations,
            is_served=self.workers > 0,
            in_the_way=self._in_the_way(name),
            is_shared=self.is_shared,
        )
        return queues.of(name, found)

    def _in_the_way(self, name: str) -> list[Execution]:
        """What runs elsewhere, if that takes all workers and none is here."""
        is_here, are_busy = name in self.running, len(self.running) >= self.workers
        return list(self.running.values()) if are_busy and not is_here else []

    def _is_shared(self) -> bool:
        """Whether several queues want a worker that one of them can't have at once."""
        wanting = set(filter(self._could_start, self.waiting))
        return len(wanting) > 1 and len(wanting | self.running.keys()) > self.workers

    def _could_start(self, name: str) -> bool:
        row = self.rows.get(name)
        if row is not None and row.is_paused(self.now):
            return False
        return any(e.not_before is None or e.not_before <= self.now for e in self.waiting[name])

    def _read_running(self) -> dict[str, Execution]:
        # In the order of the index: by the model's own, a database may look through all.
        rows = Execution.objects.running().order_by("queue").defer("log_tail", "env")
        return {run.queue: run for run in rows.annotate(output=Right("log_tail", OUTPUT))}

    def _read_waiting(self, names: Iterable[str]) -> dict[str, list[Execution]]:
        first = [_waiting_in(name).in_order().only(*_COLUMNS)[:READ] for name in names]
        found: dict[str, list[Execution]] = {}
        for execution in sorted(bounded.together(first), key=_order):
            found.setdefault(execution.queue, []).append(execution)
        return found

    def _count_long_ones(self) -> dict[str, int]:
        """How many wait in the queues of which not all were read."""
        names = [name for name, found in self.waiting.items() if len(found) == READ]
        rows = [_waiting_in(name).order_by().values("queue")[:COUNTED] for name in names]
        return bounded.counts(rows)

    def _group_fires(self) -> dict[str, list[Fire]]:
        """The fire times of each queue, in order."""
        found: dict[str, list[Fire]] = {}
        for fire in self.fires:
            found.setdefault(upcoming.queue_of(fire[1]), []).append(fire)
        return found

    def _jobs(self) -> set[int | None]:
        """Those whose durations matter; None stands for bare commands."""
        waiting = chain.from_iterable(self.waiting.values())
        jobs = {execution.job_id for execution in (*self.running.values(), *waiting)}
        return jobs | {schedule.job_id for _, schedule in self.fires}


def _workers(clusters: Iterable[Cluster]) -> int:
    """So many queues are served at once."""
    return sum(cluster.workers for cluster in clusters if cluster.is_serving)


def _waiting_in(queue: str) -> ExecutionQuerySet:
    rows: ExecutionQuerySet = Execution.objects.filter(queue=queue)
    return rows.waiting()


def _order(execution: Execution) -> tuple[int, datetime, int]:
    return (execution.priority, execution.queued_at, execution.pk)
