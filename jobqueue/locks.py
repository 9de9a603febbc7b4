"""A lock between processes that the kernel takes back from one that is killed.

A semaphore of :mod:`multiprocessing` that a killed process held stays taken for ever: its
replacement waits for it, and the cluster with it.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

if sys.platform != "win32":  # where no cluster runs
    import fcntl


class KernelLock:
    """As ``multiprocessing.RLock``, between processes that inherit it; see fcntl_locking(2).

    Within one process it excludes nobody.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("jobqueue lock", os.MFD_CLOEXEC)
        self._holder, self._depth = 0, 0  # a process, and how often it has taken it

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, at most waiting for ``timeout`` seconds; False if that was in vain."""
        me = os.getpid()
        if self._holder != me:  # by nobody, or by the process that has forked this one
            if not self._take(block, timeout):
                return False
            self._holder, self._depth = me, 0
        self._depth += 1
        return True

    def release(self) -> None:
        """Give it back, once for each time that it was taken."""
        self._depth -= 1
        if self._depth == 0:
            self._holder = 0
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

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

    def _take(self, block: bool, timeout: float | None) -> bool:
        if block and timeout is None:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            return True
        give_up_at = time.monotonic() + (timeout or 0.0 if block else 0.0)
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= give_up_at:
                    return False
                time.sleep(0.01)
            else:
                return True
