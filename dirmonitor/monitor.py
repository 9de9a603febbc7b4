"""A monitor at work: what is to be looked at when, and what follows from what was seen.

Only the service's own thread calls it; nothing here waits, and nothing knows the database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .looking import Order, Seen
from .scanning import Identity, Target
from .settling import Settler, Signature
from .watching import Hint

#: Seconds from scan to scan where the kernel tells of changes.
SCAN_EVERY = 60.0
#: Seconds from look to look at the path itself.
LOOK_EVERY = 1.0
#: A look that takes longer: the path counts as unreachable.
PATIENCE = 5.0
#: A scan takes at most one part in so many of the time.
SCAN_SHARE = 5
#: Seconds from scan to scan, however short the poll interval is.
SHORTEST = 0.05


@dataclass(frozen=True)
class Config:
    """What a row says of files."""

    target: Target
    mode: str
    #: Seconds.
    settle: float
    poll_interval: float


class Monitor:
    """One DirMonitor, by its primary key."""

    def __init__(self, pk: int, config: Config, known: dict[bytes, Signature], now: float) -> None:
        self.pk, self.config = pk, config
        self.settler = Settler(config.settle, known)
        #: Why it is polled; "" if it is watched.
        self.polled = ""
        #: Whether all was seen once.
        self.is_complete = False
        self._roots: dict[bytes, Identity] = {}
        self._problem = ""
        self._unread = 0
        self._order: Order | None = None
        self._ordered_at = now
        self._look_at = self._scan_at = now
        self._scanned_at, self._scan_took = now, 0.0

    def reconfigure(self, config: Config, now: float) -> None:
        """The row has changed: all is scanned again, and what is known stays known."""
        if config == self.config:
            return
        if config.target != self.config.target:
            self._roots = {}
        self.config, self.settler.settle = config, config.settle
        self._order, self._scan_at = None, now

    # What to look at

    def order(self, now: float) -> Order | None:
        """What is to be looked at now; None while nothing is, or a look goes on."""
        if self._order is not None:
            return None
        pending, touched = self.settler.to_look_at(now), list(self.settler.touching)
        if not (pending or touched or now >= min(self._look_at, self._scan_at)):
            return None
        target, mode = self.config.target, self.config.mode
        is_scan = now >= self._scan_at
        self._order = Order(self.pk, target, mode, self._roots, is_scan, pending, touched)
        self._ordered_at = now
        if is_scan:
            self._scan_at = math.inf  # unless a hint asks for another one meanwhile
        return self._order

    def next_at(self) -> float | None:
        """When :meth:`order` is to be asked again; None while a look goes on."""
        if self._order is not None:
            return None
        moments = [self._look_at, self._scan_at, self.settler.next_look_at()]
        return min(moment for moment in moments if moment is not None)

    # What was seen

    def hint(self, hint: Hint, now: float) -> None:
        """The kernel tells of a change."""
        if hint.path is None:
            self._scan_soon(now)
        elif self.config.target.means(hint.path, self._roots):
            self.settler.event(hint.path, hint.event, now)
        elif self._order is not None:  # of a directory that this look is about to find
            self._scan_soon(now)

    def _scan_soon(self, now: float) -> None:
        self._scan_at = min(self._scan_at, max(now, self._scanned_at + self._pause()))

    def _pause(self) -> float:
        return SCAN_SHARE * self._scan_took

    def apply(self, seen: Seen, now: float) -> None:
        """A look has ended. One that was ordered before the row changed means nothing."""
        if seen.order is not self._order:
            return
        self._order, self._look_at = None, now + LOOK_EVERY
        if seen.error is not None:
            self._problem = f"{seen.error.strerror or seen.error}."
            self._scan_at = self._look_at
            self._roots = {}
        else:
            self._problem, self._roots = "", seen.roots
        if seen.scan is not None and seen.error is None:
            self._apply_scan(seen, now)
        self._apply_files(seen, now)

    def _apply_scan(self, seen: Seen, now: float) -> None:
        assert seen.scan is not None
        self.polled, self._unread = seen.polled, len(seen.scan.errors)
        for path, signature in seen.scan.files.items():
            self.settler.seen(path, signature, now)
        if seen.roots and not seen.scan.errors:
            self.settler.only(seen.scan.files, seen.started)
        self._scanned_at, self._scan_took = now, seen.ended - seen.started
        every = self.config.poll_interval if self.polled else SCAN_EVERY
        self._scan_at = min(self._scan_at, now + max(every, self._pause(), SHORTEST))
        self.is_complete = True

    def _apply_files(self, seen: Seen, now: float) -> None:
        for path in seen.order.touched:
            if path in seen.touched:
                self.settler.touched(path, seen.touched[path], now)
        for path in seen.order.pending:
            if path in seen.pending:
                self.settler.looked(path, *seen.pending[path], now)
            else:
                self.settler.postpone(path, now)

    # What to say

    def status(self, now: float) -> tuple[str, str]:
        """*watching*, *polling*, *missing*, *unreachable* or "", and what else is to be said."""
        if self._order is not None and now > self._ordered_at + PATIENCE:
            return "unreachable", "It doesn't answer."
        if self._problem:
            return "unreachable", self._problem
        if not self.is_complete:
            return "", ""
        if not self._roots:
            return "missing", ""
        unread = f"{self._unread} directories or files can't be read." if self._unread else ""
        if self.polled:
            return "polling", " ".join(filter(None, (self.polled, unread)))
        return "watching", unread
