"""Alarm: whether a Job is well, and what people were told of it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .execution import Execution
from .indexes import GivenIndex
from .job import Job
from .primary import PrimaryManager


class Alarm(models.Model):
    """One for each Job that ever ended badly or well, and one, without a Job, for the service.

    See :mod:`jobqueue.alarms.rules`.
    """

    #: Of its Job: see :mod:`jobqueue.related`.
    is_part = True

    job = models.OneToOneField(
        Job,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="alarm",
        verbose_name=_("Job"),
        editable=False,
    )
    is_bad = models.BooleanField(_("bad"), default=False)
    #: The first of the bad runs that are counted in ``failures``.
    since = models.DateTimeField(_("since"), null=True, blank=True)
    failures = models.PositiveIntegerField(_("failed runs"), default=0)
    in_a_row = models.PositiveIntegerField(_("in a row"), default=0)
    #: When it became good again, as long as that wasn't told.
    good_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: The run that was judged last, and why it was found bad.
    execution = models.ForeignKey(
        Execution,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("last run"),
    )
    reason = models.TextField(_("reason"), blank=True)

    told_bad = models.BooleanField(default=False, editable=False)
    told_at = models.DateTimeField(_("told"), null=True, blank=True)
    #: A digest of those who were told, by which their quiet time is kept.
    told_to = models.CharField(max_length=64, blank=True, editable=False)
    tell_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: Message-ID of the mail that all later ones on the same trouble refer to.
    thread = models.CharField(max_length=255, blank=True, editable=False)

    acknowledged_by = models.CharField(_("acknowledged by"), max_length=254, blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True, blank=True)
    note = models.TextField(_("note"), blank=True)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        ordering = ("-is_bad", "job__name")
        indexes = (
            GivenIndex(fields=("tell_at",), name="jobqueue_alarm_to_tell"),
            models.Index(fields=("told_to", "told_at"), name="jobqueue_alarm_told"),
        )
        permissions = (("acknowledge_alarm", "Can acknowledge alarms"),)

    def __str__(self) -> str:
        return str(_("The job queue")) if self.job is None else str(self.job)
