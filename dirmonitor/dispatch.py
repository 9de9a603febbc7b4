"""Files that are ready become a request for their monitor's Job, and part of the ledger."""

from __future__ import annotations

from typing import Any

from django.db import router, transaction
from django.utils import timezone

from jobqueue.api import Enqueued, Source, enqueue

from . import ledger
from .models import DirMonitor
from .settling import Signature

#: So many files are named in an Execution; all are counted.
NAMED = 100

Files = dict[bytes, Signature]


def hand_over(monitor: int, files: Files, known: Files) -> Enqueued | None:
    """Queue the monitor's Job for these files and note them, both or neither.

    What another service has handed over meanwhile, in the same version, counts as done.

    Args:
        files: those that are ready.
        known: what this service knew of them before.

    Returns:
        None if there was nothing left to do.

    Raises:
        NotQueued: the Job accepts no request, or this one is wrong; nothing was noted.
    """
    with transaction.atomic(using=router.db_for_write(DirMonitor)):
        row = DirMonitor.objects.select_for_update().filter(pk=monitor, enabled=True).first()
        if row is None:
            return None
        recorded = ledger.recorded(monitor, files)
        left = {
            path: signature
            for path, signature in files.items()
            if recorded.get(path) != signature or known.get(path) == signature
        }
        if not left:
            return None
        answer = _enqueue(row, left)
        ledger.record(monitor, left)
        DirMonitor.objects.filter(pk=monitor).update(
            last_trigger_at=timezone.now(), last_execution=answer.execution
        )
    return answer


def _enqueue(row: DirMonitor, files: Files) -> Enqueued:
    return enqueue(
        row.job,
        priority=row.priority,
        queue=row.queue or None,
        source=Source.DIRMONITOR,
        requested_by=row.name,
        details=details(files),
    )


def details(files: Files) -> dict[str, Any]:
    """What the Execution says of its files."""
    return {"files": [shown(path) for path in sorted(files)[:NAMED]], "count": len(files)}


def shown(path: bytes) -> str:
    """A path as text that any database takes; bytes that are no UTF-8 as ``\\\\xff``."""
    return path.decode(errors="backslashreplace")
