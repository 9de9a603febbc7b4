"""Build a request: a checked, unsaved, waiting Execution from a Job or a bare command."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import DEFERRED
from django.utils import timezone

from . import codes, commandline, environments, retrying
from .models import Execution, Job, Source
from .models.execution import DEFAULT_PRIORITY, FIRST, LAST
from .models.fields import DEFAULT_QUEUE, QUEUE_NAMES, validate_queue_name
from .refusals import Phrase, Refusal
from .refusals import gettext_noop as _

#: As JSON writes it, but not the six characters themselves, whose backslash it doubles.
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SOURCES = Source.values
#: All fields in the order of the model; those that the database computes are left to it.
_DEFAULTS = {
    f.attname: DEFERRED if f.generated else f.get_default() for f in Execution._meta.concrete_fields
}


class NotQueued(Refusal):
    """A request was refused; the message says why, in one line."""


class JobDisabled(NotQueued):
    """The Job accepts no requests."""


def build(
    command_or_job: Sequence[str] | Job,
    *,
    priority: int = DEFAULT_PRIORITY,
    queue: str | None = None,
    trigger: datetime | None = None,
    fire_at: datetime | None = None,
    not_before: datetime | None = None,
    source: str = Source.API,
    requested_by: str = "",
    details: Mapping[str, Any] | None = None,
    environment: str = "",
    env: Mapping[str, str] | None = None,
    working_directory: str = "",
    is_current: bool = False,
) -> Execution:
    """The request, not yet saved.

    A Job is read anew, unless it is_current.

    A `trigger` is part of what is asked for. A schedule's fire time is handed over in the same way,
    but two requests that differ in that alone are the same.

    Raises:
        NotQueued: something about it is wrong.
    """
    job = None
    if isinstance(command_or_job, Job):
        job = _stored(command_or_job, is_current)
    try:
        if job is not None:
            what = _of_job(job)
        else:
            what = _of_command(command_or_job, environment, env or {}, working_directory)
    except ValueError as error:
        raise NotQueued.like(error) from None
    execution = _execution(
        **what
        | {
            "queue": queue_name(queue if queue is not None else what["queue"]),
            "priority": priority_number(priority),
            "trigger_at": aware(trigger),
            "queued_at": timezone.now(),
            "not_before": aware(not_before),
            "source": source_name(source),
            "requested_by": _storable(requested_by or "")[:254],
            "details": _storable_json(details or {}),
        }
    )
    if job is not None:
        execution.job = job
    execution.digest = execution.request_digest()
    execution.trigger_at = execution.trigger_at or fire_at
    return execution


def _execution(**values: Any) -> Execution:
    """One with these values; by place, since fields by name take Django three times as long."""
    in_order: Any = (_DEFAULTS | values).values()
    return Execution(*in_order)


def priority_number(value: object) -> int:
    """The priority, 1 (first) to 9 (last).

    Raises:
        NotQueued: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not FIRST <= value <= LAST:
        text = _(
            "The priority is a number from %(first)s (first) to %(last)s (last), not %(value)s."
        )
        raise NotQueued(text, first=FIRST, last=LAST, value=f"{value!r:.80}")
    return value


def queue_name(value: object) -> str:
    """The name of a queue.

    Raises:
        NotQueued: no queue can have this name.
    """
    try:
        return _valid_queue_name(value if isinstance(value, str) else "")
    except ValidationError:
        rule, shown = Phrase(QUEUE_NAMES), repr(value)[:80]
        raise NotQueued(_("%(rule)s Not: %(name)s."), rule=rule, name=shown) from None


@lru_cache
def _valid_queue_name(name: str) -> str:
    validate_queue_name(name)
    return name


def source_name(value: object) -> str:
    """Who asks.

    Raises:
        NotQueued: it is none of :class:`jobqueue.models.Source`.
    """
    if value not in _SOURCES:
        text = _("The source is one of %(known)s, not %(value)s.")
        raise NotQueued(text, known=tuple(_SOURCES), value=f"{value!r:.80}")
    return str(value)


def _stored(job: Job, is_current: bool) -> Job:
    """The Job as it is in the database, if it accepts requests."""
    stored = job if is_current else Job.objects.filter(pk=job.pk).first()
    if stored is None:
        raise NotQueued(_("The Job %(job)s isn't there (any more)."), job=repr(job.name))
    if not (stored.enabled and job.enabled):
        text = _("The Job %(job)s is disabled; enable it to queue it.")
        raise JobDisabled(text, job=repr(job.name))
    return stored


def _of_job(job: Job) -> dict[str, Any]:
    environments.resolve(job.environment, job.argv, job.env, job.working_directory)
    return {
        "job_name": job.name,
        "queue": job.queue or DEFAULT_QUEUE,
        "argv": commandline.validate(job.argv),
        "environment": job.environment,
        "working_directory": job.working_directory,
        "env": commandline.validate_env(job.env),
        "codes": job.codes,
        "max_runtime": job.max_runtime,
        "kill_after": job.kill_after,
        "rerun_if_lost": job.rerun_if_lost,
        "retry": _retry(job),
    }


def _retry(job: Job) -> dict[str, Any] | None:
    plan = job.plan()
    if plan is None:
        return None
    retrying.parse(plan.on)
    return asdict(plan)


def _of_command(
    argv: object, environment: str, env: Mapping[str, str], working_directory: str
) -> dict[str, Any]:
    environment, working_directory = environment or "", working_directory or ""
    command = commandline.validate(argv)
    variables = commandline.validate_env(env)
    commandline.validate_directory(working_directory)
    resolved = environments.resolve(environment, command, variables, working_directory)
    return {
        "queue": DEFAULT_QUEUE,
        "argv": command,
        "environment": environment,
        "working_directory": working_directory,
        "env": variables,
        "codes": codes.recognise(resolved.argv),
    }


def aware(value: datetime | None) -> datetime | None:
    """The moment with a time zone; one without is meant in the site's.

    Raises:
        NotQueued: it is no moment.
    """
    if value is not None and not isinstance(value, datetime):
        raise NotQueued(_("A moment is a datetime, not %(value)s."), value=f"{value!r:.80}")
    if value is None or timezone.is_aware(value):
        return value
    # Whoever's zone is current while a page is made.
    return timezone.make_aware(value, timezone.get_default_timezone())


def _storable_json(details: Mapping[str, Any]) -> dict[str, Any]:
    """The details, if every database takes them; PostgreSQL takes no NUL, and only UTF-8."""
    if not details:
        return {}
    try:
        text = json.dumps(dict(details), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise NotQueued(_("The details can't be stored as JSON: %(why)s."), why=error) from None
    if _ESCAPED_NUL.search(text):
        raise NotQueued(_("The details can't be stored: they have a NUL character."))
    return dict(details)


def _storable(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()
