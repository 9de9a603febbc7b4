"""What goes on in the queues, for the commands that tell it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from .. import conf
from ..commandline import printable
from ..models import Cluster, Execution, Job, Queue
from ..models.execution import ExecutionQuerySet
from ..models.fields import DEFAULT_QUEUE
from .console import ago, lasting

NO_CLUSTER = "No cluster runs: nothing will start. Start one with `manage.py qcluster`."


def queue_names() -> list[str]:
    """Queues that were ever served or paused, have requests, or are a Job's; and the default."""
    names = {DEFAULT_QUEUE, *Queue.objects.values_list("name", flat=True)}
    names.update(Execution.objects.open().order_by().values_list("queue", flat=True).distinct())
    names.update(Job.objects.order_by().values_list("queue", flat=True).distinct())
    return sorted(names)


def alive_clusters() -> list[Cluster]:
    """Those heard of lately, and on this host only if their process is there."""
    here = conf.current().HOST
    alive = Cluster.objects.alive()
    return [cluster for cluster in alive if cluster.host != here or _exists(cluster.pid)]


def paused(queue: str, now: datetime) -> Queue | None:
    """The row of a queue that is paused."""
    return Queue.objects.filter(name=queue).paused(now).first()


def running(queue: str) -> Execution | None:
    """What runs in a queue."""
    return Execution.objects.filter(queue=queue).running().defer("log_tail").first()


def ready_in_order(queue: str, now: datetime) -> ExecutionQuerySet:
    """What may start, in the order in which it will."""
    rows: ExecutionQuerySet = Execution.objects.filter(queue=queue)
    return rows.ready(now).in_order()


def delayed_in_order(queue: str, now: datetime) -> ExecutionQuerySet:
    """What waits for its own time, the next one first."""
    rows: ExecutionQuerySet = Execution.objects.filter(queue=queue, not_before__gt=now)
    return rows.waiting().order_by("not_before", "priority", "queued_at", "id")


def place(execution: Execution) -> int | None:
    """Its place among those that may start, from 1; None if it doesn't wait (any more)."""
    row = Execution.objects.filter(pk=execution.pk).waiting()
    found = row.values_list("queue", "priority", "queued_at").first()
    if found is None:
        return None
    queue, priority, queued_at = found
    earlier = Q(queued_at__lt=queued_at) | Q(queued_at=queued_at, pk__lt=execution.pk)
    ahead = Q(priority__lt=priority) | Q(priority=priority) & earlier
    return ready_in_order(queue, timezone.now()).filter(ahead).count() + 1


def obstacles(queue: str) -> Iterator[str]:
    """Why nothing will start in a queue for now."""
    now = timezone.now()
    if (row := paused(queue, now)) is not None:
        yield f"Queue {queue} is {pause_in_words(row, now)}."
    if not alive_clusters():
        yield NO_CLUSTER


def pause_in_words(row: Queue, now: datetime) -> str:
    """``paused by ada 5 min ago until 14:30: the partner's server is down``."""
    words = f"paused by {printable(row.paused_by) or 'somebody'} {ago(row.paused_at, now)}"
    if row.paused_until is not None:
        words += f" until {clock(row.paused_until, now)}"
    return f"{words}: {printable(row.pause_reason)}" if row.pause_reason else words


def clock(moment: datetime, now: datetime) -> str:
    """The time of a moment of today, any other with its date."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localdate(now)
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"


def running_in_words(execution: Execution, now: datetime) -> str:
    """``execution 12 (Nightly report), running for 3 min``."""
    what = label(execution, now)
    shown = what if len(what) <= 60 else what[:59] + "…"
    return f"execution {execution.pk} ({shown}), running for {lasting(execution.elapsed(now))}"


def label(execution: Execution, now: datetime) -> str:
    """The Job or the command, and the moment that it is for, if the asker named one."""
    name = printable(execution.label)
    at = execution.trigger_at
    return name if at is None else f"{name} for {clock(at, now)}"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return True
