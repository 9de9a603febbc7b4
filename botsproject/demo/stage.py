"""What the story needs: programs, a journal that they write, commands and the service."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botsproject.demo import samples

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_SCRIPT = _CHECKOUT / "manage.py"
MANAGE = [sys.executable, *([str(_SCRIPT)] if _SCRIPT.exists() else ["-m", "django"])]
PATIENCE = 60  # seconds for any one step
ADDED, DUPLICATE = 0, 4  # exit statuses of job2queue
NOT_INHERITED = {
    "DATABASE_URL",
    "EMAIL_URL",
    "JOBQUEUE_HOST",
    "REDIS_URL",
    "SECRET_KEY",
    "TIME_ZONE",
}
# Name and exit status of each program; the ones with a gate end when the story says so.
PROGRAMS = {
    "orders": (0, "orders-gate"),
    "invoices": (0, ""),
    "bots-engine": (2, ""),
    "broken": (7, ""),
    "urgent": (0, ""),
    "backup": (0, ""),
    "long": (0, "long-gate"),
    "poll": (0, ""),
    "slow": (0, "slow-gate"),
    "later": (0, ""),
}


class Demo:
    """The story's stage: a directory with programs, a database and a journal."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.journal = directory / "journal"
        self.journal.touch()
        self.untrue = 0
        self.environ = self._environ()
        (directory / "bin").mkdir()
        for name, (status, gate) in PROGRAMS.items():
            self._write_program(name, status, gate)

    def _environ(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        return inherited | {
            "DATA_DIR": str(self.directory / "var"),
            "DJANGO_SETTINGS_MODULE": "botsproject.settings",
            "PATH": f"{self.directory / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def _write_program(self, name: str, status: int, gate: str) -> None:
        words = [sys.executable, samples.__file__, "note", name, str(status), str(self.journal)]
        if gate:
            words.append(str(self.directory / gate))
        program = self.directory / "bin" / name
        program.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n")
        program.chmod(0o755)

    def open_gate(self, name: str) -> None:
        (self.directory / name).touch()

    def manage(
        self, *words: str, stderr: int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MANAGE, *words],
            cwd=self.directory,
            env=self.environ | {"PYTHONUNBUFFERED": "1"},  # so that what it says stays in order
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def queue(self, *words: str, expect: int = ADDED) -> None:
        """``manage.py job2queue`` as typed, with what it says and its exit status."""
        self.run("job2queue", *words, expect=expect)

    def run(self, *words: str, expect: int = 0) -> None:
        """A command as typed, with what it says and its exit status."""
        result = self.manage(*words, stderr=subprocess.STDOUT)
        print(f"$ manage.py {shlex.join(words)}")
        for line in result.stdout.splitlines():
            print(f"    {line}")
        self.verify(f"exit status {expect}", result.returncode, expect)

    def verify(self, what: str, found: object, expected: object) -> None:
        """Say what is true; remember what isn't."""
        if found == expected:
            print(f"  [true] {what}")
        else:
            self.untrue += 1
            print(f"  [NOT TRUE] {what}: {found!r}, expected {expected!r}")

    def lines(self) -> list[str]:
        return self.journal.read_text().splitlines()

    def executions(self) -> list[dict[str, Any]]:
        """What the queue has on record, oldest first."""
        result = self.manage("queue", "list", "--json", "--limit", "100")
        if result.returncode:
            raise RuntimeError(
                f"manage.py queue list ended with {result.returncode}: {result.stderr}"
            )
        rows: list[dict[str, Any]] = json.loads(result.stdout)
        return sorted(rows, key=lambda row: row["id"])

    def fires(self, schedule: str) -> list[dict[str, str]]:
        """What became of a schedule's fire times, the first one first."""
        result = self.manage("schedules", "show", schedule, "--json")
        last: list[dict[str, str]] = json.loads(result.stdout)["last"]
        return sorted(last, key=lambda fire: fire["fire_at"])

    def wait_for_line(self, line: str, times: int = 1) -> None:
        wait(f"{line!r} in the journal", lambda: self.lines().count(line) >= times)

    @contextmanager
    def service(self) -> Iterator[subprocess.Popen[str]]:
        log = self.directory / "qcluster.log"
        with log.open("w") as output:
            cluster = subprocess.Popen(
                [*MANAGE, "qcluster"],
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            yield cluster
        except BaseException:
            print(log.read_text(), file=sys.stderr)
            raise
        finally:
            self.open_gate("orders-gate")
            self.open_gate("slow-gate")
            if cluster.poll() is None:
                os.killpg(cluster.pid, signal.SIGKILL)
                cluster.wait()


def wait(what: str, condition: Callable[[], bool]) -> None:
    """Until it is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.05)


def processes_of(directory: Path) -> list[int]:
    """Those that were started with this ``DATA_DIR``, whatever their parent and session."""
    mark = f"DATA_DIR={directory / 'var'}".encode()
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if mark in _environ(entry)]


def _environ(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return []
