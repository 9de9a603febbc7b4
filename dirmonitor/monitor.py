"""A monitor at work: what is to be looked at when, and what follows from what was seen.

Only the service's own thread calls it; nothing here waits, and nothing knows the database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .looking import Order, Seen
from .mounts import Mounts
from .scanning import Identity, Scan, Target
from .settling import Reason, Settler, Signature
from .watching import Hint

#: Seconds from scan to scan where the kernel tells of changes.
SCAN_EVERY = 60.0
#: Seconds from look to look at the path itself.
LOOK_EVERY = 1.0
#: A look that takes longer: the path counts as unreachable.
PATIENCE = 5.0
#: A scan takes at most one part in so many of the time; for the sake of links, in so many.
SCAN_SHARE, LINKS_SHARE = 5, 50
#: Seconds from scan to scan, however short the poll interval is.
SHORTEST = 0.05
#: Seconds from one try to watch to the next, after there were no more watches.
WATCH_AGAIN = 60.0
#: Seconds between two questions who has files open, and of how many it is asked.
WRITERS_EVERY, WRITERS_OF = 5.0, 10


@dataclass(frozen=True)
class Config:
    """What a row says of files."""

    target: Target
    mode: str
    #: Seconds.
    settle: float
    poll_interval: float
    #: Why nothing is looked at: the path of a row that nobody has checked; "" if it is fine.
    wrong: str = ""


class Monitor:
    """One DirMonitor, by its primary key."""

    def __init__(self, pk: int, config: Config, known: dict[bytes, Signature], now: float) -> None:
        self.pk, self.config = pk, config
        self.settler = Settler(config.settle, known)
        #: Why it is polled; "" if it is watched.
        self.polled = ""
        #: Whether all was seen once.
        self.is_complete = False
        #: Whether its path leads to a share, or from one, since a look hangs.
        self.leads_elsewhere = False
        self._share = ""
        self._roots: dict[bytes, Identity] = {}
        self._new_directories: set[bytes] = set()
        self._problem = ""
        #: Why nothing of what the path stands for can be read.
        self._barred = ""
        self._unread = 0
        self._order: Order | None = None
        self._is_outdated = False
        self._ordered_at = now
        self._look_at = self._scan_at = self._watch_at = self._writers_at = now
        self._scanned_at, self._pause, self._links_pause = now, 0.0, SCAN_EVERY

    def reconfigure(self, config: Config, now: float) -> None:
        """The row has changed: all is scanned again, and what is known stays known."""
        if config == self.config:
            return
        is_elsewhere = config.target.path != self.config.target.path
        if config.target != self.config.target:
            self._roots, self.is_complete = {}, False
        if config.settle != self.config.settle:
            self.settler.change_settle(config.settle, now)
        self.config = config
        self._scan_at = self._watch_at = now
        if is_elsewhere or not self._hangs(now):
            self._order = None
        else:  # another look would hang as well
            self._is_outdated = True

    # What to look at

    def order(self, mounts: Mounts, now: float) -> Order | None:
        """What is to be looked at now; None while nothing is, or a look goes on."""
        if self.config.wrong or self._order is not None or now < self._due():
            return None
        target = self.config.target
        share = mounts.share(target.path, recursive=target.recursive)
        is_scan = now >= self._scan_at or share != self._share
        self._order = Order(
            self.pk,
            target,
            self._why_polled(share, now),
            share,
            self._roots,
            is_scan,
            list(self._new_directories),
            self.settler.to_look_at(now),
            self._held(now),
            list(self.settler.touching),
        )
        self._ordered_at, self._share, self._is_outdated = now, share, False
        self.leads_elsewhere = False
        self._new_directories.clear()
        if is_scan:
            self._scan_at = math.inf  # unless a hint asks for another one meanwhile
        return self._order

    def to_glance_at(
        self, mounts: Mounts, now: float
    ) -> tuple[Target, dict[bytes, Identity]] | None:
        """What its path stood for, if that may be looked at together with others."""
        if self._hangs(now):
            self._leave_behind(mounts)
        is_free = self._order is None and self._is_plain() and not self.leads_elsewhere
        return (self.config.target, self._roots) if is_free else None

    def _leave_behind(self, mounts: Mounts) -> None:
        """A look that hangs means nothing any more if the path leads elsewhere now."""
        target = self.config.target
        self.leads_elsewhere = mounts.share(target.path, recursive=target.recursive) != self._share
        if self.leads_elsewhere:
            self._order, self._look_at = None, 0.0

    def look_soon(self) -> None:
        """The path is to be looked at by itself."""
        self._look_at = 0.0

    def next_at(self) -> float | None:
        """When :meth:`order` is to be asked again; None while a look goes on."""
        return None if self.config.wrong or self._order is not None else self._due()

    def _due(self) -> float:
        if self.settler.touching or self._new_directories:
            return 0.0
        file_at = self.settler.next_look_at()
        at = min(self._look_at, self._scan_at)
        return at if file_at is None else min(at, file_at)

    def _why_polled(self, share: str, now: float) -> str:
        if share:
            return f"The file system is {share}."
        if self.config.mode == "poll":
            return "As it is set."
        return self.polled if now < self._watch_at else ""

    def _held(self, now: float) -> list[bytes]:
        """The first files that are open, if it is time to ask by whom."""
        held = self.settler.held(WRITERS_OF) if now >= self._writers_at else []
        if held:
            self._writers_at = now + WRITERS_EVERY
        return held

    # What was seen

    def hint(self, hint: Hint, now: float) -> None:
        """The kernel tells of a change."""
        target, where = self.config.target, hint.path or hint.directory
        if hint.path is not None and target.means(hint.path, self._roots):
            self.settler.event(hint.path, hint.event, now)
        elif where is None or where in self._roots:
            self.scan_soon(now)
        elif not target.lies_in(where, self._roots):
            # Perhaps a look is about to find where it belongs.
            if hint.directory is not None or self._order is not None:
                self.scan_soon(now)
        elif hint.directory is not None and target.recursive:
            self._new_directories.add(hint.directory)

    def scan_soon(self, now: float) -> None:
        """Something has changed that only a scan can find."""
        self._scan_at = min(self._scan_at, max(now, self._scanned_at + self._pause))

    def apply(self, seen: Seen, now: float) -> None:
        """A look has ended. One that was ordered before the row changed means nothing."""
        if seen.order is not self._order:
            return
        self._order = None
        if self._is_outdated:
            self._scan_at = now
            return
        if seen.error is not None:
            self._problem = f"{seen.error.strerror or seen.error}."
            self._scan_at = now + LOOK_EVERY
            self._roots = {}
        else:
            self._problem, self._roots = "", seen.roots
            self._apply_scans(seen, now)
        self._apply_files(seen, now)
        self._look_at = math.inf if self._is_plain() else now + LOOK_EVERY

    def _is_plain(self) -> bool:
        """Whether the path may be looked at together with others."""
        return self.is_complete and not self._share and not self._problem

    def _apply_scans(self, seen: Seen, now: float) -> None:
        if seen.scan is not None:
            self._apply_scan(seen, seen.scan, now)
        elif seen.below is not None:
            self._found(seen.below, now)
            if seen.below.errors or seen.polled:
                self.scan_soon(now)

    def _apply_scan(self, seen: Seen, scan: Scan, now: float) -> None:
        if seen.polled and not seen.order.polled:
            self._watch_at = now + WATCH_AGAIN
        self.polled, self._unread = seen.polled, len(scan.errors)
        barred = [scan.errors[root] for root in seen.roots if root in scan.errors]
        self._barred = f"{barred[0].strerror}." if barred and len(barred) == len(seen.roots) else ""
        self._found(scan, now)
        if seen.roots:
            self.settler.only(scan, seen.started)
        self._scanned_at = now
        self._pause = max(SCAN_SHARE * seen.cpu, seen.ended - seen.started)
        self._scan_at = min(self._scan_at, now + self._until_next_scan(scan, seen))
        self.is_complete = True

    def _until_next_scan(self, scan: Scan, seen: Seen) -> float:
        if self.polled:
            return max(self.config.poll_interval, self._pause, SHORTEST)
        self._links_pause = min(max(self.config.poll_interval, LINKS_SHARE * seen.cpu), SCAN_EVERY)
        return self._links_pause if scan.has_links else SCAN_EVERY

    def _found(self, scan: Scan, now: float) -> None:
        for path, signature in scan.files.items():
            self.settler.seen(path, signature, now)

    def _apply_files(self, seen: Seen, now: float) -> None:
        for path in seen.order.touched:
            if path in seen.touched:
                self.settler.touched(path, seen.touched[path], now, seen.started)
        for path in seen.order.pending:
            if path in seen.pending:
                self.settler.looked(path, *seen.pending[path], now, seen.started)
            else:
                self.settler.postpone(path, now)
        if seen.has_links:
            self._scan_at = min(self._scan_at, now + self._links_pause)
        if seen.order.held:
            self.settler.written_by(seen.writers)

    def fail(self, problem: str) -> None:
        """It can't be attended to, for a reason that nobody has thought of."""
        self._problem = problem

    # What to say

    def _hangs(self, now: float) -> bool:
        return self._order is not None and now > self._ordered_at + PATIENCE

    def status(self, now: float) -> tuple[str, str]:
        """*watching*, *polling*, *missing*, *unreachable* or "", and what else is to be said."""
        if self.config.wrong:
            return "unreachable", self.config.wrong
        if self._hangs(now):
            return "unreachable", "It doesn't answer."
        if self._problem:
            return "unreachable", self._problem
        if not self.is_complete:
            return "", ""
        if not self._roots:
            return "missing", ""
        if self._barred:
            return "unreachable", self._barred
        unread = f"{self._unread} directories or files can't be read." if self._unread else ""
        if self.polled:
            return "polling", " ".join(filter(None, (self.polled, unread)))
        return "watching", unread

    def pending(self) -> tuple[int, str]:
        """How many files are pending, and why: ``1 still open for writing by pid 7, 2 ready``."""
        reasons = self.settler.reasons()
        parts = [f"{len(paths)} {reason.value}" for reason, paths in reasons.items()]
        if Reason.OPEN in reasons:
            index = list(reasons).index(Reason.OPEN)
            parts[index] += _by(self.settler.writers())
        return sum(map(len, reasons.values())), ", ".join(parts)


def _by(writers: set[int]) -> str:
    if not writers:
        return ""
    return f" by pid {' and '.join(map(str, sorted(writers)))}"
