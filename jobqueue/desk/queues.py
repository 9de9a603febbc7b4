"""A queue on the desk: what runs, waits and comes, with the start that is expected of each."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..models import CatchUp, Execution, Queue, Schedule
from . import durations, forecast
from .durations import Durations
from .forecast import Forecast, Place, Work
from .upcoming import Fire

#: Fire times of a queue that are told: the next one of each schedule.
TOLD = 8
#: A start this much later than its fire time is one that something is in the way of.
LATE = timedelta(seconds=30)


@dataclass(frozen=True)
class Running:
    """What runs in a queue."""

    execution: Execution
    usual: timedelta | None
    #: When it will end; None if nobody knows.
    ends_at: datetime | None
    output: str


@dataclass(frozen=True)
class Waiting:
    """A request that waits, and when it will start."""

    execution: Execution
    usual: timedelta | None
    place: Place
    #: What it waits for, in words.
    behind: str


@dataclass(frozen=True)
class Coming:
    """The next fire time of a schedule."""

    schedule: Schedule
    fire_at: datetime
    usual: timedelta | None
    place: Place
    behind: str
    #: The same request that will wait already, in words.
    served_by: str

    @property
    def is_late(self) -> bool:
        """Whether something is in the way."""
        starts_at = self.place.starts_at
        return bool(self.served_by) or (starts_at is not None and starts_at - self.fire_at > LATE)


@dataclass(frozen=True)
class QueueDesk:
    """A queue."""

    name: str
    #: None if it was never served or paused.
    row: Queue | None
    is_paused: bool
    running: Running | None
    #: In the order in which they will start, then those that wait for their own time.
    waiting: tuple[Waiting, ...]
    #: How many wait in all; `COUNTED` stands for that or more.
    count: int
    coming: tuple[Coming, ...]
    #: What share of the time ahead the coming fire times will take.
    load: float


@dataclass(frozen=True)
class Found:
    """What was read of a queue, and of all."""

    now: datetime
    row: Queue | None
    #: With the end of its output as ``output``.
    running: Execution | None
    #: In order.
    waiting: list[Execution]
    count: int
    fires: list[Fire]
    ahead: timedelta
    durations: Durations
    #: Whether a cluster is alive.
    is_served: bool
    #: What runs in other queues and has all workers, so that nothing starts here before one ends.
    in_the_way: list[Execution]
    #: Whether more queues want a worker than there are: these serve them in turn.
    is_shared: bool

    @property
    def is_paused(self) -> bool:
        return self.row is not None and self.row.is_paused(self.now)

    def took(self, job_id: int | None, digest: str = "") -> list[timedelta]:
        """How long the last runs took."""
        return self.durations.get(durations.kind(job_id, digest), [])

    def usual(self, job_id: int | None, digest: str = "") -> timedelta | None:
        """How long a run usually takes."""
        return forecast.usual(self.took(job_id, digest))


def together(desks: Sequence[QueueDesk], workers: int) -> Iterator[QueueDesk]:
    """The same, where the load of all is more than their workers bear: that is of each of them."""
    of_all = sum(desk.load for desk in desks) / max(workers, 1)
    for desk in desks:
        yield replace(desk, load=max(desk.load, of_all)) if desk.load and of_all > 1 else desk


def of(name: str, found: Found) -> QueueDesk:
    """The queue as it is, and played ahead."""
    coming = [_coming_work(found, fire) for fire in found.fires]
    played = _play(found, coming)
    run, labels = found.running, _labels(found)
    by_pk = {execution.pk: execution for execution in found.waiting}
    in_order = [by_pk[key] for key in played.places if isinstance(key, int)]
    return QueueDesk(
        name=name,
        row=found.row,
        is_paused=found.is_paused,
        running=None if run is None else _running(found, run, played),
        waiting=tuple(_waiting(found, execution, played, labels) for execution in in_order),
        count=found.count,
        coming=tuple(_coming(found, played, labels)),
        load=forecast.load(coming, found.ahead),
    )


def _play(found: Found, coming: list[Work]) -> Forecast:
    is_paused, until = found.is_paused, found.row.paused_until if found.row else None
    if not found.is_served:
        is_paused, until = True, None
    runs = [found.running] if found.running is not None else found.in_the_way
    first = min((_rest(found, run) for run in runs), key=_soonest, default=None)
    waiting = [_waiting_work(found, execution) for execution in found.waiting]
    more: Any = {"is_paused": is_paused, "paused_until": until, "is_shared": found.is_shared}
    return forecast.forecast(found.now, first, waiting, coming, **more)


def _rest(found: Found, run: Execution) -> forecast.Running:
    elapsed = run.elapsed(found.now) or timedelta()
    return forecast.Running(run.pk, forecast.rest(found.took(run.job_id, run.digest), elapsed))


def _soonest(run: forecast.Running) -> tuple[bool, timedelta]:
    """The one of which nobody knows when it ends is the last."""
    return (run.rest is None, run.rest or timedelta())


def _waiting_work(found: Found, execution: Execution) -> Work:
    same: Hashable = execution.digest
    if execution.job_id is not None:  # as it is for a fire time of the same Job
        same = ("job", execution.job_id, execution.trigger_at)
    return Work(
        key=execution.pk,
        same=same,
        priority=execution.priority,
        arrives_at=execution.queued_at,
        number=execution.pk,
        not_before=execution.not_before,
        starts_when_asked=execution.starts_when_asked,
        takes=found.usual(execution.job_id, execution.digest),
    )


def _coming_work(found: Found, fire: Fire) -> Work:
    moment, schedule = fire
    trigger = moment if schedule.catch_up == CatchUp.ALL else None
    return Work(
        key=_key(fire),
        same=("job", schedule.job_id, trigger),
        priority=schedule.priority,
        arrives_at=max(moment, found.now),
        number=schedule.pk,
        takes=found.usual(schedule.job_id),
    )


def _key(fire: Fire) -> Hashable:
    moment, schedule = fire
    return (schedule.pk, moment)


def _labels(found: Found) -> dict[Hashable, str]:
    """What each is called when another one has to wait for it."""
    labels: dict[Hashable, str] = {_key(fire): fire[1].job.name for fire in found.fires}
    labels |= {execution.pk: execution.label for execution in found.waiting}
    running = [found.running] if found.running is not None else found.in_the_way
    return labels | {run.pk: run.label for run in running}


def _running(found: Found, run: Execution, played: Forecast) -> Running:
    usual = found.usual(run.job_id, run.digest)
    return Running(run, usual, played.ends_at, run.__dict__["output"])


def _waiting(
    found: Found, execution: Execution, played: Forecast, labels: dict[Hashable, str]
) -> Waiting:
    place, usual = played.places[execution.pk], found.usual(execution.job_id, execution.digest)
    return Waiting(execution, usual, place, labels.get(place.behind, ""))


def _coming(found: Found, played: Forecast, labels: dict[Hashable, str]) -> Iterator[Coming]:
    told: set[int] = set()
    for fire in found.fires:
        moment, schedule = fire
        if schedule.pk in told or len(told) == TOLD:
            continue
        told.add(schedule.pk)
        place, usual = played.places.get(_key(fire), Place(None)), found.usual(schedule.job_id)
        behind, served_by = labels.get(place.behind, ""), labels.get(place.served_by, "")
        yield Coming(schedule, moment, usual, place, behind, served_by)
