"""inotify: one instance for all monitors. What it tells are hints; the scan is the truth.

Directories are watched from the threads that scan them, events are read by one other thread.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from inotify_simple import INotify, flags

from .settling import Event

_FILE_EVENTS = (
    (flags.MODIFY, Event.WRITTEN),
    (flags.CLOSE_WRITE, Event.CLOSED),
    (flags.CREATE, Event.ARRIVED),
    (flags.MOVED_TO, Event.ARRIVED),
    (flags.ATTRIB, Event.TOUCHED),
    (flags.DELETE, Event.LEFT),
    (flags.MOVED_FROM, Event.LEFT),
)
#: Not OPEN, ACCESS and CLOSE_NOWRITE: the scans make those themselves.
_MASK = flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
for _flag, _ in _FILE_EVENTS:
    _MASK |= _flag
_OF_ITSELF = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.IGNORED


class OutOfWatches(Exception):
    """The kernel gives no more watches, or no instance; the message says which limit to raise."""


@dataclass(frozen=True)
class Hint:
    """Something happened that concerns a monitor."""

    monitor: int
    #: The file; None: something about directories, so that a scan is due.
    path: bytes | None = None
    event: Event = Event.ARRIVED


class Watcher:
    """The watched directories, each with the monitors that it is watched for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Of each watch the paths by which it was asked for, and by which monitors.
        self._watches: dict[int, dict[bytes, set[int]]] = {}
        #: Of each monitor the directories with their watches.
        self._of: dict[int, dict[bytes, int]] = {}
        self.problem = ""
        self._inotify: INotify | None = None
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            self.problem = f"No inotify ({error.strerror}): raise fs.inotify.max_user_instances."

    def fileno(self) -> int | None:
        """What becomes readable when something happens; None without inotify."""
        return self._inotify.fileno() if self._inotify else None

    def close(self) -> None:
        """Watch nothing any more."""
        if self._inotify:
            self._inotify.close()

    def watch(self, monitor: int, directory: bytes) -> None:
        """Watch a directory for a monitor; it may be listed afterwards.

        Raises:
            OutOfWatches: it can't be, for want of a resource.
            OSError: it isn't there, or can't be read.
        """
        if self._inotify is None:
            raise OutOfWatches(self.problem)
        try:
            watch = self._inotify.add_watch(directory, _MASK)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                raise OutOfWatches("Out of watches: raise fs.inotify.max_user_watches.") from None
            raise
        with self._lock:
            before = self._of.setdefault(monitor, {}).get(directory)
            if before is not None and before != watch:
                self._drop(monitor, directory)
            self._of[monitor][directory] = watch
            self._watches.setdefault(watch, {}).setdefault(directory, set()).add(monitor)

    def keep_only(self, monitor: int, directories: Iterable[bytes]) -> None:
        """Watch no other directories for a monitor than these."""
        kept = set(directories)
        with self._lock:
            for directory in [d for d in self._of.get(monitor, ()) if d not in kept]:
                self._drop(monitor, directory)

    def count(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    def _drop(self, monitor: int, directory: bytes) -> None:
        watch = self._of[monitor].pop(directory)
        paths = self._watches.get(watch, {})
        paths.get(directory, set()).discard(monitor)
        if not paths.get(directory):
            paths.pop(directory, None)
        if not paths and self._watches.pop(watch, None) is not None and self._inotify:
            with suppress(OSError):  # the kernel has dropped it already
                self._inotify.rm_watch(watch)

    def read(self) -> Iterator[Hint]:
        """What happened since the last time, without waiting."""
        if self._inotify is None:
            return
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                with self._lock:
                    yield from [Hint(monitor) for monitor in self._of]
                continue
            with self._lock:
                paths = self._watches.get(event.wd, {})
                found = [(path, monitor) for path, ids in paths.items() for monitor in ids]
                if event.mask & flags.IGNORED:
                    self._forget(event.wd)
            for directory, monitor in found:
                yield from _hints(monitor, directory, event.mask, event.name)

    def _forget(self, watch: int) -> None:
        for path, monitors in self._watches.pop(watch, {}).items():
            for monitor in monitors:
                if self._of[monitor].get(path) == watch:
                    del self._of[monitor][path]


def _hints(monitor: int, directory: bytes, mask: int, name: str) -> Iterator[Hint]:
    if mask & _OF_ITSELF:
        yield Hint(monitor)
    elif mask & flags.ISDIR:
        if not mask & flags.ATTRIB:
            yield Hint(monitor)
    elif name:
        path = os.path.join(directory, os.fsencode(name))
        yield from (Hint(monitor, path, event) for flag, event in _FILE_EVENTS if mask & flag)
