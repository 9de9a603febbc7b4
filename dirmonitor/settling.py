"""When a file is ready: pure rules on what was seen of it, and when.

A file is *pending* from when it is new or changed until it is *ready*: its signature was the same
and no event came for the settle time, and nobody has it open for writing. It is *known* only
after its Job was queued. Moments are seconds of a monotonic clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from itertools import islice

#: Inode, size in bytes, time of the last change in nanoseconds.
Signature = tuple[int, int, int]

#: While more files settle, those that are ready wait so long at most.
LONGEST_BURST = 10.0
#: A file that stays open for writing without a change is taken after so long, with a warning.
LONGEST_OPEN = 15 * 60.0
#: A look that comes within this part of the settle time after an event shows what was there then.
AT_ONCE = 1 / 8
#: Seconds until a file is looked at again that is open for writing, or ready: at least, at most,
#: and otherwise this part of the time for which it has waited without a change.
LOOK_AGAIN, LATEST_LOOK, LOOK_PART = 1.0, 60.0, 1 / 10


class Event(Enum):
    """What the kernel tells of a file."""

    #: It was written to, and may be open still.
    WRITTEN = "written"
    #: Who wrote to it has closed it.
    CLOSED = "closed"
    #: It was made, linked or moved here.
    ARRIVED = "arrived"
    #: Its times or permissions were set.
    TOUCHED = "touched"
    #: It was deleted or moved away.
    LEFT = "left"


class Reason(Enum):
    """Why a file is pending."""

    #: Its request waits for more files, or for its Job or the database.
    READY = "ready"
    OPEN = "still open for writing"
    GROWING = "still growing"
    SETTLING = "settling"


@dataclass(slots=True)
class Pending:
    """What was seen of a file that isn't handed over yet."""

    #: When it, or what is known of it, changed last.
    changed_at: float
    #: When it is to be looked at.
    look_at: float
    signature: Signature | None = None
    #: Somebody wrote to it, and nothing was heard of a close.
    is_unclosed: bool = False
    #: It was seen to change, and nothing was heard of a close.
    is_growing: bool = False
    #: Somebody had it open for writing at the last look.
    is_open: bool = False
    #: Who had it open for writing, if that is known.
    writer: int | None = None


class Settler:
    """The files of one monitor."""

    def __init__(self, settle: float, known: dict[bytes, Signature] | None = None) -> None:
        #: Seconds without a change after which a file is ready.
        self.settle = settle
        self.known: dict[bytes, Signature] = known or {}
        self.pending: dict[bytes, Pending] = {}
        #: Known files that are gone; the ledger is to forget them.
        self.forgotten: set[bytes] = set()
        #: Known files whose times were set since they were handed over; the ledger is to know.
        self.renewed: dict[bytes, Signature] = {}
        #: Known files whose times were set and that are to be looked at for that; of each whether
        #: it was closed since.
        self.touching: dict[bytes, bool] = {}
        #: Those that were looked at and not closed yet: the signatures they then had.
        self._touched: dict[bytes, Signature] = {}
        #: The pending files that are ready, in the order in which they became it, and when.
        self._ready: dict[bytes, float] = {}
        #: Those that aren't, since somebody has them open for writing.
        self._open: set[bytes] = set()
        #: When pending files are to be looked at: of each its moment or an earlier one.
        self._looks: list[tuple[float, bytes]] = []

    def change_settle(self, settle: float, now: float) -> None:
        """Another settle time; it holds for the files that are pending, too."""
        self.settle = settle
        for path, entry in self.pending.items():
            self._look_at(path, entry, min(entry.look_at, max(now, entry.changed_at + settle)))

    # What is seen

    def seen(self, path: bytes, signature: Signature, now: float) -> None:
        """A scan has found this file."""
        entry = self.pending.get(path)
        if entry is None:
            if self.known.get(path) != signature and path not in self.touching:
                self._add(path, Pending(now, now + self.settle, signature))
        elif entry.signature != signature:
            self._differs(path, entry, signature, now)

    def event(self, path: bytes, event: Event, now: float) -> None:
        """The kernel tells of a file; it is to be looked at, whatever its signature."""
        if event is Event.LEFT:
            self._left(path, now)
        elif event is Event.TOUCHED:
            if path in self.known and path not in self.pending:
                self.touching.setdefault(path, False)
        elif event is not Event.CLOSED or not self._ends_touching(path):
            self._changes(path, event, now)

    def _add(self, path: bytes, entry: Pending) -> None:
        self.pending[path] = entry
        heapq.heappush(self._looks, (entry.look_at, path))

    def _changes(self, path: bytes, event: Event, now: float) -> None:
        self.touching.pop(path, None)
        entry = self.pending.get(path)
        if entry is None:
            self._add(path, entry := Pending(now, now))
        if event is not Event.WRITTEN:
            entry.signature = None  # what it is now is seen at once, and not after the settle time
        self._settles(path, entry, now, now if entry.signature is None else now + self.settle)
        entry.is_unclosed = event is Event.WRITTEN
        entry.is_growing = entry.is_unclosed and entry.signature is not None

    def _left(self, path: bytes, now: float) -> None:
        """A look has to show it: of two files that changed places each has left, and is there."""
        entry = self.pending.get(path)
        if entry is None and path in self.known:
            self._add(path, entry := Pending(now, now))
        if entry is not None:
            self._settles(path, entry, now, now)

    def _differs(self, path: bytes, entry: Pending, signature: Signature, now: float) -> None:
        is_first, entry.signature = entry.signature is None, signature
        entry.is_growing = not is_first
        if is_first and now <= entry.changed_at + self.settle * AT_ONCE:
            self._look_at(path, entry, entry.changed_at + self.settle)
        else:
            self._settles(path, entry, now, now + self.settle)

    def _settles(self, path: bytes, entry: Pending, now: float, look_at: float) -> None:
        """It settles from now on."""
        entry.changed_at, entry.is_open, entry.writer = now, False, None
        self._look_at(path, entry, look_at)
        self._ready.pop(path, None)
        self._open.discard(path)

    def _look_at(self, path: bytes, entry: Pending, at: float) -> None:
        if at < entry.look_at:
            heapq.heappush(self._looks, (at, path))
        entry.look_at = at

    def _ends_touching(self, path: bytes) -> bool:
        """Whether this close comes of the setting of times; there is one such close."""
        if path in self.touching:
            self.touching[path] = True
            return True
        touched = self._touched.pop(path, None)
        return touched is not None and touched == self.known.get(path)

    def touched(self, path: bytes, signature: Signature | None, now: float, started: float) -> None:
        """What a look at a file showed whose times were set: a known one stays known."""
        is_closed, known = self.touching.pop(path, False), self.known.get(path)
        if signature is None:
            self._was_missing(path, now, started)
        elif known is None or path in self.pending:
            return
        elif known != signature and known[:2] == signature[:2]:
            self.known[path] = self.renewed[path] = signature
            if not is_closed:
                self._touched[path] = signature
        elif is_closed:
            self._changes(path, Event.CLOSED, now)
        else:
            self.seen(path, signature, now)

    def gone(self, path: bytes) -> None:
        """The file isn't there any more; should it come again, it is a new one."""
        self._remove(path)
        if self.known.pop(path, None) is not None:
            self.forgotten.add(path)
        self.renewed.pop(path, None)
        self._touched.pop(path, None)
        self.touching.pop(path, None)

    def _was_missing(self, path: bytes, now: float, started: float) -> None:
        """A look didn't find it; it may have come since that began."""
        if self._came_since(path, started):
            self._look_at(path, self.pending[path], now)
        else:
            self.gone(path)

    def _came_since(self, path: bytes, started: float) -> bool:
        return path in self.pending and self.pending[path].changed_at >= started

    def _remove(self, path: bytes) -> None:
        self.pending.pop(path, None)
        self._ready.pop(path, None)
        self._open.discard(path)

    def only(self, present: Container[bytes], started: float) -> None:
        """A complete scan found these and no others.

        What changed after the scan had started it may not have seen.
        """
        missing = [path for path in self.known if path not in present]
        missing += [path for path in self.pending if path not in present]
        for path in missing:
            if not self._came_since(path, started):
                self.gone(path)

    def postpone(self, path: bytes, now: float) -> None:
        """A pending file couldn't be looked at."""
        if entry := self.pending.get(path):
            self._look_at(path, entry, now + LOOK_AGAIN)

    def looked(
        self,
        path: bytes,
        signature: Signature | None,
        is_open: bool | None,
        now: float,
        started: float,
    ) -> None:
        """What a look at a pending file showed.

        Args:
            path: the file.
            signature: None if the file is gone.
            is_open: whether somebody has it open for writing; None if that can't be told.
            now: the moment.
            started: when the look began.
        """
        entry = self.pending.get(path)
        if entry is None:
            return
        if signature is None:
            self._was_missing(path, now, started)
        elif entry.signature != signature:
            self._differs(path, entry, signature, now)
        elif now < entry.changed_at + self.settle:
            self._look_at(path, entry, entry.changed_at + self.settle)
        else:
            self._settled(path, entry, entry.is_unclosed if is_open is None else is_open, now)

    def _settled(self, path: bytes, entry: Pending, is_open: bool, now: float) -> None:
        entry.is_open = is_open
        pause = min(max(LOOK_AGAIN, LOOK_PART * (now - entry.changed_at)), LATEST_LOOK)
        taken_at = entry.changed_at + LONGEST_OPEN
        is_held = is_open and now < taken_at
        self._look_at(path, entry, min(now + pause, taken_at) if is_held else now + pause)
        if is_held:
            self._ready.pop(path, None)
            self._open.add(path)
        else:
            self._open.discard(path)
            self._ready.setdefault(path, now)

    def written_by(self, writers: dict[bytes, int]) -> None:
        """Who has pending files open for writing, as far as somebody could tell."""
        for path in self._open:
            self.pending[path].writer = writers.get(path)

    # What follows

    def to_look_at(self, now: float) -> list[bytes]:
        """The pending files that are to be looked at by now."""
        found: set[bytes] = set()
        while (at := self.next_look_at()) is not None and at <= now:
            found.add(heapq.heappop(self._looks)[1])
        # What is asked for again before it was looked at is not forgotten.
        for path in found:
            heapq.heappush(self._looks, (self.pending[path].look_at, path))
        return list(found)

    def next_look_at(self) -> float | None:
        """When the next file is to be looked at; None if none is."""
        while self._looks:
            at, path = self._looks[0]
            entry = self.pending.get(path)
            if entry is None:
                heapq.heappop(self._looks)
            elif entry.look_at > at:
                heapq.heapreplace(self._looks, (entry.look_at, path))
            else:
                return at
        return None

    def request_at(self, now: float) -> float | None:
        """When the ready files are to be handed over; None while that can't be said."""
        first = next(iter(self._ready.values()), None)
        if first is None:
            return None
        return first + LONGEST_BURST if self._more_settle() else now

    def _more_settle(self) -> bool:
        """One that stays open holds up nobody."""
        return len(self._ready) + len(self._open) < len(self.pending)

    def confirm(self, now: float) -> None:
        """The files that are ready have waited in vain: each is so only once it is looked at."""
        for path in self._ready:
            self._look_at(path, self.pending[path], now)
        self._ready.clear()

    def ready(self) -> dict[bytes, Signature]:
        """The files that are ready, with what they were when they became it."""
        found = ((path, self.pending[path].signature) for path in self._ready)
        return {path: signature for path, signature in found if signature is not None}

    def queued(self, files: dict[bytes, Signature]) -> None:
        """The Job was queued for these; those that changed meanwhile stay pending."""
        for path, signature in files.items():
            if path not in self.pending:  # it is gone meanwhile
                self.forgotten.add(path)
                continue
            self.known[path] = signature
            self.forgotten.discard(path)
            self.renewed.pop(path, None)
            if path in self._ready and self.pending[path].signature == signature:
                self._remove(path)

    def held(self, most: int) -> list[bytes]:
        """Some of the files that wait because somebody has them open for writing."""
        return list(islice(self._open, most))

    def open_count(self) -> int:
        """How many files wait for that."""
        return len(self._open)

    def writers(self) -> set[int]:
        """Who has them open, as far as that is known."""
        return {pid for path in self._open if (pid := self.pending[path].writer) is not None}

    def reasons(self) -> dict[Reason, list[bytes]]:
        """The pending files by what they wait for; reasons that hold for none are left out."""
        found: dict[Reason, list[bytes]] = {reason: [] for reason in Reason}
        for path, entry in self.pending.items():
            if path in self._ready:
                found[Reason.READY].append(path)
            elif path in self._open:
                found[Reason.OPEN].append(path)
            else:
                found[Reason.GROWING if entry.is_growing else Reason.SETTLING].append(path)
        return {reason: paths for reason, paths in found.items() if paths}
