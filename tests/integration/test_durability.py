"""What a database server has on its disk when a request is confirmed.

Asked from the server's own log: up to where it is written, and up to where it is on the disk. The
power cuts of ``tests/crashes`` are the same for SQLite.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count

import pytest
from django.db import connection, transaction

from jobqueue import queue
from jobqueue.api import enqueue
from tests.builders import a_command, a_job, a_run, a_waiting, an_end

pytestmark = pytest.mark.django_db(transaction=True)

_WRITTEN = {
    "postgresql": "SELECT pg_current_wal_insert_lsn() - '0/0'",
    "mysql": "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'",
}
_ON_DISK = {
    "postgresql": "SELECT pg_current_wal_flush_lsn() - '0/0'",
    "mysql": "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_flushed'",
}


@pytest.fixture(autouse=True)
def a_server() -> None:
    if connection.vendor not in _WRITTEN:
        pytest.skip("SQLite is no server: see tests/crashes/test_power_cut.py")


def asked(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[-1])


def written() -> int:
    """The end of the server's log, in bytes since its beginning."""
    return int(asked(_WRITTEN[connection.vendor]))


def on_disk() -> int:
    """The end of that part of it which survives a power cut."""
    return int(asked(_ON_DISK[connection.vendor]))


def is_durable(commit: Callable[[], object]) -> bool:
    """Whether more than what was written before this commit is on the disk after it."""
    before = written()
    commit()
    return on_disk() > before


_numbers = count()


def a_queue() -> str:
    """The name of one that has its row."""
    name = f"queue-{next(_numbers)}"
    assert queue.claim(name) is None
    return name


def claim() -> None:
    a_run(queue=a_queue())


def claim_in_vain() -> None:
    a_queue()


def finish_and_claim() -> None:
    name = a_queue()
    ended, following = a_run(queue=name), a_waiting(queue=name)
    assert queue.finish_and_claim(ended, an_end()) == following


def finish_and_queue_again() -> None:
    end = an_end(state="failed", again_after=timedelta(1))
    queue.finish_and_claim(a_run(queue=a_queue()), end)


@pytest.mark.parametrize("step", [claim, claim_in_vain, finish_and_claim, finish_and_queue_again])
class TestBetweenTheStepsOfATurn:
    """What a turn need not have on the disk never becomes the rule for its connection."""

    def test_a_request_is_durable(self, step: Callable[[], None]) -> None:
        with queue.relaxed():
            for _ in range(5):
                step()
                assert is_durable(lambda: enqueue(a_command(), queue="asked"))

    def test_a_request_in_a_transaction_is_durable(self, step: Callable[[], None]) -> None:
        with queue.relaxed():
            step()
            with transaction.atomic():
                enqueue(a_command())
                before_the_commit = written()
            assert on_disk() > before_the_commit

    def test_the_session_is_as_it_was(self, step: Callable[[], None]) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("a session of MariaDB can't say how durable its commits are")
        before = asked("SHOW synchronous_commit")
        with queue.relaxed():
            step()
            assert asked("SHOW synchronous_commit") == before


def test_a_claim_that_must_not_be_repeated_is_durable() -> None:
    for _ in range(5):
        name = a_queue()
        a_waiting(a_job(rerun_if_lost=False), queue=name)
        with queue.relaxed():
            assert is_durable(partial(queue.claim, name))


def test_it_would_be_noticed() -> None:
    """A commit that doesn't wait for the disk is seen as one, unless another one was faster."""
    if connection.vendor != "postgresql":
        pytest.skip("a session of MariaDB can't say how durable its commits are")
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        try:
            seen = [is_durable(lambda: enqueue(a_command())) for _ in range(50)]
        finally:
            cursor.execute("RESET synchronous_commit")
    assert not all(seen)


def test_other_claims_need_not_be_durable() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("a session of MariaDB can't say how durable its commits are")
    seen = []
    for _ in range(50):
        name = a_queue()
        a_waiting(queue=name)
        with queue.relaxed():
            seen.append(is_durable(partial(queue.claim, name)))
    assert not all(seen)
