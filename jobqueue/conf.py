"""The settings of the app: one dict ``JOBQUEUE`` in the host's settings, every key optional."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

#: Days, or runs, that ``KEEP_...`` may say at most; None is for ever.
KEEP_MOST = 36_500


def _data_dir() -> Path:
    """``var`` beside the project (``BASE_DIR``) or in the current directory."""
    return Path(getattr(settings, "BASE_DIR", ".")).absolute() / "var"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ``JOBQUEUE`` says, with the defaults filled in."""

    #: Directory of logs, run files and sockets. Installations with different ones never meet.
    DATA_DIR: Path = field(default_factory=_data_dir)
    #: This host's identity, shown on each run.
    HOST: str = field(default_factory=socket.gethostname)
    #: Name of the django-q2 cluster that serves the queues; None: the default one.
    CLUSTER: str | None = None
    #: Named environments: see :mod:`jobqueue.environments`.
    ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Patterns (as in :mod:`fnmatch`) of the programs that may be run; None: any.
    ALLOWED_PROGRAMS: Sequence[str] | None = None
    #: A run longer than this raises one alert and goes on; None: no alert.
    MAX_RUNTIME: timedelta | None = None
    #: A run longer than this is ended; None: never.
    KILL_AFTER: timedelta | None = None
    #: Bytes that the log file of one run may take.
    LOG_LIMIT: int = 100 * 1024 * 1024
    #: Bytes at the end of a run's output that are kept in the database.
    LOG_TAIL: int = 64 * 1024
    #: How long a host may be silent before others take its runs over.
    LEASE: timedelta = timedelta(seconds=60)
    #: First delay before a run that found another engine running (bots-engine's 3) is tried again.
    BUSY_DELAY: timedelta = timedelta(seconds=10)
    #: The delay doubles up to this.
    BUSY_DELAY_MAX: timedelta = timedelta(seconds=60)
    #: How many runs one request gets in all when it finds another engine each time.
    BUSY_ATTEMPTS: int = 15
    #: How many of the last runs of a Job are kept, however old they are.
    KEEP_RUNS: int = 50
    #: Days that ended executions are kept; None: for ever.
    KEEP_DAYS: int | None = 30
    #: The same of those that failed in any way, if that is longer.
    KEEP_FAILED_DAYS: int | None = 90
    #: Days that the output of a run is kept: its log file, and the end of it in the database.
    KEEP_OUTPUT_DAYS: int | None = 14
    #: Whether the address ``health`` tells anybody that all is well, or not.
    HEALTH: bool = False
    #: Who has it may read ``metrics``; None: only users who may look at executions.
    METRICS_TOKEN: str | None = field(default=None, repr=False)
    #: Addresses and groups that are told of the Jobs of a queue, where a Job names none itself.
    QUEUE_RECIPIENTS: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Groups of addresses: ``{"edi": {"to": ["a@example.com"], "profile": "partners"}}``.
    RECIPIENTS: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Named SMTP servers beside Django's own: see :mod:`jobqueue.alarms.profiles`.
    MAIL_PROFILES: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Other ways to tell people: see :mod:`jobqueue.alarms.channels`.
    CHANNELS: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    #: Kinds of channels that the host adds: ``{"sms": "portal.channels.Sms"}``.
    CHANNEL_KINDS: Mapping[str, str] = field(default_factory=dict)
    #: Private networks that webhooks and pings may reach, such as ``10.1.0.0/16``.
    ALLOWED_NETWORKS: Sequence[str] = ()
    #: Sender of mails; None: Django's ``SERVER_EMAIL``.
    MAIL_FROM: str | None = None
    #: Where the site is, for links in mails, such as ``https://edi.example.com``; "": no links.
    SITE_URL: str = ""
    #: After a mail on an alarm, the next one on it comes no sooner.
    ALARM_QUIET: timedelta = timedelta(minutes=5)
    #: What stays bad is told again after this, until somebody acknowledges it; None: never.
    REMIND_AFTER: timedelta | None = None

    @cached_property
    def run_dir(self) -> Path:
        """Where the run files lie, one for each run that is going on."""
        return self.DATA_DIR / "runs"

    @cached_property
    def log_dir(self) -> Path:
        """Where the log files of the runs lie."""
        return self.DATA_DIR / "logs" / "executions"

    def log_path(self, execution: int) -> Path:
        """The log file of an Execution; a thousand share a directory."""
        return self.log_dir / str(execution // 1000) / f"{execution}.log"


KEYS = tuple(f.name for f in fields(Settings))
_DURATIONS = (
    *("MAX_RUNTIME", "KILL_AFTER", "LEASE", "BUSY_DELAY", "BUSY_DELAY_MAX"),
    *("ALARM_QUIET", "REMIND_AFTER"),
)


@cache
def current() -> Settings:
    """The settings in force; unknown keys are left to the system checks."""
    given = {key: value for key, value in configured().items() if key in KEYS}
    for key in _DURATIONS:
        if isinstance(given.get(key), int | float):
            given[key] = timedelta(seconds=given[key])
    if "DATA_DIR" in given:
        given["DATA_DIR"] = Path(given["DATA_DIR"]).absolute()
    return Settings(**given)


def configured() -> dict[str, Any]:
    """``settings.JOBQUEUE`` as the host wrote it."""
    return dict(getattr(settings, "JOBQUEUE", None) or {})


def _reset(*, setting: str, **_: object) -> None:
    if setting in ("JOBQUEUE", "BASE_DIR"):
        current.cache_clear()


setting_changed.connect(_reset)
