"""``manage.py dirmonitor`` as a process: what is killed, stopped, asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dirmonitor import Monitoring
from tests.waiting import wait_until

MAKE = """
from jobqueue.api import Job
from dirmonitor.models import DirMonitor
job = Job.objects.create(name="Engine", argv=["true"])
DirMonitor.objects.create(name="In", path={path!r}, job=job, settle={settle})
"""


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


@pytest.fixture
def monitoring(tmp_path: Path) -> Iterator[Monitoring]:
    found = Monitoring(tmp_path / "data")
    found.manage("migrate", "-v0")
    yield found
    found.kill()


def has_triggered(monitoring: Monitoring) -> None:
    wait_until(lambda: monitoring.status()[0]["last_execution"], 60, "a trigger")


def test_a_file_that_settles_while_it_is_killed_is_not_missed(
    monitoring: Monitoring, inbox: Path
) -> None:
    monitoring.shell(MAKE.format(path=str(inbox), settle=3600))
    with monitoring:
        monitoring.wait_for("watching")
        (inbox / "a").write_text("x")
        wait_until(lambda: monitoring.status()[0]["files_pending"], 60, "it to settle")
        monitoring.kill()
        monitoring.shell(
            "from dirmonitor.models import DirMonitor; DirMonitor.objects.update(settle=0.2)"
        )
        monitoring.start()
        has_triggered(monitoring)


def test_sigterm_ends_it_and_it_leaves_no_sign_of_life(monitoring: Monitoring, inbox: Path) -> None:
    monitoring.shell(MAKE.format(path=str(inbox), settle=0.2))
    with monitoring:
        monitoring.wait_for("watching")
        assert monitoring.stop() == 0
    count = "from dirmonitor.models import Service; print(Service.objects.count())"
    assert monitoring.shell(count).split() == ["0"]


def test_once_then_status(monitoring: Monitoring, inbox: Path) -> None:
    monitoring.shell(MAKE.format(path=str(inbox), settle=0.2))
    (inbox / "a").write_text("x")
    assert f"In: 1 file: {inbox / 'a'}" in monitoring.manage("dirmonitor", "--once", "--dry-run")
    assert monitoring.status()[0]["last_execution"] is None
    monitoring.manage("dirmonitor", "--once")
    [row] = monitoring.status()
    assert (row["name"], row["job"], row["status"]) == ("In", "Engine", "watching")
    assert row["last_execution"]
    assert "In: watching" in monitoring.manage("dirmonitor", "--status")


def test_without_tables_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = Monitoring(tmp_path / "data").installation.manage("dirmonitor")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
