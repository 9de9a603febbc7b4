"""Queue Jobs, the same again, and what schedules queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from ...desk.forecast import SOON
from ...languages import translated
from ...models import Execution, Job, Queue, Schedule, Source
from ...models.execution import DEFAULT_PRIORITY
from ...queue import DETAILS_OF_A_RUN
from .. import links
from .once import once
from .telling import list_of, no_cluster, record, shortened, tell, user_name


@once
def run(request: HttpRequest, job: Job, priority: int = DEFAULT_PRIORITY) -> None:
    """Queue a Job, by default at priority 5."""
    if execution := _enqueue(request, job, job.name, priority=priority):
        at = "" if priority == DEFAULT_PRIORITY else f" at priority {priority}"
        record(request, [job], f"Run{at}: execution {execution.pk}.")


@once
def run_again(request: HttpRequest, execution: Execution) -> None:
    """Queue the same request at priority 5: the Job as it is now, or the bare command."""
    link = links.to_execution(request, execution.pk)
    if execution.is_open:
        text = _("{execution} has not ended: it isn't run again.")
        tell(request, messages.WARNING, text, execution=link)
    elif _has_lost_its_job(execution):
        text = _("The Job of {execution} was deleted: it isn't run again.")
        tell(request, messages.WARNING, text, execution=link)
    else:
        what, wanted = _same(execution)
        if again := _enqueue(request, what, execution.label, **wanted):
            _note_again(request, execution, again)


@once
def run_all_again(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Queue the same requests as :func:`run_again`, and tell of all in one message."""
    done: list[tuple[int, str]] = []
    left: list[tuple[int, str]] = []
    for execution in executions:
        again, why_not = _queued_again(request, execution)
        if again is None:
            left.append((execution.pk, why_not))
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
    if left:
        text = _("Not run again: {executions}.")
        tell(request, messages.WARNING, text, executions=list_of(request, left))
    if text := no_cluster():
        tell(request, messages.WARNING, text)


@once
def run_schedule(request: HttpRequest, schedule: Schedule) -> None:
    """Queue the Job of a schedule now, as the schedule does; its next fire time stays."""
    wanted = {"priority": schedule.priority, "queue": schedule.queue or None}
    if execution := _enqueue(request, schedule.job, schedule.job.name, **wanted):
        record(request, [schedule], f"Run now: execution {execution.pk}.")


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
    ahead = Q(priority__lt=execution.priority) | Q(
        priority=execution.priority, queued_at__lt=execution.queued_at
    )
    place = Execution.objects.filter(ahead, queue=execution.queue).waiting().count() + 1
    values = {"place": place, "queue": execution.queue}
    if Queue.objects.filter(name=execution.queue).paused(timezone.now()).exists():
        return _("place %(place)d in the queue %(queue)s, which is paused") % values
    shown = _("place %(place)d in the queue %(queue)s") % values
    return ", ".join(filter(None, [shown, _start(execution)]))


def _start(execution: Execution) -> str:
    """When it will start, if that is known and not now."""
    now = timezone.now()
    try:
        found = desk.places(now).get(execution.pk)
    except DatabaseError:
        return ""  # it is queued: nothing that only informs may look like a failure
    if found is None or found.starts_at is None or found.starts_at - now < SOON:
        return ""
    text = _("starts after %s") if found.is_earliest else _("starts about %s")
    return text % formats.date_format(timezone.localtime(found.starts_at), "H:i")
