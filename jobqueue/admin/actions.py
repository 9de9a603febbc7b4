"""What users do on web pages: asked of the api, told by a message, kept in the admin's log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.db import DatabaseError, router, transaction
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import api
from ..commandline import printable
from ..models import Cluster, Execution, Job, Queue, Schedule, Source
from ..models.execution import DEFAULT_PRIORITY, FIRST, LAST
from ..queue import DETAILS_OF_A_RUN
from ..requests import priority_number
from . import display, links

#: So many are changed in one transaction, and the queue goes on between two.
STEP = 100
_PRIORITIES = [str(number) for number in range(FIRST, LAST + 1)]
#: So many are named in one message.
NAMED = 10


def may(user: Any, permission: str, instance: Model | None = None) -> bool:
    """Whether a user has a permission of this app, for all objects or for this one."""
    name = f"jobqueue.{permission}"
    return user.has_perm(name) or (instance is not None and user.has_perm(name, instance))


def may_run(user: Any, job: Job | None = None) -> bool:
    """Whether a user may queue a Job: who may see it and has ``run_job``."""
    may_see = may(user, "view_job", job) or may(user, "change_job", job)
    return may_see and may(user, "run_job", job)


# Running


def run(request: HttpRequest, job: Job) -> None:
    """Queue a Job at priority 5."""
    if execution := _enqueue(request, job, job.name):
        _note(request, [job], _("Run: execution %d.") % execution.pk)


def run_again(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Queue the same requests at priority 5: the Job as it is now, or the bare command."""
    for execution in executions:
        if execution.is_open:
            text = _("{execution} has not ended: it isn't run again.")
            link = links.to_execution(request, execution.pk)
            _tell(request, messages.WARNING, text, execution=link)
        else:
            _run_again(request, execution)


def _run_again(request: HttpRequest, execution: Execution) -> None:
    if execution.job_name and execution.job is None:
        text = _("The Job of {execution} was deleted: it isn't run again.")
        _tell(request, messages.WARNING, text, execution=links.to_execution(request, execution.pk))
        return
    asked = {k: v for k, v in execution.details.items() if k not in DETAILS_OF_A_RUN}
    wanted: dict[str, Any] = {
        "queue": execution.queue,
        "trigger": execution.trigger_at,
        "details": {**asked, "again_of": execution.pk},
    }
    if execution.job is None:
        wanted |= {
            "environment": execution.environment,
            "env": execution.env,
            "working_directory": execution.working_directory,
        }
    again = _enqueue(request, execution.job or execution.argv, execution.label, **wanted)
    if again:
        _note(request, [execution], _("Run again: execution %d.") % again.pk)


def _enqueue(
    request: HttpRequest, what: Job | Sequence[str], label: str, **wanted: Any
) -> Execution | None:
    wanted = {"priority": DEFAULT_PRIORITY, **wanted}
    wanted |= {"source": Source.ADMIN, "requested_by": _who(request)}
    shown = _shown(label)
    try:
        answer = api.enqueue(what, **wanted)
    except (api.NotQueued, DatabaseError) as error:
        text = _("“{name}” wasn't queued: {why}")
        _tell(request, messages.ERROR, text, name=shown, why=printable(str(error)))
        return None
    level, text = _told_as(answer)
    link = links.to_execution(request, answer.execution.pk)
    _tell(request, level, text, name=shown, execution=link, place=_place(answer.execution))
    if text := no_cluster():
        _tell(request, messages.WARNING, text)
    return answer.execution


def no_cluster() -> str:
    """What is to be said when no cluster is alive; else ""."""
    if Cluster.objects.living():
        return ""
    return _("No cluster runs: nothing will start. Start one with “manage.py qcluster”.")


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
    return _("place %(place)d in the queue %(queue)s") % values


# Steering


def cancel(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Take waiting requests off their queues."""

    def done(count: int) -> str:
        return ngettext(
            "{executions} was cancelled.", "{count} executions were cancelled: {executions}.", count
        )

    _steer(request, executions, api.cancel, _("Cancelled."), done, _("doesn't wait any more"))


def stop(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Have running ones stopped by their workers."""

    def done(count: int) -> str:
        return ngettext(
            "{executions} is being stopped; it has 10 seconds to end by itself.",
            "{count} executions are being stopped: {executions}.",
            count,
        )

    _steer(request, executions, api.request_stop, _("Stop."), done, _("doesn't run any more"))


def set_priority(request: HttpRequest, execution: Execution, typed: str) -> None:
    """Give a waiting request another priority.

    Raises:
        NotQueued: what was typed is no priority.
    """
    priority = priority_number(int(typed) if typed in _PRIORITIES else typed)

    def change(this: Execution, by: str) -> bool:
        return api.set_priority(this, priority, by)

    def done(_count: int) -> str:
        return _("{executions} has priority %d now.") % priority

    late = _("doesn't wait any more")
    _steer(request, [execution], change, _("Priority %d.") % priority, done, late)


def _steer(
    request: HttpRequest,
    executions: Iterable[Execution],
    change: Callable[[Execution, str], bool],
    note: str,
    done_text: Callable[[int], str],
    late_text: str,
) -> None:
    """Change each, note it, and tell which were changed and which had changed by themselves."""
    rows, who = list(executions), _who(request)
    done: list[int] = []
    for start in range(0, len(rows), STEP):
        with transaction.atomic(using=router.db_for_write(Execution)):
            changed = [row for row in rows[start : start + STEP] if change(row, who)]
            _note(request, changed, note)
        done += [row.pk for row in changed]
    late = sorted({row.pk for row in rows} - set(done))
    if done:
        listed = _listed(request, [(pk, "") for pk in done])
        text = done_text(len(done))
        _tell(request, messages.SUCCESS, text, count=len(done), executions=listed)
    if late:
        states = {
            e.pk: e.get_state_display() for e in Execution.objects.filter(pk__in=late[:NAMED])
        }
        listed = _listed(request, [(pk, states.get(pk, _("deleted"))) for pk in late])
        text = _("Nothing was changed where it {late}: {executions}.")
        _tell(request, messages.WARNING, text, late=late_text, executions=listed)


def _listed(request: HttpRequest, rows: Sequence[tuple[int, str]]) -> SafeString:
    shown = [
        (links.to_execution(request, pk), f" ({state})" if state else "") for pk, state in rows
    ]
    listed = format_html_join(", ", "{}{}", shown[:NAMED])
    return format_html("{}, …", listed) if len(rows) > NAMED else listed


# Queues


def pause(
    request: HttpRequest, queues: Iterable[Queue], reason: str, until: datetime | None
) -> None:
    """Let queues start nothing, until they are resumed or until a time."""
    for queue in queues:
        api.pause(queue.name, _who(request), reason, until)
        end = formats.date_format(timezone.localtime(until), "DATETIME_FORMAT") if until else ""
        note = _("Paused until %s.") % end if end else _("Paused.")
        _note(request, [queue], f"{note} {reason}".strip())
        _tell(request, messages.SUCCESS, _("The queue {queue} is paused."), queue=queue.name)


def resume(request: HttpRequest, queues: Iterable[Queue]) -> None:
    """Let queues start runs again."""
    for queue in queues:
        if api.resume(queue.name, _who(request)):
            _note(request, [queue], _("Resumed."))
            _tell(request, messages.SUCCESS, _("The queue {queue} goes on."), queue=queue.name)
        else:
            text = _("The queue {queue} wasn't paused.")
            _tell(request, messages.WARNING, text, queue=queue.name)


# Schedules


def run_schedule(request: HttpRequest, schedule: Schedule) -> None:
    """Queue the Job of a schedule now, as the schedule does; its next fire time stays."""
    wanted = {"priority": schedule.priority, "queue": schedule.queue or None}
    if execution := _enqueue(request, schedule.job, schedule.job.name, **wanted):
        _note(request, [schedule], _("Run now: execution %d.") % execution.pk)


def enable(request: HttpRequest, schedules: Iterable[Schedule]) -> None:
    """Let schedules fire from now on, nothing made up; tell when the next time comes."""
    for schedule in schedules:
        schedule.enabled = True
        try:
            schedule.save()
        except ValueError as error:
            text = _("“{name}” wasn't enabled: {why}")
            why = printable(str(error))
            _tell(request, messages.ERROR, text, name=_shown(schedule.name), why=why)
        else:
            _note(request, [schedule], _("Enabled."))
            tell_next(request, schedule, _("“{name}” is enabled."))


def disable(request: HttpRequest, schedules: Iterable[Schedule]) -> None:
    """Let schedules fire no more."""
    for schedule in schedules:
        schedule.enabled = False
        schedule.save()
        _note(request, [schedule], _("Disabled."))
        text = _("“{name}” is disabled: it doesn't fire any more.")
        _tell(request, messages.SUCCESS, text, name=_shown(schedule.name))


def tell_next(request: HttpRequest, schedule: Schedule, text: str = "") -> None:
    """Say when a schedule fires next, and what stands in the way."""
    level, values = messages.WARNING, {"name": _shown(schedule.name)}
    if not schedule.enabled:
        more = _("It is disabled and doesn't fire.")
    elif schedule.next_fire_at is None:
        more = _("No time is left: it doesn't fire any more.")
    elif not schedule.job.enabled:
        more = _("Its Job is disabled and accepts no requests.")
    else:
        level, more = messages.SUCCESS, _("Next: {moment}, {distance}.")
        values["moment"] = display.moment(schedule.next_fire_at, display.zone_of(schedule))
        values["distance"] = display.distance(schedule.next_fire_at - timezone.now())
    _tell(request, level, f"{text} {more}".strip(), **values)


def _shown(name: str) -> str:
    return Truncator(printable(name)).chars(100)


def _who(request: HttpRequest) -> str:
    """The login name, as long as it can be stored."""
    return str(request.user.get_username())[:254]


def _note(request: HttpRequest, objects: Sequence[Model], text: str) -> None:
    if objects and apps.is_installed("django.contrib.admin"):
        from django.contrib.admin.models import CHANGE, LogEntry

        user: Any = request.user
        entries: Any = LogEntry.objects  # django-stubs wants a QuerySet; any sequence will do
        entries.log_actions(user.pk, objects, CHANGE, text)


def _tell(request: HttpRequest, level: int, text: str, **values: object) -> None:
    told = format_html(text, **values) if values else text
    messages.add_message(request, level, told, fail_silently=True)
