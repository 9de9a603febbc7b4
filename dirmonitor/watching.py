"""inotify: one instance for all monitors. What it tells are hints; the scan is the truth.

Directories are watched from the threads that scan them, events are read by one other thread.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from inotify_simple import INotify, flags

from .settling import Event

log = logging.getLogger(__name__)

# Plain numbers: with the enumeration's own members each event would take ten times as long.
_FILE_EVENTS = (
    (int(flags.MODIFY), Event.WRITTEN),
    (int(flags.CLOSE_WRITE), Event.CLOSED),
    (int(flags.CREATE | flags.MOVED_TO), Event.ARRIVED),
    (int(flags.ATTRIB), Event.TOUCHED),
    (int(flags.DELETE | flags.MOVED_FROM), Event.LEFT),
)
_OF_ITSELF = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.IGNORED)
_IGNORED, _UNMOUNT, _ISDIR = int(flags.IGNORED), int(flags.UNMOUNT), int(flags.ISDIR)
_OVERFLOW, _MOVED_FROM, _DELETE = map(int, (flags.Q_OVERFLOW, flags.MOVED_FROM, flags.DELETE))
#: Not OPEN, ACCESS and CLOSE_NOWRITE: the scans make those themselves.
_MASK = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
for _flag, _ in _FILE_EVENTS:
    _MASK |= _flag


class OutOfWatches(Exception):
    """The kernel gives no more watches, or no instance; the message says which limit to raise."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened that concerns a monitor: to a file, to a directory, or to anything."""

    monitor: int
    #: The file, and what happened to it.
    path: bytes | None = None
    event: Event = Event.ARRIVED
    #: The directory that is new, or is no longer what it was. Neither: everything is to be scanned.
    directory: bytes | None = None


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
            if event.mask & _OVERFLOW:
                log.warning(
                    "dirmonitor: too many events at once, some are lost: all is scanned",
                    extra={"event": "monitor.events_lost"},
                )
                with self._lock:
                    yield from [Hint(monitor) for monitor in self._of]
                continue
            with self._lock:
                paths = self._watches.get(event.wd, {})
                found = [(path, monitor) for path, ids in paths.items() for monitor in ids]
                if event.mask & _IGNORED:
                    self._forget(event.wd)
            for directory, monitor in found:
                yield from _hints(monitor, directory, event.mask, event.name)

    def _forget(self, watch: int) -> None:
        for path, monitors in self._watches.pop(watch, {}).items():
            for monitor in monitors:
                if self._of[monitor].get(path) == watch:
                    del self._of[monitor][path]


def _hints(monitor: int, directory: bytes, mask: int, name: str) -> Iterator[Hint]:
    if mask & _UNMOUNT:
        yield Hint(monitor)
    elif mask & _OF_ITSELF:
        yield Hint(monitor, directory=directory)
    elif not name:
        return
    elif mask & _ISDIR:
        # One that was deleted tells of itself; what lay in one that was moved away doesn't.
        if mask & _MOVED_FROM:
            yield Hint(monitor)
        elif not mask & _DELETE:
            yield Hint(monitor, directory=os.path.join(directory, os.fsencode(name)))
    else:
        path = os.path.join(directory, os.fsencode(name))
        yield from (Hint(monitor, path, event) for flag, event in _FILE_EVENTS if mask & flag)
