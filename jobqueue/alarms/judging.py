"""Runs that ended are judged: each moves the alarm of its Job.

An end is marked as not judged by the statement that writes it, so none gets lost, whatever is
killed when. The mark is taken away together with what follows from it, in one transaction.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, fields
from datetime import datetime, timedelta

from django.db import router, transaction

from .. import conf, recipients
from ..commandline import printable
from ..ends import limit
from ..models import Alarm, Execution, Job, Message, Notify, Source
from ..recipients import Audience
from . import mails, outbox, pings, rules
from .rules import Condition, Verdict

log = logging.getLogger(__name__)

#: So many runs are looked at for the Jobs that are to be judged, and so many of each are judged.
AT_ONCE, RUNS = 1000, 100
#: So many words are named that mean nobody.
NAMED = 10

_CONDITION = [f.name for f in fields(Condition)]
_ACKNOWLEDGED = ("acknowledged_by", "acknowledged_at", "note")
_CHANGED = [
    *(name.removesuffix("_id") for name in _CONDITION),
    *("reason", "thread", *_ACKNOWLEDGED),
]


def judge(now: datetime) -> bool:
    """Judge what has ended since the last time, or some of it; whether more is left."""
    unjudged = Execution.objects.filter(unjudged__isnull=False).order_by("unjudged")
    found = list(unjudged.values_list("unjudged", flat=True)[:AT_ONCE])
    is_more = len(found) == AT_ONCE
    for job in dict.fromkeys(found):
        assert job is not None
        with transaction.atomic(using=router.db_for_write(Execution)):
            is_more |= _judge(job, now) == RUNS
    return is_more


def raise_alarm(execution: Execution, text: str, now: datetime) -> list[Message] | None:
    """What a run says itself: its Job's alarm is bad by this, and its recipients hear it.

    Other words than those that were told last are sent when the alarm's quiet time is over; if
    some wait for that already, they are passed over.

    Returns:
        The messages that were posted; None if nothing new is to be told.
    """
    with transaction.atomic(using=router.db_for_write(Execution)):
        if execution.job is None:
            mail = mails.of_text(execution, text, is_alarm=True)
            return outbox.post(mail, addressed(None, execution.queue), now)
        return _raise(locked(execution.job), execution, text, now)


def _raise(alarm: Alarm, execution: Execution, text: str, now: datetime) -> list[Message] | None:
    known, quiet = condition_of(alarm), conf.current().ALARM_QUIET
    step = rules.after(
        known, execution.pk, Verdict.BAD, now, now,
        alarm_after=1, quiet=quiet, remind_after=remind_after(),
    )  # fmt: skip
    told_at = known.told_at if known.told_bad and known.told_at else now - quiet
    if known.told_bad and step.is_bad and (alarm.reason == text or told_at > now):
        store(alarm, step)
        return None
    mail = mails.of_text(execution, text, is_alarm=True, thread=alarm.thread)
    due_at = max(now, told_at + quiet)
    posted = outbox.post(mail, addressed(alarm.job, execution.queue), now, due_at)
    alarm.reason = text
    if posted:
        alarm.thread = alarm.thread or mail.message_id
        step = rules.told(step, due_at, remind_after())
    store(alarm, step)
    return posted


def notify(execution: Execution, text: str, now: datetime) -> list[Message]:
    """Mail what a run has to tell to its recipients."""
    mail = mails.of_text(execution, text, is_alarm=False)
    return outbox.post(mail, addressed(execution.job, execution.queue), now)


def acknowledge(alarm: Alarm, by: str, note: str, now: datetime) -> bool:
    """Say that somebody is on it, until it's good again; False if it's good by now."""
    bad = Alarm.objects.filter(pk=alarm.pk, is_bad=True)
    return bool(bad.update(acknowledged_by=by, acknowledged_at=now, note=note))


def told(job: Job | None, queue: str) -> list[Audience]:
    """Who hears of a Job, or of a bare command in a queue; nobody if the Job says so."""
    if job is None:
        return recipients.told("", queue)
    if job.notify == Notify.NEVER:
        return []
    return recipients.told(job.recipients, job.queue)


def addressed(job: Job | None, queue: str) -> list[Audience]:
    """Who hears of it now; in the log, if some or all of those who should are unknown."""
    people = told(job, queue)
    if job is not None and job.notify == Notify.NEVER:
        return people
    name = printable(job.name) if job else ""
    about = {"job": name, "queue": queue}
    if gone := recipients.unknown(job.recipients if job else "", queue):
        words = ", ".join(printable(word[:100]) for word in gone[:NAMED])
        text = "recipients of %s that are not in the settings: %s"
        event = {"event": "alarm.unknown_recipients", "recipients": words, **about}
        log.warning(text, name or f"queue {queue}", words, extra=event)
    if not people:
        event = {"event": "alarm.told_nobody", **about}
        log.warning("nobody is told of %s", name or f"queue {queue}", extra=event)
    return people


def remind_after() -> timedelta | None:
    """After how long people are told again of what stays bad; None: never."""
    settings = conf.current()
    return settings.REMIND_AFTER and max(settings.REMIND_AFTER, settings.ALARM_QUIET)


def condition_of(alarm: Alarm) -> Condition:
    """What the rules need of it."""
    return Condition(**{name: getattr(alarm, name) for name in _CONDITION})


def store(alarm: Alarm, condition: Condition) -> None:
    """Save what has become of it; with good news nobody needs to be on it any more."""
    has_changed = alarm.is_bad != condition.is_bad
    for name, value in asdict(condition).items():
        setattr(alarm, name, value)
    if not alarm.is_bad:
        alarm.thread = alarm.thread if alarm.told_bad else ""
        alarm.acknowledged_by, alarm.acknowledged_at, alarm.note = "", None, ""
    alarm.save(update_fields=_CHANGED)
    if has_changed:
        _log_change(alarm)


def _log_change(alarm: Alarm) -> None:
    name = printable(alarm.job.name) if alarm.job else ""
    whose, about = name or "the job queue", {"job": name, "execution": alarm.execution_id}
    if alarm.is_bad:
        reason = printable(alarm.reason)[:300]
        bad = {"event": "alarm.bad", **about}
        log.info("alarm of %s is bad: %s", whose, reason, extra=bad)
    else:
        log.info("alarm of %s is good again", whose, extra={"event": "alarm.good", **about})


def locked(job: Job | None) -> Alarm:
    """The alarm of a Job, or of the service, held until the transaction ends."""
    if job is None:
        alarm = Alarm.objects.filter(job=None).order_by("pk").first() or Alarm.objects.create()
    else:
        alarm, _ = Alarm.objects.get_or_create(job=job)
    alarm = Alarm.objects.select_for_update().get(pk=alarm.pk)
    alarm.job = job
    return alarm


def _judge(pk: int, now: datetime) -> int:
    """Judge runs of a Job; how many."""
    job = Job.objects.filter(pk=pk).first()
    alarm = locked(job) if job else None
    # Locked, so that one that still runs can't end between the look and the mark's removal.
    rows = Execution.objects.filter(unjudged=pk).select_for_update().defer("log_tail")
    rows = rows.order_by("ended_at", "pk")
    runs = sorted(rows[:RUNS], key=lambda run: (run.ended_at or now, run.pk))
    if job is not None and alarm is not None:
        _judge_all(job, alarm, runs, now)
    Execution.objects.filter(pk__in=[run.pk for run in runs]).update(unjudged=None)
    return len(runs)


def _judge_all(job: Job, alarm: Alarm, runs: list[Execution], now: datetime) -> None:
    quiet, condition = conf.current().ALARM_QUIET, condition_of(alarm)
    for run in runs:
        found = _verdict(job, run)
        known, ended_at = condition, run.ended_at or now
        condition = rules.after(
            known, run.pk, found, ended_at, now,
            alarm_after=job.alarm_after, quiet=quiet, remind_after=remind_after(),
        )  # fmt: skip
        if found is Verdict.BAD and condition != known:
            alarm.reason = run.reason or _too_long(run)
        if _is_told_alone(job, run, found) and (people := addressed(job, job.queue)):
            mail = mails.of_run(run, alarm)
            outbox.post(mail, people, now)
            if condition.is_bad and condition.tell_at:  # that it became bad is told by this one
                condition = rules.told(condition, now, remind_after())
                alarm.thread = alarm.thread or mail.message_id
        if not run.is_open:
            pings.tell_end(run, job, now)
    store(alarm, condition)


def _verdict(job: Job, run: Execution) -> Verdict:
    return rules.verdict(
        run.state,
        run.details,
        recovers=run.source == Source.RECOVERY,
        at_first_failure=job.alarm_at_first_failure,
    )


def _is_told_alone(job: Job, run: Execution, found: Verdict) -> bool:
    """Whether this run has a mail of its own."""
    if job.notify == Notify.EACH_FAILURE:
        return found is Verdict.BAD and (run.is_open or "overdue" not in run.details)
    if run.is_open or "retry_cancelled" in run.details:  # that it ended was told before
        return False
    if job.notify == Notify.EACH_OUTPUT:
        return bool(run.log_path)
    return job.notify == Notify.EACH_RUN


def _too_long(run: Execution) -> str:
    longest = limit(run.max_runtime, conf.current().MAX_RUNTIME)
    return f"longer than {mails.lasting(longest or timedelta(0))} (max_runtime)"
