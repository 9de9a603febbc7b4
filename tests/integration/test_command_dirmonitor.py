"""``manage.py dirmonitor`` as a process: what is killed, stopped, asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.dirmonitor import Monitoring
from tests.forwarder import Forwarder
from tests.waiting import wait_until

Block = Callable[[Forwarder], None]
#: Seconds that the database is away: longer than files settle, and than a try takes.
AWAY = 3


@pytest.fixture
def monitoring(tmp_path: Path) -> Iterator[Monitoring]:
    found = Monitoring(tmp_path / "data")
    found.manage("migrate", "-v0")
    yield found
    found.kill()


def has_triggered(monitoring: Monitoring) -> None:
    wait_until(lambda: monitoring.status()[0]["last_execution"], 180, "a trigger")


def test_a_file_that_settles_while_it_is_killed_is_not_missed(
    monitoring: Monitoring, inbox: Path
) -> None:
    monitoring.make({"In": inbox}, settle=3600)
    with monitoring:
        monitoring.wait_for("watching")
        (inbox / "a").write_text("x")
        wait_until(lambda: monitoring.status()[0]["files_pending"], 180, "it to settle")
        monitoring.kill()
        monitoring.shell(
            "from dirmonitor.models import DirMonitor; DirMonitor.objects.update(settle=0.2)"
        )
        monitoring.start()
        has_triggered(monitoring)


def test_sigterm_ends_it_and_it_leaves_no_sign_of_life(monitoring: Monitoring, inbox: Path) -> None:
    monitoring.make({"In": inbox})
    with monitoring:
        monitoring.wait_for("watching")
        assert monitoring.stop() == 0
    count = "from dirmonitor.models import Service; print(Service.objects.count())"
    assert monitoring.shell(count).split() == ["0"]


def test_sigterm_ends_it_while_it_waits_for_a_lock_of_sqlite(tmp_path: Path, inbox: Path) -> None:
    """The lock lasts longer than the test, and the service would wait for it as long."""
    (tmp_path / "patient.py").write_text(PATIENT)
    settings = {"DJANGO_SETTINGS_MODULE": "patient", "PYTHONPATH": str(tmp_path)}
    monitoring = Monitoring(tmp_path / "data", settings)
    monitoring.make({"In": inbox}, settle=3600)
    database = monitoring.shell(
        "from django.conf import settings; print(settings.DATABASES['default']['NAME'])"
    )
    with monitoring:
        monitoring.wait_for("watching")
        with locked(Path(database.strip())) as is_locked:
            (inbox / "a").write_text("x")
            wait_until(lambda: sleeps(monitoring.pid), 180, "it to wait for the lock")
            assert monitoring.stop() == 0
            assert is_locked()


PATIENT = """
from botsproject.settings import *
DATABASES["default"]["OPTIONS"]["timeout"] = 600
"""
LOCKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
#: The numbers of nanosleep and clock_nanosleep, on x86_64 and on aarch64.
_SLEEPS = {"35", "230", "101", "115"}


@contextmanager
def locked(database: Path) -> Iterator[Callable[[], bool]]:
    """Another process has a database for itself; says whether it still has."""
    locks = [sys.executable, "-c", LOCKS, str(database)]
    with subprocess.Popen(locks, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"locked\n"
            yield lambda: process.poll() is None
        finally:
            process.kill()


def sleeps(pid: int) -> bool:
    """Whether the main thread does, as SQLite has it do while it waits, and not for an event."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in _SLEEPS


def test_once_then_status(monitoring: Monitoring, inbox: Path) -> None:
    monitoring.make({"In": inbox})
    (inbox / "a").write_text("x")
    assert f"In: 1 file: {inbox / 'a'}" in monitoring.manage("dirmonitor", "--once", "--dry-run")
    assert monitoring.status()[0]["last_execution"] is None
    monitoring.manage("dirmonitor", "--once")
    [row] = monitoring.status()
    assert (row["name"], row["job"], row["status"]) == ("In", "In", "watching")
    assert row["last_execution"]
    assert "In: watching" in monitoring.manage("dirmonitor", "--status")


def test_once_says_what_could_not_be_queued(monitoring: Monitoring, tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("good", "off", "none")}
    monitoring.make(paths)
    for name in ("good", "off"):
        paths[name].mkdir()
        (paths[name] / "a").write_text("x")
    monitoring.shell(DISABLE.format(False))
    refused = "not queued, its files wait: The Job 'off' is disabled; enable it to queue it."
    problems = [f"none: its path is missing: {paths['none']}", f"off: {refused}"]

    done = monitoring.installation.manage("dirmonitor", "--once", "--dry-run")
    assert f"off: 1 file: {paths['off'] / 'a'}; it would be refused: The Job 'off'" in done.stdout
    assert (done.returncode, told(done.stderr)) == (1, problems)

    done = monitoring.installation.manage("dirmonitor", "--once")
    assert (done.returncode, told(done.stderr)) == (1, problems)

    paths["none"].mkdir()
    monitoring.shell(DISABLE.format(True))
    done = monitoring.installation.manage("dirmonitor", "--once")
    assert (done.returncode, told(done.stderr)) == (0, [])
    found = [one["files"] for one in monitoring.requests()]
    assert found == [[str(paths["good"] / "a")], [str(paths["off"] / "a")]]


def test_a_dry_run_that_goes_on_says_at_once_what_it_sees(
    monitoring: Monitoring, inbox: Path
) -> None:
    monitoring.make({"In": inbox})
    (inbox / "a").write_text("x")
    monitoring.start("--dry-run")
    wait_until(lambda: f"In: 1 file: {inbox / 'a'}\n" in monitoring.said(), 180, "it to be said")
    assert monitoring.stop() == 0
    assert monitoring.requests() == []


DISABLE = "from jobqueue.api import Job; Job.objects.filter(name='off').update(enabled={})"


def told(text: str) -> list[str]:
    """The lines of an output that aren't of the log."""
    return [line for line in text.splitlines() if line.startswith(("none: ", "off: ", "good: "))]


def test_a_monitor_of_its_own_database_takes_no_request_away(
    monitoring: Monitoring, inbox: Path
) -> None:
    data = monitoring.installation.data_dir
    monitoring.make({"In": inbox, "Own": data})
    with monitoring:
        wait_until(lambda: "open for writing" in note(monitoring, "Own"), 180, "it to be looked at")
        (inbox / "a").write_text("x")
        wait_until(lambda: "In" in triggers(monitoring), 180, "a trigger")
        assert not [path for path in opened(monitoring.pid) if path.endswith("-wal (deleted)")]
        assert monitoring.stop() == 0


def opened(pid: int) -> list[str]:
    """The files that a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it is closed meanwhile
            found.append(os.readlink(link))
    return found


def note(monitoring: Monitoring, name: str) -> str:
    return next(str(row["pending_note"]) for row in monitoring.status() if row["name"] == name)


def triggers(monitoring: Monitoring) -> list[str]:
    return [str(row["name"]) for row in monitoring.status() if row["last_execution"]]


def test_without_monitors_it_waits_for_one(monitoring: Monitoring, inbox: Path) -> None:
    count = "from dirmonitor.models import Service; print(Service.objects.alive().count())"
    with monitoring:
        wait_until(lambda: monitoring.shell(count).split() == ["1"], 180, "a sign of life")
        (inbox / "a").write_text("x")
        monitoring.make({"In": inbox})
        has_triggered(monitoring)


@pytest.mark.parametrize("block", [Forwarder.cut, Forwarder.fall_silent])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_database_that_is_away_loses_nothing(
    tmp_path: Path, inbox: Path, kind: str, block: Block, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    monitoring = Monitoring(tmp_path / "data", {"DATABASE_URL": url})
    monitoring.make({"In": inbox})
    with Forwarder(url) as way:
        monitoring.start(DATABASE_URL=way.url)
        try:
            monitoring.wait_for("watching")
            block(way)
            (inbox / "a").write_text("x")
            (tmp_path / "b").write_text("x")
            (tmp_path / "b").rename(inbox / "b")
            dropped = time.monotonic()
            wait_until(lambda: time.monotonic() > dropped + AWAY, 180, "time to pass")
            way.restore()
            has_triggered(monitoring)
            wait_until(lambda: named(monitoring) == 2, 180, "both files to be named")
            block(way)
            assert monitoring.stop() == 0
        finally:
            monitoring.kill()


def named(monitoring: Monitoring) -> int:
    return sum(details["count"] for details in monitoring.requests())


@pytest.mark.parametrize(
    "words", [["dirmonitor"], ["dirmonitor", "--status"], ["monitors", "list"]]
)
def test_without_tables_it_says_so_in_one_line(tmp_path: Path, words: list[str]) -> None:
    done = Monitoring(tmp_path / "data").installation.manage(*words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "run `manage.py migrate`" in done.stderr
