"""What a cluster does for its own upkeep now and then: lets go what is kept no longer.

A thread of its own does it, so that no schedule and no lease waits for it. One cluster of all sees
to the database, one worker of each place to the log files there; would more do so, no harm is done.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import IntegrityError, connections
from django.utils import timezone

from . import cluster, conf, launcher, log_files, retention, tallies
from .models import Cluster

if sys.platform != "win32":  # where no cluster runs
    import fcntl

log = logging.getLogger(__name__)

#: Seconds from the start of a worker to its first look, when a cluster that was killed just before
#: it counts as dead; between two looks at one place; after one that has failed.
FIRST, EVERY, AGAIN = 30.0, 3600.0, 60.0
#: Seconds after a step in which others have the database for themselves; a long step is followed by
#: so many times its own length.
PAUSE, SHARE = 0.05, 9
#: The tally of a Job that isn't there any more is forgotten after so long.
TALLIES = timedelta(days=90)


class Upkeep:
    """One in each worker."""

    def __init__(self) -> None:
        self._next = time.monotonic() + FIRST
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, now: float) -> None:
        """Begin if it's time, at this moment of the monotonic clock (seconds), and don't wait."""
        if now < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = now + EVERY
        self._thread = threading.Thread(target=self._run, name="jobqueue upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """After the step at hand."""
        self._is_over.set()

    def _run(self) -> None:
        try:
            fd = launcher.open_with_directory(str(conf.current().run_dir / "upkeep"), os.O_RDWR)
            try:
                if _is_due(fd):
                    keep_up(self._pause)
                    if not self._is_over.is_set():
                        os.pwrite(fd, b"\n", 0)
            finally:
                os.close(fd)
        except Exception as error:  # the database may be away, or the disk full
            log.warning("upkeep: %s", error, extra={"event": "upkeep.failed"})
            self._next = time.monotonic() + AGAIN
        finally:
            connections.close_all()

    def _pause(self, took: float) -> bool:
        return not self._is_over.wait(max(PAUSE, SHARE * took))


def keep_up(goes_on: Callable[[float], bool]) -> Counter[str]:
    """Let go all that is kept no longer: rows if this cluster is the one for them, files if here.

    Args:
        goes_on: asked after each step, which took so many seconds; may take its time.

    Returns:
        How many executions, outputs and files went.
    """
    done: Counter[str] = Counter()
    began = time.monotonic()
    now, is_first = timezone.now(), _is_first()
    if is_first:
        tallies.forget(now - TALLIES)
    for step in steps(now, with_rows=is_first):
        try:
            step.take()
        except IntegrityError as error:  # such as a host's row that protects what it points to
            log.warning(
                "upkeep: rows that can't be deleted are kept: %s",
                error,
                extra={"event": "upkeep.kept"},
            )
            continue
        done += step.counts
        if not goes_on(time.monotonic() - began):
            break
        began = time.monotonic()
    del done["size"]  # the files are told of, not their bytes
    if done:
        words = ", ".join(f"{count} {name}" for name, count in done.items())
        log.info("upkeep: deleted %s", words, extra={"event": "upkeep.deleted", **done})
    return done


def steps(
    now: datetime, days: int | None = None, *, with_rows: bool = True
) -> Iterator[retention.Step | log_files.Directory]:
    """All that may go at this moment: rows with their files, then the files that are left here.

    Args:
        days: instead of what the settings and the Jobs say, all that ended longer ago.
    """
    if with_rows:
        yield from retention.steps(now, days)
    yield from log_files.unneeded(now, days)


def _is_first() -> bool:
    """Whether this is the cluster that has served for longest."""
    serving = Cluster.objects.alive().filter(stopping_at=None)
    first = serving.order_by("started_at", "uuid").values_list("uuid").first()
    identity = cluster.identity()
    return identity is not None and first == (identity.uuid,)


def _is_due(fd: int) -> bool:
    """Whether nobody at this place is at it, or was lately; then this process is, by a lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    stat = os.fstat(fd)
    # An empty one was made just now; the clock may have been set back since the last time.
    return not stat.st_size or not 0 <= time.time() - stat.st_mtime < EVERY
