"""Queue Jobs, the same again, and what schedules queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import DatabaseError
from django.db.models import Q
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import api, desk
from ...commandline import printable
from ...desk.forecast import SOON, Place
from ...languages import translated
from ...models import Execution, Job, Queue, Schedule, Source
from ...models.execution import DEFAULT_PRIORITY
from ...queue import DETAILS_OF_A_RUN
from .. import links
from .budget import STEP, Budget, tell_left
from .once import once
from .telling import list_of, no_cluster, record, shortened, tell, user_name


@once
def run(request: HttpRequest, jobs: Iterable[Job], priority: int = DEFAULT_PRIORITY) -> bool:
    """Queue Jobs, by default at priority 5."""
    at = "" if priority == DEFAULT_PRIORITY else f" at priority {priority}"
    is_done = False
    for job in jobs:
        if execution := _enqueue(request, job, job.name, priority=priority):
            record(request, [job], f"Run{at}: execution {execution.pk}.")
            is_done = True
    return is_done


@once
def run_again(request: HttpRequest, execution: Execution) -> bool:
    """Queue the same request at priority 5: the Job as it is now, or the bare command."""
    link = links.to_execution(request, execution.pk)
    if execution.is_open:
        text = _("{execution} has not ended: it isn't run again.")
        tell(request, messages.WARNING, text, execution=link)
        return False
    if _has_lost_its_job(execution):
        text = _("The Job of {execution} was deleted: it isn't run again.")
        tell(request, messages.WARNING, text, execution=link)
        return False
    what, wanted = _same(execution)
    again = _enqueue(request, what, execution.label, **wanted)
    if again is not None:
        _note_again(request, execution, again)
    return again is not None


@once
def run_all_again(request: HttpRequest, executions: Sequence[Execution]) -> bool:
    """Queue the same requests as :func:`run_again`, and tell of all in one message.

    What doesn't fit into the budget is left as it was, which is told, too.
    """
    budget = Budget()
    done: list[tuple[int, str]] = []
    refused: list[tuple[int, str]] = []
    left: list[int] = []
    for number, execution in _whole(executions):
        if number and budget.is_spent:
            left = [each.pk for each in executions[number:]]
            break
        again, why_not = _queued_again(request, execution)
        if again is None:
            refused.append((execution.pk, why_not))
        else:
            done.append((again.pk, ""))
            _note_again(request, execution, again)
    if done:
        text = ngettext(
            "{count} request is queued: {executions}.",
            "{count} requests are queued: {executions}.",
            len(done),
        )
        listed = list_of(request, done)
        tell(request, messages.SUCCESS, text, count=len(done), executions=listed)
    if refused:
        text = _("Not run again: {executions}.")
        tell(request, messages.WARNING, text, executions=list_of(request, refused))
    if not (done or refused or left):
        tell(request, messages.WARNING, _("None of them is there any more."))
    tell_left(request, left)
    if text := no_cluster():
        tell(request, messages.WARNING, text)
    return bool(done)


@once
def run_schedules(request: HttpRequest, schedules: Iterable[Schedule]) -> bool:
    """Queue the Jobs of schedules now, as these do; their next fire times stay."""
    is_done = False
    for schedule in schedules:
        wanted = {"priority": schedule.priority, "queue": schedule.queue or None}
        if execution := _enqueue(request, schedule.job, schedule.job.name, **wanted):
            record(request, [schedule], f"Run now: execution {execution.pk}.")
            is_done = True
    return is_done


def _whole(executions: Sequence[Execution]) -> Iterator[tuple[int, Execution]]:
    """The same, counted from 0, with what a list leaves out; read one by one it takes long."""
    for start in range(0, len(executions), STEP):
        pks = [each.pk for each in executions[start : start + STEP]]
        found = Execution.objects.select_related("job").defer("log_tail").in_bulk(pks)
        yield from ((start + i, found[pk]) for i, pk in enumerate(pks) if pk in found)


def _queued_again(request: HttpRequest, execution: Execution) -> tuple[Execution | None, str]:
    """The new request, or None and why there is none."""
    if execution.is_open:
        return None, _("has not ended")
    if _has_lost_its_job(execution):
        return None, _("its Job was deleted")
    what, wanted = _same(execution)
    try:
        answer = _asked(request, what, **wanted)
    except (api.NotQueued, DatabaseError) as error:
        return None, printable(translated(error))
    if answer.outcome == api.DUPLICATE:
        return None, _("the same waits already")
    return answer.execution, ""


def _has_lost_its_job(execution: Execution) -> bool:
    return bool(execution.job_name) and execution.job is None


def _same(execution: Execution) -> tuple[Job | list[str], dict[str, Any]]:
    """What asks for the same again."""
    left_out = {*DETAILS_OF_A_RUN, "joined"}  # nobody has joined this request
    asked = {k: v for k, v in execution.details.items() if k not in left_out}
    wanted: dict[str, Any] = {
        "queue": execution.queue,
        "trigger": execution.trigger_at,
        "details": {**asked, "again_of": execution.pk},
    }
    if execution.job is not None:
        return execution.job, wanted
    wanted |= {
        "environment": execution.environment,
        "env": execution.env,
        "working_directory": execution.working_directory,
    }
    return execution.argv, wanted


def _note_again(request: HttpRequest, execution: Execution, again: Execution) -> None:
    record(request, [execution], f"Run again: execution {again.pk}.")


def _asked(request: HttpRequest, what: Job | Sequence[str], **wanted: Any) -> api.Enqueued:
    wanted = {"priority": DEFAULT_PRIORITY, **wanted}
    return api.enqueue(what, **wanted, source=Source.ADMIN, requested_by=user_name(request))


def _enqueue(
    request: HttpRequest, what: Job | Sequence[str], label: str, **wanted: Any
) -> Execution | None:
    shown = shortened(label)
    try:
        answer = _asked(request, what, **wanted)
    except (api.NotQueued, DatabaseError) as error:
        text = _("“{name}” wasn't queued: {why}")
        tell(request, messages.ERROR, text, name=shown, why=printable(translated(error)))
        return None
    level, text = _told_as(answer)
    link = links.to_execution(request, answer.execution.pk)
    tell(request, level, text, name=shown, execution=link, place=_place(answer.execution))
    if text := no_cluster():
        tell(request, messages.WARNING, text)
    return answer.execution


def _told_as(answer: api.Enqueued) -> tuple[int, str]:
    if answer.outcome == api.ADDED:
        return messages.SUCCESS, _("“{name}” is queued as {execution}: {place}.")
    if answer.outcome == api.PROMOTED:
        return messages.SUCCESS, _("“{name}” was waiting and moved forward: {execution}, {place}.")
    return messages.WARNING, _("“{name}” is waiting already as {execution}: {place}.")


def _place(execution: Execution) -> str:
    now, name = timezone.now(), execution.queue
    queue = _on_desk(name, now)
    # None: beyond what the desk reads, or started by now.
    number, expected = _in_line(queue, execution) or (_ahead(execution, now) + 1, None)
    place = str(number) if number <= desk.COUNTED else f"{desk.COUNTED}+"
    values = {"place": place, "queue": name}
    if _is_paused(name, queue, now):
        return _("place %(place)s in the queue %(queue)s, which is paused") % values
    shown = _("place %(place)s in the queue %(queue)s") % values
    return ", ".join(filter(None, [shown, _start(expected, now)]))


def _on_desk(name: str, now: datetime) -> desk.QueueDesk | None:
    """A queue as the desk shows it; None if that can't be read, or if nothing is there any more."""
    try:
        found = desk.read(now)
    except DatabaseError:
        return None  # it is queued: nothing that only informs may look like a failure
    return next((queue for queue in found.queues if queue.name == name), None)


def _in_line(queue: desk.QueueDesk | None, execution: Execution) -> tuple[int, Place] | None:
    """Which one it is in the line of its queue on the desk, counted from 1, and when it starts."""
    for number, item in enumerate(queue.waiting if queue else (), 1):
        if item.execution.pk == execution.pk:
            return number, item.place
    return None


def _is_paused(name: str, queue: desk.QueueDesk | None, now: datetime) -> bool:
    if queue is not None:
        return queue.is_paused
    return bool(Queue.objects.filter(name=name).paused(now).exists())


def _ahead(execution: Execution, now: datetime) -> int:
    """How many that may start are served before it; `desk.COUNTED` stands for that or more."""
    same = Q(priority=execution.priority)
    ahead = (
        Q(priority__lt=execution.priority)
        | same & Q(queued_at__lt=execution.queued_at)
        | same & Q(queued_at=execution.queued_at, pk__lt=execution.pk)
    )
    rows = Execution.objects.filter(ahead, queue=execution.queue).exclude(not_before__gt=now)
    return int(rows.waiting().order_by().values("pk")[: desk.COUNTED].count())


def _start(found: Place | None, now: datetime) -> str:
    """When it will start, if that is known and not now."""
    if found is None or found.starts_at is None or found.starts_at - now < SOON:
        return ""
    text = _("starts after %s") if found.is_earliest else _("starts about %s")
    return text % formats.date_format(timezone.localtime(found.starts_at), "H:i")
