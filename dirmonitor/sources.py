"""All that the service waits for: events, looks, requests that are being made, mounts.

Whatever touches a watched file system, and what may take the database long, is done by threads.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from django.db import connections

from .dispatch import Answer
from .looker import Lookers
from .looking import Glance, Order, Seen, Threads, glance, look
from .mounts import Mounts
from .watching import Hint, Watcher

#: Seconds from one change of mounts to the next that is looked at.
_MOUNTS_EVERY = 1.0
#: Seconds that events have to gather.
_GATHER = 0.005
#: Seconds that a request may take when the service ends.
_PATIENCE = 1.0


class Sources:
    """Everything is asked for here, and told by what has the same name in the past tense."""

    def __init__(self) -> None:
        self._watcher, self._lookers = Watcher(), Lookers()
        self._mountinfo = open("/proc/self/mountinfo", "rb")  # noqa: SIM115 (until the end)
        self._mounts_at, self._have_mounts_changed = 0.0, False
        self.mounts = Mounts(self._mountinfo.read())
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._local: Threads[int, Seen] = Threads(self._wake)
        self._shares: Threads[int, Seen] = Threads(self._wake)
        self._glances: Threads[None, Glance] = Threads(self._wake)
        self._requests: Threads[int, Answer] = Threads(self._wake, connections.close_all)

    def look(self, order: Order) -> None:
        """Have an order carried out."""
        if order.share:
            self._watcher.keep_only(order.monitor, ())
            self._shares.submit(order.monitor, partial(self._lookers.look, order))
        else:
            self._local.submit(order.monitor, partial(look, order, self._watcher))

    def looked(self) -> list[tuple[int, Seen]]:
        """The looks that have ended since the last time, with their monitors."""
        return [*self._local.finished(), *self._shares.finished()]

    def glance(self, at: Glance) -> None:
        """Have paths looked at in one go."""
        self._glances.submit(None, partial(glance, at))

    def glanced(self) -> list[Glance]:
        """Those of which all paths were looked at."""
        return [done for _, done in self._glances.finished()]

    def ask(self, monitor: int, asking: Callable[[], Answer]) -> None:
        """Have a request made."""
        self._requests.submit(monitor, asking)

    def asked(self) -> Iterator[tuple[int, Answer]]:
        """What became of requests, with their monitors."""
        return self._requests.finished()

    def hints(self) -> Iterator[Hint]:
        """What happened in the watched directories."""
        return self._watcher.read()

    def unwatch(self, monitor: int) -> None:
        """Watch nothing any more for a monitor."""
        self._watcher.keep_only(monitor, ())

    def mounted(self, now: float) -> bool:
        """Whether mounts have changed; then they were read again."""
        if not self._have_mounts_changed:
            return False
        self._have_mounts_changed, self._mounts_at = False, now + _MOUNTS_EVERY
        self._mountinfo.seek(0)
        self.mounts = Mounts(self._mountinfo.read())
        return True

    def notify(self) -> None:
        """End the wait that goes on, or the next one."""
        os.eventfd_write(self._wake, 1)

    def wait(self, moments: Iterable[float]) -> None:
        """Until something can be told, or the first of these moments has come."""
        now = time.monotonic()
        pools = (self._local, self._shares, self._glances, self._requests)
        waits = [wait for pool in pools if (wait := pool.attend()) is not None]
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if now >= self._mounts_at:
            poll.register(self._mountinfo, select.POLLPRI)
        if (descriptor := self._watcher.fileno()) is not None:
            poll.register(descriptor, select.POLLIN)
        heard = dict(poll.poll(1000 * max(0.0, min([min(moments) - now, *waits]))))
        if descriptor in heard:
            time.sleep(_GATHER)
        # It is told only once.
        self._have_mounts_changed |= self._mountinfo.fileno() in heard
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def finish(self) -> None:
        """Ask no more; a request that isn't through in time is rolled back."""
        self._requests.end(_PATIENCE)

    def close(self) -> None:
        """Look no more."""
        self._lookers.kill()
        for pool in (self._local, self._shares, self._glances):
            pool.end(0)
        self._watcher.close()
        self._mountinfo.close()
