"""The processes that a benchmark starts: found, weighed and ended by their ids."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

#: In the environment of a cluster and of all that descends from it, orphans too.
MARK = "JOBQUEUE_BENCHMARK_MARK"
_TICKS = os.sysconf("SC_CLK_TCK")


def marked(mark: str) -> Iterator[int]:
    """The living processes that carry a mark."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it may end while we look
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def cpu_seconds(pids: Iterator[int]) -> float:
    """What these processes, and those of their children that have ended, have used so far."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / _TICKS


def end(main: subprocess.Popen[bytes], mark: str, patience: float = 60) -> int:
    """SIGTERM to the main process, SIGKILL to whatever is left; the main process's exit code."""
    if main.poll() is None:
        main.terminate()
    with suppress(subprocess.TimeoutExpired):
        main.wait(patience)
    deadline = time.monotonic() + 5
    while (left := list(marked(mark))) and main.poll() is not None and time.monotonic() < deadline:
        time.sleep(0.05)  # a launcher ends a moment after its worker
    while left:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        main.poll()
        time.sleep(0.05)
        left = list(marked(mark))
    return main.wait()


def wait_until(is_true: Callable[[], object], patience: float, what: str) -> None:
    """Look every 20 ms.

    Raises:
        TimeoutError: it was not true within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:g} s in vain for {what}")
        time.sleep(0.02)
