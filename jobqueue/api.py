"""What hosts may import; everything else may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from . import queue as _queue
from . import requests as _requests
from .acknowledging import acknowledge, withdraw_acknowledgement
from .alarms.channels import Channel, NotSent, Receipt
from .commandline import printable
from .definitions import UniqueNames
from .findings import Finding, Level, add_check
from .gauges import Gauge, add_gauges
from .models import Cluster, Execution, Fire, Job, Message, Queue, Schedule, Source, State
from .models.fields import validate_queue_name
from .models.primary import PrimaryManager
from .portable import Portable, register_portable
from .queue import (
    ADDED,
    DUPLICATE,
    PROMOTED,
    Enqueued,
    Outcome,
    amend,
    cancel,
    clear,
    pause,
    request_stop,
    resume,
    set_priority,
)
from .requests import JobDisabled, NotQueued
from .retention import prune
from .signals import (
    DeskLine,
    desk_drawn,
    execution_finished,
    execution_given_up,
    execution_overdue,
    execution_started,
)

__all__ = [
    "ADDED",
    "DUPLICATE",
    "PROMOTED",
    "Channel",
    "Cluster",
    "DeskLine",
    "Enqueued",
    "Execution",
    "Finding",
    "Fire",
    "Gauge",
    "Job",
    "JobDisabled",
    "Level",
    "Message",
    "NotQueued",
    "NotSent",
    "Outcome",
    "Portable",
    "PrimaryManager",
    "Queue",
    "Receipt",
    "Schedule",
    "Source",
    "State",
    "UniqueNames",
    "acknowledge",
    "add_check",
    "add_gauges",
    "amend",
    "cancel",
    "clear",
    "desk_drawn",
    "enqueue",
    "execution_finished",
    "execution_given_up",
    "execution_overdue",
    "execution_started",
    "pause",
    "printable",
    "prune",
    "register_portable",
    "request_stop",
    "resume",
    "set_priority",
    "validate_queue_name",
    "why_refused",
    "withdraw_acknowledgement",
]


def enqueue(
    command_or_job: Sequence[str] | Job,
    *,
    priority: int = 5,
    queue: str | None = None,
    trigger: datetime | None = None,
    not_before: datetime | None = None,
    source: str = Source.API,
    requested_by: str = "",
    details: Mapping[str, Any] | None = None,
    environment: str = "",
    env: Mapping[str, str] | None = None,
    working_directory: str = "",
) -> Enqueued:
    """Queue a run of a Job, or of a command as a list of strings (argv; never a shell line).

    When it returns outside of a transaction, the request is on the disk and will be run.
    Inside of one it takes effect at the commit.

    Args:
        command_or_job: a saved :class:`Job`, or the program and its arguments.
        priority: 1 (first) to 9 (last).
        queue: the queue's name; by default the Job's, else ``default``.
        trigger: the moment *for* which it runs, handed over as ``JOBQUEUE_TRIGGER``; no delay.
        not_before: the run starts no earlier; it holds up no other.
        source: who asks, one of :class:`Source`.
        requested_by: who asks in words, such as a login name.
        details: JSON that is kept with the Execution, such as the files that led to it.
        environment: for a bare command, a name from ``JOBQUEUE["ENVIRONMENTS"]``.
        env: for a bare command, environment variables over those of the service.
        working_directory: for a bare command; by default the service's.

    Raises:
        JobDisabled: the Job accepts no requests.
        NotQueued: something else about the request is wrong; the message says what.
    """
    return _queue.enqueue(
        _requests.build(
            command_or_job,
            priority=priority,
            queue=queue,
            trigger=trigger,
            not_before=not_before,
            source=source,
            requested_by=requested_by,
            details=details,
            environment=environment,
            env=env,
            working_directory=working_directory,
        )
    )


def why_refused(
    command_or_job: Sequence[str] | Job, *, priority: int = 5, queue: str | None = None
) -> str:
    """Why :func:`enqueue` would refuse such a request now, in one line; "" if it wouldn't."""
    try:
        _requests.build(command_or_job, priority=priority, queue=queue)
    except NotQueued as error:
        return str(error)
    return ""
