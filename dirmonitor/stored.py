"""A monitor at work, with its row: what is queued, what the ledger and the status say of it."""

from __future__ import annotations

import heapq
import logging
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from django.utils import timezone

from jobqueue.api import printable

from . import dispatch, ledger
from .dispatch import Answer, Files
from .models import DirMonitor, Status, normal_path, wrong_path
from .monitor import Config, Monitor
from .scanning import Target

log = logging.getLogger(__name__)

#: Seconds until a request that was refused, or the database, is tried again.
TRY_AGAIN = 2.0
#: What of a row says which files are meant, after its name.
COLUMNS = ("name", "path", "filemask", "recursive", "mode", "settle", "poll_interval")

Row = tuple[Any, ...]


class StoredMonitor:
    """One enabled DirMonitor.

    Args:
        row: its :data:`COLUMNS`.
    """

    def __init__(self, pk: int, row: Row, now: float) -> None:
        self.pk, self.row, self.name = pk, row, printable(row[0])
        self.monitor = Monitor(pk, config_of(row), ledger.known(pk), now)
        #: When it is to be visited.
        self.visit_at = math.inf
        #: Why its Job wasn't queued.
        self._refusal = ""
        self._try_at = now
        self._is_asking = False
        #: The last request was made in vain: another one is made when it would be accepted, and
        #: of files that were looked at since.
        self._is_held_up = self._is_confirming = False
        self._said: dict[str, Any] = {}
        self._was_pending = False
        log.info(
            "monitor %s: %s",
            self.name,
            printable(row[1]),
            extra={"event": "monitor.watched", "monitor": self.name},
        )

    def reconfigure(self, row: Row, now: float) -> None:
        """The row has changed."""
        self.row, self.name = row, printable(row[0])
        self.monitor.reconfigure(config_of(row), now)

    def is_done(self, now: float) -> bool:
        """Whether all was seen, and no file waits but for who has it open, or for its Job."""
        settler = self.monitor.settler
        is_seen = self.monitor.is_complete or bool(self.monitor.status(now)[0])
        is_idle = len(settler.pending) == settler.open_count()
        return is_seen and (is_idle or bool(self._refusal))

    # What is queued

    def request_at(self, now: float) -> float | None:
        """When the Job is to be queued; None while that can't be said."""
        at = None if self._is_asking else self.monitor.settler.request_at(now)
        return None if at is None else max(at, self._try_at)

    def request(self, now: float) -> Callable[[], Answer]:
        """What queues the Job for all that is ready, or asks for it; a thread is to call it."""
        settler = self.monitor.settler
        self._is_asking, self._try_at = True, now + TRY_AGAIN
        if self._is_held_up:
            return partial(dispatch.probe, self.pk)
        files = settler.ready()
        known = {path: settler.known[path] for path in files.keys() & settler.known.keys()}
        return partial(dispatch.ask, self.pk, files, known)

    def answered(self, answer: Answer, now: float) -> None:
        """It was tried."""
        if not self._is_asking:
            return  # the row was disabled and enabled meanwhile; the ledger knows
        self._is_asking = False
        if answer.refusal and answer.refusal != self._refusal:
            why = (self.name, answer.refusal)
            log.error(
                "monitor %s: not queued, its files wait: %s",
                *why,
                exc_info=answer.error,
                extra={"event": "monitor.not_queued", "monitor": self.name},
            )
        self._is_held_up = bool(answer.refusal) or answer.error is not None
        self._is_confirming = answer.is_probe and not self._is_held_up
        if self._is_confirming:
            self.monitor.settler.confirm(now)
            self._try_at = now
            return
        if answer.refusal or answer.error is None:
            self._refusal = answer.refusal
        if not self._is_held_up:
            self._queued(answer, now)

    def _queued(self, answer: Answer, now: float) -> None:
        files, settler = answer.files, self.monitor.settler
        if answer.enqueued is not None:
            what = (self.name, in_words(files), answer.enqueued.outcome)
            log.info(
                "monitor %s: %s; %s, execution %d",
                *what,
                answer.enqueued.execution.pk,
                extra={
                    "event": "monitor.queued",
                    "monitor": self.name,
                    "execution": answer.enqueued.execution.pk,
                    "files": len(files),
                },
            )
        for path in files.keys() & settler.pending.keys():
            if settler.pending[path].is_open:
                shown = in_words({path: files[path]})
                log.warning(
                    "monitor %s: still open for writing: %s",
                    self.name,
                    shown,
                    extra={"event": "monitor.open_file", "monitor": self.name},
                )
        settler.queued(files)
        self._try_at = now

    def say(self, say: Callable[[str], None]) -> None:
        """What would be queued, instead of queueing it."""
        settler = self.monitor.settler
        files = settler.ready()
        self._refusal = dispatch.refusal(self.pk)
        refused = f"; it would be refused: {self._refusal}" if self._refusal else ""
        say(f"{self.name}: {in_words(files)}{refused}")
        settler.queued(files)

    def note(self, now: float) -> None:
        """Have the ledger know of files that are gone, and of times that were set."""
        settler = self.monitor.settler
        if not (settler.forgotten or settler.renewed) or now < self._try_at:
            return
        self._try_at = now + TRY_AGAIN
        ledger.forget(self.pk, settler.forgotten)
        ledger.renew(self.pk, settler.renewed)
        settler.forgotten.clear()
        settler.renewed.clear()
        self._try_at = now

    # What is said

    def problem(self, now: float) -> str:
        """Why files of it weren't queued, in one line; "" if none is known to wait for that."""
        if self._refusal:
            return f"{self.name}: not queued, its files wait: {self._refusal}"
        status, note = self.monitor.status(now)
        if status == Status.MISSING:
            return f"{self.name}: its path is missing: {printable(self.row[1])}"
        if status == Status.UNREACHABLE:
            return f"{self.name}: {printable(self.row[1])} can't be looked at: {note}"
        return "" if status else f"{self.name}: not all of it was seen in time."

    def status(self, now: float) -> dict[str, Any]:
        """What the row is to say if it says something else; nothing before anything was seen."""
        settler = self.monitor.settler
        if settler.request_at(now) is None and not (self._is_confirming and settler.pending):
            self._refusal = ""  # what it was about is gone
        status, note = self.monitor.status(now)
        pending, why = self.monitor.pending()
        values = {
            "status": status,
            "status_note": " ".join(filter(None, (self._refusal, note))),
            "files_pending": pending,
            "pending_note": why,
        }
        # Files that come and go between two questions are nothing to write.
        was_pending, self._was_pending = self._was_pending, pending > 0
        if self._was_pending and not was_pending and self._said.get("status") == status:
            return {}
        return values if status and values != self._said else {}

    def write_status(self, values: dict[str, Any]) -> None:
        """Have it say so."""
        has_changed = values["status"] != self._said.get("status")
        since = {"status_since": timezone.now()} if has_changed else {}
        DirMonitor.objects.filter(pk=self.pk).update(**values, **since)

    def written(self, values: dict[str, Any]) -> None:
        """It says so, for all to see."""
        if values["status"] != self._said.get("status"):
            log.info(
                "monitor %s: %s %s",
                self.name,
                values["status"],
                values["status_note"],
                extra={
                    "event": "monitor.status",
                    "monitor": self.name,
                    "status": str(values["status"]),
                },
            )
        self._said = values


def config_of(row: Row) -> Config:
    """What a row says of files."""
    _, path, masks, recursive, mode, settle, poll_interval = row
    target = Target(os.fsencode(normal_path(path)), masks, recursive)
    return Config(target, mode, settle, poll_interval, wrong_path(path))


def in_words(files: Files) -> str:
    """How many files, and the first few of them."""
    names = ", ".join(printable(dispatch.shown(path)) for path in heapq.nsmallest(3, files))
    more = ", ..." if len(files) > 3 else ""
    return f"{len(files)} {'file' if len(files) == 1 else 'files'}: {names}{more}"
