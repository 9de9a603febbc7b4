"""The real service for tests: ``manage.py qcluster`` with a data directory of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
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
    "LOG_FORMAT",
    "MAIL_FROM",
    "MANAGERS",
    "Q_CLUSTER_NAME",
    "REDIS_URL",
    "SECRET_KEY",
    "SITE_URL",
    "TIME_ZONE",
}
#: Inherited by every process of one service, so that an orphan is still known as ours.
_MARK = "JOBQUEUE_TEST_SERVICE"

#: The lines in which django-q2 tells which process does what.
_READY = re.compile(r"(ready for work|monitoring|pushing tasks) at (\d+)$", re.MULTILINE)


class Role(StrEnum):
    """What a process of a service is there for."""

    MAIN = "main"
    SENTINEL = "sentinel"
    WORKER = "worker"
    MONITOR = "monitor"
    PUSHER = "pusher"
    #: A process of the cluster that has just been forked, and hasn't said what it is.
    NEW = "new"
    LAUNCHER = "launcher"
    #: The job's process and all that it started.
    JOB = "job"
    #: Anything else that descends from it.
    OTHER = "other"


#: All of ``manage.py qcluster`` itself.
CLUSTER = (Role.MAIN, Role.SENTINEL, Role.WORKER, Role.MONITOR, Role.PUSHER, Role.NEW)
_SAYS = {
    "ready for work": Role.WORKER,
    "monitoring": Role.MONITOR,
    "pushing tasks": Role.PUSHER,
}


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

    ``under`` is a command line that comes before each of its own, such as ``unshare``'s.
    """

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        manage_py: Path = CHECKOUT / "manage.py",
        under: Sequence[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in _NOT_INHERITED},
            "DATA_DIR": str(data_dir),
            **(environment or {}),
        }
        #: What the cluster printed, over all its starts.
        self.output = data_dir.with_name(f"{data_dir.name}-qcluster.out")
        self._manage = [*under, sys.executable, str(manage_py)]
        self._mark = f"{_MARK}={uuid.uuid4().hex}"
        self._main: subprocess.Popen[bytes] | None = None
        self._mains: set[int] = set()

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
        self, *args: str, check: bool = False, timeout: float = 300
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
        self.launch()
        wait_until(self._is_up, 180, "the cluster to come up")

    def launch(self) -> None:
        """Start the cluster, and don't wait for it."""
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
        self._mains.add(self._main.pid)

    def poll(self) -> int | None:
        """The exit code of the cluster's main process; None while it runs, or before its start."""
        return None if self._main is None else self._main.poll()

    @property
    def has_started(self) -> bool:
        """Whether the cluster was ever started."""
        return self._main is not None

    @property
    def pid(self) -> int:
        """The main process of the cluster that was started last."""
        assert self._main is not None, "The cluster was never started."
        return self._main.pid

    def stop(self, timeout: float = 180, whole_group: bool = False) -> int:
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
        if self._main is not None and (not pids or self._main.pid in pids):
            self._main.wait()

    def processes(self) -> list[Process]:
        """Its living processes and their descendants: cluster, helpers, jobs; orphans as well."""
        everything = list(_processes())
        ours = {process.pid for process in everything if self._mark in process.environ}
        while more := {p.pid for p in everything if p.parent in ours and p.pid not in ours}:
            ours |= more
        return [process for process in everything if process.pid in ours]

    def roles(self, processes: Sequence[Process] | None = None) -> dict[int, Role]:
        """Its living processes, or these of them, and what each is.

        Workers, monitors and pushers are known by django-q2's log, which the site leaves out:
        the settings must be ``tests.crash_settings``, or others that print all of it.
        """
        processes = self.processes() if processes is None else processes
        said = self._said_roles()
        known = {process.pid: self._plain_role(process, said) for process in processes}
        return {
            process.pid: known[process.pid] or _role_by_parent(known.get(process.parent))
            for process in processes
        }

    def pids(self, *roles: Role) -> list[int]:
        """Its living processes that have one of these roles, in the order of the roles."""
        is_now = self.roles()
        return [pid for role in roles for pid in is_now if is_now[pid] is role]

    def one(self, role: Role) -> int:
        """Its only living process with this role; waits until there is just one."""

        def found() -> list[int]:
            pids = self.pids(role)
            return pids if len(pids) == 1 else []

        [pid] = wait_until(found, 180, f"just one {role}")
        return pid

    def until_roles_are_known(self) -> None:
        """Wait until each process of the cluster has said what it is.

        They begin to work one by one, and :meth:`roles` can't tell before.
        """
        wait_until(lambda: not self.pids(Role.NEW), 180, "each process to say what it is")

    def signal(self, number: signal.Signals, *pids: int) -> None:
        """Send a signal to some of its processes; those that are gone meanwhile don't matter."""
        ours = {process.pid for process in self.processes()}
        for pid in pids:
            if pid in ours:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _said_roles(self) -> dict[int, Role]:
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return {int(pid): _SAYS[what] for what, pid in _READY.findall(text)}

    def _plain_role(self, process: Process, said: Mapping[int, Role]) -> Role | None:
        """What is known without looking at its parent."""
        if any(line.startswith("JOBQUEUE_EXECUTION=") for line in process.environ):
            return Role.JOB
        if any(word.endswith("jobqueue/launcher.py") for word in process.argv):
            return Role.LAUNCHER
        if process.argv[-1:] != ("qcluster",):
            return Role.OTHER
        return Role.MAIN if process.pid in self._mains else said.get(process.pid)

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


def _role_by_parent(parent: Role | None) -> Role:
    """Of a process of the cluster that said nothing: an orphan is a sentinel without its main."""
    return Role.SENTINEL if parent in (Role.MAIN, None) else Role.NEW


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
