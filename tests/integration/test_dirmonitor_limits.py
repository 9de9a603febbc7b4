"""What the kernel doesn't give: events that overflow, watches that run out; really."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.dirmonitor import Monitoring
from tests.waiting import wait_until

QUEUED_EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")
#: Watches for each user of a user namespace of its own, which anybody may make.
FEW = 'echo 5 > /proc/sys/user/max_inotify_watches && exec "$@"'
FEW_WATCHES = ("unshare", "--user", "--map-root-user", "sh", "-c", FEW, "sh")


def test_after_an_overflow_all_files_are_found(tmp_path: Path, inbox: Path) -> None:
    """The service is stopped while more happens than the kernel notes."""
    files = int(QUEUED_EVENTS.read_text()) // 2
    if files > 100_000:
        pytest.skip(f"it takes {2 * files} events")
    monitoring = Monitoring(tmp_path / "data")
    monitoring.make({"In": inbox})
    with monitoring:
        monitoring.wait_for("watching")
        os.kill(monitoring.pid, signal.SIGSTOP)
        stopped = psutil.Process(monitoring.pid)
        wait_until(lambda: stopped.status() == psutil.STATUS_STOPPED, 180, "it to stop")
        for number in range(files):
            (inbox / str(number)).touch()
        (inbox / "last").write_text("x")
        os.kill(monitoring.pid, signal.SIGCONT)
        wait_until(lambda: monitoring.status()[0]["last_execution"], 180, "a trigger")
        assert "too many events at once" in monitoring.said()
        wait_until(lambda: counted(monitoring) >= files + 1, 180, "all to be queued")
        assert counted(monitoring) == files + 1


def counted(monitoring: Monitoring) -> int:
    """How many files the requests are for."""
    return sum(details["count"] for details in monitoring.requests())


def test_without_watches_it_polls_and_says_so(tmp_path: Path, inbox: Path) -> None:
    probe = subprocess.run([*FEW_WATCHES, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no user namespace of its own: " + probe.stderr.decode(errors="replace"))
    for number in range(10):
        (inbox / str(number)).mkdir()
    (tmp_path / "one").mkdir()
    monitoring = Monitoring(tmp_path / "data", under=FEW_WATCHES)
    monitoring.make({"Tree": inbox, "Small": tmp_path / "one"}, recursive=True)
    with monitoring:
        wait_until(lambda: all(row["status"] for row in monitoring.status()), 180, "all to be seen")
        small, tree = monitoring.status()
        assert (tree["name"], tree["status"]) == ("Tree", "polling")
        assert "max_user_watches" in tree["status_note"]
        (inbox / "7" / "a").write_text("x")
        (tmp_path / "one" / "b").write_text("x")
        wait_until(
            lambda: all(row["last_execution"] for row in monitoring.status()),
            180,
            "both to trigger",
        )
        assert small["name"] == "Small"
