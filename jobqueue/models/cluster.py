"""Cluster: a running ``manage.py qcluster`` that serves the queues."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..owners import Owner
from .primary import PrimaryManager

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

    def living(self) -> list[Cluster]:
        """Those heard of lately whose process isn't known to be gone."""
        return [cluster for cluster in self.alive() if not cluster.is_gone]

    def serving(self) -> list[Cluster]:
        """Those of the living that still start what waits."""
        return [cluster for cluster in self.living() if cluster.stopping_at is None]

    def with_silence(self) -> ClusterQuerySet:
        """Each with the time since its last sign of life as ``silence``."""
        silence = models.ExpressionWrapper(Now() - F("seen_at"), models.DurationField())
        return self.annotate(silence=silence)


class Cluster(models.Model):
    """Kept up to date by the clocks of its workers, deleted when it ends."""

    uuid = models.UUIDField(unique=True, help_text=_("django-q2's own id of the cluster."))
    name = models.CharField(max_length=100)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField(help_text=_("Process id of its main process."))
    #: The main process, as :mod:`jobqueue.owners` tells it from any other.
    owner = models.CharField(max_length=400, blank=True, editable=False)
    #: So many queues it serves at once.
    workers = models.PositiveIntegerField(_("workers"), default=1)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    #: The same moment by the clock of its host.
    clock_at = models.DateTimeField(null=True, editable=False)

    #: When it was asked to stop: it starts nothing more, and ends when what runs has ended.
    stopping_at = models.DateTimeField(null=True, editable=False)

    objects = PrimaryManager.from_queryset(ClusterQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")
        ordering = ("started_at",)

    def __str__(self) -> str:
        return str(_("%(name)s on %(host)s") % {"name": self.name, "host": self.host})

    @property
    def is_here(self) -> bool:
        """Whether its process is, or was, one that this process could see."""
        return Owner.parse(self.owner).is_here

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended, as far as that can be seen from here."""
        owner = Owner.parse(self.owner)
        return owner.is_here and not owner.lives

    @property
    def is_alive(self) -> bool:
        """Of one from :meth:`ClusterQuerySet.with_silence`: whether it lives."""
        silence: timedelta = self.__dict__["silence"]
        return silence < SILENCE and not self.is_gone

    @property
    def is_stopping(self) -> bool:
        """The same: whether it lives, but starts nothing more."""
        return self.is_alive and self.stopping_at is not None

    @property
    def is_serving(self) -> bool:
        """The same: whether it lives, and starts what waits."""
        return self.is_alive and self.stopping_at is None
