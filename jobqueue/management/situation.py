"""What goes on in the queues, for the commands that tell it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from ..commandline import bash_line, printable
from ..models import Cluster, Execution, Job, Queue, Source, State
from ..models.execution import BAD_ENDS, ExecutionQuerySet
from ..models.fields import DEFAULT_QUEUE
from .console import ago, lasting

STOPPING = (
    "The cluster is stopping: nothing more will start until `manage.py qcluster` is started again."
)
NO_CLUSTER = "No cluster runs: nothing will start. Start one with `manage.py qcluster`."
#: For so long a lost run is told of.
LATELY = timedelta(hours=24)


def queue_names() -> list[str]:
    """Queues that were ever served or paused, have requests, or are a Job's; and the default."""
    names = {DEFAULT_QUEUE, *Queue.objects.values_list("name", flat=True)}
    names.update(Execution.objects.open().order_by().values_list("queue", flat=True).distinct())
    names.update(Job.objects.order_by().values_list("queue", flat=True).distinct())
    return sorted(names)


def paused(queue: str, now: datetime) -> Queue | None:
    """The row of a queue that is paused."""
    return Queue.objects.filter(name=queue).paused(now).first()


def running(queue: str) -> Execution | None:
    """What runs in a queue."""
    rows = Execution.objects.filter(queue=queue).running().order_by("queue")
    return rows.defer("log_tail").first()


def ready_in_order(queue: str, now: datetime) -> ExecutionQuerySet:
    """What may start, in the order in which it will."""
    rows: ExecutionQuerySet = Execution.objects.filter(queue=queue)
    return rows.ready(now).in_order()


def delayed_in_order(queue: str, now: datetime) -> ExecutionQuerySet:
    """What waits for its own time, the next one first."""
    rows: ExecutionQuerySet = Execution.objects.filter(queue=queue, not_before__gt=now)
    return rows.waiting().order_by("not_before", "priority", "queued_at", "id")


def lost_lately(queue: str, now: datetime) -> ExecutionQuerySet:
    """Runs that were lost within :data:`LATELY`, the last one first."""
    rows: ExecutionQuerySet = Execution.objects.filter(queue=queue, state=State.LOST)
    return rows.filter(ended_at__gt=now - LATELY).order_by("-ended_at", "-id")


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
    yield from unserved()


def unserved() -> Iterator[str]:
    """That no cluster starts what waits, if so."""
    clusters = Cluster.objects.living()
    if all(cluster.stopping_at is not None for cluster in clusters):
        yield STOPPING if clusters else NO_CLUSTER


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
    """``execution 12 (Nightly report), running for 3 min``, and what happened to its worker."""
    words = f"{_named(execution, now)}, running for {lasting(execution.elapsed(now))}"
    times = execution.details.get("adopted", 0)
    if not isinstance(times, int) or not times:
        return words
    often = f" (taken over {times} times)" if times > 1 else ""
    return f"{words}; its worker died: it goes on and is looked after{often}"


def lost_in_words(execution: Execution, now: datetime) -> str:
    """``execution 12 (Nightly report): Nothing was heard of edi-2. Queued again as 13.``"""
    said = execution.details
    again, recovery = said.get("queued_again_as"), said.get("recovered_by")
    parts = [printable(execution.reason).rstrip(".")]
    if again:
        parts.append(f"Queued again as {again}")
    elif not recovery and "not_queued_again" not in said:
        parts.append("Not queued again")
    if recovery:
        parts.append(f"Recovery run: {recovery}")
    return f"{_named(execution, now)}: {'. '.join(parts)}."


def cluster_in_words(cluster: Cluster, now: datetime) -> str:
    """That it runs, or that it doesn't and how that is known; of one with its ``silence``."""
    who = f"Cluster {printable(cluster.name)} on {printable(cluster.host)}"
    if cluster.is_alive:
        running_for = lasting(now - cluster.started_at)
        end = ", stopping: it starts nothing more" if cluster.is_stopping else ""
        return f"{who}, process {cluster.pid}, running for {running_for}{end}."
    if cluster.is_gone:
        return f"{who} is dead: its process {cluster.pid} is gone."
    silence = lasting(cluster.__dict__["silence"])
    return f"{who} has been silent for {silence}: dead, or cut off from the database."


def _named(execution: Execution, now: datetime) -> str:
    what = label(execution, now)
    shown = what if len(what) <= 60 else what[:59] + "…"
    return f"execution {execution.pk} ({shown})"


def label(execution: Execution, now: datetime) -> str:
    """The Job or the command, the moment that it is for if the asker named one, the attempt."""
    if execution.source == Source.RECOVERY:
        return f"recovery run: {bash_line(execution.argv)}"
    name = printable(execution.job_name) or bash_line(execution.argv)
    at = execution.trigger_at
    if at is not None:
        name += f" for {clock(at, now)}"
    return ", ".join(filter(None, [name, attempt(execution, now)]))


def on_it(execution: Execution) -> str:
    """``ada is on it: ticket 4711``; "" if nobody is."""
    found = getattr(execution, "acknowledgement", None)
    if found is None:
        return ""
    words = f"{printable(found.acknowledged_by)} is on it"
    return f"{words}: {printable(found.note)}" if found.note else words


def attempt(execution: Execution, now: datetime) -> str:
    """``attempt 2 of 4, again at 06:20:00``; "" where all is as usual."""
    plan = execution.plan
    if plan is None or (plan.attempt == 1 and execution.state not in BAD_ENDS):
        return ""
    words = f"attempt {plan.attempt} of {plan.attempts}"
    if execution.state == State.WAITING and execution.not_before and execution.not_before > now:
        words += f", again at {clock(execution.not_before, now)}"
    return words
