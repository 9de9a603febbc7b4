"""Wake-ups: the only messages that we send through django-q2.

A wake-up means "look at this queue". It carries no job, so that one which is lost, repeated or
late does no harm.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from . import cluster, conf
from .cluster import TURN
from .models import Cluster

log = logging.getLogger(__name__)

#: Messages that are left on the broker at most while no cluster runs.
HANDFUL = 5


def wake(queue: str) -> None:
    """Have a worker look at this queue soon; if that can't be sent, the clock of a worker will.

    Sends nothing where django-q2's ``sync`` is on: the command would run in the caller.
    """
    from django_q.conf import Conf

    if not (Conf.SYNC or _is_enough()):
        _send(queue, _broker(_cluster_name()))


def wake_this_cluster(queue: str) -> None:
    """In a worker that has nothing to do: look at this queue, whoever has taken its wake-up."""
    _send(queue, cluster.OwnTasks())


def _send(queue: str, through: Any) -> None:
    from django_q.tasks import async_task

    options = {
        "broker": through,
        "timeout": -1,  # the limits of a run are ours, not those of the host's tasks
        "save": False,
        "ack_failure": True,
        "group": "jobqueue",
    }
    try:
        async_task(TURN, queue, q_options=options)
    except Exception as error:  # whatever the broker raises, the request is accepted
        log.warning(
            "wake-up for queue %s not sent, the clock will look: %s",
            queue,
            error,
            extra={"event": "wake_up.not_sent", "queue": queue},
        )


def _is_enough() -> bool:
    """Whether no cluster runs, and a handful of messages waits for one, whose clock will look."""
    try:
        if Cluster.objects.alive().exists():
            return False
        return outstanding() >= HANDFUL
    except Exception:
        return False


def outstanding() -> int:
    """How many messages wait on the broker, those of the host's own tasks included.

    Raises:
        Exception: any, of the broker's own library, if it can't be asked.
    """
    return int(_broker(_cluster_name()).queue_size() or 0)


def acknowledge(task: dict[str, Any]) -> None:
    """Take a wake-up off the broker at once: a turn may outlast the broker's ``retry``."""
    if task.get("func") == TURN and (ack_id := task.pop("ack_id", None)) is not None:
        try:
            _broker(_cluster_name()).acknowledge(ack_id)
        except Exception as error:
            log.warning(
                "wake-up not acknowledged, it will come again: %s",
                error,
                extra={"event": "wake_up.not_acknowledged"},
            )


def _cluster_name() -> str:
    return conf.current().CLUSTER or cluster.default_name()


@cache
def _broker(name: str) -> Any:
    from django_q.brokers import get_broker

    return get_broker(name)
