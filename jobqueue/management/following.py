"""Waits for a run as ``--wait`` does: shows its output as it grows, gives the code to exit with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from .. import output
from ..commandline import printable
from ..models import Execution, State
from ..models.execution import OPEN
from . import situation
from .base import INTERRUPTED, refuse
from .console import Console

#: Seconds between two looks, and between two lines on what it waits for.
LOOK, TELL = 0.2, 1.0
#: Seconds for which the database, or a row that was deleted while it runs, may be away.
AWAY, GONE = 300.0, 3.0
#: Exit codes as shells give them.
NOT_FOUND, NOT_EXECUTABLE, TIMED_OUT = 127, 126, 124

_CODES_OF_ERRORS = {"not_found": NOT_FOUND, "not_executable": NOT_EXECUTABLE}
_SKIPPED = "\n[jobqueue] Some of the output is not shown here.\n"
_OVERLAP = 32  # characters by which two views of a growing output are joined

T = TypeVar("T")


def follow(pk: int, console: Console) -> int:
    """Wait for an execution, and for the one that serves its request when it is queued again.

    Returns:
        The code of the last one, as :func:`exit_code` gives it.
    """
    try:
        ended = _Follower(pk, console).wait_for_end()
        while (again := ended["details"].get("queued_again_as")) is not None:
            console.note(f"{_fate(ended)} It is queued again as execution {again}.")
            pk = again
            ended = _Follower(pk, console).wait_for_end()
    except KeyboardInterrupt:
        console.note(f"Not waiting any longer; execution {pk} goes on.")
        return INTERRUPTED
    if ended["state"] != State.SUCCEEDED:
        console.note(_fate(ended))
    return exit_code(ended)


def exit_code(ended: Mapping[str, Any]) -> int:
    """The job's return code; without one, or with a 0 that wasn't a success, what shells say."""
    if ended["state"] == State.SUCCEEDED or ended["return_code"]:
        return int(ended["return_code"] or 0)
    if ended["state"] == State.TIMED_OUT:
        return TIMED_OUT
    return _CODES_OF_ERRORS.get(ended["details"].get("error", ""), 1)


class _Follower:
    """Looks at one execution until it has ended."""

    def __init__(self, pk: int, console: Console) -> None:
        self._pk = pk
        self._console = console
        self._output = _Output(pk)
        self._tell_at: float | None = 0.0

    def wait_for_end(self) -> dict[str, Any]:
        while (row := self._look())["state"] in OPEN:
            if row["state"] == State.WAITING:
                self._tell()
            else:
                self._console.end_progress()
                self._console.output(self._ask(lambda: self._output.news(row["log_path"])))
            time.sleep(LOOK)
        self._console.output(self._ask(lambda: self._output.news(row["log_path"])))
        return row

    def _look(self) -> dict[str, Any]:
        """Its row as it is; of one that was deleted while it runs, as its worker puts it back."""
        names = ("id", "state", "return_code", "reason", "details", "log_path")
        deadline = time.monotonic() + GONE
        rows = Execution.objects.filter(pk=self._pk).values(*names)
        while (row := self._ask(rows.first)) is None:
            if time.monotonic() > deadline:
                refuse(f"Execution {self._pk} was deleted: how it ended is not known.")
            time.sleep(LOOK)
        return dict(row)

    def _tell(self) -> None:
        """Say what it waits for: once, on a terminal again and again."""
        now = time.monotonic()
        if self._tell_at is not None and now >= self._tell_at:
            self._console.progress(self._ask(lambda: waiting_for(self._pk)))
            self._tell_at = now + TELL if self._console.is_terminal() else None

    def _ask(self, question: Callable[[], T]) -> T:
        return patiently(question, self._console)


def patiently(question: Callable[[], T], console: Console) -> T:
    """The answer of the database, even if it is away for a while."""
    deadline, told = time.monotonic() + AWAY, False
    while True:
        try:
            return question()
        except (OperationalError, InterfaceError):
            if time.monotonic() > deadline:
                raise
            if not told:
                console.note("The database can't be reached; trying again.")
                told = True
            connections.close_all()
            time.sleep(TELL)


class _Output:
    """What is new in the output of a run: from its log file, or from its row if that isn't here."""

    def __init__(self, pk: int) -> None:
        self._row = Execution.objects.filter(pk=pk)
        self._file: output.Follower | None = None
        self._seen = ""

    def news(self, log_path: str) -> str:
        if self._file is None and not self._seen and log_path and os.access(log_path, os.R_OK):
            self._file = output.follow(log_path)
        if self._file is not None:
            return self._file.read()
        tail = self._row.values_list("log_tail", flat=True).first() or ""
        before, self._seen = self._seen, tail
        return grown(before, tail)


def grown(before: str, after: str) -> str:
    """What a tail of some output shows that an earlier tail of the same output did not."""
    if after.startswith(before):
        return after[len(before) :]
    head = after[:_OVERLAP]
    start = before.find(head) if after else -1
    while start >= 0:
        if after.startswith(before[start:]):
            return after[len(before) - start :]
        start = before.find(head, start + 1)
    return after and _SKIPPED + after


def waiting_for(pk: int) -> str:
    """What an execution waits for."""
    now = timezone.now()
    execution = Execution.objects.defer("log_tail").filter(pk=pk).first()
    if execution is None:
        return f"Waiting for execution {pk}."
    words = f"Waiting for execution {pk} in queue {execution.queue}: "
    if execution.not_before is not None and execution.not_before > now:
        return f"{words}not before {situation.clock(execution.not_before, now)}."
    # In this order, since what has a place now can't be what ran before.
    running, place = situation.running(execution.queue), situation.place(execution)
    if place is None:
        return f"{words}it doesn't wait any more."
    for obstacle in situation.obstacles(execution.queue):
        return words + obstacle
    words += f"place {place}"
    if running is not None:
        words += f", behind {situation.running_in_words(running, now)}"
    return f"{words}."


def _fate(ended: Mapping[str, Any]) -> str:
    state = str(State(ended["state"]).label)
    return f"Execution {ended['id']} {state}: {printable(ended['reason']).rstrip('.')}."
