"""The directory monitor's service in a thread of the test, and what came of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connections

from dirmonitor.models import DirMonitor
from dirmonitor.service import DirMonitorService
from jobqueue.api import Execution, Source
from tests.waiting import wait_until

#: Seconds that a crowded machine is given.
PATIENCE = 90


@contextmanager
def running() -> Iterator[DirMonitorService]:
    """The service, in a thread of this process."""
    service = DirMonitorService()

    def run() -> None:
        try:
            service.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()


def requests() -> list[Execution]:
    """What was queued, oldest first."""
    return list(Execution.objects.filter(source=Source.DIRMONITOR).order_by("pk"))


def triggered() -> list[str]:
    """The names of all files that triggered."""
    files = [name for request in requests() for name in request.details["files"]]
    return [os.path.basename(name) for name in files]


def has_triggered(*names: str) -> None:
    wait_until(lambda: set(names) <= set(triggered()), PATIENCE, f"{names} to trigger")


def is_watched(monitor: DirMonitor) -> None:
    """Wait until the service has seen all of it."""

    def seen() -> bool:
        monitor.refresh_from_db()
        return monitor.status in ("watching", "polling")

    wait_until(seen, PATIENCE, "the monitor to be watched")


def start_over() -> None:
    """Let what waits be no duplicate of what comes."""
    Execution.objects.all().update(state="succeeded")


def all_settled() -> None:
    """Wait until no file is pending for any monitor."""
    pending = DirMonitor.objects.filter(files_pending__gt=0)
    wait_until(lambda: not pending.exists(), PATIENCE, "all to be settled")


def barrier(inbox: Path, name: str = "barrier") -> None:
    """Have a file trigger, after whatever came before it had its chance."""
    (inbox / name).touch()
    has_triggered(name)
