"""How much of the record is kept. What goes, goes in small steps.

An ended execution is kept while it is young enough, or one of the last of its Job; its output may
go before it. Tables are read in the order of their keys, from the oldest row up to the first that
is too young for anything to go, so each step reads a bounded part of one index, whatever the
planner makes of it, and writes at most :data:`STEP` rows in a transaction of its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone

from . import conf, queue
from .models import Execution, Fire, Job
from .models.execution import FAILURES, OPEN

log = logging.getLogger(__name__)

#: Rows that one step reads at most, and that it writes.
READ, STEP = 1000, 100
#: What stands in the place of output that was deleted.
DELETED = "[jobqueue] The output was deleted: it is kept for a limited time.\n"


@dataclass(frozen=True)
class Keep:
    """How much is kept. Days are counted from the end of a run; None: for ever."""

    runs: int
    days: int | None
    failed_days: int | None
    output_days: int | None

    @classmethod
    def of_site(cls) -> Self:
        """What the settings say."""
        settings = conf.current()
        return cls(**{f.name: getattr(settings, f"KEEP_{f.name.upper()}") for f in fields(cls)})

    @classmethod
    def nothing_older(cls, days: int) -> Self:
        """Whatever else is said anywhere, nothing that ended longer ago."""
        return cls(runs=0, days=days, failed_days=days, output_days=days)

    def days_of(self, state: str) -> int | None:
        """How long what ended so is kept: failures at least as long as others."""
        if state not in FAILURES or self.days is None:
            return self.days
        return None if self.failed_days is None else max(self.days, self.failed_days)

    @property
    def shortest(self) -> int | None:
        """Nothing goes that is younger."""
        return min((n for n in (self.days, self.output_days) if n is not None), default=None)


class _Row(NamedTuple):
    pk: int
    job: int | None
    state: str
    queued_at: datetime
    ended_at: datetime | None
    log_path: str


@dataclass(frozen=True)
class Step:
    """What may go at once; many a step has found nothing."""

    executions: Sequence[int] = ()
    #: Those of which only the output goes.
    outputs: Sequence[int] = ()
    fires: Sequence[int] = ()

    @property
    def counts(self) -> Counter[str]:
        """How many executions, and how many outputs of others."""
        return Counter(executions=len(self.executions), outputs=len(self.outputs))

    def take(self) -> None:
        """Let it go: files that are here, then rows."""
        if not (self.executions or self.outputs or self.fires):
            return
        delete_files(map(conf.current().log_path, (*self.executions, *self.outputs)))
        with queue.relaxed(), transaction.atomic(using=router.db_for_write(Execution)):
            if self.executions:
                # By the ORM, which sees to what points to them, in apps of the host as well.
                Execution.objects.filter(pk__in=self.executions).only("pk").delete()
            if self.outputs:
                rows = Execution.objects.filter(pk__in=self.outputs)
                rows.update(log_path="", log_tail=DELETED)
            if self.fires:
                Fire.objects.filter(pk__in=self.fires).delete()


def delete_files(paths: Iterable[Path]) -> None:
    """Delete log files, as far as that's allowed here; the first that isn't is told of."""
    refused = None
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            refused = refused or error
    if refused is not None:
        log.warning(
            "log files can't be deleted: %s", refused, extra={"event": "upkeep.log_files_kept"}
        )


def steps(now: datetime, days: int | None = None) -> Iterator[Step]:
    """All that may go at this moment, to be taken step by step, or only counted.

    Args:
        days: instead of what the settings and the Jobs say, all that ended longer ago.
    """
    rules = _Rules(now, None if days is None else Keep.nothing_older(days))
    yield from _of_executions(rules)
    yield from _of_fires(rules)


def prune(days: int | None = None) -> Iterator[Step]:
    """Let go what may go by now, without a pause.

    Args:
        days: instead of what the settings and the Jobs say, all that ended longer ago.

    Yields:
        Each step when it is done.
    """
    for step in steps(timezone.now(), days):
        step.take()
        yield step


class _Rules:
    """What goes at one moment."""

    def __init__(self, now: datetime, keep: Keep | None) -> None:
        self._now = now
        self._site = keep or Keep.of_site()
        self._of_job = {} if keep else dict(_own(self._site))
        #: For each Job, the first of its last runs, however old they are.
        self._firsts: dict[int, int] = {}

    @property
    def executions_before(self) -> datetime | None:
        """What was queued later is too young, itself and its output."""
        shortest = [keep.shortest for keep in (self._site, *self._of_job.values())]
        return self._ago(min((days for days in shortest if days is not None), default=None))

    @property
    def fires_before(self) -> datetime | None:
        """Fire times are kept as long as failures are."""
        return self._ago(self._site.days_of(FAILURES[0]))

    def goes(self, row: _Row) -> bool:
        """Whether an execution may go, as far as no other one needs it."""
        keep = self._keep(row)
        if not self._has_ended(row, keep.days_of(row.state)):
            return False
        return row.job is None or not keep.runs or row.pk < self._first_kept(row.job, keep.runs)

    def output_goes(self, row: _Row) -> bool:
        """Whether its output may."""
        return bool(row.log_path) and self._has_ended(row, self._keep(row).output_days)

    def _has_ended(self, row: _Row, days: int | None) -> bool:
        """Whether it ended longer ago than so many days."""
        before = self._ago(days)
        ended = row.state not in OPEN and (row.ended_at or row.queued_at)
        return bool(ended and before and ended < before)

    def _keep(self, row: _Row) -> Keep:
        return self._of_job.get(row.job or 0, self._site)

    def _ago(self, days: int | None) -> datetime | None:
        return None if days is None else self._now - timedelta(days=days)

    def _first_kept(self, job: int, runs: int) -> int:
        """The first of the last runs of a Job; 0 if it has no more than those."""
        if job not in self._firsts:
            last = Execution.objects.filter(job=job).order_by("-pk").values_list("pk", flat=True)
            self._firsts[job] = last[runs - 1 : runs].first() or 0
        return self._firsts[job]


def _own(site: Keep) -> Iterator[tuple[int, Keep]]:
    """The Jobs that say something else than the site."""
    names = [f.name for f in fields(Keep)]
    columns = [f"keep_{name}" for name in names]
    says_nothing = Q(**{f"{column}__isnull": True for column in columns})
    for pk, *own in Job.objects.exclude(says_nothing).values_list("pk", *columns):
        given = {n: value for n, value in zip(names, own, strict=True) if value is not None}
        yield pk, Keep(**{n: given.get(n, getattr(site, n)) for n in names})


def _of_executions(rules: _Rules) -> Iterator[Step]:
    before, last = rules.executions_before, 0
    while before is not None:
        rows = _read(last)
        goes = _unless_needed({row.pk for row in rows if rules.goes(row)})
        outputs = [row.pk for row in rows if row.pk not in goes and rules.output_goes(row)]
        yield from (Step(executions=pks) for pks in _parts(sorted(goes)))
        yield from (Step(outputs=pks) for pks in _parts(outputs))
        if len(rows) < READ or rows[-1].queued_at > before:
            return
        last = rows[-1].pk
        yield Step()


def _read(after: int) -> list[_Row]:
    names = ("pk", "job_id", "state", "queued_at", "ended_at", "log_path")
    rows = Execution.objects.filter(pk__gt=after).order_by("pk").values_list(*names)[:READ]
    return [_Row(*row) for row in rows]


def _unless_needed(goes: set[int]) -> set[int]:
    """A run is kept as long as one that is a retry of it: how often in a row is asked of them."""
    if not goes:
        return goes
    # A range, not a list: MariaDB reads the whole index for a long one.
    retries = Execution.objects.filter(retry_of__gte=min(goes), retry_of__lte=max(goes)).order_by()
    # A retry is younger than what it repeats, so that chains are seen from their end.
    for pk, repeated in sorted(retries.values_list("pk", "retry_of_id"), reverse=True):
        if pk not in goes:
            goes.discard(repeated or 0)
    return goes


def _of_fires(rules: _Rules) -> Iterator[Step]:
    """All but the last one of each schedule, which tells that it was fired."""
    before, last = rules.fires_before, 0
    while before is not None:
        fires = Fire.objects.filter(pk__gt=last).order_by("pk")
        names = ("pk", "fire_at", "schedule__last_fire_at", "recorded_at")
        rows = list(fires.values_list(*names)[:READ])
        old = [pk for pk, fire_at, last_at, _ in rows if fire_at < before and fire_at != last_at]
        yield from (Step(fires=pks) for pks in _parts(old))
        if len(rows) < READ or rows[-1][-1] > before:
            return
        last = rows[-1][0]
        yield Step()


def _parts(pks: Collection[int]) -> Iterator[list[int]]:
    left = iter(pks)
    while part := list(islice(left, STEP)):
        yield part
