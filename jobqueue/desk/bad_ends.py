"""Runs that went wrong lately, and whether a later run of the same mended that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Right

from .. import bounded
from ..bounded import Part, Sieve
from ..models import Acknowledgement, Execution, State
from ..models.execution import BAD_ENDS, ExecutionQuerySet
from . import durations

#: For so long a bad end is told of, and so many are.
LATELY, TOLD = timedelta(hours=24), 10
#: Characters at the end of its output.
OUTPUT = 300
#: Of each state in which a run goes wrong, so many of the newest executions are looked at.
LOOKED_AT = 500


@dataclass
class Bad:
    """What went wrong of one Job, or one bare command."""

    #: The last time.
    pk: int
    job_id: int | None
    digest: str
    #: Whether somebody has said that he is on it.
    is_acknowledged: bool
    #: A later run that succeeded.
    mended_by: int | None = None
    times: int = 1

    @property
    def kind(self) -> Hashable:
        """The same for all runs of the Job, or of the bare command."""
        return durations.kind(self.job_id, self.digest)

    @property
    def is_open(self) -> bool:
        """Whether nothing has mended it and nobody is on it."""
        return self.mended_by is None and not self.is_acknowledged


@dataclass(frozen=True)
class BadEnd:
    """The same with the run of the last time, and the end of its output."""

    execution: Execution
    mended_by: int | None
    times: int
    is_open: bool
    output: str


@dataclass(frozen=True)
class Lately:
    """What went wrong lately: what is still wrong, then what is seen to, then what is mended."""

    found: tuple[Bad, ...] = ()
    #: There may be more than were looked at.
    is_cut: bool = False

    @property
    def wrong(self) -> int:
        """How many are still wrong, and nobody is on them."""
        return sum(bad.is_open for bad in self.found)

    @property
    def jobs(self) -> set[int]:
        """Of which Jobs these are."""
        return {bad.job_id for bad in self.found if bad.is_open and bad.job_id is not None}


def lately(now: datetime) -> Lately:
    """What went wrong in the time before this moment."""
    wrong = went_wrong(now)
    return mended(wrong, bounded.together(later(wrong)))


def went_wrong(now: datetime) -> Lately:
    """The same, before it is known what was mended; the newest first."""
    late = [Sieve(_newest(state), "ended_at > %s", (now - LATELY,)) for state in BAD_ENDS]
    rows = sorted(bounded.together(late), key=lambda row: -row.pk)
    found: dict[Hashable, Bad] = {}
    for row in rows:
        if bad := found.get(_kind(row)):
            bad.times += 1
        else:
            is_acknowledged = row.__dict__["seen_to"] is not None
            found[_kind(row)] = Bad(row.pk, row.job_id, row.digest, is_acknowledged)
    # All that were looked at are of this time: there may be more.
    is_cut = max(Counter(row.state for row in rows).values(), default=0) >= LOOKED_AT
    return Lately(tuple(found.values()), is_cut)


def later(wrong: Lately) -> list[Part[Execution]]:
    """Runs by which one sees what was mended: for `bounded.together`."""
    good = Execution.objects.filter(state=State.SUCCEEDED).order_by("-pk").only(*durations.COLUMNS)
    # An index leads to the runs of a Job; those of a bare command are among the newest, or nowhere.
    return [
        *(good.filter(job_id=bad.job_id, pk__gt=bad.pk)[:1] for bad in wrong.found if bad.job_id),
        *durations.parts({bad.job_id for bad in wrong.found} & {None}),
    ]


def mended(wrong: Lately, runs: Iterable[Execution]) -> Lately:
    """With the newest of these runs that mended each; what is still wrong first."""
    good = [run for run in runs if run.state == State.SUCCEEDED]
    newest = {_kind(run): run.pk for run in sorted(good, key=lambda run: run.pk)}
    for bad in wrong.found:
        if (pk := newest.get(bad.kind, 0)) > bad.pk:
            bad.mended_by = pk
    found = sorted(wrong.found, key=lambda bad: (bad.mended_by is not None, not bad.is_open))
    return replace(wrong, found=tuple(found))


def told(bad: Sequence[Bad]) -> tuple[BadEnd, ...]:
    """The first ones, read."""
    chosen = bad[:TOLD]
    rows = Execution.objects.defer("log_tail", "env").select_related("job", "acknowledgement")
    found = rows.annotate(output=Right("log_tail", OUTPUT)).in_bulk([each.pk for each in chosen])
    return tuple(
        BadEnd(run, each.mended_by, each.times, each.is_open, run.__dict__["output"])
        for each in chosen
        if (run := found.get(each.pk))
    )


def seen_to() -> list[tuple[int, datetime]]:
    """Of the newest executions that somebody is on, which ones and since when."""
    rows = Acknowledgement.objects.order_by("-pk").values_list("pk", "acknowledged_at")
    return list(rows[:LOOKED_AT])


def _newest(state: str) -> ExecutionQuerySet:
    rows: ExecutionQuerySet = Execution.objects.filter(state=state).order_by("-pk")
    columns = ("job_id", "state", "digest", "ended_at")
    return rows.annotate(seen_to=F("acknowledgement__pk")).only(*columns)[:LOOKED_AT]


def _kind(row: Execution) -> Hashable:
    return durations.kind(row.job_id, row.digest)
