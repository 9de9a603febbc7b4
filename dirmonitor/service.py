"""The service: one loop for all monitors, which waits for events, looks and moments.

Whatever touches a watched file system happens in threads of :mod:`.looking`, whatever touches the
database here.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db.models.functions import Now
from django.utils import timezone

from jobqueue.api import NotQueued, printable

from . import dispatch, ledger
from .looking import Seen, Threads, look
from .models import SIGN_OF_LIFE, DirMonitor, Service
from .monitor import Config, Monitor
from .scanning import Target
from .watching import Watcher

log = logging.getLogger(__name__)

#: Seconds from look to look at the rows; they take effect within two.
ROWS_EVERY = 1.0
#: Seconds between two writings of a monitor's status.
STATUS_EVERY = 3.0
#: Seconds until a request that was refused, or the database, is tried again.
TRY_AGAIN = 2.0
#: Seconds that events have to gather.
_GATHER = 0.005
#: Seconds that a look at everything, once, takes at most.
_LONGEST_ONCE = 60.0

_AWAY = (DatabaseError, InterfaceError)


class Watch:
    """A monitor at work, with what the database says of it."""

    def __init__(self, row: DirMonitor, now: float) -> None:
        self.name = printable(row.name)
        self.monitor = Monitor(row.pk, config_of(row), ledger.known(row.pk), now)
        #: Why its Job wasn't queued.
        self.refusal = ""
        self.try_at = now
        self.said: dict[str, Any] = {}
        self.say_at = now


def config_of(row: DirMonitor) -> Config:
    """What a row says of files."""
    target = Target(os.fsencode(row.path.rstrip("/")), row.filemask, row.recursive)
    return Config(target, row.mode, row.settle, row.poll_interval)


class DirMonitorService:
    """All enabled monitors.

    Args:
        once: end when all that is there was seen, settled and queued.
        say: told what would be queued, instead of queueing it.
    """

    def __init__(self, *, once: bool = False, say: Callable[[str], None] | None = None) -> None:
        self._once, self._say = once, say
        self._watcher = Watcher()
        self._threads: Threads[int, Seen] = Threads()
        self._watches: dict[int, Watch] = {}
        self._rows_at = self._life_at = 0.0
        self._has_rows = self._is_stopping = self._is_away = False
        self._service: Service | None = None

    def stop(self) -> None:
        """End soon; may be called by a signal's handler."""
        self._is_stopping = True
        self._threads.notify()

    def run(self) -> None:
        """Until it is stopped, or everything was seen once."""
        until = time.monotonic() + _LONGEST_ONCE
        try:
            while not self._is_stopping:
                self._turn(time.monotonic())
                if self._once and (self._is_done() or time.monotonic() > until):
                    break
                self._wait()
        finally:
            self._end()

    # One turn

    def _turn(self, now: float) -> None:
        self._hear(now)
        if now >= self._rows_at:
            self._rows_at = now + ROWS_EVERY
            self._in_database(self._read_rows, now)
        for watch in self._watches.values():
            if order := watch.monitor.order(now):
                self._threads.submit(order.monitor, partial(look, order, self._watcher))
            self._in_database(self._follow, watch, now)
        if now >= self._life_at and self._say is None:
            self._life_at = now + SIGN_OF_LIFE.total_seconds()
            self._in_database(self._live)

    def _hear(self, now: float) -> None:
        """Events after looks: one that came before a look had ended is among them."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._threads.wake)
        looks = list(self._threads.finished())
        for hint in self._watcher.read():
            if watch := self._watches.get(hint.monitor):
                watch.monitor.hint(hint, now)
        for pk, seen in looks:
            if watch := self._watches.get(pk):
                watch.monitor.apply(seen, now)

    def _wait(self) -> None:
        now = time.monotonic()
        moments = [self._rows_at]
        for watch in self._watches.values():
            moments += [m for m in (watch.monitor.next_at(), self._request_at(watch, now)) if m]
        poll = select.poll()
        poll.register(self._threads.wake, select.POLLIN)
        if (descriptor := self._watcher.fileno()) is not None:
            poll.register(descriptor, select.POLLIN)
        if poll.poll(max(0.0, min(moments) - now) * 1000):
            time.sleep(_GATHER)

    def _is_done(self) -> bool:
        """Whether all was seen, and nothing settles or is to be queued."""
        return self._has_rows and all(
            (watch.monitor.is_complete or watch.monitor.status(time.monotonic())[0])
            and (watch.refusal or not self._is_busy(watch.monitor))
            for watch in self._watches.values()
        )

    @staticmethod
    def _is_busy(monitor: Monitor) -> bool:
        counts = monitor.settler.counts()
        return bool(counts.get("ready") or counts.get("settling"))

    # The database

    def _in_database(self, step: Callable[..., None], *args: Any) -> None:
        """What fails while the database is away is tried again; nothing is lost meanwhile."""
        try:
            step(*args)
        except _AWAY as error:
            if not self._is_away:
                log.error("dirmonitor: the database can't be used, trying again: %s", error)
            self._is_away = True
            self._rows_at = time.monotonic() + TRY_AGAIN
            close_old_connections()

    def _read_rows(self, now: float) -> None:
        close_old_connections()
        rows = {row.pk: row for row in DirMonitor.objects.filter(enabled=True)}
        if self._is_away:
            log.info("dirmonitor: the database is back")
            self._is_away = False
        for pk in self._watches.keys() - rows.keys():
            self._watcher.keep_only(pk, ())
            log.info("monitor %s: no longer watched", self._watches.pop(pk).name)
        for pk, row in rows.items():
            if watch := self._watches.get(pk):
                watch.name = printable(row.name)
                watch.monitor.reconfigure(config_of(row), now)
            else:
                self._watches[pk] = Watch(row, now)
                log.info("monitor %s: %s", row, printable(row.path))
        self._has_rows = True

    def _follow(self, watch: Watch, now: float) -> None:
        """Queue what is ready, forget what is gone, and say how it stands."""
        settler = watch.monitor.settler
        if settler.forgotten and now >= watch.try_at:
            self._forget(watch, now)
        request_at = self._request_at(watch, now)
        if request_at is not None and request_at <= now:
            self._request(watch, now)
        if now >= watch.say_at:
            self._write_status(watch, now)

    def _forget(self, watch: Watch, now: float) -> None:
        watch.try_at = now + TRY_AGAIN
        if self._say is None:
            ledger.forget(watch.monitor.pk, watch.monitor.settler.forgotten)
        watch.monitor.settler.forgotten.clear()
        watch.try_at = now

    @staticmethod
    def _request_at(watch: Watch, now: float) -> float | None:
        at = watch.monitor.settler.request_at(now)
        return None if at is None else max(at, watch.try_at)

    def _request(self, watch: Watch, now: float) -> None:
        watch.try_at = now + TRY_AGAIN
        settler = watch.monitor.settler
        files = settler.ready()
        open_ones = [path for path in files if settler.pending[path].is_open]
        if self._say is not None:
            self._say(f"{watch.name}: {_in_words(files)}")
        else:
            try:
                answer = dispatch.hand_over(watch.monitor.pk, files, settler.known)
            except NotQueued as error:
                self._refused(watch, printable(str(error)))
                return
            if answer is not None:
                what = (watch.name, _in_words(files), answer.outcome, answer.execution.pk)
                log.info("monitor %s: %s; %s, execution %d", *what)
        for path in open_ones:
            log.warning("monitor %s: still open: %s", watch.name, _in_words({path: files[path]}))
        settler.queued(files)
        watch.refusal, watch.try_at = "", now

    def _refused(self, watch: Watch, why: str) -> None:
        if watch.refusal != why:
            log.error("monitor %s: not queued, its files wait: %s", watch.name, why)
        watch.refusal = why

    def _write_status(self, watch: Watch, now: float) -> None:
        """If it differs from what was written last."""
        watch.say_at = now + STATUS_EVERY
        status, note = watch.monitor.status(now)
        counts = watch.monitor.settler.counts()
        said = {
            "status": status,
            "status_note": " ".join(filter(None, (watch.refusal, note))),
            "files_pending": sum(counts.values()),
            "pending_note": ", ".join(f"{count} {reason}" for reason, count in counts.items()),
        }
        if said == watch.said or self._say is not None:
            return
        values = dict(said)
        if status != watch.said.get("status"):
            log.info("monitor %s: %s %s", watch.name, status, note)
            values["status_since"] = timezone.now()
        DirMonitor.objects.filter(pk=watch.monitor.pk).update(**values)
        watch.said = said

    def _live(self) -> None:
        if self._service is None:
            Service.objects.dead().delete()
            self._service = Service.objects.create(host=socket.gethostname(), pid=os.getpid())
        elif not Service.objects.filter(pk=self._service.pk).update(seen_at=Now()):
            self._service = None
            self._life_at = 0.0

    def _end(self) -> None:
        self._watcher.close()
        with suppress(*_AWAY):
            for watch in self._watches.values():
                self._write_status(watch, time.monotonic())
            if self._service is not None:
                self._service.delete()


def _in_words(files: dispatch.Files) -> str:
    """How many files, and the first few of them."""
    names = ", ".join(printable(dispatch.shown(path)) for path in sorted(files)[:3])
    more = ", ..." if len(files) > 3 else ""
    return f"{len(files)} {'file' if len(files) == 1 else 'files'}: {names}{more}"
