"""The service: one loop for all monitors, which waits for events, looks and moments.

Each turn visits only the monitors that something happened to, or whose moment has come.

Whatever touches a watched file system happens in threads of :mod:`.looking`, whatever touches the
database here.
"""

from __future__ import annotations

import heapq
import logging
import math
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import close_old_connections, connections, router, transaction
from django.db.models.functions import Now

from . import own_files
from .dispatch import AWAY, Answer
from .looking import Glance
from .models import SIGN_OF_LIFE, DirMonitor, Service
from .monitor import LOOK_EVERY
from .sources import Sources
from .stored import COLUMNS, TRY_AGAIN, StoredMonitor

log = logging.getLogger(__name__)

#: Seconds from look to look at the rows; they take effect within two.
ROWS_EVERY = 1.0
#: Seconds between two writings of what changed of the status of all monitors.
STATUS_EVERY = 2.0
#: Glances take at most one part in so many of the time, but come after so many seconds at most.
_GLANCE_SHARE, _GLANCE_LATEST = 100, 3.0
#: Seconds that a look at everything, once, takes at most, beside the longest settle time.
_LONGEST_ONCE = 60.0


class DirMonitorService:
    """All enabled monitors.

    Args:
        once: end when all that is there was seen, settled and queued.
        say: told what would be queued, instead of queueing it.
    """

    def __init__(self, *, once: bool = False, say: Callable[[str], None] | None = None) -> None:
        own_files.spare(sqlite_files())
        self._once, self._say = once, say
        self._sources = Sources()
        self._stored: dict[int, StoredMonitor] = {}
        #: To whom something happened; and when the others are to be visited, or were to be.
        self._touched: set[int] = set()
        self._visits: list[tuple[float, int]] = []
        self._rows_at = self._life_at = self._status_at = self._glance_at = 0.0
        self._glance: Glance | None = None
        self._has_rows = self._is_stopping = self._is_away = False
        self._service: Service | None = None

    def stop(self) -> None:
        """End soon; may be called by any thread."""
        self._is_stopping = True
        self._sources.notify()

    def run(self) -> None:
        """Until it is stopped, or everything was seen once."""
        began = time.monotonic()
        try:
            while not self._is_stopping:
                self._turn(time.monotonic())
                now = time.monotonic()
                if self._once and (self._is_done(now) or now > began + self._longest_once()):
                    break
                self._wait()
        finally:
            self._end()

    def problems(self) -> list[str]:
        """Why some of what is there wasn't queued, each in one line; after a run that has ended."""
        if self._is_away:
            return ["The database can't be used: nothing more was queued, all files wait."]
        now = time.monotonic()
        found = (stored.problem(now) for stored in self._stored.values())
        return sorted(filter(None, found))

    # One turn

    def _turn(self, now: float) -> None:
        self._hear(now)
        if self._sources.mounted(now):
            self._scan_all(now)
        if now >= self._rows_at:
            self._rows_at = _next(now, ROWS_EVERY)
            self._in_database(self._read_rows, now)
        if now >= self._glance_at:
            self._glance_at = _next(now, LOOK_EVERY)
            self._glance_at_all(now)
        for stored in self._to_visit(now):
            self._visit(stored, now)
        if now >= self._status_at:
            self._status_at = _next(now, STATUS_EVERY)
            self._in_database(self._write_status, now)
        if now >= self._life_at and self._say is None:
            self._life_at = now + SIGN_OF_LIFE.total_seconds()
            self._in_database(self._live)

    def _hear(self, now: float) -> None:
        """Events after looks: one that came before a look had ended is among them."""
        looks = self._sources.looked()
        for hint in self._sources.hints():
            if stored := self._stored.get(hint.monitor):
                stored.monitor.hint(hint, now)
                self._touched.add(hint.monitor)
        for pk, answer in self._sources.asked():
            if stored := self._stored.get(pk):
                self._answered(stored, answer, now)
                self._touched.add(pk)
        for done in self._sources.glanced():
            self._glance = None
            soonest = now + min(_GLANCE_SHARE * done.cpu, _GLANCE_LATEST)
            self._glance_at = max(self._glance_at, soonest)
            for pk in done.changed:
                self._change_of_path(pk)
        for pk, seen in looks:
            if stored := self._stored.get(pk):
                stored.monitor.apply(seen, now)
                self._touched.add(pk)

    def _scan_all(self, now: float) -> None:
        """No event tells what a mount has covered or shown."""
        for stored in self._stored.values():
            stored.monitor.scan_soon(now)
        self._touched.update(self._stored)

    def _glance_at_all(self, now: float) -> None:
        """At the paths of all plain monitors in one go; if that hangs, at each by itself."""
        plain = {}
        for pk, stored in self._stored.items():
            if expected := stored.monitor.to_glance_at(self._sources.mounts, now):
                plain[pk] = expected
            elif stored.monitor.leads_elsewhere:
                self._touched.add(pk)
        if self._glance is not None:
            for pk in plain:
                self._change_of_path(pk)
        elif plain:
            self._glance = Glance(plain, self._sources.mounts)
            self._sources.glance(self._glance)

    def _change_of_path(self, pk: int) -> None:
        if stored := self._stored.get(pk):
            stored.monitor.look_soon()
            self._touched.add(pk)

    def _to_visit(self, now: float) -> list[StoredMonitor]:
        while self._visits and self._visits[0][0] <= now:
            at, pk = heapq.heappop(self._visits)
            if (stored := self._stored.get(pk)) and stored.visit_at == at:
                stored.visit_at = math.inf
                self._touched.add(pk)
        found = [self._stored[pk] for pk in self._touched if pk in self._stored]
        self._touched.clear()
        return found

    def _visit(self, stored: StoredMonitor, now: float) -> None:
        try:
            self._attend(stored, now)
        except Exception as error:  # of whatever kind: the others are to be visited, too
            log.exception(
                "monitor %s can't be attended to",
                stored.name,
                extra={"event": "monitor.failed", "monitor": stored.name},
            )
            stored.monitor.fail(f"{type(error).__name__}: {error}")
            stored.visit_at = now + TRY_AGAIN
            heapq.heappush(self._visits, (stored.visit_at, stored.pk))

    def _attend(self, stored: StoredMonitor, now: float) -> None:
        if order := stored.monitor.order(self._sources.mounts, now):
            self._sources.look(order)
        self._in_database(self._follow, stored, now)
        moments = (stored.monitor.next_at(), stored.request_at(now))
        visit_at = min((at for at in moments if at is not None), default=math.inf)
        if visit_at not in (stored.visit_at, math.inf):
            heapq.heappush(self._visits, (visit_at, stored.pk))
        stored.visit_at = visit_at

    def _wait(self) -> None:
        next_visit = [at for at, _ in self._visits[:1]]
        self._sources.wait([self._rows_at, self._status_at, self._glance_at, *next_visit])

    def _longest_once(self) -> float:
        settle = (stored.monitor.config.settle for stored in self._stored.values())
        return _LONGEST_ONCE + max(settle, default=0.0)

    def _is_done(self, now: float) -> bool:
        return self._has_rows and all(stored.is_done(now) for stored in self._stored.values())

    # The database

    def _in_database(self, step: Callable[..., None], *args: Any) -> None:
        """What fails while the database is away is tried again; nothing is lost meanwhile."""
        try:
            step(*args)
        except AWAY as error:
            self._away(error)
            close_old_connections()

    def _away(self, error: Exception) -> None:
        if not self._is_away:
            log.error(
                "dirmonitor: the database can't be used, trying again: %s",
                error,
                extra={"event": "monitor.database_away"},
            )
        self._is_away = True
        self._rows_at = time.monotonic() + TRY_AGAIN

    def _read_rows(self, now: float) -> None:
        close_old_connections()
        enabled = DirMonitor.objects.filter(enabled=True)
        rows = {pk: tuple(row) for pk, *row in enabled.values_list("pk", *COLUMNS)}
        if self._is_away:
            log.info("dirmonitor: the database is back", extra={"event": "monitor.database_back"})
            self._is_away = False
        for pk in self._stored.keys() - rows.keys():
            self._sources.unwatch(pk)
            gone = self._stored.pop(pk).name
            about = {"event": "monitor.unwatched", "monitor": gone}
            log.info("monitor %s: no longer watched", gone, extra=about)
        for pk, row in rows.items():
            if (stored := self._stored.get(pk)) is None:
                self._stored[pk] = StoredMonitor(pk, row, now)
            elif row != stored.row:
                stored.reconfigure(row, now)
            else:
                continue
            self._touched.add(pk)
        self._has_rows = True

    def _follow(self, stored: StoredMonitor, now: float) -> None:
        """Note what is gone, and have queued what is ready."""
        if self._say is None:
            stored.note(now)
        request_at = stored.request_at(now)
        if request_at is None or request_at > now:
            return
        if self._say is None:
            self._sources.ask(stored.pk, stored.request(now))
        else:
            stored.say(self._say)

    def _answered(self, stored: StoredMonitor, answer: Answer, now: float) -> None:
        stored.answered(answer, now)
        if answer.error is not None and not answer.refusal:
            self._away(answer.error)

    def _write_status(self, now: float) -> None:
        """What has changed, of all monitors in one transaction."""
        if self._say is not None:
            return
        found = ((stored, stored.status(now)) for stored in self._stored.values())
        changes = [(stored, values) for stored, values in found if values]
        if not changes:
            return
        with transaction.atomic(using=router.db_for_write(DirMonitor)):
            for stored, values in changes:
                stored.write_status(values)
        for stored, values in changes:
            stored.written(values)

    def _live(self) -> None:
        if self._service is None:
            Service.objects.dead().delete()
            self._service = Service.objects.create(host=socket.gethostname(), pid=os.getpid())
        elif not Service.objects.filter(pk=self._service.pk).update(seen_at=Now()):
            self._service = None
            self._life_at = 0.0

    def _end(self) -> None:
        self._sources.finish()
        self._hear(time.monotonic())
        with suppress(*AWAY):
            self._write_status(time.monotonic())
            if self._service is not None:
                self._service.delete()
        self._sources.close()


def sqlite_files() -> list[str]:
    """The databases of this site that are files."""
    found = [connections[alias] for alias in connections]
    return [str(one.settings_dict["NAME"]) for one in found if one.vendor == "sqlite"]


def _next(now: float, every: float) -> float:
    """The next of moments so far apart; they are the same for all, so that few of them wake us."""
    return (math.floor(now / every) + 1) * every
