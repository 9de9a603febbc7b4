"""Somebody is on a run that went wrong: colleagues see that, and the alarm of its Job says so."""

from __future__ import annotations

import logging

from django.db import router, transaction
from django.utils import timezone

from .alarms import judging
from .commandline import printable
from .models import Acknowledgement, Alarm, Execution
from .models.execution import BAD_ENDS
from .refusals import Refusal
from .refusals import gettext_noop as _

log = logging.getLogger(__name__)


def acknowledge(execution: Execution, by: str, note: str = "") -> bool:
    """Note that somebody is on a run that went wrong; anew if somebody was before.

    A bad alarm that this run is a part of is acknowledged as well.

    Returns:
        False if the run hasn't gone wrong.

    Raises:
        Refusal: the note is too long, or can't be stored.
    """
    note = _storable(note)
    with transaction.atomic(using=router.db_for_write(Execution)):
        wrong = Execution.objects.filter(pk=execution.pk, state__in=BAD_ENDS)
        row = wrong.only("job", "ended_at").first()
        if row is None:
            return False
        now = timezone.now()
        values = {"acknowledged_by": by, "acknowledged_at": now, "note": note}
        Acknowledgement.objects.update_or_create(execution_id=execution.pk, defaults=values)
        for alarm in _alarms(row):
            judging.acknowledge(alarm, by, note, now)
    log.info(
        "%s acknowledged by %s: %s",
        execution.pk,
        printable(by),
        printable(note),
        extra={"event": "run.acknowledged", "execution": execution.pk, "by": by},
    )
    return True


def withdraw_acknowledgement(execution: Execution, by: str) -> bool:
    """Take an acknowledgement back, that of the alarm as well; False if there is none."""
    with transaction.atomic(using=router.db_for_write(Execution)):
        row = Acknowledgement.objects.select_for_update().filter(pk=execution.pk).first()
        if row is None:
            return False
        same = {"acknowledged_by": row.acknowledged_by, "acknowledged_at": row.acknowledged_at}
        alarms = Alarm.objects.filter(job__executions=execution.pk, **same)
        alarms.update(acknowledged_by="", acknowledged_at=None, note="")
        row.delete()
    log.info(
        "%s: its acknowledgement was taken back by %s",
        execution.pk,
        printable(by),
        extra={"event": "run.unacknowledged", "execution": execution.pk, "by": by},
    )
    return True


def _alarms(execution: Execution) -> list[Alarm]:
    """The alarm of its Job, if that is bad since this run or an earlier one."""
    if execution.job_id is None or execution.ended_at is None:
        return []
    bad = Alarm.objects.filter(job=execution.job_id, is_bad=True)
    return list(bad.filter(since__lte=execution.ended_at))


def _storable(note: str) -> str:
    """The note in one line, if every database takes it.

    Raises:
        Refusal: it can't be stored.
    """
    line = " ".join(note.split())
    if "\0" in line or line != line.encode(errors="replace").decode():
        raise Refusal(_("The note can't be stored: it has characters that are no text."))
    if len(line) > Acknowledgement.NOTE:
        text = _("The note has %(n)s characters: make it no longer than %(most)s.")
        raise Refusal(text, n=len(line), most=Acknowledgement.NOTE)
    return line
