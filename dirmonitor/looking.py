"""One look at all that a monitor wants to know, made where it may hang as long as a share does.

Local file systems are looked at by threads, shares by processes of such threads: not even the end
of its process ends a thread that waits for a share.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from . import scanning
from .mounts import Mounts
from .scanning import Identity, Scan, Target
from .settling import Signature
from .watching import OutOfWatches, Watcher

log = logging.getLogger(__name__)

#: Seconds in which no task was taken though some wait, until there is another thread.
_STUCK = 0.1

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True)
class Order:
    """What to look at."""

    monitor: int
    target: Target
    #: Why changes aren't told by the kernel; "" if they are to be.
    polled: str
    #: The type of the share that the target leads to; "" if it is local.
    share: str
    #: What the path stood for at the last look: if it is something else now, all is scanned.
    roots: dict[bytes, Identity]
    is_scan: bool = False
    #: Directories that are new.
    directories: list[bytes] = field(default_factory=list)
    #: Pending files.
    pending: list[bytes] = field(default_factory=list)
    #: Pending files of which it is to be found out who has them open.
    held: list[bytes] = field(default_factory=list)
    #: Known files whose times were set.
    touched: list[bytes] = field(default_factory=list)


@dataclass
class Seen:
    """What a look showed. What couldn't be looked at is left out."""

    order: Order
    #: When it began and ended, by the monotonic clock, and seconds of CPU time that it took.
    started: float
    ended: float = 0.0
    cpu: float = 0.0
    roots: dict[bytes, Identity] = field(default_factory=dict)
    #: Of everything, if all was scanned.
    scan: Scan | None = None
    #: Of the new directories.
    below: Scan | None = None
    #: As in the order, unless a scan found out more.
    polled: str = ""
    pending: dict[bytes, tuple[Signature | None, bool | None]] = field(default_factory=dict)
    #: Some of these are links, or have further names.
    has_links: bool = False
    writers: dict[bytes, int] = field(default_factory=dict)
    touched: dict[bytes, Signature | None] = field(default_factory=dict)
    #: Why the path couldn't be looked at.
    error: OSError | None = None


def look(order: Order, watcher: Watcher | None) -> Seen:
    """Carry an order out; without a watcher only one that is polled."""
    seen, cpu = Seen(order, time.monotonic(), polled=order.polled), time.thread_time()
    try:
        seen.roots = scanning.find_roots(order.target.path)
        if order.is_scan or seen.roots != order.roots:
            seen.scan = scanning.scan(order.target, _watching(seen, watcher))
            seen.roots = seen.scan.roots
            if watcher:
                kept = () if seen.polled else seen.scan.directories
                watcher.keep_only(order.monitor, kept)
        elif order.directories:
            watching = _watching(seen, watcher)
            seen.below = scanning.scan_below(order.directories, order.target, watching)
        _look_at_files(seen)
    except OSError as error:
        seen.error = error
    except Exception as error:  # a thread that dies would look like a share that hangs
        log.exception(
            "a look at %r failed", order.target.path, extra={"event": "monitor.look_failed"}
        )
        seen.error = OSError(f"{type(error).__name__}: {error}")
    seen.ended, seen.cpu = time.monotonic(), time.thread_time() - cpu
    return seen


@dataclass
class Glance:
    """Whether paths that lead to local file systems stand for what they stood for, in one go."""

    #: Of each monitor what it looks at, and what its path stood for.
    expected: dict[int, tuple[Target, dict[bytes, Identity]]]
    mounts: Mounts
    #: The monitors for whose paths that is no longer so, or can't be told.
    changed: list[int] = field(default_factory=list)
    #: Seconds of CPU time that it took.
    cpu: float = 0.0


def glance(at: Glance) -> Glance:
    """Carry it out."""
    cpu = time.thread_time()
    links: dict[bytes, bytes | None] = {}
    for monitor, (target, roots) in at.expected.items():
        share = at.mounts.share(target.path, recursive=target.recursive, links=links)
        try:  # a share might hang
            is_same = not share and scanning.find_roots(target.path) == roots
        except OSError:
            is_same = False
        if not is_same:
            at.changed.append(monitor)
    at.cpu = time.thread_time() - cpu
    return at


def _watching(seen: Seen, watcher: Watcher | None) -> Callable[[bytes], None]:
    def watch(directory: bytes) -> None:
        if seen.polled or watcher is None:
            return
        try:
            watcher.watch(seen.order.monitor, directory)
        except OutOfWatches as error:
            seen.polled = str(error)
        except PermissionError:
            if directory in seen.roots:  # of another one nothing is known either way
                seen.polled = "The directory may not be read."

    return watch


def _look_at_files(seen: Seen) -> None:
    for path in seen.order.touched:
        seen.touched[path] = scanning.signature(path)
    for path in seen.order.pending:
        try:
            is_file, is_link = scanning.kind(path)
            seen.has_links = seen.has_links or is_link
            is_open = scanning.is_open_for_writing(path) if is_file else False
            # Asked last: who has written and closed in between is seen by it.
            seen.pending[path] = scanning.signature(path), is_open
        except OSError:
            continue
    if seen.order.held:
        seen.writers = scanning.writers(seen.order.held)


class Threads(Generic[K, R]):
    """Threads for tasks that may hang: one, and another one whenever tasks wait in vain.

    They are daemons, so that one that hangs doesn't keep the process from ending.

    Args:
        wake: an eventfd that is written to when a task is done.
        at_end: called by each thread when it ends.
    """

    def __init__(self, wake: int, at_end: Callable[[], None] = lambda: None) -> None:
        self._tasks: deque[tuple[K, Callable[[], R]]] = deque()
        self._done: queue.SimpleQueue[tuple[K, R]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._wake, self._at_end = wake, at_end
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_over = False
        self._taken_at = 0.0

    def submit(self, key: K, task: Callable[[], R]) -> None:
        """Have it done, in the order of the submissions."""
        with self._changed:
            if not self._tasks:
                self._taken_at = time.monotonic()
            self._tasks.append((key, task))
            self._changed.notify()

    def attend(self) -> float | None:
        """Have another thread if tasks wait in vain; seconds until this is to be called again."""
        with self._changed:
            if not self._tasks:
                return None
            now = time.monotonic()
            is_moving = self._idle or now < self._taken_at + _STUCK
            if self._threads and is_moving:
                return _STUCK
            self._taken_at = now
        thread = threading.Thread(target=self._work, name="dirmonitor", daemon=True)
        self._threads.append(thread)
        thread.start()
        return _STUCK

    def end(self, patience: float) -> None:
        """Have the threads end, and wait for so many seconds at most; what waits isn't done."""
        until = time.monotonic() + patience
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def finished(self) -> Iterator[tuple[K, R]]:
        """What was done since the last time, without waiting."""
        while True:
            try:
                yield self._done.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        try:
            while taken := self._take():
                key, task = taken
                self._done.put((key, task()))
                os.eventfd_write(self._wake, 1)
        finally:
            self._at_end()

    def _take(self) -> tuple[K, Callable[[], R]] | None:
        with self._changed:
            self._idle += 1
            while not (self._tasks or self._is_over):
                self._changed.wait()
            self._idle -= 1
            self._taken_at = time.monotonic()
            return None if self._is_over else self._tasks.popleft()
