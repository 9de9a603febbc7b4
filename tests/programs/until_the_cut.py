"""Does one thing with the queue, says the number of the execution, and stays until it's killed.

A connection that stays open keeps SQLite from moving everything to its place on the disk, as it
does when the last one is closed.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from itertools import count

import django

django.setup()

from django.db import transaction  # noqa: E402

from jobqueue import queue  # noqa: E402
from jobqueue.api import enqueue  # noqa: E402
from jobqueue.models import Execution  # noqa: E402


def ask() -> None:
    """A request on its own."""
    _say(enqueue(["true", "asked"]).execution)


def ask_in_a_transaction() -> None:
    """A request that takes effect at a commit."""
    with transaction.atomic():
        execution = enqueue(["true", "asked"]).execution
    _say(execution)


def ask_while_relaxed() -> None:
    """A request between the claims of a turn, on the same connection."""
    with queue.relaxed():
        queue.claim("default")
        execution = enqueue(["true", "asked"]).execution
        queue.claim("another")
    _say(execution)


def promote_while_relaxed() -> None:
    """The same request again, more urgent."""
    with queue.relaxed():
        _say(enqueue(["true", "asked"], priority=1).execution)


def claim() -> None:
    """A claim, as a turn makes it."""
    with queue.relaxed():
        execution = queue.claim("default")
    assert execution is not None
    _say(execution)


def end_with_a_retry() -> None:
    """An end of bots-engine that found another one, as a turn stores it; names what waits."""
    with queue.relaxed():
        execution = queue.claim("default")
        assert execution is not None
        end = queue.End(state="failed", return_code=3, again_after=timedelta(hours=1))
        queue.finish_and_claim(execution, end)
    _say(Execution.objects.waiting().get())


def ask_for_ever() -> None:
    """One request after another."""
    for number in count():
        _say(enqueue(["true", f"{os.getpid()}-{number}"]).execution)


def _say(execution: Execution) -> None:
    os.write(1, f"{execution.pk}\n".encode())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    signal.pause()
