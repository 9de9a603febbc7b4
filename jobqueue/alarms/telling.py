"""Alarms that changed, or stay bad, are told: one by one, or many of them in one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import router, transaction

from .. import conf
from ..models import Alarm, Execution, Job
from ..recipients import Audience
from . import judging, mails, outbox, rules

#: The same people get so many mails on single alarms in a quiet time; what comes then is gathered.
SINGLY = 3
#: So many alarms are told of at once.
AT_ONCE = 1000

Told = tuple[Alarm, Execution | None]


def tell(now: datetime) -> None:
    """Write the messages on what has changed, and on what is still bad."""
    with transaction.atomic(using=router.db_for_write(Alarm)):
        due = _due(now)
        for alarm, _ in due:
            if not _needs_word(alarm):
                Alarm.objects.filter(pk=alarm.pk).update(tell_at=None)
        for people, alarms in _by_people([one for one in due if _needs_word(one[0])]):
            _tell(people, alarms, now)


def _due(now: datetime) -> list[Told]:
    due = Alarm.objects.filter(tell_at__lte=now).select_for_update().order_by("pk")
    alarms = list(due[:AT_ONCE])
    jobs = Job.objects.in_bulk([alarm.job_id for alarm in alarms if alarm.job_id])
    runs = Execution.objects.in_bulk([a.execution_id for a in alarms if a.execution_id])
    for alarm in alarms:
        alarm.job = jobs[alarm.job_id] if alarm.job_id else None
    return [(alarm, runs.get(alarm.execution_id or 0)) for alarm in alarms]


def _needs_word(alarm: Alarm) -> bool:
    """Whether it has changed; nobody is reminded while somebody is on it."""
    is_reminded = judging.remind_after() is not None and alarm.acknowledged_at is None
    return alarm.is_bad != alarm.told_bad or (alarm.is_bad and is_reminded)


def _by_people(due: Sequence[Told]) -> list[tuple[list[Audience], list[Told]]]:
    groups: dict[str, tuple[list[Audience], list[Told]]] = {}
    for alarm, run in due:
        people = judging.addressed(alarm.job, alarm.job.queue if alarm.job else "")
        # Who was told last stays the same while it's held up.
        alarm.told_to = _digest_of(people)
        groups.setdefault(alarm.told_to, (people, []))[1].append((alarm, run))
    return list(groups.values())


def _tell(people: list[Audience], due: Sequence[Told], now: datetime) -> None:
    if not people:  # it stays untold: when there is somebody, the next bad run is told
        Alarm.objects.filter(pk__in=[a.pk for a, _ in due]).update(tell_at=None)
        return
    quiet = conf.current().ALARM_QUIET
    recent = Alarm.objects.filter(told_to=due[0][0].told_to, told_at__gt=now - quiet)
    times = sorted(at for at in recent.values_list("told_at", flat=True) if at is not None)
    if len(times) >= SINGLY:
        _hold(due, times[-1], quiet)
    elif len(times) + len(due) <= SINGLY:
        for alarm, run in due:
            _post(mails.of_change(alarm, run, now), people, [(alarm, run)], now)
    else:
        _post(mails.of_many(due, now), people, due, now)


def _hold(due: Sequence[Told], told_at: datetime, quiet: timedelta) -> None:
    """These people were told enough for now: it comes with what else there will be by then."""
    Alarm.objects.filter(pk__in=[a.pk for a, _ in due]).update(tell_at=told_at + quiet)


def _post(mail: mails.Mail, people: list[Audience], told: Sequence[Told], now: datetime) -> None:
    outbox.post(mail, people, now)
    for alarm, _ in told:
        alarm.thread = alarm.thread or mail.message_id
    _store(told, now)


def _store(told: Sequence[Told], now: datetime) -> None:
    for alarm, _ in told:
        Alarm.objects.filter(pk=alarm.pk).update(told_to=alarm.told_to)
        judging.store(alarm, rules.told(judging.condition_of(alarm), now, judging.remind_after()))


def _digest_of(people: Sequence[Audience]) -> str:
    return hashlib.sha256(json.dumps(people).encode()).hexdigest()
