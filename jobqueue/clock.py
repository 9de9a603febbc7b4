"""The thread that keeps time in a worker, while its main thread may be busy with a long run.

It fires the schedules that are due, renews the lease, says that the cluster is alive, recovers runs
that lost their worker, and wakes the queues in which a run could start and nobody else wakes for:
after a pause or a delay that is over, and, when the worker has nothing to do, those of which a
wake-up may have got lost. Now and then it has the record looked through, in a thread of its own.
"""

from __future__ import annotations

import logging
import multiprocessing.util
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import Error, connections
from django.db.models.functions import Now
from django.utils import timezone

from . import broker, cluster, conf, launcher, leases, owners, queue, schedules, tallies
from .models import Cluster, Queue
from .models.cluster import SIGN_OF_LIFE
from .recovery import Recovery, forget_run_files
from .recurrence import forget_zones
from .upkeep import Upkeep

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks.
TICK = 1.0
#: Seconds between two looks for runs that lost their worker.
RECOVERY = 2.0
#: Seconds after which a queue that is still not served is woken again; doubles to the last.
WAKE_AGAIN, WAKE_AGAIN_MAX = 2.0, 16.0
#: Seconds until a schedule that couldn't be fired is looked at again.
HELD = 0.05
#: Seconds between two looks for fire times that were worked out long ago; how many a look takes.
PLANNING, PLANNED_AT_ONCE = 20.0, 50
#: Seconds after which the rules of zones are read anew.
ZONES = 86400.0
#: Seconds between two times that what was counted is stored.
TALLY = 10.0
#: A cluster that was silent for so long is forgotten.
FORGET = timedelta(days=1)


class Clock(threading.Thread):
    """One in each worker; all do the same, and what they do may be done twice."""

    def __init__(self) -> None:
        super().__init__(name="jobqueue clock", daemon=True)
        self._next_sign = self._next_renewal = self._next_recovery = self._next_planning = 0.0
        self._next_tally = 0.0
        self._has_said_that_it_stops = False
        self._next_zones = time.monotonic() + ZONES
        self._recovery = Recovery()
        self._upkeep = Upkeep()
        self._is_over = threading.Event()
        self._looked_at = self._fired_at = timezone.now()
        #: Fire times that were worked out before are worked out anew: those of a day ago, and all
        #: when the cluster has started, as the rules of a zone, or the clock, may have changed.
        self._planned_before: datetime | None = None
        #: For each queue that is ready: when it's woken (again), and the pause after that.
        self._woken: dict[str, tuple[float, float]] = {}
        #: Those that have a row.
        self._queues: set[str] = set()

    def run(self) -> None:
        """Tick until the worker ends."""
        multiprocessing.util.Finalize(None, self._say_goodbye, exitpriority=1)
        with suppress(OSError, Error):
            forget_run_files()
        self._tick_until(self._is_over.is_set)

    def _tick_until(self, is_over: Callable[[], bool]) -> None:
        while True:
            started = time.monotonic()
            self._try(partial(self.tick, started))
            if is_over():
                return
            self._fire_until(started + TICK)

    def _fire_until(self, end: float) -> None:
        """Fire what comes until this moment of the monotonic clock, each at its time."""
        while not self._is_over.is_set() and (left := end - time.monotonic()) > 0:
            next_at = self._try(partial(self.fire, timezone.now()))
            due_in = (next_at - timezone.now()).total_seconds() if next_at else left
            # What is still due is held by somebody else.
            self._is_over.wait(min(due_in if due_in > 0 else HELD, left))

    def _try(self, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except Exception as error:  # the database may be away; the next look tries again
            log.warning("clock: %s", error, extra={"event": "clock.failed"})
            connections.close_all()
            return None

    def fire(self, now: datetime) -> datetime | None:
        """Queue what is due at this moment; when the next schedule fires."""
        if now < self._fired_at - schedules.SET_BACK:
            log.warning(
                "clock: set back from %s to %s",
                self._fired_at,
                now,
                extra={"event": "clock.set_back"},
            )
            schedules.refresh(now)
        self._fired_at = now
        next_at = schedules.next_fire_at()
        if next_at is not None and next_at <= now:
            schedules.enqueue_due(now)
            next_at = schedules.next_fire_at()
        return next_at

    def tick(self, now: float) -> None:
        """One look, at this moment of the monotonic clock (seconds)."""
        if now >= self._next_renewal:
            leases.renew()
            self._next_renewal = now + leases.RENEW * leases.length()
        if now >= self._next_sign:
            if _say_alive():
                self._planned_before = timezone.now()
            self._next_sign = now + SIGN_OF_LIFE.total_seconds()
        self._recovery.look_after_adopted()
        if now >= self._next_recovery:
            self._recovery.look(now)
            self._next_recovery = now + (TICK if self._recovery.watches else RECOVERY)
        if now >= self._next_planning:
            self._plan(now)
        if not cluster.stopping():
            self._wake(now)
            self._upkeep.look(now)
        elif not self._has_said_that_it_stops:
            self._has_said_that_it_stops = _say_that_it_stops()
        if now >= self._next_tally:
            self._next_tally = now + TALLY
            tallies.store()

    def _plan(self, now: float) -> None:
        if now >= self._next_zones:
            forget_zones()
            self._next_zones = now + ZONES
        wall = timezone.now()
        before = self._planned_before or wall - schedules.PLAN_HOLDS
        if schedules.refresh(wall, before, PLANNED_AT_ONCE) < PLANNED_AT_ONCE:
            self._planned_before, self._next_planning = None, now + PLANNING

    def _wake(self, now: float) -> None:
        looked_at, names = timezone.now(), list(queue.with_requests())
        self._introduce_queues(names)
        ready = [name for name in names if queue.is_ready(name)]
        self._wake_due(ready)
        self._looked_at = looked_at
        if cluster.idle():
            self._wake_forgotten(ready, now)

    def _introduce_queues(self, names: Iterable[str]) -> None:
        """Have them listed, and there to be paused, before their first run."""
        for name in set(names) - self._queues:
            Queue.objects.get_or_create(name=name)
            self._queues.add(name)

    def _wake_due(self, ready: list[str]) -> None:
        """Wake what time has made ready since the last look, even if the worker is busy: one that
        serves another queue for long must learn that this one wants it, too."""
        for name in ready:
            if not queue.could_start(name, self._looked_at):
                broker.wake(name)

    def _wake_forgotten(self, ready: list[str], now: float) -> None:
        """Wake what was ready a tick ago: a wake-up gets a moment to arrive by itself."""
        new = (now + TICK / 2, WAKE_AGAIN)
        self._woken = {name: self._woken.get(name, new) for name in ready}
        for name, (due, pause) in self._woken.items():
            if now >= due and not cluster.wanted():
                broker.wake_this_cluster(name)
                self._woken[name] = (now + pause, min(pause * 2, WAKE_AGAIN_MAX))

    def _say_goodbye(self) -> None:
        """At the end of the worker, in its main thread; if its cluster stops, after the last run.

        A worker that is replaced leaves what it has adopted to the next one.
        """
        self._is_over.set()
        self._upkeep.stop()
        self.join()
        self._try(tallies.store)
        identity = cluster.identity()
        if identity is None or not cluster.stopping():
            return
        self._is_over.clear()
        self._next_recovery = 0.0
        self._tick_until(lambda: not self._recovery.goes_on)
        self._try(tallies.store)
        try:
            Cluster.objects.filter(uuid=identity.uuid).delete()
            leases.end()
            forget_run_files(leaving=True)
        except Exception as error:
            log.warning(
                "cluster not signed off: %s", error, extra={"event": "cluster.not_signed_off"}
            )


def _say_alive() -> bool:
    """Whether the cluster did so for the first time."""
    identity = cluster.identity()
    if identity is None:
        return False
    others = Cluster.objects.filter(host=conf.current().HOST).exclude(uuid=identity.uuid)
    if Cluster.objects.filter(uuid=identity.uuid).update(seen_at=Now(), clock_at=timezone.now()):
        # Its process can't be asked; that of another machine with this name may live.
        _forget(other for other in others.dead() if not other.is_here)
        return False
    Cluster.objects.dead().filter(seen_at__lt=timezone.now() - FORGET).delete()
    _forget(other for other in others if other.is_gone)
    return _introduce(identity)


def _say_that_it_stops() -> bool:
    """Whether the cluster's row says so."""
    identity = cluster.identity()
    rows = Cluster.objects.filter(uuid=identity.uuid) if identity else Cluster.objects.none()
    return bool(rows.filter(stopping_at=None).update(stopping_at=timezone.now()) or rows.exists())


def _forget(clusters: Iterable[Cluster]) -> None:
    """This one has taken their place."""
    for dead in clusters:
        dead.delete()


def _introduce(identity: cluster.Identity) -> bool:
    process = owners.Owner(owners.here(), identity.pid, launcher.started(identity.pid))
    _, is_new = Cluster.objects.get_or_create(
        uuid=identity.uuid,
        defaults={
            "name": cluster.name(identity),
            "host": conf.current().HOST,
            "pid": identity.pid,
            "owner": str(process),
            "workers": cluster.workers(),
            "started_at": timezone.now(),
            "seen_at": Now(),
            "clock_at": timezone.now(),
        },
    )
    return is_new
