"""Leases: a place may run jobs as long as it is heard of.

A place (see :mod:`jobqueue.owners`) renews its lease every few seconds, for all that runs there.
Another one takes its runs over after it has watched the lease unrenewed for its whole length, by
its own monotonic clock and with the database answering all the while: no two clocks are compared.
A place that can't renew ends its runs before that, if it wasn't alone at its last renewal; its
launchers do so, also when all of its workers are dead or the machine had been frozen.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import Error, connections
from django.db.models.functions import Now

from . import conf, launcher, owners
from .commandline import printable
from .models import Lease

log = logging.getLogger(__name__)

#: Parts of a lease's length: between two renewals, and until a run is to be ended, and killed.
RENEW, END, KILL = 1 / 6, 3 / 4, 11 / 12
#: Seconds. If the last look is so long ago, who knows whether others could have renewed meanwhile.
GAP = 5.0
#: The lease of a place that was silent for so long is forgotten.
FORGET = timedelta(days=1)

_renewed_at = float("-inf")


def length() -> float:
    """Of all leases, in seconds."""
    return conf.current().LEASE.total_seconds()


def renew() -> None:
    """Say that this place is there, and tell its launchers until when that holds."""
    global _renewed_at
    asked_at = time.clock_gettime(time.CLOCK_BOOTTIME)
    began = time.monotonic()
    here = owners.here()
    # Asked first: if that fails, nobody shall take the lease for renewed.
    others = Lease.objects.exclude(place=here).renewed_within(conf.current().LEASE)
    is_alone = not others.exists()
    if not Lease.objects.filter(place=here).update(renewed_at=Now()):
        _begin(here)
    _tell_launchers(None if is_alone else asked_at)
    _renewed_at = began


def ensure() -> None:
    """Have a lease that was renewed lately: nothing starts without one."""
    if time.monotonic() - _renewed_at > 2 * RENEW * length():
        renew()


@contextmanager
def kept() -> Iterator[None]:
    """Renew it all the while, where no clock does: for a run in the foreground."""
    renew()
    is_over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(is_over,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        is_over.set()
        keeper.join()


def _keep(is_over: threading.Event) -> None:
    while not is_over.wait(RENEW * length()):
        try:
            renew()
        except Error as error:
            log.warning(
                "the lease can't be renewed: %s", error, extra={"event": "lease.not_renewed"}
            )
            connections.close_all()
    connections.close_all()


def end() -> None:
    """Nothing runs here any more, so nobody need watch for it."""
    Lease.objects.filter(place=owners.here()).delete()


class Watch:
    """What one process has seen of the leases of other places."""

    def __init__(self) -> None:
        #: For each place: the renewal seen last, and since when it's been that.
        self._seen: dict[str, tuple[datetime | None, float]] = {}
        self._looked_at = float("-inf")

    def look(self, places: Collection[str], now: float) -> None:
        """Look at the leases of these places, at this moment of the monotonic clock (seconds)."""
        rows = Lease.objects.filter(place__in=places).values_list("place", "renewed_at")
        renewals = dict(rows) if places else {}
        if now - self._looked_at > GAP:
            self._seen.clear()
        self._looked_at = now
        self._seen = {
            place: self._since(place, renewals.get(place), now) for place in sorted(places)
        }

    @property
    def has_places(self) -> bool:
        """Whether there was a place to look at, last time."""
        return bool(self._seen)

    def has_run_out(self, place: str, now: float) -> bool:
        """Whether a lease was watched unrenewed for its whole length."""
        since = self._seen[place][1] if place in self._seen else now
        return now - since > length()

    def _since(
        self, place: str, renewed_at: datetime | None, now: float
    ) -> tuple[datetime | None, float]:
        before = self._seen.get(place)
        return before if before is not None and before[0] == renewed_at else (renewed_at, now)


def namesakes() -> list[str]:
    """Other places that are heard of and have this host's name."""
    rows = Lease.objects.filter(host=conf.current().HOST).exclude(place=owners.here())
    found = rows.renewed_within(conf.current().LEASE).values_list("place", flat=True)
    return list(found)


def _begin(here: str) -> None:
    Lease.objects.filter(renewed_at__lt=Now() - FORGET).delete()
    host = conf.current().HOST
    Lease.objects.get_or_create(place=here, defaults={"host": host, "renewed_at": Now()})
    if namesakes():
        log.warning(
            "another machine, or this one before its restart, is heard of as host %s, too; if two "
            "have one name, give each its own (JOBQUEUE['HOST'])",
            printable(host),
            extra={"event": "lease.same_name"},
        )


def _tell_launchers(asked_at: float | None) -> None:
    """Write the file that launchers read, in place, which a full disk allows.

    The file of a place that is alone says nothing, for ever.
    """
    whole = length()
    moments = (asked_at + END * whole, asked_at + KILL * whole) if asked_at is not None else ()
    text = " ".join(f"{moment:020.3f}" for moment in moments).ljust(41) + "\n"
    try:
        fd = launcher.open_with_directory(str(owners.lease_path()), os.O_WRONLY)
    except OSError as error:
        log.warning(
            "launchers can't be told of the lease: %s", error, extra={"event": "lease.not_told"}
        )
        return
    try:
        os.pwrite(fd, text.encode(), 0)
    except OSError as error:
        log.warning(
            "launchers can't be told of the lease: %s", error, extra={"event": "lease.not_told"}
        )
    finally:
        os.close(fd)
