"""Cluster: a running ``manage.py qcluster`` that serves the queues."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

#: A cluster says this often that it's alive.
SIGN_OF_LIFE = timedelta(seconds=10)
#: One that was silent for so long counts as dead.
SILENCE = timedelta(seconds=25)


class ClusterQuerySet(models.QuerySet["Cluster"]):
    """Sets of clusters; time is the database's, since the clocks of hosts differ."""

    def alive(self) -> ClusterQuerySet:
        """Those heard of lately."""
        return self.filter(seen_at__gt=Now() - SILENCE)

    def dead(self) -> ClusterQuerySet:
        """Those not heard of for long."""
        return self.filter(seen_at__lte=Now() - SILENCE)


class Cluster(models.Model):
    """Kept up to date by the clocks of its workers, deleted when it ends."""

    uuid = models.UUIDField(unique=True, help_text=_("django-q2's own id of the cluster."))
    name = models.CharField(max_length=100)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField(help_text=_("Process id of its main process."))
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")
        ordering = ("started_at",)

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"
