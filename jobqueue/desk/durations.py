"""How long requests usually take, by the last ones that ran through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import timedelta

from ..bounded import Part, Sieve
from ..models import Execution, State

#: Runs of a Job that are looked at, and of those that ran through the ones that count.
LOOKED_AT, COUNTED = 25, 9
#: Of each of these ends, so many of the newest executions: in them the runs of bare commands are.
RECENT = 500
#: Ends of runs that did what they were to do.
RAN_THROUGH = (State.SUCCEEDED, State.WARNED)
#: What is read of a run.
COLUMNS = ("job_id", "digest", "state", "started_at", "ended_at")

Durations = dict[Hashable, list[timedelta]]


def kind(job_id: int | None, digest: str) -> Hashable:
    """What requests have in common that take about the same time."""
    return ("job", job_id) if job_id is not None else ("command", digest)


def parts(jobs: Iterable[int | None]) -> list[Part[Execution]]:
    """The last runs of these Jobs, and of all bare commands for None: for `bounded.together`."""
    newest = Execution.objects.order_by("-pk").only(*COLUMNS)
    wanted = set(jobs)
    commands = RAN_THROUGH if None in wanted else ()
    return [
        *(newest.filter(job_id=pk)[:LOOKED_AT] for pk in sorted(pk for pk in wanted if pk)),
        *(Sieve(newest.filter(state=state)[:RECENT], "job_id IS NULL") for state in commands),
    ]


def of(runs: Iterable[Execution]) -> Durations:
    """How long these took, by their kind; the newest first. One that is there twice counts once."""
    found: Durations = defaultdict(list)
    newest = sorted({run.pk: run for run in runs}.values(), key=lambda run: -run.pk)
    for run in newest:
        took = found[kind(run.job_id, run.digest)]
        if run.state in RAN_THROUGH and len(took) < COUNTED and run.started_at and run.ended_at:
            took.append(run.ended_at - run.started_at)
    return found
