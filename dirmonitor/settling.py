"""When a file is ready: pure rules on what was seen of it, and when.

A file is *pending* from when it is new or changed until it is *ready*: its signature was the same
and no event came for the settle time, and nobody has it open for writing. It is *known* only
after its Job was queued. Moments are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

#: Inode, size in bytes, time of the last change in nanoseconds.
Signature = tuple[int, int, int]

#: While more files settle, those that are ready wait so long at most.
LONGEST_BURST = 10.0
#: A file that stays open for writing without a change is taken after so long, with a warning.
LONGEST_OPEN = 15 * 60.0
#: How often a file is looked at again that is open for writing, and one that is ready.
LOOK_AGAIN = 1.0


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


@dataclass(slots=True)
class Pending:
    """What was seen of a file that isn't handed over yet."""

    #: When it, or what is known of it, changed last.
    changed_at: float
    #: When it is to be looked at.
    look_at: float
    signature: Signature | None = None
    ready_at: float | None = None
    #: Somebody wrote to it, and nothing was heard of a close.
    is_unclosed: bool = False
    #: Somebody had it open for writing at the last look.
    is_open: bool = False

    def changed(self, now: float, look_at: float) -> None:
        """It settles from now on."""
        self.changed_at, self.look_at = now, look_at
        self.ready_at, self.is_open = None, False


class Settler:
    """The files of one monitor."""

    def __init__(self, settle: float, known: dict[bytes, Signature] | None = None) -> None:
        #: Seconds without a change after which a file is ready.
        self.settle = settle
        self.known: dict[bytes, Signature] = known or {}
        self.pending: dict[bytes, Pending] = {}
        #: Known files that are gone; the ledger is to forget them.
        self.forgotten: set[bytes] = set()
        #: Known files whose times were set and that are to be looked at for that; of each whether
        #: it was closed since.
        self.touching: dict[bytes, bool] = {}
        #: Those that were looked at and not closed yet: the signatures they then had.
        self._touched: dict[bytes, Signature] = {}

    # What is seen

    def seen(self, path: bytes, signature: Signature, now: float) -> None:
        """A scan has found this file."""
        entry = self.pending.get(path)
        if entry is None:
            if self.known.get(path) != signature:
                self.pending[path] = Pending(now, now + self.settle, signature)
        elif entry.signature != signature:
            entry.signature = signature
            entry.changed(now, now + self.settle)

    def event(self, path: bytes, event: Event, now: float) -> None:
        """The kernel tells of a file; it is to be looked at, whatever its signature."""
        if event is Event.LEFT:
            self.gone(path)
        elif event is Event.TOUCHED:
            if path in self.known and path not in self.pending:
                self.touching.setdefault(path, False)
        elif event is not Event.CLOSED or not self._ends_touching(path):
            self._changes(path, event, now)

    def _changes(self, path: bytes, event: Event, now: float) -> None:
        self.touching.pop(path, None)
        entry = self.pending.setdefault(path, Pending(now, now))
        entry.changed(now, now if entry.signature is None else now + self.settle)
        entry.is_unclosed = event is Event.WRITTEN

    def _ends_touching(self, path: bytes) -> bool:
        """Whether this close comes of the setting of times; there is one such close."""
        if path in self.touching:
            self.touching[path] = True
            return True
        touched = self._touched.pop(path, None)
        return touched is not None and touched == self.known.get(path)

    def touched(self, path: bytes, signature: Signature | None, now: float) -> None:
        """What a look at a file showed whose times were set: a known one stays known."""
        is_closed, known = self.touching.pop(path, False), self.known.get(path)
        if signature is None:
            self.gone(path)
        elif known is None or path in self.pending:
            return
        elif known != signature and known[:2] == signature[:2]:
            self.known[path] = signature
            if not is_closed:
                self._touched[path] = signature
        elif is_closed:
            self._changes(path, Event.CLOSED, now)
        else:
            self.seen(path, signature, now)

    def gone(self, path: bytes) -> None:
        """The file isn't there any more; should it come again, it is a new one."""
        self.pending.pop(path, None)
        if self.known.pop(path, None) is not None:
            self.forgotten.add(path)
        self._touched.pop(path, None)
        self.touching.pop(path, None)

    def only(self, present: Container[bytes], started: float) -> None:
        """A complete scan found these and no others.

        What changed after the scan had started it may not have seen.
        """
        missing = {path for path in (*self.known, *self.pending) if path not in present}
        for path in missing:
            if path not in self.pending or self.pending[path].changed_at < started:
                self.gone(path)

    def postpone(self, path: bytes, now: float) -> None:
        """A pending file couldn't be looked at."""
        if entry := self.pending.get(path):
            entry.look_at = now + LOOK_AGAIN

    def looked(
        self, path: bytes, signature: Signature | None, is_open: bool | None, now: float
    ) -> None:
        """What a look at a pending file showed.

        Args:
            signature: None if the file is gone.
            is_open: whether somebody has it open for writing; None if that can't be told.
        """
        entry = self.pending.get(path)
        if entry is None:
            return
        if signature is None:
            self.gone(path)
        elif entry.signature != signature:
            entry.signature = signature
            entry.changed(now, now + self.settle)
        elif now < entry.changed_at + self.settle:
            entry.look_at = entry.changed_at + self.settle
        else:
            self._settled(entry, entry.is_unclosed if is_open is None else is_open, now)

    def _settled(self, entry: Pending, is_open: bool, now: float) -> None:
        entry.is_open, entry.look_at = is_open, now + LOOK_AGAIN
        if is_open and now < entry.changed_at + LONGEST_OPEN:
            entry.ready_at = None
        elif entry.ready_at is None:
            entry.ready_at = now

    # What follows

    def to_look_at(self, now: float) -> list[bytes]:
        """The pending files that are to be looked at by now."""
        return [path for path, entry in self.pending.items() if entry.look_at <= now]

    def next_look_at(self) -> float | None:
        """When the next file is to be looked at; None if none is."""
        return min((entry.look_at for entry in self.pending.values()), default=None)

    def request_at(self, now: float) -> float | None:
        """When the ready files are to be handed over; None while that can't be said."""
        ready = [e.ready_at for e in self.pending.values() if e.ready_at is not None]
        if not ready:
            return None
        return now if not self._more_settle() else min(ready) + LONGEST_BURST

    def _more_settle(self) -> bool:
        """One that stays open holds up nobody."""
        return any(e.ready_at is None and not e.is_open for e in self.pending.values())

    def ready(self) -> dict[bytes, Signature]:
        """The files that are ready, with what they were when they became it."""
        return {
            path: entry.signature
            for path, entry in self.pending.items()
            if entry.ready_at is not None and entry.signature is not None
        }

    def queued(self, files: dict[bytes, Signature]) -> None:
        """The Job was queued for these; those that changed meanwhile stay pending."""
        for path, signature in files.items():
            self.known[path] = signature
            self.forgotten.discard(path)
            entry = self.pending.get(path)
            if entry is not None and entry.ready_at is not None and entry.signature == signature:
                del self.pending[path]

    def counts(self) -> dict[str, int]:
        """How many files are pending for which reason; reasons that hold for none are left out."""
        found = {"ready": 0, "open for writing": 0, "settling": 0}
        for entry in self.pending.values():
            if entry.ready_at is not None:
                found["ready"] += 1
            else:
                found["open for writing" if entry.is_open else "settling"] += 1
        return {reason: count for reason, count in found.items() if count}
