"""A lock between processes that the kernel takes back from one that is killed.

A semaphore of :mod:`multiprocessing` that a killed process held stays taken for ever: its
replacement waits for it, and the cluster with it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from weakref import WeakSet

if sys.platform != "win32":  # where no cluster runs
    import fcntl


_locks: WeakSet[KernelLock] = WeakSet()


class KernelLock:
    """As ``multiprocessing.RLock``, between processes that inherit it; see fcntl_locking(2)."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("jobqueue lock", os.MFD_CLOEXEC)
        self._forget_threads()
        _locks.add(self)

    def _forget_threads(self) -> None:
        """The kernel's lock is one process's; a fork copies what isn't true of the new one."""
        self._threads, self._depth = threading.RLock(), 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, at most waiting for ``timeout`` seconds; False if that was in vain."""
        wait = (-1 if timeout is None else max(timeout, 0)) if block else 0
        give_up_at = time.monotonic() + wait
        if not self._threads.acquire(timeout=wait):
            return False
        if self._depth == 0 and not self._take(None if wait == -1 else give_up_at):
            self._threads.release()
            return False
        self._depth += 1
        return True

    def release(self) -> None:
        """Give it back, once for each time that it was taken."""
        self._depth -= 1
        if self._depth == 0:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)
        self._threads.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        os.close(self._fd)

    def _take(self, give_up_at: float | None) -> bool:
        if give_up_at is None:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            return True
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= give_up_at:
                    return False
                time.sleep(0.01)
            else:
                return True


def _forget_threads() -> None:
    for lock in _locks:
        lock._forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
