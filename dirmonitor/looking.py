"""One look at all that a monitor wants to know, made in a thread of its own.

The thread may hang for as long as a share does; the service goes on without it.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from . import scanning
from .scanning import Identity, Scan, Target
from .settling import Signature
from .watching import OutOfWatches, Watcher

log = logging.getLogger(__name__)

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True)
class Order:
    """What to look at."""

    monitor: int
    target: Target
    #: *auto*, *inotify* or *poll*.
    mode: str
    #: What the path stood for at the last look: if it is something else now, all is scanned.
    roots: dict[bytes, Identity]
    is_scan: bool = False
    #: Pending files.
    pending: list[bytes] = field(default_factory=list)
    #: Known files whose times were set.
    touched: list[bytes] = field(default_factory=list)


@dataclass
class Seen:
    """What a look showed. What couldn't be looked at is left out."""

    order: Order
    #: When it began, by the monotonic clock.
    started: float
    ended: float = 0.0
    roots: dict[bytes, Identity] = field(default_factory=dict)
    scan: Scan | None = None
    #: Why changes aren't told by the kernel; "" if they are. Found out by a scan.
    polled: str = ""
    pending: dict[bytes, tuple[Signature | None, bool | None]] = field(default_factory=dict)
    touched: dict[bytes, Signature | None] = field(default_factory=dict)
    #: Why the path couldn't be looked at.
    error: OSError | None = None


def look(order: Order, watcher: Watcher) -> Seen:
    """Carry an order out."""
    seen = Seen(order, time.monotonic())
    try:
        seen.roots = scanning.find_roots(order.target.path)
        if order.is_scan or seen.roots != order.roots:
            _scan(seen, watcher)
        _look_at_files(seen)
    except OSError as error:
        seen.error = error
    except Exception as error:  # a thread that dies would look like a share that hangs
        log.exception("a look at %r failed", order.target.path)
        seen.error = OSError(f"{type(error).__name__}: {error}")
    seen.ended = time.monotonic()
    return seen


def _scan(seen: Seen, watcher: Watcher) -> None:
    order = seen.order
    seen.polled = _why_polled(order.mode, seen.roots)

    def watch(directory: bytes) -> None:
        if seen.polled:
            return
        try:
            watcher.watch(order.monitor, directory)
        except OutOfWatches as error:
            seen.polled = str(error)
        except PermissionError:
            seen.polled = "A directory may not be read."

    seen.scan = scanning.scan(order.target, watch)
    seen.roots = seen.scan.roots
    watcher.keep_only(order.monitor, () if seen.polled else seen.scan.directories)


def _why_polled(mode: str, roots: dict[bytes, Identity]) -> str:
    if mode == "poll":
        return "As it is set."
    kinds = {scanning.file_system(device) for device, _ in roots.values()}
    remote = sorted(filter(scanning.is_remote, kinds))
    if mode == "auto" and remote:
        return f"The file system is {', '.join(remote)}."
    return ""


def _look_at_files(seen: Seen) -> None:
    for path in seen.order.touched:
        seen.touched[path] = scanning.signature(path)
    for path in seen.order.pending:
        try:
            is_file = scanning.signature(path) is not None
            is_open = scanning.is_open_for_writing(path) if is_file else False
            # Asked last: who has written and closed in between is seen by it.
            seen.pending[path] = scanning.signature(path), is_open
        except OSError:
            continue


class Threads(Generic[K, R]):
    """Threads for tasks that may hang; there is always one that has time.

    They are daemons, so that one that hangs doesn't keep the process from ending.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[K, Callable[[], R]]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[K, R]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        #: Becomes readable when a task is done.
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def submit(self, key: K, task: Callable[[], R]) -> None:
        """Have it done, by a new thread if all are busy."""
        with self._lock:
            is_one_free = self._idle > 0
            self._idle -= is_one_free
        self._tasks.put((key, task))
        if not is_one_free:
            threading.Thread(target=self._work, name="dirmonitor-look", daemon=True).start()

    def finished(self) -> Iterator[tuple[K, R]]:
        """What was done since the last time, without waiting."""
        while True:
            try:
                yield self._done.get_nowait()
            except queue.Empty:
                return

    def notify(self) -> None:
        """Wake who waits for :attr:`wake`."""
        os.eventfd_write(self.wake, 1)

    def _work(self) -> None:
        while True:
            key, task = self._tasks.get()
            result = task()
            with self._lock:
                self._idle += 1
            self._done.put((key, result))
            self.notify()
