"""Tally: how many runs have ended, and how; it outlives the record of each."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .execution import State
from .primary import PrimaryManager


class Tally(models.Model):
    """Those of one Job in one queue, with one end and about as long; see :mod:`jobqueue.tallies`.

    It names its Job as the record does, so that what was counted stays counted without it.
    """

    queue = models.CharField(max_length=64)
    job_name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices)
    #: They took no longer than so many milliseconds, and longer than the next smaller bound.
    within_ms = models.PositiveBigIntegerField()
    count = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0)
    last_at = models.DateTimeField()

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        constraints = (
            models.UniqueConstraint(
                name="jobqueue_tally_once", fields=("queue", "job_name", "state", "within_ms")
            ),
        )

    def __str__(self) -> str:
        return f"{self.queue} {self.job_name} {self.state}: {self.count}"
