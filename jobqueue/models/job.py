"""Job: what to run."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from .. import codes, commandline, environments
from .fields import (
    DEFAULT_QUEUE,
    validate_argv,
    validate_env,
    validate_not_negative,
    validate_queue_name,
)
from .primary import PrimaryManager


class Codes(models.TextChoices):
    """How the return codes of a command are read: see :mod:`jobqueue.codes`."""

    EXIT_STATUS = codes.EXIT_STATUS, _("exit status (0 or not)")
    BOTS_ENGINE = codes.BOTS_ENGINE, _("bots-engine (0, 1, 2, 3)")


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

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("Job")
        verbose_name_plural = _("Jobs")
        ordering = ("name",)
        permissions = (("run_job", "Can run Job"),)

    def __str__(self) -> str:
        return commandline.printable(self.name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the reading of return codes found from the program if none is given."""
        if not self.codes:
            self.codes = codes.recognise(self._started_argv())
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "codes"}
        super().save(*args, **kwargs)

    def _started_argv(self) -> list[str]:
        """The argv with that of its environment, as far as that is known."""
        try:
            return environments.resolve(self.environment, self.argv, {}, "").argv
        except ValueError:
            return list(self.argv)

    def clean(self) -> None:
        """Refuse an environment that is unknown or broken, and a program that isn't allowed."""
        try:
            commandline.validate(self.argv)
        except ValueError:
            return  # the field's own validator says so
        try:
            environments.resolve(self.environment, self.argv, {}, self.working_directory)
        except ValueError as error:
            field = "environment" if self.environment else "argv"
            raise ValidationError({field: str(error)}) from None

    @property
    def command(self) -> str:
        """The argv as one line, quoted so that it reads back the same."""
        return commandline.join(self.argv)
