"""What ``manage.py queue doctor`` asks about monitors."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jobqueue.api import Finding, Level, add_check, printable

from .models import DirMonitor, Service, Status, lacks_service

#: The part of a limit that one service may use before it's told of.
NEARLY = 0.8
_LIMITS = Path("/proc/sys/fs/inotify")


def add_checks() -> None:
    """Called once, by the app."""
    add_check("monitor-service", "The directory monitor runs, or isn't needed.", _service)
    add_check("monitors", "All directories of monitors are there.", _monitors)
    add_check("inotify", "The kernel has room for more watches.", _inotify)


def _service() -> Iterator[Finding]:
    if lacks_service():
        yield Finding(
            Level.ERROR,
            "No directory monitor runs.",
            "Files that arrive queue nothing.",
            "Start `manage.py dirmonitor`, by systemd for good: see deploy/README.md.",
        )


def _monitors() -> Iterator[Finding]:
    """As the service sees them: to look from here could hang on a share that is away."""
    if not Service.objects.alive().exists():
        return
    for row in DirMonitor.objects.filter(enabled=True):
        if row.status in (Status.MISSING, Status.UNREACHABLE):
            note = f" {row.status_note}." if row.status_note else ""
            yield Finding(
                Level.ERROR,
                printable(f"Monitor {row.name}: {row.get_status_display()}: {row.path}."),
                printable(f"What arrives there queues nothing.{note}"),
                "Make or mount it, mend the monitor's path, or disable the monitor.",
            )
        elif row.status_note:
            yield Finding(
                Level.WARNING,
                printable(f"Monitor {row.name}: {row.status_note}"),
                "It doesn't work as well as it could.",
                "`manage.py dirmonitor --status` says more.",
            )


def _inotify() -> Iterator[Finding]:
    """How much of the limits, which are a user's, the service of this host uses."""
    limit = _limit("max_user_watches")
    for service in Service.objects.alive().filter(host=socket.gethostname()):
        used = _watches(service.pid)
        if limit is not None and used > NEARLY * limit:
            yield Finding(
                Level.WARNING,
                f"The directory monitor uses {used} of {limit} inotify watches.",
                "Beyond the limit, directories are polled, which takes longer and costs more.",
                f"sysctl fs.inotify.max_user_watches={max(2 * limit, 524288)}, and in sysctl.d.",
            )


def _limit(name: str) -> int | None:
    with suppress(OSError, ValueError):
        return int((_LIMITS / name).read_text())
    return None


def _watches(pid: int) -> int:
    """The inotify watches of a process, as proc(5) lists them; 0 of one that isn't to be seen."""
    count = 0
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fdinfo"):
            with suppress(OSError):
                lines = Path(entry.path).read_text().splitlines()
                count += sum(line.startswith("inotify wd:") for line in lines)
    return count
