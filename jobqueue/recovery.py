"""What a worker does about runs that nobody looks after any more.

A run whose worker died goes on, with its launcher: it's *adopted*, and its end is recorded. One of
which nothing is left, or whose host is silent, is *lost*.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.db import DataError, connections

from . import cluster, conf, leases, owners, queue, runs
from .commandline import printable
from .ends import end_of
from .executor import AdoptedRun, Outcome, read_run_file
from .models import Execution
from .owners import Owner
from .queue import End

log = logging.getLogger(__name__)

#: Seconds between two looks at the last runs of a cluster.
LOOK = 0.5
#: Seconds after which nobody needs a run file of another place any more.
OLD = 30 * 24 * 3600


class Recovery:
    """One in each worker; what several do about the same run, only one achieves."""

    def __init__(self) -> None:
        self._watch = leases.Watch()
        #: The runs that are looked after from here, and what is stored of each.
        self._adopted: dict[int, tuple[Execution, AdoptedRun, dict[str, Any]]] = {}

    @property
    def goes_on(self) -> bool:
        """Whether a run that is looked after from here has not ended."""
        return any(not run.has_ended for _, run, _ in self._adopted.values())

    @property
    def watches(self) -> bool:
        """Whether a run of another place goes on, whose lease may run out at any moment."""
        return self._watch.has_places

    def look(self, now: float) -> None:
        """One look, at this moment of the monotonic clock (seconds)."""
        found = [(e, Owner.parse(e.owner)) for e in queue.running() if e.pk not in self._adopted]
        self._watch.look({owner.place for _, owner in found if not owner.is_here}, now)
        for execution, owner in found:
            try:
                self._see_to(execution, owner, now)
            except Exception as error:  # it must not stand in the way of the others
                log.warning(
                    "%s can't be recovered now: %s",
                    execution.pk,
                    error,
                    extra={"event": "run.not_recovered", "execution": execution.pk},
                )

    def _see_to(self, execution: Execution, owner: Owner, now: float) -> None:
        if _is_gone(owner):
            self._take_over(execution, owner)
        elif self._watch.has_run_out(owner.place, now):
            _take_from_silent_host(execution, owner)

    def look_after_adopted(self) -> None:
        """Keep the rows of adopted runs up to date, until they end."""
        for execution, run, stored in list(self._adopted.values()):
            try:
                self._look_after(execution, run, stored)
            except Exception as error:
                log.warning(
                    "%s can't be looked after now: %s",
                    execution.pk,
                    error,
                    extra={"event": "run.not_looked_after", "execution": execution.pk},
                )

    def _look_after(self, execution: Execution, run: AdoptedRun, stored: dict[str, Any]) -> None:
        outcome = run.wait(0)
        if outcome is None:
            runs.look(execution, run, stored)
        else:
            _record(execution, outcome)
            del self._adopted[execution.pk]

    def _take_over(self, execution: Execution, owner: Owner) -> None:
        log_path = conf.current().log_path(execution.pk)
        run = AdoptedRun(owner.run_path, log_path, execution.pk, execution.pid)
        if (outcome := run.wait(0)) is not None:
            execution.pid = run.pid or execution.pid
            _record(execution, outcome)
        elif run.pid is not None and queue.adopt(execution, run.pid):
            self._adopted[execution.pk] = execution, run, {}


def see_to_the_last() -> None:
    """In a cluster that stops: wait for the runs of this place whose workers died just before."""
    recovery = Recovery()
    with suppress(Exception):  # without the database, the next cluster records their ends
        recovery.look(time.monotonic())
        if recovery.goes_on:
            with leases.kept():
                while recovery.goes_on:
                    recovery.look_after_adopted()
                    time.sleep(LOOK)
    connections.close_all()


def _is_gone(owner: Owner) -> bool:
    """Whether an owner of this place died; this process itself: whether it has lost sight."""
    me = owners.me()
    if (owner.place, owner.pid, owner.started) == (me.place, me.pid, me.started):
        return owner.launched is not None or cluster.idle()
    return owner.is_here and not owner.lives


def _take_from_silent_host(execution: Execution, owner: Owner) -> None:
    """Its lease has run out, so its host has ended it; how, only a run file may know."""
    host = printable(execution.host) or "its host"
    cause = f"Nothing was heard of {host} for {leases.length():g} s, nor of this run."
    end = end_of(execution, Outcome(return_code=None, message=cause))
    # Its log is there; what its worker has stored of it is all that is known here.
    end = replace(end, log_path=execution.log_path, log_tail=execution.log_tail)
    with suppress(OSError):  # the file is here if this is the same host, which was restarted
        said, noted, _ = read_run_file(str(owner.run_path))
        if noted is not None and said.get("execution") == execution.pk:
            end = end_of(execution, noted)
    _store(execution, end)


def _record(execution: Execution, outcome: Outcome) -> None:
    _store(execution, end_of(execution, outcome))


def _store(execution: Execution, end: End) -> None:
    """Store the end of a run that somebody else had begun, unless somebody was first."""
    try:
        mine = queue.finish(execution, end)
    except DataError:  # such as an emoji in tables of three bytes a character
        mine = queue.finish(execution, end.in_ascii())
    if mine:
        runs.announce_finished(execution)
        queue.wake_if_ready(execution.queue)


def forget_run_files(leaving: bool = False) -> None:
    """Remove the run files of processes that are gone (or leaving) and whose runs are recorded."""
    own = owners.me().run_path
    files = conf.current().run_dir.glob("*.run")
    forgotten = {path for path in files if (leaving and path == own) or _is_forgotten(path)}
    # Asked last: who is dead by now has claimed all that it ever will.
    needed = {Owner.parse(execution.owner).run_path for execution in queue.running()}
    for path in forgotten - needed:
        path.unlink(missing_ok=True)


def _is_forgotten(path: Path) -> bool:
    """Whether neither a worker nor a launcher lives that writes it."""
    place, _, numbers = path.stem.partition("-")
    try:
        if place != owners.short(owners.here()):
            return time.time() - path.stat().st_mtime > OLD
        pid, started = map(int, numbers.split("-"))
        return not Owner(owners.here(), pid, started).lives and not read_run_file(str(path))[2]
    except (OSError, ValueError):
        return False
