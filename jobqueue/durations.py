"""How long requests usually take, by the last ones that ran through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .bounded import together
from .models import Execution, State

#: Runs of a Job that are looked at, and of those that ran through the ones that count.
LOOKED_AT, COUNTED = 25, 9
#: Executions that count as recent: in them the runs of bare commands are found.
RECENT = 1000
#: Ends of runs that did what they were to do.
RAN_THROUGH = (State.SUCCEEDED, State.WARNED)

Durations = dict[Hashable, list[timedelta]]


@dataclass(frozen=True)
class Run:
    """What is read of a recent execution."""

    pk: int
    state: str
    job_id: int | None
    digest: str
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def kind(self) -> Hashable:
        """The same for all runs of a Job, or of a bare command."""
        return kind(self.job_id, self.digest)


def kind(job_id: int | None, digest: str) -> Hashable:
    """What requests have in common that take about the same time."""
    return ("job", job_id) if job_id is not None else ("command", digest)


def recent() -> list[Run]:
    """The executions that were asked for last, the newest first."""
    names = ("pk", "state", "job_id", "digest", "started_at", "ended_at")
    rows = Execution.objects.order_by("-pk").values_list(*names)[:RECENT]
    return [Run(*row) for row in rows]


def of(jobs: Iterable[int], runs: Iterable[Run]) -> Durations:
    """How long each of these Jobs took, and each bare command among these runs; newest first."""
    found: Durations = defaultdict(list)
    columns = ("job_id", "state", "started_at", "ended_at")
    parts = [
        Execution.objects.filter(job_id=pk).order_by("-pk").only(*columns)[:LOOKED_AT]
        for pk in sorted(set(jobs))
    ]
    of_jobs = sorted(together(parts), key=lambda execution: -execution.pk)
    for execution in of_jobs:
        _note(found[kind(execution.job_id, "")], execution)
    for run in runs:
        if run.job_id is None:
            _note(found[run.kind], run)
    return found


def _note(durations: list[timedelta], run: Run | Execution) -> None:
    if run.state in RAN_THROUGH and run.started_at and run.ended_at and len(durations) < COUNTED:
        durations.append(run.ended_at - run.started_at)
