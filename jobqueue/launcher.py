"""The launcher: the small process that owns a worker's jobs and outlives that worker.

`executor` starts this file as a program of its own; it therefore imports nothing of this package.
Its arguments are the numbers of two inherited descriptors, a socket and the run file, and why there
is no run file (""). Both sides send one JSON object a line:

    worker to launcher:  {"start": {"run": RUN, ...}}, {"stop": RUN}, {"kill": RUN}
    launcher to worker:  {"pid": PID, "pid_started": TICKS}, unless the program can't be started
                         {"outcome": {...}}, with the fields of `executor.Outcome`

RUN is the number that the worker gave the run, so that a late stop never meets the next one. When
the worker is dead, SIGUSR1 stops the run.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import cache

TYPE_CHECKING = False  # importing typing would double the time that a launcher takes to start
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Message = dict[str, Any]

LOOK_EVERY = 0.25  # seconds between two looks at the size of a log
NEVER = float("inf")
NEAR = 1024  # bytes in which a line break is looked for, where a log is cut
BLOCK = 1 << 20
RUN_FILE_SIZE = 1 << 16  # bytes; to make or shorten a file for each run costs 0.1 ms on ext4
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

stop_wanted = False  # set by SIGUSR1, which is sent when there is no worker, hence just one run


class Channel:
    """JSON objects, one a line, over a stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)  # whatever socket.setdefaulttimeout() says
        self.socket = connection
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: Message) -> None:
        """Send one message; OSError when the other side is gone."""
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def fill(self) -> bool:
        """Wait for more to arrive; False when the other side is gone.

        ConnectionResetError when it went without having read all that was sent to it.
        """
        data = self.socket.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def take(self) -> Message | None:
        """The next message that has arrived as a whole, if there is one."""
        line, line_break, rest = self._buffer.partition(b"\n")
        if not line_break:
            return None
        self._buffer = rest
        message: Message = json.loads(line)
        return message


class Log:
    """The file that a run writes its output to by itself; its size is limited from outside.

    One that is there already belongs to a run that the database has forgotten (restored from a
    backup, another one with the same directory). It is kept as ``….log.old``.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.limit = max(limit, 8 * NEAR)
        self.problem = ""
        self.cut = False
        self._head = self._marker = self._left_out = 0
        try:
            with suppress(FileNotFoundError):
                os.replace(path, f"{path}.old")
            self.fd = open_with_directory(path, os.O_WRONLY | os.O_APPEND)
        except (OSError, ValueError) as error:
            self.problem = f"The log {shown(path)} could not be made: {words(error)}."
            self.fd = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)

    def look(self) -> None:
        """Cut the log if it has grown beyond its limit."""
        if self._size() <= self.limit:
            return
        try:
            self._cut_middle()
        except OSError as error:
            self.problem = f"The log {shown(self.path)} could not be cut: {words(error)}."

    def note(self, text: str) -> None:
        """Append a line of ours."""
        start = "\n" if self._size() else ""
        with suppress(OSError):
            os.write(self.fd, f"{start}[jobqueue] {text}\n".encode())

    def is_full(self) -> str:
        """In words, whether the run may have lost output since its disk is full."""
        try:
            disk = os.fstatvfs(self.fd)
        except OSError:
            return ""
        full = not self.problem and disk.f_blocks and not disk.f_bavail
        return f"The disk of the log {shown(self.path)} is full." if full else ""

    def is_empty(self) -> bool:
        """Whether nothing was written, once and for all: the run has ended."""
        self.look()
        return self._size() == 0

    def close(self) -> None:
        """Close the file; an empty one is removed."""
        empty = self._size() == 0
        os.close(self.fd)
        if empty and not self.problem:
            with suppress(OSError):
                os.unlink(self.path)

    def _size(self) -> int:
        return os.fstat(self.fd).st_size

    def _cut_middle(self) -> None:
        """Move the newest part down behind the head, up to whatever is written meanwhile."""
        quarter = self.limit // 4
        # A descriptor without O_APPEND, on the same file even if the job has renamed it.
        fd = os.open(f"/proc/self/fd/{self.fd}", os.O_RDWR | os.O_CLOEXEC)
        try:
            source = after_line_break(fd, self._size() - quarter)
            self._head = self._head or after_line_break(fd, quarter - NEAR)
            self._left_out += source - self._head - self._marker
            self._marker = os.pwrite(fd, self._marker_line(), self._head)
            target = self._head + self._marker
            while block := os.pread(fd, min(BLOCK, self.limit - target), source):
                moved = os.pwrite(fd, block, target)
                source, target = source + moved, target + moved
            self._left_out += self._size() - source  # what a flood wrote faster than we moved
            os.ftruncate(fd, target)
        finally:
            os.close(fd)
        self.cut = True

    def _marker_line(self) -> bytes:
        limit, left_out = self.limit, self._left_out
        return f"\n[jobqueue] Cut at {limit} bytes: {left_out} bytes are left out here.\n".encode()


class RunFile:
    """What outlives the worker: who runs, then how it ended. The last line with "run" begins that.

    It was locked before this process was started, and is until it has ended: as long as it's
    locked, a run may go on.
    """

    def __init__(self, fd: int, problem: str) -> None:
        self._fd = fd
        self.problem = problem

    def begin(self, note: Message) -> None:
        """Append the line that begins a run."""
        self.problem = self.problem if self._fd < 0 else ""
        if self._fd >= 0 and os.fstat(self._fd).st_size > RUN_FILE_SIZE:
            os.ftruncate(self._fd, 0)
        self.write({"run": {**note, "launcher": os.getpid()}})

    def write(self, record: Message) -> None:
        """Append one line of JSON."""
        if self._fd < 0:
            return
        try:
            os.write(self._fd, json.dumps(record).encode() + b"\n")
        except OSError as error:
            self.problem = f"The run file can't be written: {words(error)}."


class Lease:
    """Until when this host may run anything, should it lose touch with the database.

    The workers keep it in a file: when to end a run and when to kill it, in seconds of
    CLOCK_BOOTTIME, which also counts while the machine sleeps. Nothing in it: for ever.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def moments(self) -> tuple[float, float]:
        """When a run has to be ended, and killed, in seconds from now."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return NEVER, NEVER
        try:
            end_at, kill_at = map(float, os.read(fd, 100).split())
        except (OSError, ValueError):
            return NEVER, NEVER
        finally:
            os.close(fd)
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        return end_at - now, kill_at - now


class Run:
    """One session, from the start of its leader until nothing of it is left."""

    def __init__(
        self, process: subprocess.Popen[bytes], order: Message, log: Log, worker: Channel
    ) -> None:
        self._process = process
        self.pid = process.pid
        self._number = order["run"]
        self._grace = order["grace"]
        self._log = log
        self._worker = worker
        self._lease = Lease(order["lease_path"])
        self.ended_by = self.problem = ""
        self.leftovers: set[int] = set()
        limit = order["kill_after"]
        self._end_at = NEVER if limit is None else time.monotonic() + limit
        self._kill_at = NEVER

    def to_its_end(self) -> int:
        """The leader's return code (-n: signal n), when all of its session has ended."""
        self._watch_leader()
        code = self._process.wait()
        if has_children():  # to look through all processes costs a millisecond or two
            self._end_leftovers()
        return code

    def _watch_leader(self) -> None:
        leader = os.pidfd_open(self.pid)
        poller = select.poll()
        poller.register(leader, select.POLLIN)
        poller.register(self._worker, select.POLLIN)
        while leader not in (ready := dict(poller.poll(self._pause() * 1000))):
            if ready and not self._hear_worker():
                poller.unregister(self._worker)  # the worker is dead, the run goes on
            self._keep_limits()
        os.close(leader)

    def _pause(self) -> float:
        next_moment = min(self._end_at, self._kill_at) - time.monotonic()
        return max(0.0, min(LOOK_EVERY, next_moment))

    def _hear_worker(self) -> bool:
        connected = hear(self._worker)
        while message := self._worker.take():
            if message.get("stop") == self._number:
                self._end("stop")
            if message.get("kill") == self._number:
                self._end("lease", grace=0)
        return connected

    def _keep_limits(self) -> None:
        if stop_wanted:
            self._end("stop")
        if time.monotonic() >= self._end_at:
            self._end("kill_after")
        until_end, until_kill = self._lease.moments()
        if until_end <= 0:
            self._end("lease", grace=until_kill)
        if time.monotonic() >= self._kill_at:
            self._kill()
        self._log.look()
        reap_orphans(self.pid)

    def _end(self, why: str, grace: float = NEVER) -> None:
        if not self.ended_by:
            self.ended_by = why
            self._terminate()
        self._kill_at = min(self._kill_at, time.monotonic() + grace)

    def _terminate(self) -> bool | None:
        self._end_at = NEVER
        self._kill_at = time.monotonic() + self._grace
        return signal_session(self.pid, signal.SIGTERM)

    def _kill(self) -> bool | None:
        self._kill_at = time.monotonic() + LOOK_EVERY
        return signal_session(self.pid, signal.SIGKILL)

    def _end_leftovers(self) -> None:
        if not self.ended_by and (members := live_members(self.pid)):
            self.leftovers |= members
            self._terminate()
        pause = 0.002
        while members := live_members(self.pid):
            if time.monotonic() >= self._kill_at:
                self.leftovers |= members
                if self._kill() is False:
                    self.problem = f"{count(members)} of its session may not be ended by this user."
                    break
            self._log.look()
            reap_orphans(self.pid)
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        self._note_leftovers()

    def _note_leftovers(self) -> None:
        if self.leftovers:
            self._log.note(f"{count(self.leftovers)} left in its session had to be ended.")
        if self.problem:
            self._log.note(self.problem)


def carry_out(order: Message, worker: Channel, run_file: RunFile) -> None:
    """Do what a start message orders; tell the worker and the run file how it ended."""
    run_file.begin(order["note"])
    log = Log(order["log_path"], order["log_limit"])
    result = run(order, log, run_file, worker)
    result |= {"log": not log.is_empty(), "log_cut": log.cut}
    problems = result["message"], log.problem, log.is_full(), run_file.problem
    result["message"] = " ".join(filter(None, problems))
    # The worker is told first: what follows is done while it stores the end.
    tell(worker, {"outcome": result})
    run_file.write({"outcome": result})
    log.close()


def run(order: Message, log: Log, run_file: RunFile, worker: Channel) -> Message:
    """Start the command and see it to its end."""
    try:
        process = launch(order, log.fd)
    except (OSError, ValueError, TypeError, IndexError, subprocess.SubprocessError) as error:
        reason, message = explain(error, order["argv"], order["cwd"], order["env"])
        return outcome(error=reason, message=message)
    going = Run(process, order, log, worker)
    identity = {"pid": process.pid, "pid_started": started(process.pid)}
    run_file.write(identity)
    tell(worker, identity)
    status = going.to_its_end()
    return outcome(
        return_code=status if status >= 0 else 128 - status,
        signal=None if status >= 0 else -status,
        message=going.problem,
        ended_by=going.ended_by,
        leftovers=len(going.leftovers),
    )


def launch(order: Message, log_fd: int) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own; without preexec_fn, so that vfork is used."""
    with own_environment(order["env"]):
        return subprocess.Popen(
            order["argv"],
            cwd=order["cwd"],
            stdin=nothing(),
            stdout=log_fd,
            stderr=log_fd,
            start_new_session=True,
        )


@contextmanager
def own_environment(variables: Message) -> Iterator[None]:
    """Have these variables ourselves for the moment of the start.

    Handing subprocess a whole environment costs each job 0.04 ms.
    """
    before = {name: os.environ.get(name) for name in variables}
    try:
        os.environ.update(variables)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def nothing() -> int:
    """The stdin of all jobs."""
    return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


def outcome(**known: object) -> Message:
    """The fields of `executor.Outcome`."""
    codes = {"return_code": None, "signal": None, "leftovers": 0}
    words = {"error": "", "message": "", "ended_by": ""}
    return {**codes, **words, "log": False, "log_cut": False, **known}


def tell(worker: Channel, message: Message) -> None:
    """Send to a worker that may be dead."""
    with suppress(OSError):
        worker.send(message)


def hear(worker: Channel) -> bool:
    """Wait for more from the worker; False when it is dead."""
    try:
        return worker.fill()
    except ConnectionResetError:
        return False


def explain(error: Exception, argv: list[str], cwd: str | None, env: Message) -> tuple[str, str]:
    """Why a command could not be started: the code of `Outcome.error`, and one line of words."""
    if not argv or not argv[0]:
        return "not_found", "The command names no program."
    if not isinstance(error, OSError):
        return "launch_failed", f"{shown(argv[0])} could not be started: {error}."
    if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
        return "no_resources", f"The system could not start {shown(argv[0])} now: {words(error)}."
    if cwd is not None and error.filename == cwd and not may_enter(cwd):
        return "no_directory", f"The working directory {shown(cwd)} can't be used: {words(error)}."
    return explain_program(error, argv[0], cwd, env)


def explain_program(error: OSError, program: str, cwd: str | None, env: Message) -> tuple[str, str]:
    """As `explain`, when it is the program itself that the system refused."""
    name = shown(program)
    path = os.get_exec_path({**os.environ, **env})
    places = [""] if "/" in program else path
    files = [os.path.join(cwd or "", place, program) for place in places]
    file = next(filter(os.path.exists, files), None)
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and file is None:
        directory = shown(cwd) if cwd else "the service's directory"
        where = f"from {directory}" if "/" in program else "in PATH; give its full path"
        return "not_found", f"The program {name} was not found {where}."
    if error.errno == errno.ENOENT:
        return "not_executable", f"The interpreter in the first line of {name} was not found."
    if error.errno == errno.ENOEXEC:
        return (
            "not_executable",
            f"{name} is no program: a script begins with a line like #!/bin/sh.",
        )
    if error.errno == errno.EACCES and file is not None and os.path.isdir(file):
        return "not_executable", f"{name} is a directory."
    if error.errno == errno.EACCES:
        return "not_executable", f"{name} may not be executed by this user: see chmod +x."
    if error.errno == errno.E2BIG:
        return "launch_failed", f"The arguments and environment of {name} are too long together."
    return "launch_failed", f"{name} could not be started: {words(error)}."


def may_enter(directory: str) -> bool:
    return os.path.isdir(directory) and os.access(directory, os.X_OK)


def shown(text: str) -> str:
    """A name for a message of one line."""
    return text if text.isprintable() and len(text) <= 200 else repr(text[:200])


def words(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def count(members: set[int]) -> str:
    return f"{len(members)} process" + ("es" if len(members) != 1 else "")


def open_with_directory(path: str, flags: int) -> int:
    """A descriptor of the file at `path`, which is made, its directory too, when missing."""
    flags |= os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o600)


def after_line_break(fd: int, start: int) -> int:
    """The beginning of the first line after `start`, if that is near; else `start`."""
    return start + os.pread(fd, NEAR, start).find(b"\n") + 1


def process_stat(pid: int) -> tuple[bool, int, int, int] | None:
    """Whether a process lives (no zombie), its session, its start (clock ticks after the boot),
    its group.

    Fields 3, 6, 20, 22 and 5 of proc_pid_stat(5); None when there is no such process.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(fd)
    # A main thread that has ended before the others looks like a zombie, too.
    lives = fields[0] not in (b"Z", b"X") or int(fields[17]) > 1
    return lives, int(fields[3]), int(fields[19]), int(fields[2])


def started(pid: int) -> int:
    """When a process was started, in clock ticks after the boot; 0 when that can't be known."""
    stat = process_stat(pid)
    return stat[2] if stat else 0


def live_members(session: int) -> set[int]:
    """The processes of a session, without zombies, which nobody may ever collect.

    A shell with job control, or timeout(1), makes groups of their own in the session of a run.
    """
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid for pid in pids if (stat := process_stat(pid)) and stat[:2] == (True, session)}


def signal_session(session: int, number: int) -> bool | None:
    """None: there is nobody in it; False: some are not ours to signal."""
    done = signal_group(session, number)  # at once, also what is forked meanwhile
    for pid in live_members(session):
        stat = process_stat(pid)
        if stat is not None and stat[3] != session:
            done = signal_one(pid, number) and done is not False
    return done


def signal_one(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    return True


def signal_group(group: int, number: int) -> bool | None:
    """None: there is no such group; False: it is not ours to signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return None
    except PermissionError:
        return False
    return True


def has_children() -> bool:
    """Whether there is a child of ours: orphans of jobs become that, too."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap_orphans(leader: int) -> None:
    """Collect ended processes that jobs have left to us, but not the leader of a run."""
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with suppress(ChildProcessError):
        while (child := os.waitid(os.P_ALL, 0, ended)) and child.si_pid != leader:
            os.waitpid(child.si_pid, 0)


def become_subreaper() -> None:
    """Have orphans of jobs as our children, so that they still descend from the worker."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def settle_signals() -> None:
    """Survive what is sent to the service, without jobs inheriting anything of that.

    A handler is reset by exec, an ignored signal stays ignored. SIGPIPE and SIGXFSZ are ignored
    by Python itself, and reset by subprocess.
    """
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGUSR1, want_stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def want_stop(*_: object) -> None:
    global stop_wanted
    stop_wanted = True


def main() -> None:
    settle_signals()
    become_subreaper()
    worker = Channel(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=int(sys.argv[1])))
    run_file = RunFile(int(sys.argv[2]), sys.argv[3])
    for fd in (worker.fileno(), int(sys.argv[2])):
        if fd >= 0:
            os.set_inheritable(fd, False)
    connected = True
    while connected:
        while message := worker.take():
            if "start" in message:
                carry_out(message["start"], worker, run_file)
                reap_orphans(0)
        connected = hear(worker)


if __name__ == "__main__":
    main()
