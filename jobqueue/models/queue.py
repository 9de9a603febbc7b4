"""Queue: the row of its own that a queue has, for its pause and for the lock of its first claim."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import validate_queue_name
from .primary import PrimaryManager

#: A pause with an end later than that was mistyped; near the year 9999 not each time zone can even
#: name it. One without an end has no limit.
LONGEST_PAUSE = timedelta(days=3653)


class QueueQuerySet(models.QuerySet["Queue"]):
    """Sets of queues."""

    def paused(self, now: datetime) -> QueueQuerySet:
        """Those in which nothing starts at the moment."""
        return self.filter(paused_at__isnull=False).exclude(paused_until__lte=now)


class Queue(models.Model):
    """A queue that a service has seen, or that was paused. To have requests it needs no row."""

    name = models.CharField(_("name"), max_length=64, unique=True, validators=[validate_queue_name])
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    paused_by = models.CharField(_("paused by"), max_length=254, blank=True)
    pause_reason = models.TextField(_("reason"), blank=True)

    objects = PrimaryManager.from_queryset(QueueQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        ordering = ("name",)
        permissions = (("control_queue", "Can pause, resume and clear queues"),)

    def __str__(self) -> str:
        return self.name

    def is_paused(self, now: datetime) -> bool:
        """Whether nothing starts at this moment; a pause with an end is over by itself."""
        over = self.paused_until is not None and self.paused_until <= now
        return self.paused_at is not None and not over
