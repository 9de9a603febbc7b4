"""What users do on web pages: asked of the api, told by a message, kept in the admin's log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.db import DatabaseError, router, transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import api, desk, recipients
from ..alarms import judging, outbox, sending
from ..alarms.channels import NotSent
from ..commandline import printable
from ..forecast import SOON
from ..languages import in_english, translated
from ..models import (
    Alarm,
    Cluster,
    Execution,
    Job,
    Message,
    Queue,
    Schedule,
    Source,
    State,
)
from ..models.execution import DEFAULT_PRIORITY
from ..queue import DETAILS_OF_A_RUN
from ..recipients import Audience
from . import alarm_record, display, links
from .once import once

#: So many are changed in one transaction, and the queue goes on between two.
STEP = 100
#: So many are named in one message.
NAMED = 10
NO_CLUSTER = gettext_lazy(
    "No cluster runs: nothing will start. Start one with “manage.py qcluster”."
)

_NOT_WAITING = gettext_lazy("Nothing was changed where it doesn't wait any more: {executions}.")
_NOT_RUNNING = gettext_lazy("Nothing was changed where it doesn't run any more: {executions}.")


def may(user: Any, permission: str, instance: Model | None = None) -> bool:
    """Whether a user has a permission of this app, for all objects or for this one."""
    name = f"jobqueue.{permission}"
    return user.has_perm(name) or (instance is not None and user.has_perm(name, instance))


def may_run(user: Any, job: Job | None = None) -> bool:
    """Whether a user may queue a Job: who may see it and has ``run_job``."""
    may_see = may(user, "view_job", job) or may(user, "change_job", job)
    return may_see and may(user, "run_job", job)


# Running


@once
def run(request: HttpRequest, job: Job, priority: int = DEFAULT_PRIORITY) -> None:
    """Queue a Job, by default at priority 5."""
    if execution := _enqueue(request, job, job.name, priority=priority):
        at = "" if priority == DEFAULT_PRIORITY else f" at priority {priority}"
        _note(request, [job], f"Run{at}: execution {execution.pk}.")


@once
def run_again(request: HttpRequest, execution: Execution) -> None:
    """Queue the same request at priority 5: the Job as it is now, or the bare command."""
    link = links.to_execution(request, execution.pk)
    if execution.is_open:
        text = _("{execution} has not ended: it isn't run again.")
        _tell(request, messages.WARNING, text, execution=link)
    elif _has_lost_its_job(execution):
        text = _("The Job of {execution} was deleted: it isn't run again.")
        _tell(request, messages.WARNING, text, execution=link)
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
        listed = _listed(request, done)
        _tell(request, messages.SUCCESS, text, count=len(done), executions=listed)
    if left:
        text = _("Not run again: {executions}.")
        _tell(request, messages.WARNING, text, executions=_listed(request, left))
    if text := no_cluster():
        _tell(request, messages.WARNING, text)


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
    _note(request, [execution], f"Run again: execution {again.pk}.")


def _asked(request: HttpRequest, what: Job | Sequence[str], **wanted: Any) -> api.Enqueued:
    wanted = {"priority": DEFAULT_PRIORITY, **wanted}
    return api.enqueue(what, **wanted, source=Source.ADMIN, requested_by=_who(request))


def _enqueue(
    request: HttpRequest, what: Job | Sequence[str], label: str, **wanted: Any
) -> Execution | None:
    shown = _shown(label)
    try:
        answer = _asked(request, what, **wanted)
    except (api.NotQueued, DatabaseError) as error:
        text = _("“{name}” wasn't queued: {why}")
        _tell(request, messages.ERROR, text, name=shown, why=printable(translated(error)))
        return None
    level, text = _told_as(answer)
    link = links.to_execution(request, answer.execution.pk)
    _tell(request, level, text, name=shown, execution=link, place=_place(answer.execution))
    if text := no_cluster():
        _tell(request, messages.WARNING, text)
    return answer.execution


def no_cluster() -> str:
    """What is to be said when no cluster is alive; else ""."""
    return "" if Cluster.objects.living() else str(NO_CLUSTER)


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


# Steering


def cancel(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Take waiting requests off their queues."""

    def done(count: int) -> str:
        return ngettext(
            "{executions} was cancelled.", "{count} executions were cancelled: {executions}.", count
        )

    _steer(request, executions, api.cancel, "Cancelled.", done, str(_NOT_WAITING))


def stop(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Have running ones stopped by their workers."""

    def done(count: int) -> str:
        return ngettext(
            "{executions} is being stopped; it has 10 seconds to end by itself.",
            "{count} executions are being stopped: {executions}.",
            count,
        )

    _steer(request, executions, api.request_stop, "Stop.", done, str(_NOT_RUNNING))


def set_priority(request: HttpRequest, executions: Iterable[Execution], priority: int) -> None:
    """Give waiting requests another priority.

    Raises:
        NotQueued: that is no priority.
    """

    def change(this: Execution, by: str) -> bool:
        return api.set_priority(this, priority, by)

    def done(count: int) -> str:
        text = ngettext(
            "{executions} has priority %d now.",
            "{count} executions have priority %d now: {executions}.",
            count,
        )
        return text % priority

    late = _(
        "Nothing was changed where it doesn't wait any more, or is a recovery run, which goes "
        "before all others: {executions}."
    )
    _steer(request, executions, change, f"Priority {priority}.", done, late)


def acknowledge_runs(request: HttpRequest, executions: Iterable[Execution], note: str) -> None:
    """Have colleagues see that somebody is on runs that went wrong."""

    def change(this: Execution, by: str) -> bool:
        return api.acknowledge(this, by, note)

    def done(count: int) -> str:
        return ngettext(
            "{executions} is acknowledged.",
            "{count} executions are acknowledged: {executions}.",
            count,
        )

    logged = f"Acknowledged. {note}".strip()
    late = _("Nothing was changed where nothing has gone wrong: {executions}.")
    _steer(request, executions, change, logged, done, late)


def withdraw_acknowledgement(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Take acknowledgements back."""

    def done(_count: int) -> str:
        return _("{executions} isn't acknowledged any more.")

    change, note = api.withdraw_acknowledgement, "Acknowledgement taken back."
    late = _("Nothing was changed where nobody has acknowledged: {executions}.")
    _steer(request, executions, change, note, done, late)


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
        _tell(request, messages.WARNING, late_text, executions=listed)


def left_out(request: HttpRequest, executions: QuerySet[Execution]) -> SafeString | str:
    """Which of those that were selected aren't meant, and their states; "" if all are."""
    rows = executions.values_list("pk", "state", "source")[: NAMED + 1]
    named = [(pk, ", ".join(_words(state, source))) for pk, state, source in rows]
    return format_html(_("Left out: {}."), _listed(request, named)) if named else ""


def _words(state: str, source: str) -> Iterator[str]:
    yield str(State(state).label)
    if source == Source.RECOVERY:
        yield str(Source.RECOVERY.label)


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
        end = f" until {timezone.localtime(until):%Y-%m-%d %H:%M:%S %Z}" if until else ""
        note = f"Paused{end}."
        _note(request, [queue], f"{note} {reason}".strip())
        _tell(request, messages.SUCCESS, _("The queue {queue} is paused."), queue=queue.name)


def resume(request: HttpRequest, queues: Iterable[Queue]) -> None:
    """Let queues start runs again."""
    for queue in queues:
        if api.resume(queue.name, _who(request)):
            _note(request, [queue], "Resumed.")
            _tell(request, messages.SUCCESS, _("The queue {queue} goes on."), queue=queue.name)
        else:
            text = _("The queue {queue} wasn't paused.")
            _tell(request, messages.WARNING, text, queue=queue.name)


# Alarms and mail


def acknowledge(request: HttpRequest, alarm: Alarm, note: str) -> None:
    """Have colleagues see that somebody is on it."""
    values = {"name": _shown(str(alarm))}
    if judging.acknowledge(alarm, _who(request), note, timezone.now()):
        _note(request, [alarm], f"Acknowledged. {note}".strip())
        text = _("The alarm of “{name}” is acknowledged, until all is well again.")
        _tell(request, messages.SUCCESS, text, **values)
    else:
        text = _("“{name}” is well by now: there was nothing to acknowledge.")
        _tell(request, messages.WARNING, text, **values)


def send_now(request: HttpRequest, mails: Iterable[Message]) -> None:
    """Have messages sent at once, also those that were given up or dropped."""

    def done(count: int) -> str:
        return ngettext("{count} message is sent now.", "{count} messages are sent now.", count)

    _change_mails(request, mails, outbox.send_now, "Send now.", done)


def drop(request: HttpRequest, mails: Iterable[Message]) -> None:
    """Never send them."""

    def done(count: int) -> str:
        return ngettext("{count} message won't be sent.", "{count} messages won't be sent.", count)

    _change_mails(request, mails, outbox.drop, "Dropped.", done)


def _change_mails(
    request: HttpRequest,
    mails: Iterable[Message],
    change: Callable[[Message, str], bool],
    note: str,
    done_text: Callable[[int], str],
) -> None:
    rows, who = list(mails), _who(request)
    done = [row for row in rows if change(row, who)]
    _note(request, done, note)
    if done:
        _tell(request, messages.SUCCESS, done_text(len(done)), count=len(done))
    if late := len(rows) - len(done):
        text = ngettext(
            "{count} message was sent or dropped already.",
            "{count} messages were sent or dropped already.",
            late,
        )
        _tell(request, messages.WARNING, text, count=late)


@once
def test_profile(request: HttpRequest, profile: str) -> None:
    """Send a test mail to the user's own address, and tell what the server answered."""
    name = profile or _("Django's own settings")
    try:
        to = recipients.address(getattr(request.user, "email", "") or "")
    except ValueError:
        _tell(request, messages.ERROR, _("Your account has no mail address to send a test to."))
        return
    _test(request, name, Audience(profile, (to,)))


@once
def test_channel(request: HttpRequest, word: str) -> None:
    """Send a test by a channel of the settings, and tell what its receiver answered."""
    _test(request, _("Channel"), recipients.of_channel(word))


@once
def test_ping(request: HttpRequest, job: Job) -> None:
    """Ping for a Job in a way that changes nothing, and tell what the receiver answered."""
    place = alarm_record.ping_place(job)
    _try(request, partial(sending.test_ping, job), name=_("Ping"), to=place)


def _test(request: HttpRequest, name: str, audience: Audience) -> None:
    _try(request, partial(sending.test, audience), name=name, to=audience.addresses[0])


def _try(request: HttpRequest, test: Callable[[], str], **values: str) -> None:
    try:
        answer = printable(test())
    except NotSent as error:
        text = _("{name}: not sent to {to}. {why}")
        _tell(request, messages.ERROR, text, why=printable(str(error)), **values)
    else:
        text = _("{name}: sent to {to}. {answer}")
        _tell(request, messages.SUCCESS, text, answer=answer, **values)


# Schedules


@once
def run_schedule(request: HttpRequest, schedule: Schedule) -> None:
    """Queue the Job of a schedule now, as the schedule does; its next fire time stays."""
    wanted = {"priority": schedule.priority, "queue": schedule.queue or None}
    if execution := _enqueue(request, schedule.job, schedule.job.name, **wanted):
        _note(request, [schedule], f"Run now: execution {execution.pk}.")


def enable(request: HttpRequest, schedules: Iterable[Schedule]) -> None:
    """Let schedules fire from now on, nothing made up; tell when the next time comes."""
    for schedule in schedules:
        schedule.enabled = True
        try:
            schedule.save()
        except ValueError as error:
            text = _("“{name}” wasn't enabled: {why}")
            why = printable(translated(error))
            _tell(request, messages.ERROR, text, name=_shown(schedule.name), why=why)
        else:
            _note(request, [schedule], "Enabled.")
            tell_next(request, schedule, _("“{name}” is enabled."))


def disable(request: HttpRequest, schedules: Iterable[Schedule]) -> None:
    """Let schedules fire no more."""
    for schedule in schedules:
        schedule.enabled = False
        schedule.save()
        _note(request, [schedule], "Disabled.")
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
        values["moment"] = display.moment(schedule.next_fire_at, schedule.zone())
        values["distance"] = display.distance(schedule.next_fire_at - timezone.now())
    _tell(request, level, f"{text} {more}".strip(), **values)


def _shown(name: str) -> str:
    return Truncator(printable(name)).chars(100)


def _who(request: HttpRequest) -> str:
    """The login name, as long as it can be stored."""
    return str(request.user.get_username())[:254]


def _note(request: HttpRequest, objects: Sequence[Model], text: str) -> None:
    """In the admin's log, in English: others read it."""
    if objects and apps.is_installed("django.contrib.admin"):
        from django.contrib.admin.models import CHANGE, LogEntry

        user: Any = request.user
        entries: Any = LogEntry.objects  # django-stubs wants a QuerySet; any sequence will do
        with in_english():  # it asks what the objects are called
            entries.log_actions(user.pk, objects, CHANGE, printable(text))


def _tell(request: HttpRequest, level: int, text: str, **values: object) -> None:
    told = format_html(text, **values) if values else text
    messages.add_message(request, level, told, fail_silently=True)
