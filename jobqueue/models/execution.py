"""Execution: one request to run something, and the record of that run."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from .. import commandline, retrying
from .fields import DEFAULT_QUEUE, validate_argv, validate_env, validate_queue_name
from .indexes import GivenIndex
from .job import Codes, Job
from .primary import PrimaryManager

FIRST, LAST, DEFAULT_PRIORITY = 1, 9, 5
#: Before every request: only for recovery runs of an engine that was killed.
RECOVERY_PRIORITY = 0
#: Writes the same text for the same values.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class State(models.TextChoices):
    """Where an Execution is. ``waiting`` and ``running`` are open, all others are ends."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    WARNED = "warned", _("warned")
    FAILED = "failed", _("failed")
    TIMED_OUT = "timed_out", _("timed out")
    STOPPED = "stopped", _("stopped")
    CANCELLED = "cancelled", _("cancelled")
    LOST = "lost", _("lost")


OPEN = (State.WAITING, State.RUNNING)
#: Ends of runs that went wrong by themselves, and those that somebody may ask about later.
BAD_ENDS = (State.WARNED, State.FAILED, State.TIMED_OUT, State.LOST)
FAILURES = (*BAD_ENDS, State.STOPPED)


class Source(models.TextChoices):
    """Who asked."""

    ADMIN = "admin", _("admin")
    COMMAND = "command", _("command")
    API = "api", _("API")
    SCHEDULE = "schedule", _("schedule")
    DIRMONITOR = "dirmonitor", _("directory monitor")
    RETRY = "retry", _("retry")
    RECOVERY = "recovery", _("recovery")


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """Sets of executions; what changes one is in :mod:`jobqueue.queue`."""

    def waiting(self) -> ExecutionQuerySet:
        """Those that have not started."""
        return self.filter(state=State.WAITING)

    def running(self) -> ExecutionQuerySet:
        """At most one in each queue."""
        return self.filter(state=State.RUNNING)

    def open(self) -> ExecutionQuerySet:
        """Those that have not ended."""
        return self.filter(state__in=OPEN)

    def ended(self) -> ExecutionQuerySet:
        """The record."""
        return self.exclude(state__in=OPEN)

    def ready(self, now: datetime) -> ExecutionQuerySet:
        """Waiting ones that may start at this moment."""
        return self.waiting().filter(Q(not_before=None) | Q(not_before__lte=now))

    def in_order(self) -> ExecutionQuerySet:
        """In the order in which waiting ones are served."""
        return self.order_by("priority", "queued_at", "id")


class Execution(models.Model):
    """The queue entry and the history are this one row, and it alone has a state.

    ``slot`` is computed by the database and unique: while a row waits it names the request, so
    that the same request can't wait twice; while it runs it names the queue, so that nothing else
    runs there; afterwards it is NULL. (MariaDB ignores conditional unique constraints.)
    """

    job = models.ForeignKey(
        Job,
        models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="executions",
        verbose_name=_("Job"),
    )
    job_name = models.CharField(_("name of the Job"), max_length=200, blank=True)
    queue = models.CharField(
        _("queue"), max_length=64, default=DEFAULT_QUEUE, validators=[validate_queue_name]
    )
    priority = models.PositiveSmallIntegerField(_("priority"), default=DEFAULT_PRIORITY)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.WAITING
    )

    argv = models.JSONField(_("argv"), validators=[validate_argv])
    environment = models.CharField(_("environment"), max_length=100, blank=True)
    working_directory = models.CharField(_("working directory"), max_length=1024, blank=True)
    env = models.JSONField(
        _("environment variables"), default=dict, blank=True, validators=[validate_env]
    )
    codes = models.CharField(
        _("return codes"), max_length=20, choices=Codes.choices, default=Codes.EXIT_STATUS
    )
    max_runtime = models.DurationField(_("maximum run time"), null=True, blank=True)
    kill_after = models.DurationField(_("kill after"), null=True, blank=True)
    rerun_if_lost = models.BooleanField(_("run again if lost"), default=True)
    digest = models.CharField(max_length=64, editable=False)

    source = models.CharField(
        _("source"), max_length=10, choices=Source.choices, default=Source.API
    )
    requested_by = models.CharField(_("requested by"), max_length=254, blank=True)
    trigger_at = models.DateTimeField(_("trigger"), null=True, blank=True)
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    retry_of = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="retries",
        verbose_name=_("retry of"),
    )
    #: A :class:`jobqueue.retrying.Plan`; None: its Job asks for no retries.
    retry = models.JSONField(_("retries"), null=True, blank=True, editable=False)

    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    host = models.CharField(_("host"), max_length=255, blank=True)
    owner = models.CharField(max_length=400, blank=True, editable=False)
    pid = models.PositiveIntegerField(_("process id"), null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    stop_requested_by = models.CharField(max_length=254, blank=True, editable=False)

    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    return_code = models.IntegerField(_("return code"), null=True, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    log_path = models.CharField(_("log file"), max_length=1024, blank=True)
    log_tail = models.TextField(_("end of the output"), blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)

    #: The Job whose alarm has not judged this end (or that it takes too long). None: it has, or
    #: there's nothing to judge.
    unjudged = models.BigIntegerField(null=True, blank=True, editable=False)

    slot = models.GeneratedField(
        expression=models.Case(
            models.When(state="running", then=Concat(Value("running:"), F("queue"))),
            models.When(
                state="waiting",
                then=Concat(Value("waiting:"), F("queue"), Value(":"), F("digest")),
            ),
            default=None,
            output_field=models.CharField(max_length=160),
        ),
        output_field=models.CharField(max_length=160, null=True),
        db_persist=True,
    )

    objects = PrimaryManager.from_queryset(ExecutionQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("state", "queue", "priority", "queued_at", "id"), name="jobqueue_order"
            ),
            # For the list of one state, newest first.
            models.Index(fields=("state", "id"), name="jobqueue_state"),
            # Most requests are of bare commands, and hardly one is a retry.
            GivenIndex(fields=("job", "id"), name="jobqueue_of_job"),
            GivenIndex(fields=("retry_of",), name="jobqueue_retries"),
            GivenIndex(fields=("unjudged",), name="jobqueue_unjudged"),
        )
        constraints = (
            models.UniqueConstraint(name="jobqueue_execution_slot", fields=("slot",)),
            models.CheckConstraint(
                name="jobqueue_execution_priority", condition=Q(priority__range=(0, LAST))
            ),
            models.CheckConstraint(
                name="jobqueue_execution_state", condition=Q(state__in=State.values)
            ),
        )
        permissions = (
            ("stop_execution", "Can stop and cancel executions"),
            ("acknowledge_execution", "Can acknowledge executions"),
        )

    def __str__(self) -> str:
        return f"{self.pk}: {Truncator(commandline.printable(self.label)).chars(120)}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the digest of the request filled in."""
        self.digest = self.digest or self.request_digest()
        super().save(*args, **kwargs)

    def request_digest(self) -> str:
        """What makes two requests the same: all that decides what the run does."""
        trigger = self.trigger_at.timestamp() if self.trigger_at else None
        parts = [self.argv, self.working_directory, self.env, self.environment, trigger]
        return hashlib.sha256(_CANONICAL.encode(parts).encode()).hexdigest()

    @property
    def command(self) -> str:
        """The argv as one line, quoted so that it reads back the same."""
        return commandline.join(self.argv)

    @property
    def label(self) -> str:
        """The Job's name, or the command when there's no Job."""
        return self.job_name or self.command

    @property
    def plan(self) -> retrying.Plan | None:
        """The attempts of its request, and at which it is; None if there is only one."""
        return retrying.Plan(**self.retry) if self.retry else None

    @property
    def starts_when_asked(self) -> bool:
        """Whether it is a retry of its Job, which a request for the same lets start at once."""
        return self.plan is not None and self.plan.attempt > 1

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in OPEN

    def elapsed(self, now: datetime) -> timedelta | None:
        """How long it ran, or has been running by now; None if it never started."""
        return (self.ended_at or now) - self.started_at if self.started_at else None
