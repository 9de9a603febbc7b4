"""The real service for tests: ``manage.py qcluster`` with a data directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[1]

#: What a developer's shell, or pytest-django, may have set and a fresh installation must not see.
_NOT_INHERITED = {
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "DATA_DIR",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "EMAIL_URL",
    "HTTPS",
    "JOBQUEUE_HOST",
    "JOBQUEUE_LOG_COUNT",
    "JOBQUEUE_LOG_SIZE",
    "Q_CLUSTER_NAME",
    "REDIS_URL",
    "SECRET_KEY",
    "TIME_ZONE",
}
#: Inherited by every process of one service, so that an orphan is still known as ours.
_MARK = "JOBQUEUE_TEST_SERVICE"


@dataclass(frozen=True)
class Process:
    """A living process, as ``/proc`` shows it."""

    pid: int
    parent: int
    argv: tuple[str, ...]
    environ: frozenset[str]


class Service:
    """One installation: its commands, and as a context manager its running cluster.

    It may be entered again after it ended. Commands work whether it runs or not.
    """

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        manage_py: Path = CHECKOUT / "manage.py",
    ) -> None:
        self.data_dir = data_dir
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in _NOT_INHERITED},
            "DATA_DIR": str(data_dir),
            **(environment or {}),
        }
        #: What the cluster printed, over all its starts.
        self.output = data_dir.with_name(f"{data_dir.name}-qcluster.out")
        self._manage = [sys.executable, str(manage_py)]
        self._mark = f"{_MARK}={uuid.uuid4().hex}"
        self._main: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.stop()
            elif error is not None:
                error.add_note(self.last_output())
        finally:
            self.kill()

    def manage(
        self, *args: str, check: bool = False, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command in this installation.

        Raises:
            AssertionError: with ``check``, it didn't exit with 0.
            subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
        """
        done = subprocess.run(
            [*self._manage, *args],
            check=False,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(
                f"manage.py {' '.join(args)} exited with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def json(self, *args: str) -> Any:
        """What a management command prints with ``--json``."""
        return json.loads(self.manage(*args, "--json", check=True).stdout)

    def start(self) -> None:
        """Start the cluster and wait until its worker, monitor and pusher are there."""
        if self._main is not None and self._main.poll() is None:
            raise RuntimeError("The cluster runs already.")
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self._main = subprocess.Popen(
                [*self._manage, "qcluster"],
                env=self.environment | dict([self._mark.split("=")]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._is_up, 60, "the cluster to come up")

    @property
    def pid(self) -> int:
        """The main process of the cluster that was started last."""
        assert self._main is not None, "The cluster was never started."
        return self._main.pid

    def stop(self, timeout: float = 90, whole_group: bool = False) -> int:
        """SIGTERM to the main process, or to all of the cluster at once; the exit code of main.

        Raises:
            AssertionError: it didn't end within ``timeout`` seconds; it is killed then.
        """
        assert self._main is not None, "The cluster was never started."
        if self._main.poll() is None:
            send = os.killpg if whole_group else os.kill
            send(self._main.pid, signal.SIGTERM)
        try:
            return self._main.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"The cluster didn't end within {timeout:g} s.\n{self.last_output()}"
            ) from None

    def kill(self, *pids: int) -> None:
        """SIGKILL to these of its processes; without any, to all that are left, jobs as well."""
        if foreign := set(pids) - {process.pid for process in self.processes()}:
            raise ValueError(f"Not of this service, or gone: {foreign}")
        if pids:
            _kill(pids)
        else:
            # Again until none is left: a sentinel may replace a worker meanwhile.
            while left := [process.pid for process in self.processes()]:
                _kill(left)
        if self._main is not None:
            self._main.poll()

    def processes(self) -> list[Process]:
        """Its living processes and their descendants: cluster, helpers, jobs; orphans as well."""
        everything = list(_processes())
        ours = {process.pid for process in everything if self._mark in process.environ}
        while more := {p.pid for p in everything if p.parent in ours and p.pid not in ours}:
            ours |= more
        return [process for process in everything if process.pid in ours]

    def last_output(self, lines: int = 40) -> str:
        """The end of what the cluster printed, for messages."""
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return f"{self.output}:\n" + "\n".join(text.splitlines()[-lines:])

    def _is_up(self) -> bool:
        assert self._main is not None
        if (code := self._main.poll()) is not None:
            raise AssertionError(f"qcluster exited with {code}.\n{self.last_output()}")
        processes = self.processes()
        parents = [process.parent for process in processes]
        sentinels = [process.pid for process in processes if process.parent == self._main.pid]
        # It has at least a worker, a monitor and a pusher.
        return any(parents.count(sentinel) >= 3 for sentinel in sentinels)


def _kill(pids: list[int] | tuple[int, ...]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _processes() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            # It may end while we read, or belong to somebody else.
            with suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    yield Process(
                        pid=int(entry.name),
                        parent=int(parent),
                        argv=tuple(_words(entry / "cmdline")),
                        environ=frozenset(_words(entry / "environ")),
                    )


def _words(path: Path) -> list[str]:
    return path.read_bytes().decode(errors="replace").rstrip("\0").split("\0")
