"""Where Linux is not: the pages and requests work, and the service says why it serves nothing.

No such system is at hand, so a process takes from itself what Python lacks there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PREPARE = """
import os, sys, signal, subprocess, socket, tempfile, asyncio, multiprocessing.pool
import multiprocessing.sharedctypes, logging.handlers
import django.db.backends.sqlite3.base, django.core.management, django.contrib.staticfiles
sys.platform = "win32"
for module in ("fcntl", "resource", "pwd", "grp", "psutil"):
    sys.modules[module] = None
for name in ("register_at_fork", "fork", "getsid", "setsid", "killpg"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP"):
    delattr(signal, name)
django.setup()
"""
ENQUEUE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
import jobqueue.admin, jobqueue.urls, jobqueue.testing
from jobqueue.api import Execution, enqueue
enqueue(["bots-engine", "--new"])
from jobqueue import worker
worker.spawned()
worker.take_turn("default")
print(*Execution.objects.values_list("state", flat=True))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    settings = "from tests.settings import *\nQ_CLUSTER['sync'] = True\n"
    (tmp_path / "elsewhere.py").write_text(
        settings + f"DATABASES['default']['NAME'] = {str(tmp_path / 'db')!r}\n"
    )
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    return {"PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "elsewhere", "PATH": ""}


def test_requests_are_made_and_nothing_is_run(environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PREPARE + ENQUEUE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "waiting\n"), ran.stderr
    assert "Jobs run on Linux only; on win32 no queue is served." in ran.stderr
