"""A login, Jobs, Schedules and a monitor to look at, put into an empty database once."""

from __future__ import annotations

import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model

from botsproject.demo import samples
from dirmonitor.models import DirMonitor
from jobqueue.api import Job, Schedule, enqueue

USERNAME = "demo"
JOBS: tuple[tuple[str, list[str], dict[str, Any]], ...] = (
    ("Quick", ["quick"], {"description": "Done at once.", "in_run_menu": True}),
    (
        "Two minutes",
        ["count", "120"],
        {
            "description": "Counts aloud: look at its output while it runs, or stop it.",
            "in_run_menu": True,
            "kill_after": timedelta(minutes=5),
        },
    ),
    ("Failing", ["fail"], {"description": "Ends with 1."}),
    (
        "EDI run",
        ["edi"],
        {
            "description": "Ends with 2, as bots-engine does when some files had errors.",
            "codes": "bots-engine",
            "in_run_menu": True,
        },
    ),
    ("Flood", ["flood"], {"description": "Prints 30 MB."}),
)
# The long one last, so that the others have something to show by then.
FIRST_RUNS = (("Quick", 3), ("Failing", 4), ("EDI run", 5), ("Flood", 7), ("Two minutes", 9))
SCHEDULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Every five minutes", "Quick", {"expression": "*/5 * * * *"}),
    ("Business hours", "EDI run", {"expression": "*/10 7-18 * * MON-FRI", "priority": 3}),
    ("Every 90 minutes", "Failing", {"kind": "interval", "interval": timedelta(minutes=90)}),
    ("End of the month", "Two minutes", {"expression": "45 23 L * *", "catch_up": "all"}),
)


def create_login(file: Path) -> bool:
    """A superuser with a random password, kept in ``file`` (mode 0600); False if users exist."""
    user = get_user_model()
    if user.objects.exists():
        return False
    password = secrets.token_urlsafe(9)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as lines:
        lines.write(f"user {USERNAME}\npassword {password}\n")
    user.objects.create_superuser(USERNAME, password=password)
    return True


def create_jobs() -> bool:
    """The Jobs, each queued once, and their Schedules; False if there are Jobs already."""
    if Job.objects.exists():
        return False
    for name, words, fields in JOBS:
        argv = [sys.executable, samples.__file__, *words]
        Job.objects.create(name=name, argv=argv, **fields)
    for name, job, fields in SCHEDULES:
        Schedule.objects.create(name=name, job=Job.objects.get(name=job), **fields)
    for name, priority in FIRST_RUNS:
        enqueue(Job.objects.get(name=name), priority=priority, requested_by=USERNAME)
    return True


def create_monitor(inbox: Path) -> None:
    """A directory, and a monitor that has a Job tell what lies there when a file has arrived."""
    inbox.mkdir(exist_ok=True)
    argv = [sys.executable, samples.__file__, "files", str(inbox)]
    job = Job.objects.create(
        name="What lies in the inbox", argv=argv, description=f"Put a file into {inbox}."
    )
    DirMonitor.objects.create(name="Inbox", path=str(inbox), job=job)
