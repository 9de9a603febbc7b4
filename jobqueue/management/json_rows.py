"""The JSON of ``--json``: names that others rely on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from ..models import Cluster, Execution, Fire, Job, Message, Queue, Schedule

_JOB = (
    *("id", "name", "description", "argv", "environment", "working_directory", "env", "queue"),
    *("enabled", "in_run_menu", "ask_first", "codes", "max_runtime", "kill_after", "rerun_if_lost"),
    *("keep_runs", "keep_days", "keep_failed_days", "keep_output_days"),
    *("max_retries", "retry_on", "retry_delay", "retry_backoff", "retry_max_delay"),
    *("notify", "alarm_after", "alarm_at_first_failure", "recipients", "ping_url"),
)
_ALARM = (
    *("is_bad", "since", "failures", "reason"),
    *("acknowledged_by", "acknowledged_at", "note"),
)
_SCHEDULE = (
    *("id", "name", "kind", "expression", "interval", "anchor_at", "once_at", "timezone"),
    *("both_days", "first_at", "last_at", "priority", "queue", "enabled", "catch_up"),
    *("misfire_grace", "next_fire_at", "last_fire_at", "problem"),
)
_FIRE = ("fire_at", "outcome", "missed", "reason", "execution_id")
_MESSAGE = (
    *("id", "subject", "channel", "profile", "recipients", "created_at", "due_at", "attempts"),
    *("sent_at", "dropped_by", "problem"),
)
_CLUSTER = ("name", "host", "pid", "workers", "started_at", "seen_at")
_EXECUTION = (
    *("id", "job__name", "queue", "priority", "argv", "state", "source", "requested_by"),
    *("trigger_at", "queued_at", "not_before", "started_at", "ended_at", "return_code", "reason"),
    *("log_path", "log_tail", "attempt", "retry_of_id", "retry", "host", "pid", "details"),
    *("acknowledgement__acknowledged_by", "acknowledgement__acknowledged_at"),
    "acknowledgement__note",
)
_SHOWN_AS = {
    "job__name": "job",
    "retry_of_id": "retry_of",
    "execution_id": "execution",
    "acknowledgement__acknowledged_by": "acknowledged_by",
    "acknowledgement__acknowledged_at": "acknowledged_at",
    "acknowledgement__note": "note",
}

Row = dict[str, Any]


def dumps(rows: object) -> str:
    """JSON in ASCII: moments in ISO 8601 and UTC, durations in seconds."""
    return json.dumps(rows, default=_plain, indent=2)


def executions(rows: QuerySet[Execution]) -> list[Row]:
    """An object for each, with the Job's name as `job`."""
    return [_renamed(row) for row in rows.values(*_EXECUTION)]


def jobs(rows: Iterable[Job]) -> list[Row]:
    """An object for each, with its ``alarm``: null until a run of it was judged."""
    return [{**{name: getattr(job, name) for name in _JOB}, "alarm": _alarm(job)} for job in rows]


def _alarm(job: Job) -> Row | None:
    alarm = getattr(job, "alarm", None)
    return alarm and {name: getattr(alarm, name) for name in _ALARM}


def schedules(rows: Iterable[Schedule]) -> list[Row]:
    """An object for each, with the Job's name as `job` and its times in words."""
    return [
        {
            **{name: getattr(row, name) for name in _SCHEDULE},
            "job": row.job.name,
            "words": row.in_words(),
        }
        for row in rows
    ]


def fires(rows: QuerySet[Fire]) -> list[Row]:
    """An object for each."""
    return [_renamed(row) for row in rows.values(*_FIRE)]


def clusters(rows: Iterable[Cluster]) -> list[Row]:
    """An object for each."""
    return [{name: getattr(cluster, name) for name in _CLUSTER} for cluster in rows]


def messages(rows: QuerySet[Message]) -> list[Row]:
    """An object for each, without the text."""
    return [dict(row) for row in rows.values(*_MESSAGE)]


def pause(row: Queue | None) -> Row | None:
    """Who paused it, why, and until when."""
    if row is None:
        return None
    return {"by": row.paused_by, "reason": row.pause_reason, "until": row.paused_until}


def _renamed(row: Row) -> Row:
    return {_SHOWN_AS.get(name, name): value for name, value in row.items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"no JSON for {value!r}")
