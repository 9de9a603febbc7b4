"""Lease: that a place where jobs run is heard of. See :mod:`jobqueue.leases`."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryManager


class LeaseQuerySet(models.QuerySet["Lease"]):
    """Sets of leases; time is the database's, since the clocks of hosts differ."""

    def renewed_within(self, length: timedelta) -> LeaseQuerySet:
        """Those of places that were heard of lately."""
        return self.filter(renewed_at__gt=Now() - length)


class Lease(models.Model):
    """One for each place: a host, since its last start, and in it a namespace of processes."""

    place = models.CharField(max_length=400, unique=True)
    host = models.CharField(max_length=255)
    renewed_at = models.DateTimeField()

    objects = PrimaryManager.from_queryset(LeaseQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return self.place
