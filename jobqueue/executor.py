"""Runs one command at a time, as a process of its own that outlives this one.

An `Executor` hands each `Command` to its launcher (see `launcher`), which starts it, watches its
limits and its log, and tells how it ended: an `Outcome`. What a worker that died could no longer
hear is in the run file: see `read_run_file`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from jobqueue import launcher as launcher_module
from jobqueue.launcher import (
    Channel,
    live_members,
    open_with_directory,
    process_stat,
    shown,
    signal_session,
    started,
    words,
)

if sys.platform != "win32":  # where nothing is run, but requests are made
    import fcntl

Message = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """What to run, and within which limits.

    argv        the program, looked up in PATH if it has no slash, and its arguments
    log_path    the file that takes stdout and stderr; its directory is made when missing
    cwd         None: the directory that the service was started in
    env         variables over those of the service
    log_limit   bytes, at least 8 KiB: a longer log is cut in its middle
    kill_after  seconds from the start after which its session is ended
    grace       seconds from SIGTERM to SIGKILL
    note        goes into the run file's first line, e.g. the execution's id
    """

    argv: Sequence[str]
    log_path: str
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    log_limit: int = 100 * 2**20
    kill_after: float | None = None
    grace: float = 10.0
    note: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    return_code  128+n after a death by signal n; None: it never ran, or nobody knows
    signal       the n of a death by signal
    error        why it never ran, or "": one of "not_found", "not_executable", "no_directory",
                 "launch_failed"
    message      what went wrong in words, one line; "" if nothing did
    ended_by     "kill_after", "stop" or "lease" when it was ended before its time; or ""
    log          whether there is a log file; an empty one is removed
    log_cut      whether the log's middle was left out
    leftovers    processes of its session that had to be ended after its leader
    """

    return_code: int | None
    signal: int | None = None
    error: str = ""
    message: str = ""
    ended_by: str = ""
    log: bool = False
    log_cut: bool = False
    leftovers: int = 0


class Executor:
    """Runs commands, one at a time; one per worker process, to be used by one thread.

    run_path     the run file; locked while a launcher lives; it stays, for its caller to remove
    lease_path   the file that says until when runs may go on; it may be missing
    environment  what `Command.env` comes on top of; None: that of this process
    """

    def __init__(
        self, run_path: Path, lease_path: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._run_path = run_path
        self._lease_path = lease_path
        self._environment = environment
        self._launcher: _Launcher | None = None
        self._run: Run | None = None
        self._numbers = count(1)

    def prepare(self) -> None:
        """Start the launcher unless it lives, so that the first run needn't wait for it.

        Raises OSError when the system allows no more processes or files.
        """
        self._living_launcher()

    def start(self, command: Command) -> Run:
        """Start a command; that it can't be started is an outcome, too.

        Raises RuntimeError while another run goes on, OSError as `prepare` does.
        """
        if self._has_run():
            raise RuntimeError("An executor runs one command at a time.")
        try:
            self._run = self._begin(command)
        except OSError:
            # The launcher died before it had read the whole order, which had no effect then.
            self.close()
            self._run = self._begin(command)
        return self._run

    def close(self) -> None:
        """Let the launcher end: at once, or when the run that still goes on has ended.

        Nobody can wait for that run any more; its outcome will be in its run file.
        """
        if self._launcher is not None:
            self._launcher.let_go(wait=not self._has_run())
            self._launcher = None

    def _begin(self, command: Command) -> Run:
        number = next(self._numbers)
        launcher = self._living_launcher()
        order = {**_plain(command), "run": number, "lease_path": str(self._lease_path)}
        launcher.send({"start": order})
        return Run(command, number, launcher)

    def _has_run(self) -> bool:
        return self._run is not None and not self._run.has_ended

    def _living_launcher(self) -> _Launcher:
        if self._launcher is not None and not self._launcher.lives():
            self.close()
        if self._launcher is None:
            self._launcher = _Launcher(self._run_path, self._environment)
        return self._launcher


class Run:
    """A command that was started; made by `Executor.start`.

    pid  the leader of the run's session and process group; None if the program never ran
    """

    pid: int | None = None

    def __init__(self, command: Command, number: int, launcher: _Launcher) -> None:
        self._command = command
        self._number = number
        self._launcher = launcher
        self._pid_started = 0
        self._outcome: Outcome | None = None
        try:
            self._take_in(launcher.receive(deadline=None))
        except EOFError:
            self._end_without_launcher(deadline=None)

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome is not None

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """The outcome; None if the run still goes on after `timeout` seconds.

        When there is an outcome, no process of the run's session is left.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._outcome is None and self._hear_launcher(deadline):
            pass
        return self._outcome

    def stop(self) -> None:
        """End its session: SIGTERM, SIGKILL after its grace; any thread may ask for it."""
        if not self.has_ended:
            with suppress(OSError):
                self._launcher.send({"stop": self._number})

    def kill(self) -> None:
        """End its session at once: another host has taken the run over."""
        if not self.has_ended:
            with suppress(OSError):
                self._launcher.send({"kill": self._number})

    def _hear_launcher(self, deadline: float | None) -> bool:
        """Take in one message; False when none came until the deadline."""
        try:
            message = self._launcher.receive(deadline)
        except (EOFError, ConnectionResetError):
            return self._end_without_launcher(deadline)
        self._take_in(message)
        return message is not None

    def _take_in(self, message: Message | None) -> None:
        if message is None:
            return
        if "outcome" in message:
            self._outcome = Outcome(**message["outcome"])
        else:
            self.pid, self._pid_started = message["pid"], message["pid_started"]

    def _end_without_launcher(self, deadline: float | None) -> bool:
        """End what is left of a run whose launcher died; False when some lives at the deadline."""
        left = _Leftovers(self._command.log_path, self.pid, self._pid_started)
        if not left.end(deadline):
            return False
        self._outcome = left.outcome(self._launcher.cause_of_death())
        return True


class AdoptedRun:
    """A run whose worker died, while its launcher lives or has left word of its end.

    It is followed by the run file. All that can be said of it is as of a `Run`.

    known_pid  the leader's process id as far as its row knows; for want of a run file
    """

    def __init__(
        self, run_path: Path, log_path: Path, execution: int, known_pid: int | None = None
    ) -> None:
        self._run_path = run_path
        self._log_path = str(log_path)
        self._execution = execution
        self._known_pid = known_pid
        self._outcome: Outcome | None = None
        self._said: Message = {}
        self._left: _Leftovers | None = None
        self.wait(0)

    @property
    def pid(self) -> int | None:
        """The leader of the run's session; None if that isn't known (yet)."""
        return self._said.get("pid")

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome is not None

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """The outcome; None if the run still goes on after `timeout` seconds.

        Without a return code if nobody noted it: then its launcher was killed as well, and what
        it had started has been ended.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._outcome is None and self._goes_on(deadline):
            if deadline is not None and time.monotonic() >= deadline:
                break
            time.sleep(0.05)
        return self._outcome

    def stop(self) -> None:
        """End its session: SIGTERM, SIGKILL after its grace."""
        self._signal_launcher(signal.SIGUSR1)

    def kill(self) -> None:
        """End its session at once: another host has taken the run over."""
        if self.pid is not None and not self.has_ended:
            signal_session(self.pid, signal.SIGKILL)

    def _goes_on(self, deadline: float | None) -> bool:
        try:
            said, outcome, held = read_run_file(str(self._run_path))
        except OSError:  # removed by somebody: what it has said still holds
            said, outcome, held = self._said, None, False
        if said.get("execution") != self._execution:
            said, outcome = {}, None  # the launcher has not read the order, and perhaps never will
        self._said = said
        if outcome is None and not held:
            if self._left is None:
                self._left = _Leftovers(self._log_path, *self._leader())
            left = self._left
            if left.end(deadline):
                began = "" if said else " before it had started anything"
                outcome = left.outcome(f"Its worker and its launcher died{began}")
        self._outcome = outcome
        return outcome is None

    def _leader(self) -> tuple[int | None, int]:
        """Its process id and start; of what only the row knows, if that is still the run."""
        if self.pid is not None:
            return self.pid, self._said["pid_started"]
        if self._known_pid is not None and _runs(self._known_pid, self._execution):
            return self._known_pid, started(self._known_pid)
        return None, 0

    def _signal_launcher(self, number: int) -> None:
        with suppress(OSError):
            launcher = os.pidfd_open(self._said["launcher"])
            try:
                if read_run_file(str(self._run_path))[2]:  # then the number is still its own
                    signal.pidfd_send_signal(launcher, number)
            finally:
                os.close(launcher)


class _Leftovers:
    """What is left of a run that has no launcher any more, and so no return code."""

    def __init__(self, log_path: str, pid: int | None, pid_started: int) -> None:
        self._log_path = log_path
        self._pid = pid
        self._pid_started = pid_started
        self._fate = ""

    def end(self, deadline: float | None) -> bool:
        """Kill them; False when some live at the deadline."""
        while (group := self._group()) is not None:
            self._fate = "; what it had started was ended"
            # One that is not ours to end, such as another user's, keeps its slot until it ends.
            signal_session(group, signal.SIGKILL)
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

    def outcome(self, cause: str) -> Outcome:
        """No return code, and why."""
        return Outcome(
            return_code=None,
            message=f"{cause}{self._fate}.",
            log=Path(self._log_path).exists(),
        )

    def _group(self) -> int | None:
        if self._pid is None:
            return _session_writing_to(self._log_path)
        leader = process_stat(self._pid)
        if leader is not None and leader[2] != self._pid_started:
            return None  # the number was given to another process, hence the group has ended
        return self._pid if live_members(self._pid) else None


class _Launcher:
    """The launcher's process and the connection to it."""

    def __init__(self, run_path: Path, environment: Mapping[str, str] | None) -> None:
        ours, theirs = socket.socketpair()
        fd = theirs.fileno()
        with theirs, ExitStack() as at_end, ExitStack() as on_failure:
            on_failure.callback(ours.close)
            run_fd, problem = _locked_run_file(run_path)
            if run_fd >= 0:
                at_end.callback(os.close, run_fd)
            arguments = [str(fd), str(run_fd), problem]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launcher_module.__file__, *arguments],
                stdin=subprocess.DEVNULL,
                # It outlives us: whoever reads our output to its end would wait for it.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=[n for n in (fd, run_fd) if n >= 0],
                start_new_session=True,
            )
            on_failure.pop_all()
        self._channel = Channel(ours)
        self._sending = Lock()
        self._poller = select.poll()
        self._poller.register(ours, select.POLLIN)

    def lives(self) -> bool:
        return self._process.poll() is None

    def send(self, message: Message) -> _Launcher:
        """Send one message, from any thread; OSError when the launcher has ended."""
        with self._sending:
            self._channel.send(message)
        return self

    def receive(self, deadline: float | None) -> Message | None:
        """The next message; None if none came until the deadline.

        EOFError if the launcher has ended; ConnectionResetError if it had something unread then.
        """
        while (message := self._channel.take()) is None:
            if deadline is not None:
                left = max(0.0, deadline - time.monotonic())
                if not self._poller.poll(left * 1000):
                    return None
            if not self._channel.fill():
                raise EOFError
        return message

    def cause_of_death(self) -> str:
        code = self._process.wait()
        return (
            f"The run's launcher was killed by signal {-code}"
            if code < 0
            else (f"The run's launcher ended with code {code}")
        )

    def let_go(self, wait: bool) -> None:
        """Close the connection; the launcher ends when it has no run."""
        self._channel.socket.close()
        if wait:
            self._process.wait()
        else:
            self._process.returncode = 0  # it stays on purpose: no ResourceWarning about that


def _locked_run_file(path: Path) -> tuple[int, str]:
    """A descriptor of the locked run file; -1 and why there is none.

    The lock belongs to the open file, and so to the launcher that will inherit it.
    Raises BlockingIOError when another launcher holds it.
    """
    try:
        fd = open_with_directory(str(path), os.O_RDWR | os.O_APPEND)
    except (OSError, ValueError) as error:
        return -1, f"The run file {shown(str(path))} could not be made: {words(error)}."
    give_up_at = time.monotonic() + 1  # a reader that asks whether it's locked holds it an instant
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                os.close(fd)
                raise BlockingIOError(
                    f"it runs already: its run file {shown(str(path))} is locked"
                ) from None
            time.sleep(0.01)
        else:
            return fd, ""


def read_run_file(path: str) -> tuple[Message, Outcome | None, bool]:
    """What a run file says, the run's outcome if it is there, whether a launcher still holds it.

    The note of the `Command`, and `pid` and `pid_started` (clock ticks after the boot) of a program
    that was started. Raises OSError when there is no such file.
    """
    said: Message = {}
    with Path(path).open("rb") as file:
        # Asked before reading: a file that is no longer held says all that it ever will.
        held = _is_locked(file)
        for line in file:
            with suppress(ValueError):  # a power cut leaves half a line
                record = json.loads(line)
                said = record.pop("run", said) | record
    outcome = said.pop("outcome", None)
    return said, outcome and Outcome(**outcome), held


def _is_locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _plain(command: Command) -> Message:
    """The fields of a command, as JSON can carry them."""
    mappings = {"env": dict(command.env), "note": dict(command.note)}
    return {**vars(command), "argv": list(command.argv), **mappings}


def _runs(pid: int, execution: int) -> bool:
    """Whether a process is of this run, by its environment."""
    wanted = f"JOBQUEUE_EXECUTION={execution}".encode()
    for _ in range(100):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        if environment or not live_members(pid):
            return wanted in environment.split(b"\0")
        time.sleep(0.01)  # a process that has just begun has none for a moment
    return False


def _session_writing_to(log_path: str) -> int | None:
    """The job of a launcher that died before it could tell the job's pid.

    The socket closes no earlier than the job's exec, so that its stdout is in place by now.
    """
    log = Path(log_path).resolve()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(process.name)
            if (process / "fd/1").readlink() == log and os.getsid(pid) == pid:
                return pid
    return None
