"""Schedule: when a Job is queued. Fire: what became of each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from .. import commandline, recurrence
from ..languages import translated
from ..recurrence import Recurrence
from ..refusals import Refusal
from .execution import DEFAULT_PRIORITY, FIRST, LAST, Execution
from .fields import validate_not_negative, validate_queue_name
from .job import Job
from .primary import PrimaryManager


class Kind(models.TextChoices):
    """How the times are given."""

    CRON = "cron", _("cron expression")
    INTERVAL = "interval", _("interval")
    ONCE = "once", _("once")


class CatchUp(models.TextChoices):
    """What is made up after the service was away."""

    LATEST = "latest", _("the latest one")
    ALL = "all", _("all")
    NONE = "none", _("none")


def default_timezone() -> str:
    """The project's."""
    return str(settings.TIME_ZONE)


#: The code of a ValidationError: the times were good, and are over.
OVER = "over"
#: A longer one is none.
LONGEST_GRACE = timedelta(days=36_600)
#: The field that has the times.
_TIMES_OF: dict[str, str] = {
    Kind.CRON: "expression",
    Kind.INTERVAL: "interval",
    Kind.ONCE: "once_at",
}
#: What the next fire time is worked out from.
_TIMING = {
    *("enabled", "kind", "expression", "interval", "once_at", "timezone", "both_days"),
    *("anchor_at", "first_at", "last_at"),
}
#: What is worked out together with the next fire time, and what else the clock writes.
PLAN = ("next_fire_at", "planned_at", "planned_from", "problem")
_CACHE = ("last_fire_at", *PLAN)


def _plain(value: Any) -> Any:
    """A value that is the same before it was stored and after, in whatever zone it was given."""
    if isinstance(value, datetime):
        return value.timestamp()
    return value.total_seconds() if isinstance(value, timedelta) else value


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Sets of schedules; what fires them is :mod:`jobqueue.schedules`."""

    def update(self, **kwargs: Any) -> int:
        """Update; if the times change, the clock plans them anew, and nothing is made up."""
        if not _TIMING.isdisjoint(kwargs):
            kwargs = {"next_fire_at": None, "planned_at": None, **kwargs}
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def planned(self) -> ScheduleQuerySet:
        """Those that will fire, the next one first."""
        return self.filter(enabled=True, next_fire_at__isnull=False).order_by(
            "next_fire_at", "priority", "id"
        )

    def due(self, now: datetime) -> ScheduleQuerySet:
        """Those whose time has come."""
        return self.planned().filter(next_fire_at__lte=now)


class Schedule(models.Model):
    """Queues its Job at certain times.

    ``next_fire_at`` is a cache, worked out when the times change and after each fire.
    """

    name = models.CharField(_("name"), max_length=200, unique=True)
    job = models.ForeignKey(Job, models.CASCADE, related_name="schedules", verbose_name=_("Job"))
    enabled = models.BooleanField(_("enabled"), default=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.CRON)
    expression = models.CharField(
        _("cron expression"),
        max_length=200,
        blank=True,
        help_text=_("Minute, hour, day, month, weekday; with six fields the second comes first."),
    )
    interval = models.DurationField(
        _("interval"),
        null=True,
        blank=True,
        help_text=_("From one run to the next, such as 01:30:00; clock changes don't matter."),
    )
    anchor_at = models.DateTimeField(
        _("counted from"),
        null=True,
        blank=True,
        help_text=_("An interval is counted from here. Empty: from now."),
    )
    once_at = models.DateTimeField(_("once at"), null=True, blank=True)
    timezone = models.CharField(
        _("time zone"),
        max_length=64,
        default=default_timezone,
        help_text=_("A name such as Europe/Amsterdam."),
    )
    both_days = models.BooleanField(
        _("both days must match"),
        default=False,
        help_text=_("Day and weekday. Otherwise either is enough where both are restricted."),
    )
    first_at = models.DateTimeField(_("not before"), null=True, blank=True)
    last_at = models.DateTimeField(_("not after"), null=True, blank=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=DEFAULT_PRIORITY)
    queue = models.CharField(
        _("queue"),
        max_length=64,
        blank=True,
        validators=[validate_queue_name],
        help_text=_("Empty: the Job's."),
    )
    catch_up = models.CharField(
        _("catch up"),
        max_length=10,
        choices=CatchUp.choices,
        default=CatchUp.LATEST,
        help_text=_("Which of the times that were missed are made up."),
    )
    misfire_grace = models.DurationField(
        _("misfire grace"),
        null=True,
        blank=True,
        default=timedelta(hours=1),
        validators=[validate_not_negative],
        help_text=_("What was missed for longer isn't made up. Empty: no limit."),
    )

    next_fire_at = models.DateTimeField(_("next"), null=True, blank=True, editable=False)
    last_fire_at = models.DateTimeField(_("last"), null=True, blank=True, editable=False)
    #: Why there is no next fire time, when the times can't be understood.
    problem = models.TextField(_("problem"), blank=True, editable=False)
    #: When the next fire time was worked out, and a digest of what it was worked out from.
    planned_at = models.DateTimeField(null=True, blank=True, editable=False)
    planned_from = models.CharField(max_length=64, blank=True, editable=False)

    #: What the clock had written when this was loaded.
    _loaded: dict[str, Any] | None = None

    objects = PrimaryManager.from_queryset(ScheduleQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ("name",)
        indexes = (models.Index(fields=("enabled", "next_fire_at"), name="jobqueue_schedule_due"),)
        constraints = (
            models.CheckConstraint(
                name="jobqueue_schedule_priority", condition=Q(priority__range=(FIRST, LAST))
            ),
            models.CheckConstraint(
                name="jobqueue_schedule_kind", condition=Q(kind__in=Kind.values)
            ),
            models.CheckConstraint(
                name="jobqueue_schedule_catch_up", condition=Q(catch_up__in=CatchUp.values)
            ),
        )

    def __str__(self) -> str:
        return commandline.printable(self.name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; if it is new or its times changed, with the next fire time after now.

        Raises:
            ValueError: the schedule is enabled and its times can't be understood; one line.
        """
        if self.kind == Kind.INTERVAL and self.anchor_at is None:
            self.anchor_at = timezone.now()
        is_new = self._state.adding or self.pk is None
        fields = kwargs.get("update_fields")
        plans = is_new or (self.is_to_plan and (fields is None or not _TIMING.isdisjoint(fields)))
        if plans:
            self.plan(timezone.now())
        if is_new:
            self.last_fire_at = None  # of what it was copied from
        elif not kwargs.get("force_insert"):
            self._keep_what_the_clock_wrote(kwargs, {*PLAN, "anchor_at"} if plans else set())
        super().save(*args, **kwargs)
        self._loaded = {name: self.__dict__.get(name) for name in _CACHE}

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """As loaded; what the clock wrote is remembered, so that a save doesn't write it back."""
        loaded = super().from_db(*args, **kwargs)
        loaded._loaded = {name: loaded.__dict__.get(name) for name in _CACHE}
        return loaded

    def plan(self, now: datetime) -> None:
        """Work out the next fire time after `now`.

        Raises:
            ValueError: the schedule is enabled and its times can't be understood; one line.
        """
        self.next_fire_at = self.next_after(now) if self.enabled else None
        self.problem, self.planned_at, self.planned_from = "", now, self._timing()

    @property
    def is_to_plan(self) -> bool:
        """Whether the times changed since the next fire time was worked out."""
        return self._timing() != self.planned_from

    def _timing(self) -> str:
        """A digest of all that the next fire time is worked out from."""
        values = [_plain(self.__dict__.get(name)) for name in sorted(_TIMING)]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    def _keep_what_the_clock_wrote(self, kwargs: dict[str, Any], own: set[str]) -> None:
        """Restrict a save to what was changed here, since this may have been loaded long ago."""
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], *own}
        elif self._loaded is not None:
            names = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            kept = {name for name in _CACHE if self.__dict__.get(name) == self._loaded[name]}
            kwargs["update_fields"] = names - self.get_deferred_fields() - (kept - own)

    def clean(self) -> None:
        """Refuse times that can't be understood or never come, at the field that is wrong."""
        problems: dict[str, str | ValidationError] = {}
        self._check(problems, "timezone", lambda: recurrence.zone_info(self.timezone))
        if self.misfire_grace is not None and self.misfire_grace > LONGEST_GRACE:
            problems["misfire_grace"] = str(_("This is too long; leave it empty for no limit."))
        if self.first_at and self.last_at and self.last_at < self.first_at:
            problems["last_at"] = str(_("This is before the first moment."))
        if not FIRST <= (self.priority or 0) <= LAST:
            problems["priority"] = str(_("The priority is a number from 1 (first) to 9 (last)."))
        is_too_long = len(self.expression) > recurrence.EXPRESSION_LIMIT  # its field says so
        if not problems and not (self.kind == Kind.CRON and is_too_long):
            self._check(problems, _TIMES_OF.get(self.kind, "kind"), self._refuse_never)
        if problems:
            raise ValidationError(problems)

    @staticmethod
    def _check(
        problems: dict[str, str | ValidationError], field: str, check: Callable[[], object]
    ) -> None:
        try:
            check()
        except ValidationError as error:
            problems[field] = error
        except ValueError as error:
            problems[field] = translated(error)

    def _refuse_never(self) -> None:
        now = timezone.now()
        if self.next_after(now) is None and self.is_to_plan:
            raise ValidationError(_("This time is over: the schedule would never fire."), code=OVER)

    # Reading

    def recurrence(self) -> Recurrence:
        """The times.

        Raises:
            ValueError: they can't be understood; one line that says what is wrong.
        """
        if self.kind == Kind.CRON:
            return recurrence.Cron(self.expression, self.timezone, self.both_days)
        recurrence.zone_info(self.timezone)
        if self.kind not in Kind.values:
            text = gettext_noop("There is no kind %(kind)s of schedules.")
            raise Refusal(text, kind=f"{self.kind!r:.40}")
        if self.kind == Kind.INTERVAL:
            if self.interval is None:
                text = gettext_noop("An interval schedule needs an interval, such as 01:30:00.")
                raise Refusal(text)
            return recurrence.Interval(self.interval, self.anchor_at or timezone.now())
        if self.once_at is None:
            raise Refusal(gettext_noop("A schedule for once needs its moment."))
        return recurrence.Once(self.once_at)

    def zone(self) -> tzinfo:
        """The time zone; UTC if there is none of its name (any more)."""
        try:
            return recurrence.zone_info(self.timezone)
        except ValueError:
            return UTC

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The fire times later than a moment, from the first moment of the schedule to its last.

        Raises:
            ValueError: the times can't be understood.
        """
        if self.first_at is not None and self.first_at > after:
            after = self.first_at - timedelta(microseconds=1)
        for moment in self.recurrence().fires(after):
            if self.last_at is not None and moment > self.last_at:
                return
            yield moment

    def next_after(self, moment: datetime) -> datetime | None:
        """The next fire time; None when there is none any more.

        Raises:
            ValueError: the times can't be understood.
        """
        return next(self.fires(moment), None)

    def in_words(self) -> str:
        """The times in English; what is wrong with them if they can't be understood."""
        try:
            times = self.recurrence()
        except ValueError as error:
            return str(error)
        if isinstance(times, recurrence.Interval):
            return recurrence.describe_interval(times.every)
        if isinstance(times, recurrence.Once):
            return f"once at {times.at.astimezone(self.zone()):%Y-%m-%d %H:%M:%S}"
        return recurrence.describe(self.expression, self.both_days)


class FireOutcome(models.TextChoices):
    """What became of a fire time."""

    ADDED = "added", _("queued")
    DUPLICATE = "duplicate", _("duplicate of a waiting request")
    PROMOTED = "promoted", _("waiting request moved forward")
    MISSED = "missed", _("missed")
    REFUSED = "refused", _("refused")


class Fire(models.Model):
    """One fire time that has come, and what became of it; there is no second one of the same."""

    #: Of its schedule: see :mod:`jobqueue.related`.
    is_part = True

    schedule = models.ForeignKey(
        Schedule, models.CASCADE, related_name="history", verbose_name=_("schedule")
    )
    fire_at = models.DateTimeField(_("fire time"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=FireOutcome.choices)
    #: How many fire times before this one were left out; for a missed one, itself included.
    missed = models.PositiveIntegerField(_("missed"), default=0)
    reason = models.TextField(_("reason"), blank=True)
    execution = models.ForeignKey(
        Execution,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="fires",
        verbose_name=_("execution"),
    )
    #: When its request was in the queue.
    recorded_at = models.DateTimeField(_("recorded"), default=timezone.now)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("fire time")
        verbose_name_plural = _("fire times")
        ordering = ("-fire_at",)
        constraints = (
            models.UniqueConstraint(name="jobqueue_fire_once", fields=("schedule", "fire_at")),
        )

    def __str__(self) -> str:
        return f"{self.schedule_id}: {self.fire_at.isoformat()}"

    @property
    def lateness(self) -> timedelta:
        """How long after its time it was noted."""
        return self.recorded_at - self.fire_at
