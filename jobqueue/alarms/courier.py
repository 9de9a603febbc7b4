"""The thread in a worker that judges what has ended, tells what has changed, and has it sent.

It shares nothing with the main thread, which runs jobs, nor with the clock: a receiver that is slow
or dead holds up what else goes there, and no job. Several workers do the same side by side; what
one has judged, told or taken, another doesn't find any more.
"""

from __future__ import annotations

import logging
import multiprocessing.util
import threading
import time
from datetime import datetime
from typing import NamedTuple

from django.db import connections, router
from django.utils import timezone

from ..models import Alarm, Execution, Message
from . import judging, outbox, pings, service, telling
from .sending import Sending

log = logging.getLogger(__name__)

#: Seconds between two looks when there was nothing to do.
LOOK = 2.0
#: Seconds between two looks at the service itself, and for messages that may be forgotten.
ROUND = 60.0
#: Seconds that the end of a worker waits for the last look; in the first half messages are sent.
LAST_LOOK = 6.0

#: One question for all, answered by indexes that hold hardly more than what is asked for.
_TO_DO = (
    f"SELECT EXISTS (SELECT 1 FROM {Execution._meta.db_table} WHERE unjudged IS NOT NULL), "
    f"EXISTS (SELECT 1 FROM {Alarm._meta.db_table} WHERE tell_at <= %s), "
    f"EXISTS (SELECT 1 FROM {Message._meta.db_table} WHERE due_at <= %s), "
    f"{pings.IS_STARTED}"
)


class ToDo(NamedTuple):
    """What there is to do."""

    #: A run is to be judged.
    ended: bool
    #: An alarm is to be told.
    changed: bool
    #: A message is to be sent.
    due: bool
    #: The start of a run is to be told.
    started: bool


class Courier(threading.Thread):
    """One in each worker."""

    def __init__(self) -> None:
        super().__init__(name="jobqueue courier", daemon=True)
        self._is_over = threading.Event()
        self._sending = Sending()
        self._watch = service.Watch()
        self._next_round = time.monotonic() + ROUND

    def run(self) -> None:
        """Look until the worker ends, and once after its last run."""
        multiprocessing.util.Finalize(None, self._say_goodbye, exitpriority=2)
        is_last = False
        while not is_last:
            is_last = self._is_over.is_set()
            is_idle = not self._try()
            _let_go()
            if is_idle:
                self._is_over.wait(LOOK)
        self._sending.join(LAST_LOOK)

    def _try(self) -> bool:
        try:
            return self.look(timezone.now())
        except Exception as error:  # the database may be away; the next look tries again
            log.warning("courier: %s", error, extra={"event": "courier.failed"})
            connections.close_all()
            return False

    def look(self, now: datetime) -> bool:
        """One look; whether more is left to do at once.

        While runs end one after another, it has a rest between two looks all the same: its
        transactions and those of the queue want the same lock.
        """
        found = to_do(now)
        is_more = False
        if found.started:
            pings.tell_starts(now)
        if found.ended:
            is_more = judging.judge(now)
        if found.ended or found.started:
            found = to_do(now)
        if found.changed:
            telling.tell(now)
        if found.due or found.changed:
            self._sending.start(timezone.now())
        if time.monotonic() >= self._next_round:
            self._next_round = time.monotonic() + ROUND
            self._watch.look(now)
            outbox.forget(now)
        return is_more

    def _say_goodbye(self) -> None:
        """What it can't do any more, the next one finds."""
        self._sending.ends_at = time.monotonic() + LAST_LOOK / 2
        self._is_over.set()
        self.join(LAST_LOOK)


def _let_go() -> None:
    """On SQLite, keep no connection at rest.

    All connections of a process share how the first one found the file: one that was opened while
    that was read-only keeps the others from writing for as long as it is open.
    """
    connection = connections[router.db_for_write(Execution)]
    if connection.vendor == "sqlite":
        connection.close()


def to_do(now: datetime) -> ToDo:
    """What is to be done now."""
    connection = connections[router.db_for_write(Execution)]
    at = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_TO_DO, [at, at])
        return ToDo(*map(bool, cursor.fetchone()))
