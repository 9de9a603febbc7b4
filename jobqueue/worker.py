"""What a django-q2 worker does for us: take turns of the queues, and keep the clock.

A turn runs one after another what waits in a queue. It goes on while there is something to run
and nobody else wants the worker; a wake-up that it sends at its end brings the next turn.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TypeVar

from django.db import DataError, InterfaceError, OperationalError, connections

from . import broker, cluster, conf, queue, runs
from .clock import Clock
from .executor import Executor
from .models import Execution

log = logging.getLogger(__name__)

#: Seconds that a turn lasts at least while there is work, whoever else wants the worker.
TURN = 1.0
#: Seconds between two tries to write down an end while the database is away.
PAUSE = 0.5

_ON_LINUX = sys.platform.startswith("linux")

T = TypeVar("T")


def take_turn(queue_name: str) -> None:
    """Run what waits in a queue; called by django-q2 with the name that a wake-up carries."""
    if not _ON_LINUX:
        return
    if not cluster.stopping():
        with queue.relaxed():
            _run_waiting(queue_name, turn_ends=time.monotonic() + TURN)
    queue.wake_if_ready(queue_name)


def _run_waiting(queue_name: str, turn_ends: float) -> None:
    ended: Execution | None = None
    execution = queue.claim(queue_name) or queue.claimed_unawares(queue_name)
    while execution is not None:
        run = runs.start(execution, _executor())
        _announce_finished(ended)  # now that the next one runs, it waits for nobody
        runs.announce_started(execution)
        end = runs.watch(execution, run)
        ended, execution = execution, _finish(execution, end, turn_ends)
    _announce_finished(ended)
    runs.run_path().unlink(missing_ok=True)


def spawned(**_: object) -> None:
    """A worker has started: have its launcher ready and its clock running."""
    if not _ON_LINUX:
        log.error("Jobs run on Linux only; on %s no queue is served.", sys.platform)
    elif cluster.serves(conf.current().CLUSTER):
        _executor().prepare()
        Clock().start()


def _finish(execution: Execution, end: queue.End, turn_ends: float) -> Execution | None:
    """Store the end of a run; the next one, unless the turn is over."""
    wanted_elsewhere = time.monotonic() > turn_ends and cluster.wanted()
    if cluster.stopping() or wanted_elsewhere:
        persist(queue.finish, execution, end)
        return None
    following = persist(queue.finish_and_claim, execution, end)
    return following or queue.claimed_unawares(execution.queue)


def _announce_finished(ended: Execution | None) -> None:
    if ended is not None:
        runs.announce_finished(ended)


def persist(finish: Callable[[Execution, queue.End], T], execution: Execution, end: queue.End) -> T:
    """Store an end, again and again while the database is away: it must not be lost."""
    while True:
        try:
            return finish(execution, end)
        except (OperationalError, InterfaceError) as error:
            log.warning("%s has ended, which can't be stored yet: %s", execution.pk, error)
            connections.close_all()
            time.sleep(PAUSE)
        except DataError as error:  # such as an emoji in tables of three bytes a character
            log.warning("%s: its output is stored in ASCII: %s", execution.pk, error)
            ascii_tail = end.log_tail.encode("ascii", "backslashreplace").decode()
            if ascii_tail == end.log_tail:
                raise
            end = replace(end, log_tail=ascii_tail)


@cache
def _executor() -> Executor:
    return runs.new_executor()


def join() -> None:
    """Join the workers of django-q2, in the process that will become one."""
    from django_q.signals import post_spawn, pre_execute

    cluster.watch()
    post_spawn.connect(spawned, dispatch_uid="jobqueue.spawned")
    pre_execute.connect(_take_off, dispatch_uid="jobqueue.acknowledge")


def _take_off(*, task: dict[str, object], **_: object) -> None:
    broker.acknowledge(task)
