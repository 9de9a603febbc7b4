"""The alarm of the service itself: what goes wrong without a run that could tell.

A service that is down can't mail that it is; a host that fell silent is told by another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import router, transaction
from django.db.models import F

from .. import conf
from ..commandline import printable
from ..models import Alarm, Cluster, Fire, FireOutcome, Schedule
from . import judging, rules
from .rules import Verdict

#: So many of each kind are named.
NAMED = 5


class Watch:
    """Looks again and again; what is there at two looks is trouble, what is gone at two is over.

    In between, after the database was away, say, others may just not have been heard of yet.
    """

    def __init__(self) -> None:
        self._before: list[str] | None = None

    def look(self, now: datetime) -> None:
        """Look whether all is well, and move the alarm if that has changed."""
        before, self._before = self._before, list(problems())
        if before is None:
            return
        lasting = [problem for problem in self._before if problem in before]
        if lasting or not (self._before or before):
            _judge("; ".join(lasting), now)


def problems() -> Iterator[str]:
    """What is wrong now, in words."""
    silent = Cluster.objects.dead().order_by("pk")
    for cluster in silent[:NAMED]:
        yield f"nothing is heard of the cluster {printable(str(cluster))}"
    enabled = Schedule.objects.filter(enabled=True, job__enabled=True)
    for schedule in enabled.exclude(problem="").order_by("name")[:NAMED]:
        yield f"the schedule {_name(schedule)} can't fire: {_words(schedule.problem)}"
    refused = Fire.objects.filter(
        outcome=FireOutcome.REFUSED, fire_at=F("schedule__last_fire_at"), schedule__in=enabled
    )
    for fire in refused.select_related("schedule").order_by("schedule__name")[:NAMED]:
        yield f"the schedule {_name(fire.schedule)} was refused: {_words(fire.reason)}"


def _judge(reason: str, now: datetime) -> None:
    known = Alarm.objects.filter(job=None).order_by("pk").first()
    was = (known.is_bad, known.reason) if known else (False, "")
    if was != (bool(reason), reason):
        with transaction.atomic(using=router.db_for_write(Alarm)):
            _move(reason, now)


def _move(reason: str, now: datetime) -> None:
    alarm = judging.locked(None)
    known = judging.condition_of(alarm)
    # What joins the trouble, or leaves it, is shown; told is that there is some.
    alarm.reason = reason
    if known.is_bad != bool(reason):
        found = Verdict.BAD if reason else Verdict.GOOD
        quiet = conf.current().ALARM_QUIET
        known = rules.after(
            known, None, found, now, now,
            alarm_after=1, quiet=quiet, remind_after=judging.remind_after(),
        )  # fmt: skip
    judging.store(alarm, known)


def _name(schedule: Schedule) -> str:
    return printable(schedule.name)


def _words(text: str) -> str:
    return printable(text).rstrip(".")
