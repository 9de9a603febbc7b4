"""How many runs have ended, how and after how long: counted apart from the record.

Nobody counts a million rows for a graph, and what is deleted stays counted. A worker counts in its
memory, past the way from one run to the next, and its clock adds that to the table every few
seconds. What a worker that is killed hadn't added yet, is not counted.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime

from django.db import router, transaction
from django.db.models import F

from .models import Execution, Job, Tally

#: Seconds: the bounds between short runs and long ones.
BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
#: What stands for no bound, in milliseconds.
LONGER = 2**53
#: Rows that are written at once at most.
MOST = 100


@dataclass
class _Count:
    runs: int
    seconds: float
    last_at: datetime


#: By the four fields that tell one tally from others.
_Key = tuple[str, str, str, int]
_counts: dict[_Key, _Count] = {}
_lock = threading.Lock()


def note(execution: Execution) -> None:
    """A run has ended."""
    if execution.started_at is None or execution.ended_at is None:
        return
    seconds = max(0.0, (execution.ended_at - execution.started_at).total_seconds())
    key = (execution.queue, execution.job_name, str(execution.state), within_ms(seconds))
    with _lock:
        _add(key, _Count(1, seconds, execution.ended_at))


def store() -> None:
    """Add what was counted here to the table, :data:`MOST` rows at most; the rest is for later."""
    with _lock:
        # In one order everywhere, so that no two wait for each other.
        taken = {key: _counts.pop(key) for key in sorted(_counts)[:MOST]}
    if not taken:
        return
    try:
        with transaction.atomic(using=router.db_for_write(Tally)):
            for key, count in taken.items():
                _store(key, count)
    except BaseException:
        with _lock:
            for key, count in taken.items():
                _add(key, count)
        raise


def forget(before: datetime) -> None:
    """Those of Jobs that aren't there any more, and of which nothing was heard since then."""
    old = Tally.objects.filter(last_at__lt=before).exclude(job_name="")
    gone = old.exclude(job_name__in=Job.objects.values("name"))
    Tally.objects.filter(pk__in=list(gone.values_list("pk", flat=True)[:MOST])).delete()


def within_ms(seconds: float) -> int:
    """The bound that a length of time is within."""
    place = bisect_left(BOUNDS, seconds)
    return round(1000 * BOUNDS[place]) if place < len(BOUNDS) else LONGER


def _add(key: _Key, count: _Count) -> None:
    before = _counts.setdefault(key, _Count(0, 0.0, count.last_at))
    before.runs += count.runs
    before.seconds += count.seconds
    before.last_at = max(before.last_at, count.last_at)


def _store(key: _Key, count: _Count) -> None:
    named = dict(zip(("queue", "job_name", "state", "within_ms"), key, strict=True))
    more = {
        "count": F("count") + count.runs,
        "seconds": F("seconds") + count.seconds,
        "last_at": count.last_at,
    }
    if not Tally.objects.filter(**named).update(**more):
        Tally.objects.get_or_create(**named, defaults={"last_at": count.last_at})
        Tally.objects.filter(**named).update(**more)
