"""Acknowledgement: somebody is on a run that went wrong."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import commandline
from .execution import Execution
from .primary import PrimaryManager


class Acknowledgement(models.Model):
    """Who has taken care of an Execution, and what he says; goes with its Execution."""

    #: Characters of a note.
    NOTE = 1000

    execution = models.OneToOneField(
        Execution,
        models.CASCADE,
        primary_key=True,
        related_name="acknowledgement",
        verbose_name=_("execution"),
    )
    acknowledged_by = models.CharField(_("acknowledged by"), max_length=254)
    acknowledged_at = models.DateTimeField(_("acknowledged"), default=timezone.now)
    note = models.CharField(_("note"), max_length=NOTE, blank=True)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("acknowledgement")
        verbose_name_plural = _("acknowledgements")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.execution_id}: {commandline.printable(self.acknowledged_by)}"
