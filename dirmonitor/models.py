"""DirMonitor: which files queue which Job. HandedOver: which files have. Service: who watches."""

from __future__ import annotations

import math
import os
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobqueue.api import Execution, Job, PrimaryManager, printable, validate_queue_name

from . import matching

#: Seconds that settle and poll_interval may have at most.
LONGEST = 24 * 3600
#: Characters of a path; Linux takes 4095 bytes.
PATH_LIMIT = 1024
#: A service says this often that it is alive; one that was silent for so long counts as dead.
SIGN_OF_LIFE, SILENCE = timedelta(seconds=10), timedelta(seconds=25)


class Mode(models.TextChoices):
    """How changes are noticed."""

    AUTO = "auto", _("automatic")
    INOTIFY = "inotify", _("inotify (local file systems)")
    POLL = "poll", _("polling")


class Status(models.TextChoices):
    """What the service says of a monitor."""

    WATCHING = "watching", _("watching")
    POLLING = "polling", _("polling")
    MISSING = "missing", _("path missing")
    UNREACHABLE = "unreachable", _("unreachable")


#: Those in which files are seen.
GOOD = (Status.WATCHING, Status.POLLING)


def validate_seconds(value: float) -> None:
    """Refuse what is no length of time up to a day."""
    if not (math.isfinite(value) and 0 <= value <= LONGEST):
        raise ValidationError(
            _("A number of seconds from 0 to %(most)d."), params={"most": LONGEST}, code="seconds"
        )


class DirMonitor(models.Model):
    """Queues its Job when files are ready in a directory.

    The service alone writes the status; nobody edits it.
    """

    name = models.CharField(_("name"), max_length=200, unique=True)
    path = models.CharField(
        _("path"),
        max_length=PATH_LIMIT,
        help_text=_("A directory or one file, absolute; * ? [a-z] in any part stand for several."),
    )
    job = models.ForeignKey(Job, models.CASCADE, related_name="monitors", verbose_name=_("Job"))
    filemask = models.TextField(
        _("file mask"),
        default="*",
        help_text=_("Names of files, such as *.edi; several separated by semicolons."),
    )
    recursive = models.BooleanField(
        _("recursive"), default=False, help_text=_("Files in subdirectories count, too.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=5)
    queue = models.CharField(
        _("queue"),
        max_length=64,
        blank=True,
        validators=[validate_queue_name],
        help_text=_("Empty: the Job's."),
    )
    settle = models.FloatField(
        _("settle"),
        default=2,
        validators=[validate_seconds],
        help_text=_("Seconds without a change after which a file is ready."),
    )
    poll_interval = models.FloatField(
        _("poll interval"),
        default=2,
        validators=[validate_seconds],
        help_text=_("Seconds between two looks where the kernel reports no changes."),
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Mode.choices, default=Mode.AUTO)

    status = models.CharField(
        _("status"), max_length=20, choices=Status.choices, blank=True, editable=False
    )
    status_since = models.DateTimeField(_("since"), null=True, blank=True, editable=False)
    #: What else is to be said: why it is polled, what can't be read, why a Job was refused.
    status_note = models.TextField(_("note"), blank=True, editable=False)
    files_pending = models.PositiveIntegerField(_("files pending"), default=0, editable=False)
    #: The reasons why they are, in words.
    pending_note = models.TextField(_("pending"), blank=True, editable=False)
    last_trigger_at = models.DateTimeField(_("last trigger"), null=True, blank=True, editable=False)
    last_execution = models.ForeignKey(
        Execution,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("last execution"),
    )

    objects = PrimaryManager["DirMonitor"]()

    class Meta:
        verbose_name = _("directory monitor")
        verbose_name_plural = _("directory monitors")
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(name="dirmonitor_priority", condition=Q(priority__range=(1, 9))),
            models.CheckConstraint(name="dirmonitor_mode", condition=Q(mode__in=Mode.values)),
        )

    def __str__(self) -> str:
        return printable(self.name)

    def clean(self) -> None:
        """Refuse what can't be read or can never mean a file, at the field that is wrong."""
        self.path = normal_path(self.path)
        problems = {"path": wrong_path(self.path), "filemask": _wrong_masks(self.filemask)}
        if self.name.isspace():
            problems["name"] = str(_("A name can't be only spaces: write one that can be read."))
        if not 1 <= (self.priority or 0) <= 9:
            problems["priority"] = str(_("The priority is a number from 1 (first) to 9 (last)."))
        if found := {field: problem for field, problem in problems.items() if problem}:
            raise ValidationError(found)


def normal_path(path: str) -> str:
    """The same path without parts that mean nothing: ``//in/./a/`` is ``/in/a``."""
    beginning = "/" if path.startswith("/") else ""
    return beginning + "/".join(part for part in path.split("/") if part not in ("", "."))


def wrong_path(path: str) -> str:
    """What is wrong with a path, whether it is there or not; "" if nothing is."""
    if "\0" in path:
        return str(_("A path has no NUL character."))
    if not os.path.isabs(path):
        return str(_("The path must be absolute: it begins with a slash."))
    if ".." in path.split("/"):
        return str(_("The path can't go up with “..”: write where it leads."))
    if normal_path(path) == "/":
        return str(_("Not “/” itself: name a directory."))
    return _wrong_kind(path)


def _wrong_kind(path: str) -> str:
    """Whether what is there is made up by the kernel; nothing is asked of the file system."""
    parts = normal_path(path).strip("/").split("/")
    if parts[0] in ("proc", "sys"):
        return str(_("/proc and /sys are file systems of the kernel: name another directory."))
    if parts[0] == "dev" and parts[1:2] != ["shm"]:
        return str(_("Devices are in /dev: name another directory; /dev/shm may be one."))
    return ""


def _wrong_masks(text: str) -> str:
    masks = matching.split_masks(text)
    if not masks:
        return str(_("At least one mask is needed; * stands for all files."))
    if any("/" in mask for mask in masks):
        return str(_("A mask is for names, without a slash; directories belong to the path."))
    if "\0" in text:
        return str(_("A mask has no NUL character."))
    return ""


class HandedOver(models.Model):
    """A file that is present, and for which the Job was queued: the ledger.

    The path is quoted as in an address, since a name may be no text at all. The digest is that of
    the path, because not every database has a unique index on long text.
    """

    #: Of its monitor: pages and commands that delete one count these, and name none.
    is_part = True

    monitor = models.ForeignKey(DirMonitor, models.CASCADE, related_name="handed_over")
    digest = models.CharField(max_length=64)
    path = models.TextField()
    #: Inode, size and time of change, by which another file with this name is told from it.
    signature = models.CharField(max_length=80)

    objects = PrimaryManager["HandedOver"]()

    class Meta:
        verbose_name = _("file handed over")
        verbose_name_plural = _("files handed over")
        constraints = (
            models.UniqueConstraint(name="dirmonitor_file_once", fields=("monitor", "digest")),
        )

    def __str__(self) -> str:
        return self.path


class ServiceQuerySet(models.QuerySet["Service"]):
    """Sets of services; time is the database's, since the clocks of hosts differ."""

    def alive(self) -> ServiceQuerySet:
        """Those heard of lately."""
        return self.filter(seen_at__gt=Now() - SILENCE)

    def dead(self) -> ServiceQuerySet:
        """Those not heard of for long."""
        return self.filter(seen_at__lte=Now() - SILENCE)


class Service(models.Model):
    """A running ``manage.py dirmonitor``; deleted when it ends."""

    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    objects = PrimaryManager.from_queryset(ServiceQuerySet)()

    class Meta:
        verbose_name = _("directory monitor service")
        verbose_name_plural = _("directory monitor services")

    def __str__(self) -> str:
        return f"{self.pid} on {self.host}"


def lacks_service() -> bool:
    """Whether monitors are enabled and no service is alive."""
    is_needed = DirMonitor.objects.filter(enabled=True).exists()
    return is_needed and not Service.objects.alive().exists()
