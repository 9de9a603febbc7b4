"""What a message is about, as plain values: for programs, where people get a mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.urls import NoReverseMatch, reverse

from .. import conf
from ..models import Alarm, Execution


def link_to(model: str, pk: object = None) -> str:
    """The address of a page of the admin; "" if that, or where the site is, isn't known."""
    site = conf.current().SITE_URL.rstrip("/")
    page, args = ("changelist", ()) if pk is None else ("change", (pk,))
    try:
        return site and f"{site}{reverse(f'admin:jobqueue_{model}_{page}', args=args)}"
    except NoReverseMatch:
        return ""


def event_of(alarm: Alarm) -> str:
    """What is told of an alarm, before that is noted."""
    if is_reminder(alarm):
        return "alarm.reminder"
    return "alarm.bad" if alarm.is_bad else "alarm.good"


def is_reminder(alarm: Alarm) -> bool:
    """Whether people know that it's bad."""
    return alarm.is_bad and alarm.told_bad


def data_of(
    event: str, alarms: Sequence[Alarm], execution: Execution | None = None
) -> dict[str, Any]:
    """What a message is about.

    Args:
        event: one of those that docs/alarms.md lists.
    """
    return {
        "event": event,
        "alarms": [_alarm_data(alarm) for alarm in alarms],
        "execution": _execution_data(execution) if execution else None,
        "url": link_to("execution", execution.pk) if execution else link_to("alarm"),
    }


def _alarm_data(alarm: Alarm) -> dict[str, Any]:
    return {
        "job": alarm.job.name if alarm.job else None,
        "is_bad": alarm.is_bad,
        "since": _iso(alarm.since),
        "failures": alarm.failures,
        "reason": alarm.reason,
        "url": link_to("alarm", alarm.pk),
    }


def _execution_data(execution: Execution) -> dict[str, Any]:
    plain = ("queue", "state", "reason", "return_code", "attempt", "host")
    moments = ("queued_at", "started_at", "ended_at")
    return {
        "id": execution.pk,
        "job": execution.job_name or None,
        **{name: getattr(execution, name) for name in plain},
        **{name: _iso(getattr(execution, name)) for name in moments},
        "url": link_to("execution", execution.pk),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
