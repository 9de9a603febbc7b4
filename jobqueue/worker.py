"""What a django-q2 worker does for us: take turns of the queues, keep the clock, have mail sent.

A turn runs one after another what waits in a queue. It goes on while there is something to run
and nobody else wants the worker; a wake-up that it sends at its end brings the next turn.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections

from . import broker, cluster, conf, leases, queue, recovery, runs
from .alarms.courier import Courier
from .clock import Clock
from .executor import Executor
from .models import Execution

log = logging.getLogger(__name__)

#: Seconds that a turn lasts at least while there is work, whoever else wants the worker; then as
#: often it's asked whether another queue does.
TURN = 1.0
#: Seconds between two tries to write down an end while the database is away.
PAUSE = 0.5
#: Seconds after which a cluster that stops leaves that to the next one: the run file has the end.
LAST_TRY = 20.0

_ON_LINUX = sys.platform.startswith("linux")

T = TypeVar("T")


def take_turn(queue_name: str) -> None:
    """Run what waits in a queue; called by django-q2 with the name that a wake-up carries."""
    if not _ON_LINUX:
        return
    _run_waiting(queue_name, _Turn(queue_name))
    queue.wake_if_ready(queue_name)


def _run_waiting(queue_name: str, turn: _Turn) -> None:
    ended: Execution | None = None
    execution = _persist(_claim, queue_name)
    while execution is not None:
        run = runs.start(execution, _executor())
        _announce_finished(ended)  # now that the next one runs, it waits for nobody
        runs.announce_started(execution)
        end = runs.watch(execution, run)
        ended, execution = execution, _finish(execution, end, turn)
    _announce_finished(ended)


def spawned(**_: object) -> None:
    """A worker has started: have its launcher ready and its clock running."""
    if not _ON_LINUX:
        log.error(
            "Jobs run on Linux only; on %s no queue is served.",
            sys.platform,
            extra={"event": "service.not_on_linux"},
        )
    elif cluster.serves(conf.current().CLUSTER):
        cluster.hold_on()
        with suppress(OSError):  # no room for one more process; the first run will tell
            _executor().prepare()
        Clock().start()
        Courier().start()


def _claim(queue_name: str) -> Execution | None:
    if cluster.stopping():
        return None
    leases.ensure()
    with queue.relaxed():
        return queue.claim(queue_name) or queue.claimed_unawares(queue_name)


def _finish(execution: Execution, end: queue.End, turn: _Turn) -> Execution | None:
    """Store the end of a run; the next one, unless the turn is over."""
    if cluster.stopping() or turn.is_over():
        store_end(queue.finish, execution, end)
        return None
    with queue.relaxed():
        following = store_end(_finish_and_claim, execution, end)
    return following or _persist(queue.claimed_unawares, execution.queue)


def _finish_and_claim(execution: Execution, end: queue.End) -> Execution | None:
    leases.ensure()
    return queue.finish_and_claim(execution, end)


class _Turn:
    """For how long a worker stays with a queue."""

    def __init__(self, queue_name: str) -> None:
        self._queue = queue_name
        self._lasts_until = self._looks_at = time.monotonic() + TURN

    def is_over(self) -> bool:
        """Whether somebody else wants the worker: a task, or a queue whose wake-up was lost."""
        now = time.monotonic()
        if now < self._lasts_until:
            return False
        if cluster.wanted():
            return True
        if now < self._looks_at:
            return False
        self._looks_at = now + TURN
        return self._wake_others()

    def _wake_others(self) -> bool:
        others = [name for name in queue.ready() if name != self._queue]
        for name in others:
            broker.wake(name)
        return bool(others)


def _announce_finished(ended: Execution | None) -> None:
    if ended is None:
        return
    if ended.is_open:
        log.warning(
            "%s has ended, but its row was taken away meanwhile",
            ended.pk,
            extra={"event": "run.row_gone", "execution": ended.pk},
        )
    else:
        runs.announce_finished(ended)


def store_end(
    finish: Callable[[Execution, queue.End], T], execution: Execution, end: queue.End
) -> T:
    """Store an end however long the database is away, and whatever it takes of the output."""
    try:
        return _persist(finish, execution, end)
    except DataError as error:  # such as an emoji in tables of three bytes a character
        log.warning(
            "%s: its output is stored in ASCII: %s",
            execution.pk,
            error,
            extra={"event": "run.output_in_ascii", "execution": execution.pk},
        )
        return _persist(finish, execution, end.in_ascii())


def _persist(step: Callable[..., T], *arguments: Any) -> T:
    """Do a step, again and again while the database is away."""
    give_up_at = time.monotonic() + LAST_TRY
    while True:
        try:
            return step(*arguments)
        except (DataError, IntegrityError):
            raise
        except (DatabaseError, InterfaceError) as error:  # away, read-only, full, locked, damaged
            if cluster.stopping() and time.monotonic() > give_up_at:
                raise
            log.warning(
                "the database is away, trying again: %s", error, extra={"event": "database.away"}
            )
            connections.close_all()
            time.sleep(PAUSE)


@cache
def _executor() -> Executor:
    return runs.new_executor()


def join() -> None:
    """Join the workers of django-q2, in the process that will become one."""
    from django_q.signals import post_spawn, pre_execute

    cluster.watch(recovery.see_to_the_last)
    post_spawn.connect(spawned, dispatch_uid="jobqueue.spawned")
    pre_execute.connect(_take_off, dispatch_uid="jobqueue.acknowledge")


def _take_off(*, task: dict[str, object], **_: object) -> None:
    broker.acknowledge(task)
