"""Files that are ready become a request for their monitor's Job, and part of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from typing import Any

from django.db import (
    DatabaseError,
    InterfaceError,
    close_old_connections,
    router,
    transaction,
)
from django.utils import timezone

from jobqueue.api import (
    ADDED,
    Enqueued,
    NotQueued,
    Source,
    amend,
    enqueue,
    printable,
    why_refused,
)

from . import ledger
from .models import DirMonitor
from .settling import Signature

#: So many files are named in an Execution; all are counted.
NAMED = 100
#: What the database raises that can't be used now.
AWAY = (DatabaseError, InterfaceError)

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
        ledger.record(monitor, left, left.keys() & recorded.keys())
        DirMonitor.objects.filter(pk=monitor).update(
            last_trigger_at=timezone.now(), last_execution=answer.execution
        )
    return answer


@dataclass
class Answer:
    """What became of ready files."""

    files: Files
    #: None if there was nothing left to do, or the files wait.
    enqueued: Enqueued | None = None
    #: Why they do, in words; "" if the database is away.
    refusal: str = ""
    #: What went wrong, but for a Job that accepts no request.
    error: Exception | None = None
    #: It was only asked whether a request would be accepted.
    is_probe: bool = False


def ask(monitor: int, files: Files, known: Files) -> Answer:
    """:func:`hand_over` for a thread of its own: many files take the database some seconds."""
    answer = Answer(files)

    def step() -> None:
        answer.enqueued = hand_over(monitor, files, known)

    return _tried(answer, step)


def probe(monitor: int) -> Answer:
    """Whether a request would be accepted, which takes little however many files are ready."""
    answer = Answer({}, is_probe=True)

    def step() -> None:
        answer.refusal = refusal(monitor)

    return _tried(answer, step)


def _tried(answer: Answer, step: Callable[[], None]) -> Answer:
    try:
        close_old_connections()
        step()
    except NotQueued as error:
        answer.refusal = printable(str(error))
    except AWAY as error:
        answer.error = error
        close_old_connections()
    except Exception as error:  # a thread that dies would never answer
        answer.error, answer.refusal = error, printable(f"{type(error).__name__}: {error}")
    return answer


def refusal(monitor: int) -> str:
    """Why the monitor's Job would be refused now; "" if it wouldn't."""
    row = DirMonitor.objects.select_related("job").filter(pk=monitor).first()
    if row is None:
        return ""
    why = why_refused(row.job, priority=row.priority, queue=row.queue or None)
    return printable(why)


def _enqueue(row: DirMonitor, files: Files) -> Enqueued:
    answer = enqueue(
        row.job,
        priority=row.priority,
        queue=row.queue or None,
        source=Source.DIRMONITOR,
        requested_by=row.name,
        details=details(files),
    )
    if answer.outcome is not ADDED:
        # One that has started meanwhile is asked for again at the commit, with these files.
        by = row.name if row.name != answer.execution.requested_by else ""
        amend(answer.execution, partial(_joined, files=files, by=by))
    return answer


def _joined(found: Mapping[str, Any], files: Files, by: str) -> dict[str, Any]:
    """What a request says that others have made, once these files are added, and by whom."""
    names = found.get("joined")
    joined = list(names) if isinstance(names, list) else []
    if by and by not in joined and len(joined) < NAMED:
        joined.append(by)
    return with_files(found, files) | ({"joined": joined} if joined else {})


def details(files: Files) -> dict[str, Any]:
    """What the Execution says of its files."""
    return with_files({}, files)


def with_files(found: Mapping[str, Any], files: Files) -> dict[str, Any]:
    """The same, added to what an Execution says already; a file that it names counts once."""
    names = found.get("files")
    named = list(names) if isinstance(names, list) else []
    count = found.get("count")
    before = count if isinstance(count, int) else len(named)
    known = set(named)
    new = [path for path in files if shown(path) not in known]
    named += map(shown, nsmallest(max(0, NAMED - len(named)), new))
    return {**found, "files": named, "count": before + len(new)}


def shown(path: bytes) -> str:
    """A path as text that any database takes; bytes that are no UTF-8 as ``\\\\xff``."""
    return path.decode(errors="backslashreplace")
