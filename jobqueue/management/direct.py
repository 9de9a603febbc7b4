"""``jobs run --direct``: a run in the foreground that takes its queue's slot as any other does."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections
from django.utils import timezone

from .. import api, conf, leases, output, owners, queue, runs, tallies, worker
from ..executor import Run
from ..models import Execution, State
from . import situation
from .base import login_name, refuse
from .console import Console
from .following import exit_code

#: Exit code when another run has the slot.
SLOT_TAKEN = 3
#: Seconds between two looks at the output, and at the wish to stop.
LOOK = 0.1


def run(request: Execution, console: Console) -> int:
    """Run a request at once, its output on stdout; the exit code, as ``--wait`` gives it.

    An interrupt stops it as an operator does.

    Raises:
        CommandError: the queue is paused, or busy.
    """
    if not sys.platform.startswith("linux"):
        refuse(f"Not run: jobs run on Linux only, not on {sys.platform}.")
    if (row := situation.paused(request.queue, timezone.now())) is not None:
        words = situation.pause_in_words(row, timezone.now())
        refuse(f"Not run: queue {row.name} is {words}. `queue resume -q {row.name}` ends that.")
    with _wish_to_stop() as stop_wanted, leases.kept():
        execution = queue.claim_this(request)
        if execution is None:
            refuse(_busy(request.queue), SLOT_TAKEN)
        _run(execution, console, stop_wanted)
    if execution.state != State.SUCCEEDED:
        console.note(f"Execution {execution.pk} {execution.state}: {execution.reason.rstrip('.')}.")
    if (again := execution.details.get("queued_again_as")) is not None:
        console.note(f"It is queued again as execution {again}, for the service to run.")
    return exit_code(execution.__dict__)


def _run(execution: Execution, console: Console, stop_wanted: threading.Event) -> None:
    executor = runs.new_executor()
    try:
        started = runs.start(execution, executor)
        runs.announce_started(execution)
        with _shown(execution, started, console, stop_wanted):
            end = runs.watch(execution, started)
        worker.store_end(queue.finish, execution, end)
    finally:
        executor.close()
    owners.me().run_path.unlink(missing_ok=True)
    runs.announce_finished(execution)
    tallies.store()
    queue.wake_if_ready(execution.queue)


def _busy(queue_name: str) -> str:
    running = situation.running(queue_name)
    if running is None:
        return f"Not run: another run had queue {queue_name} in this instant; try again."
    what = situation.running_in_words(running, timezone.now())
    return f"Not run: queue {queue_name} is taken by {what}."


@contextmanager
def _wish_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C, or the end of the session, sets instead of ending this process."""
    wanted = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: wanted.set()) for number in numbers}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shown(
    execution: Execution, started: object, console: Console, stop_wanted: threading.Event
) -> Iterator[None]:
    """While in it, another thread shows the output, and stops the run when that is wanted."""
    ended = threading.Event()
    run = started if isinstance(started, Run) else None
    companion = threading.Thread(
        target=_accompany, args=(execution, run, console, stop_wanted, ended), daemon=True
    )
    companion.start()
    try:
        yield
    finally:
        ended.set()
        companion.join()


def _accompany(
    execution: Execution,
    run: Run | None,
    console: Console,
    stop_wanted: threading.Event,
    ended: threading.Event,
) -> None:
    log = output.follow(conf.current().log_path(execution.pk))
    asked = False
    while not ended.wait(LOOK):
        _show(log.read(), console)
        if stop_wanted.is_set() and not asked:
            console.note("Stopping it: SIGTERM now, SIGKILL to what is left in 10 s.")
            _stop(execution, run)
            asked = True
    _show(log.read(), console)
    connections.close_all()


def _show(text: str, console: Console) -> None:
    try:
        console.output(text)
    except OSError:  # nobody reads on; the run goes on all the same
        console.silence()


def _stop(execution: Execution, run: Run | None) -> None:
    execution.stop_requested_by = login_name()
    try:
        api.request_stop(execution, login_name())
    except DatabaseError:
        pass  # then the record doesn't say who stopped it
    if run is not None:
        run.stop()
