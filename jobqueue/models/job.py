"""Job: what to run."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import codes, commandline, endpoints, environments, retrying
from ..conf import KEEP_MOST
from ..languages import translated
from .fields import (
    DEFAULT_QUEUE,
    validate_argv,
    validate_env,
    validate_not_negative,
    validate_outcomes,
    validate_queue_name,
    validate_recipients,
    validate_retry_delay,
    validate_url,
)
from .primary import PrimaryManager

#: Categories of characters: controls, separators of lines and of paragraphs.
_LINE_BREAKING = ("Cc", "Zl", "Zp")
_DELAYS = (timedelta(0), retrying.LONGEST)


class Codes(models.TextChoices):
    """How the return codes of a command are read: see :mod:`jobqueue.codes`."""

    EXIT_STATUS = codes.EXIT_STATUS, _("exit status (0 or not)")
    BOTS_ENGINE = codes.BOTS_ENGINE, _("bots-engine (0, 1, 2, 3)")


class Backoff(models.TextChoices):
    """How the delay between two attempts grows."""

    FIXED = retrying.FIXED, _("fixed: always the same")
    EXPONENTIAL = retrying.EXPONENTIAL, _("exponential: doubled each time")


class Notify(models.TextChoices):
    """Of which runs of a Job people are told, beside a change to bad or good."""

    ON_CHANGE = "on_change", _("when it goes wrong, and when it is well again")
    EACH_FAILURE = "each_failure", _("each run that goes wrong")
    EACH_OUTPUT = "each_output", _("each run that printed something")
    EACH_RUN = "each_run", _("each run")
    NEVER = "never", _("never")


class Job(models.Model):
    """A command with a name. It has no priority: the one who asks for a run brings it."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    description = models.TextField(_("description"), blank=True)
    argv = models.JSONField(
        _("argv"),
        validators=[validate_argv],
        help_text=_("The program and its arguments, a list of strings; no shell reads them."),
    )
    environment = models.CharField(
        _("environment"),
        max_length=100,
        blank=True,
        help_text=_("A name from JOBQUEUE['ENVIRONMENTS']: words before the command, variables."),
    )
    working_directory = models.CharField(
        _("working directory"),
        max_length=1024,
        blank=True,
        help_text=_("Empty: the environment's, else the service's."),
    )
    env = models.JSONField(
        _("environment variables"),
        default=dict,
        blank=True,
        validators=[validate_env],
        help_text=_('Over those of the service, such as {"LANG": "C.UTF-8"}.'),
    )
    queue = models.CharField(
        _("queue"), max_length=64, default=DEFAULT_QUEUE, validators=[validate_queue_name]
    )
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("A disabled Job accepts no request from anyone.")
    )
    in_run_menu = models.BooleanField(_("in the Run menu"), default=False)
    ask_first = models.BooleanField(
        _("ask first"),
        default=False,
        help_text=_("Whoever runs it on a page is asked whether that is meant."),
    )
    codes = models.CharField(
        _("return codes"),
        max_length=20,
        choices=Codes.choices,
        blank=True,
        help_text=_("Empty: bots-engine for Bots' engine, exit status for all else."),
    )
    max_runtime = models.DurationField(
        _("maximum run time"),
        null=True,
        blank=True,
        validators=[validate_not_negative],
        help_text=_("A longer run raises one alert and goes on. Empty: the site's; 0: none."),
    )
    kill_after = models.DurationField(
        _("kill after"),
        null=True,
        blank=True,
        validators=[validate_not_negative],
        help_text=_("A longer run is ended. Empty: the site's; 0: never."),
    )
    rerun_if_lost = models.BooleanField(
        _("run again if lost"),
        default=True,
        help_text=_("Queue it again when a run vanished with the machine or was killed."),
    )
    max_retries = models.PositiveSmallIntegerField(
        _("retries"),
        default=0,
        validators=[MaxValueValidator(retrying.MOST)],
        help_text=_("So often it is tried again when a run goes wrong. 0: never."),
    )
    retry_delay = models.DurationField(
        _("first delay"),
        default=timedelta(minutes=1),
        validators=[validate_retry_delay],
        help_text=_("Between a run that went wrong and the next attempt; up to a tenth is added."),
    )
    retry_backoff = models.CharField(
        _("delays"), max_length=11, choices=Backoff.choices, default=Backoff.EXPONENTIAL
    )
    retry_max_delay = models.DurationField(
        _("longest delay"),
        default=timedelta(hours=1),
        validators=[validate_retry_delay],
        help_text=_("Exponential delays grow no further."),
    )
    retry_on = models.CharField(
        _("retry on"),
        max_length=200,
        default=retrying.DEFAULT_ON,
        validators=[validate_outcomes],
        help_text=_(
            "Outcomes that are tried again: failed, timed_out, warned, lost, or return codes "
            "such as 1, 75-78."
        ),
    )
    keep_runs = models.PositiveIntegerField(
        _("keep runs"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(KEEP_MOST)],
        help_text=_("So many of the last ones are kept, however old. Empty: the site's number."),
    )
    keep_days = models.PositiveIntegerField(
        _("keep days"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(KEEP_MOST)],
        help_text=_("Days that ended runs are kept. Empty: the site's number."),
    )
    keep_failed_days = models.PositiveIntegerField(
        _("keep failures"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(KEEP_MOST)],
        help_text=_("Days that runs are kept which failed in any way, if that is longer."),
    )
    keep_output_days = models.PositiveIntegerField(
        _("keep output"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(KEEP_MOST)],
        help_text=_("Days that the output of its runs is kept. Empty: the site's number."),
    )
    notify = models.CharField(
        _("mail"), max_length=20, choices=Notify.choices, default=Notify.ON_CHANGE
    )
    alarm_after = models.PositiveSmallIntegerField(
        _("alarm after"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_("So many runs in a row must go wrong before people are told."),
    )
    alarm_at_first_failure = models.BooleanField(
        _("alarm at the first failure"),
        default=False,
        help_text=_("Also an attempt that is tried again counts as gone wrong."),
    )
    recipients = models.TextField(
        _("recipients"),
        blank=True,
        validators=[validate_recipients],
        help_text=_(
            "Mail addresses, groups and channels such as webhook:ops, separated by commas. "
            "Empty: those of the queue, else the site's managers."
        ),
    )
    ping_url = models.CharField(
        _("ping address"),
        max_length=endpoints.LONGEST,
        blank=True,
        validators=[validate_url],
        help_text=_(
            "Told of each run, as healthchecks.io has it: /start, then /0 or another code, or "
            "/fail. Such as https://hc-ping.com/… Empty: none."
        ),
    )

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("Job")
        verbose_name_plural = _("Jobs")
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                name="jobqueue_job_retries", condition=Q(max_retries__range=(0, retrying.MOST))
            ),
            models.CheckConstraint(
                name="jobqueue_job_delays",
                condition=Q(retry_delay__range=_DELAYS, retry_max_delay__range=_DELAYS),
            ),
            models.CheckConstraint(
                name="jobqueue_job_backoff", condition=Q(retry_backoff__in=Backoff.values)
            ),
        )
        permissions = (("run_job", "Can run Job"),)

    def __str__(self) -> str:
        return commandline.printable(self.name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the reading of return codes found from the program if none is given."""
        if not self.codes:
            self._find_codes()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "codes"}
        super().save(*args, **kwargs)

    def _find_codes(self) -> None:
        self.codes = self.codes or codes.recognise(self._started_argv())

    def _started_argv(self) -> list[str]:
        """The argv with that of its environment, as far as that is known."""
        try:
            return environments.resolve(self.environment, self.argv, {}, "").argv
        except ValueError:
            return list(self.argv)

    def clean(self) -> None:
        """Refuse what can't be started, and retries that contradict something else.

        What is good gets its reading of return codes, as by a save.
        """
        if any(unicodedata.category(char) in _LINE_BREAKING for char in self.name):
            text = _("A name can't have line breaks or other control characters.")
            raise ValidationError({"name": text})
        self._clean_retries()
        try:
            commandline.validate(self.argv)
        except ValueError:
            return  # the field's own validator says so
        try:
            environments.resolve(self.environment, self.argv, {}, self.working_directory)
        except ValueError as error:
            field = "environment" if self.environment else "argv"
            raise ValidationError({field: translated(error)}) from None
        self._find_codes()

    def _clean_retries(self) -> None:
        try:
            outcomes = retrying.parse(self.retry_on)
        except ValueError:
            return  # the field's own validator says so
        if self.max_retries and "lost" in outcomes.states and not self.rerun_if_lost:
            text = _("A lost run can't be tried again: “run again if lost” is off.")
            raise ValidationError({"retry_on": text})
        is_growing = self.max_retries and self.retry_backoff == Backoff.EXPONENTIAL
        if is_growing and self.retry_max_delay < self.retry_delay:
            text = _("The longest delay is shorter than the first one: make it longer.")
            raise ValidationError({"retry_max_delay": text})

    def plan(self) -> retrying.Plan | None:
        """The attempts of a request that is made now; None if there is only one."""
        if not self.max_retries:
            return None
        return retrying.Plan(
            attempts=self.max_retries + 1,
            delay=self.retry_delay.total_seconds(),
            backoff=self.retry_backoff,
            max_delay=self.retry_max_delay.total_seconds(),
            on=self.retry_on,
        )

    @property
    def command(self) -> str:
        """The argv as one line, quoted so that it reads back the same."""
        return commandline.join(self.argv)
