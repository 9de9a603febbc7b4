"""Message: what is to be told to somebody, by mail or another channel, or was."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import commandline
from ..recipients import MAIL
from .indexes import GivenIndex
from .primary import PrimaryManager

#: The kind of channel that tells of each run of a Job, and no people.
PING = "ping"


#: What has become of a message, in the order of a list that begins at its end.
SENT, DROPPED, UNSENT = range(3)


class MessageQuerySet(models.QuerySet["Message"]):
    """Sets of messages; what changes one is in :mod:`jobqueue.alarms.outbox`."""

    def due(self, now: datetime) -> MessageQuerySet:
        """Those to be sent by now that nobody is about to send."""
        return self.filter(Q(taken_until=None) | Q(taken_until__lte=now), due_at__lte=now)

    def unsent(self) -> MessageQuerySet:
        """Those that wait, and those that were given up; not what somebody dropped."""
        return self.filter(Q(due_at__isnull=False) | Q(sent_at=None, dropped_by=""))

    def waiting(self) -> MessageQuerySet:
        """Those that are tried, or tried again."""
        return self.filter(due_at__isnull=False)

    def stuck(self) -> MessageQuerySet:
        """Those that wait or were given up, and whose last try has failed."""
        return self.filter(sent_at=None, dropped_by="").exclude(problem="")

    def given_up(self) -> MessageQuerySet:
        """Those that wait for somebody to see to them."""
        return self.filter(sent_at=None, due_at=None, dropped_by="")


class Message(models.Model):
    """The outbox. ``due_at`` says when it's tried (again); it is empty when that is over.

    Who sends it takes it first, until a moment: should he die, another one does after that.
    """

    channel = models.CharField(_("channel"), max_length=50, default=MAIL)
    #: Of mail the SMTP profile, of a ping the host, else the name of the channel's settings.
    profile = models.CharField(_("profile"), max_length=100, blank=True)
    recipients = models.JSONField(_("recipients"))
    subject = models.CharField(_("subject"), max_length=255)
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"), blank=True)
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    #: The same as facts, for programs; of mail just the id of its ``execution``.
    data = models.JSONField(_("data"), default=dict, blank=True)
    #: The run whose start it tells of; there until that ends, so that no start is told twice.
    starts = models.BigIntegerField(null=True, blank=True, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    due_at = models.DateTimeField(_("next try"), null=True, blank=True)
    attempts = models.PositiveIntegerField(_("tries"), default=0)
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True, db_index=True)
    dropped_by = models.CharField(_("dropped by"), max_length=254, blank=True)
    problem = models.TextField(_("problem"), blank=True)

    #: One of the above, so that an index has what isn't sent first in a list.
    standing = models.GeneratedField(
        expression=models.Case(
            models.When(sent_at__isnull=False, then=SENT),
            models.When(dropped_by="", then=UNSENT),
            default=DROPPED,
            output_field=models.PositiveSmallIntegerField(),
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )

    objects = PrimaryManager.from_queryset(MessageQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ("-id",)
        indexes = (
            GivenIndex(fields=("due_at",), name="jobqueue_message_due"),
            models.Index(fields=("standing", "id"), name="jobqueue_message_list"),
        )

    def __str__(self) -> str:
        return f"{self.pk}: {commandline.printable(self.subject)}"
