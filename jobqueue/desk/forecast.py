"""When what waits in a queue will start, by how long the same has taken before.

Pure: the present, what runs, what waits and what will be asked for go in; nothing is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low

#: A start so near is no time that is worth telling.
SOON = timedelta(seconds=5)
_ZERO = timedelta()


@dataclass(frozen=True)
class Work:
    """A request that waits, or one that will be made."""

    #: What the caller knows it by; no two have the same.
    key: Hashable
    #: Two requests of which this is equal are the same: only one of them waits.
    same: Hashable
    priority: int
    #: When it was queued, or will be.
    arrives_at: datetime
    #: Where two arrive at once, the lower one goes first.
    number: int = 0
    not_before: datetime | None = None
    #: How long it will take; None if that isn't known.
    takes: timedelta | None = None
    #: Whether a request for the same lets it start before its time.
    starts_when_asked: bool = False


@dataclass(frozen=True)
class Running:
    """What runs now."""

    key: Hashable
    #: How long it will still take; None if that isn't known.
    rest: timedelta | None = None


@dataclass(frozen=True)
class Place:
    """What will become of a request."""

    #: None if it won't start: the queue is paused for good, or the same one waits already.
    starts_at: datetime | None
    #: None if that isn't known.
    ends_at: datetime | None = None
    #: The start may be later: something before it takes nobody knows how long.
    is_earliest: bool = False
    #: The key of what it has to wait for.
    behind: Hashable = None
    #: The key of the same request that will be waiting already, and serve both.
    served_by: Hashable = None


@dataclass(frozen=True)
class Forecast:
    """Of one queue."""

    #: By key, in the order in which they start; those that don't at the end.
    places: dict[Hashable, Place]
    #: When the one that runs ends; None if nothing does, or that isn't known.
    ends_at: datetime | None


def usual(durations: Sequence[timedelta]) -> timedelta | None:
    """The median, the lower one of two; None without any."""
    return median_low(durations) if durations else None


def rest(durations: Sequence[timedelta], elapsed: timedelta) -> timedelta | None:
    """How long a run still takes: the median of the ones that took longer than this has so far.

    None when none did: it takes longer than ever.
    """
    longer = [duration for duration in durations if duration > elapsed]
    return median_low(longer) - elapsed if longer else None


def forecast(
    now: datetime,
    running: Running | None,
    waiting: Iterable[Work],
    coming: Iterable[Work] = (),
    *,
    is_paused: bool = False,
    paused_until: datetime | None = None,
    is_shared: bool = False,
) -> Forecast:
    """Play the queue from now on until all that is given has started.

    `coming` are requests that will be made, later than now. A pause without an end is for good.
    What runs may be in another queue that has the only worker. Where more queues want
    a worker than there are (`is_shared`), each start may be later.
    """
    if is_paused and paused_until is None:
        line = sorted(waiting, key=_order)
        return Forecast({work.key: Place(None) for work in line}, _ends_at(now, running))
    play = _Play(now, running, coming, is_shared)
    for work in waiting:
        play.admit(work)
    if is_paused and paused_until is not None:
        play.hold(paused_until)
    while play.step():
        pass
    return Forecast({**play.places, **play.served}, _ends_at(now, running))


def load(coming: Iterable[Work], length: timedelta) -> float:
    """What share of a time the requests that are made in it will take; over 1 is too much.

    One of which nobody knows how long it takes counts for nothing.
    """
    taken = sum((work.takes or _ZERO for work in coming), _ZERO)
    return taken / length if length > _ZERO else 0.0


def _order(work: Work) -> tuple[int, datetime, int]:
    return (work.priority, work.arrives_at, work.number)


def _ends_at(now: datetime, running: Running | None) -> datetime | None:
    return None if running is None or running.rest is None else now + running.rest


class _Play:
    """A queue at a moment that moves on from start to start."""

    def __init__(
        self, now: datetime, running: Running | None, coming: Iterable[Work], is_shared: bool
    ) -> None:
        self.places: dict[Hashable, Place] = {}
        self.served: dict[Hashable, Place] = {}
        #: From when on something can start, and after what.
        self._free_at = _ends_at(now, running) or now
        self._after = running.key if running else None
        self._is_earliest = is_shared or (running is not None and running.rest is None)
        self._coming = sorted(coming, key=lambda work: (work.arrives_at, *_order(work)))
        self._coming.reverse()
        #: What waits, by what makes it the same; the heaps have entries that are over as well.
        self._waiting: dict[Hashable, tuple[int, Work]] = {}
        self._ready: list[tuple[int, datetime, int, int, Work]] = []
        self._delayed: list[tuple[datetime, int, Work]] = []
        self._count = 0

    def hold(self, until: datetime) -> None:
        """Nothing starts before."""
        if until > self._free_at:
            self._free_at, self._after = until, None

    def admit(self, work: Work) -> None:
        """Let it wait, unless the same one does; that moves forward if this one is better."""
        priority, first = self._waiting.get(work.same, (work.priority, work))
        if first is not work:
            self.served[work.key] = Place(None, served_by=first.key)
            if work.priority >= priority and not first.starts_when_asked:
                return
        self._waiting[work.same] = (min(work.priority, priority), first)
        is_asked = first is not work and first.starts_when_asked
        if first.not_before is not None and first.not_before > self._free_at and not is_asked:
            heapq.heappush(self._delayed, (first.not_before, self._next(), first))
        else:
            self._be_ready(first)

    def step(self) -> bool:
        """Start the best one, or go on to where there is one; False when nothing is left."""
        self._catch_up()
        while self._ready:
            priority, _, _, _, work = heapq.heappop(self._ready)
            if self._waiting.get(work.same) == (priority, work):
                del self._waiting[work.same]
                self._start(work)
                return True
        moments = [self._coming[-1].arrives_at] if self._coming else []
        moments += [self._delayed[0][0]] if self._delayed else []
        if not moments:
            return False
        self._free_at, self._after = max(self._free_at, min(moments)), None
        return True

    def _catch_up(self) -> None:
        """What has come, or may start, by the moment at which something can."""
        while self._coming and self._coming[-1].arrives_at <= self._free_at:
            self.admit(self._coming.pop())
        while self._delayed and self._delayed[0][0] <= self._free_at:
            self._be_ready(heapq.heappop(self._delayed)[-1])

    def _be_ready(self, work: Work) -> None:
        if work.same in self._waiting:
            priority, first = self._waiting[work.same]
            if first is work:
                entry = (priority, work.arrives_at, work.number, self._next(), work)
                heapq.heappush(self._ready, entry)

    def _start(self, work: Work) -> None:
        starts_at = self._free_at
        ends_at = None if work.takes is None else starts_at + work.takes
        self.places[work.key] = Place(starts_at, ends_at, self._is_earliest, self._after)
        self._is_earliest = self._is_earliest or ends_at is None
        self._free_at, self._after = ends_at or starts_at, work.key

    def _next(self) -> int:
        self._count += 1
        return self._count
