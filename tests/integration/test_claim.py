"""Choosing what runs next."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from jobqueue import owners, queue
from jobqueue.models import Codes, Execution, Queue, State
from tests.builders import a_job, a_request, a_run, a_waiting, an_end, an_ended

pytestmark = [pytest.mark.database, pytest.mark.django_db]

committed = pytest.mark.django_db(transaction=True)


def order(name: str = "default") -> list[Execution]:
    """All that is ready in a queue, in the order in which it would run."""
    claimed = []
    while (execution := queue.claim(name)) is not None:
        queue.finish(execution, an_end())
        claimed.append(execution)
    return claimed


class TestOrder:
    def test_the_best_priority_first(self) -> None:
        waiting = {priority: a_waiting(priority=priority) for priority in (5, 9, 1, 4, 6)}
        assert order() == [waiting[priority] for priority in (1, 4, 5, 6, 9)]

    def test_then_in_the_order_of_arrival(self) -> None:
        waiting = [a_waiting() for _ in range(5)]
        assert order() == waiting

    def test_arrival_is_a_time_not_a_number(self) -> None:
        later, earlier = a_waiting(), a_waiting()
        hour_ago = timezone.now() - timedelta(hours=1)
        Execution.objects.filter(pk=earlier.pk).update(queued_at=hour_ago)
        assert order() == [earlier, later]

    def test_in_the_same_instant_the_number_decides(self) -> None:
        waiting = [a_waiting() for _ in range(3)]
        Execution.objects.update(queued_at=timezone.now())
        assert order() == waiting

    def test_a_recovery_run_goes_before_all(self) -> None:
        first, recovery = a_waiting(priority=1), a_waiting(priority=9)
        Execution.objects.filter(pk=recovery.pk).update(priority=0)
        assert order() == [recovery, first]

    def test_the_choice_is_made_when_a_run_starts(self) -> None:
        run = a_run()
        before = [a_waiting(priority=2) for _ in range(3)]
        late = a_waiting(priority=1)
        assert queue.finish_and_claim(run, an_end()) == late
        assert Execution.objects.waiting().count() == len(before)

    @given(st.lists(st.integers(1, 9), max_size=12))
    @hypothesis_settings(
        max_examples=15,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    def test_whatever_they_are(self, db: None, priorities: list[int]) -> None:
        with transaction.atomic():
            waiting = [a_waiting(priority=priority) for priority in priorities]
            assert order() == sorted(waiting, key=lambda execution: execution.priority)
            transaction.set_rollback(True)


class TestClaimed:
    def test_it_runs_now_and_is_ours(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "HOST": "edi-1"}
        before = timezone.now()
        execution = a_run()
        row = Execution.objects.get(pk=execution.pk)
        assert (row.state, row.host, row.owner) == (State.RUNNING, "edi-1", str(owners.me()))
        assert row.started_at is not None
        assert before <= row.started_at <= timezone.now()
        assert (row.pid, row.ended_at) == (None, None)
        assert row.slot == "running:default"

    def test_it_says_what_its_row_says(self) -> None:
        job = a_job(
            argv=["x", "ä\n"],
            env={"A": "b"},
            working_directory="/srv",
            codes=Codes.BOTS_ENGINE,
            max_runtime=timedelta(microseconds=1),
            kill_after=timedelta(days=2),
            rerun_if_lost=False,
        )
        now = timezone.now()
        details = {"files": ["ä"]}
        execution = a_run(job, priority=3, trigger=now, details=details, requested_by="ada")
        row = Execution.objects.get(pk=execution.pk)
        fields = [field.attname for field in Execution._meta.concrete_fields]
        loaded = {name: execution.__dict__[name] for name in fields if name in execution.__dict__}
        assert loaded == {name: getattr(row, name) for name in loaded}
        assert {"argv", "env", "kill_after", "trigger_at", "owner", "details"} <= loaded.keys()
        assert (execution.trigger_at, execution.details) == (now, details)

    def test_an_owner_names_host_boot_and_process(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "HOST": "edi-1"}
        host, boot, process = str(owners.me()).split(":")
        boot_id, namespace, _directory = boot.split(".")
        pid, _, started = process.partition("-")
        assert (host, int(pid)) == ("edi-1", os.getpid())
        assert len(boot_id) == 36
        assert int(namespace) > 0
        assert int(started) > 0

    def test_the_longest_host_name_fits(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "HOST": "h" * 200}
        assert a_run().owner.startswith("h" * 200)


class TestClaimedUnawares:
    """The answer to a commit was lost with the connection, what it did was not."""

    def test_it_is_found(self) -> None:
        run = a_run()
        assert queue.claimed_unawares("default") == run
        assert queue.claimed_unawares("other") is None

    def test_one_whose_process_was_started_is_none(self) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(pid=4711)
        assert queue.claimed_unawares("default") is None

    def test_nor_is_one_of_another_process(self) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(owner=f"{run.owner}1")
        assert queue.claimed_unawares("default") is None


class TestNothing:
    def test_an_empty_queue(self) -> None:
        assert queue.claim("default") is None

    def test_one_runs_already(self) -> None:
        a_run()
        a_waiting(priority=1)
        assert queue.claim("default") is None

    def test_each_queue_has_its_own(self) -> None:
        a_run(queue="a")
        other = a_waiting(queue="b")
        assert queue.claim("b") == other

    def test_what_has_ended_is_over(self) -> None:
        for state in State.values:
            if state not in (State.WAITING, State.RUNNING):
                an_ended(state=state)
        assert queue.claim("default") is None

    def test_a_cancelled_one(self) -> None:
        cancelled, next_one = a_waiting(), a_waiting()
        queue.cancel(cancelled, by="ada")
        assert queue.claim("default") == next_one


class TestNotBefore:
    def test_it_does_not_start_before(self) -> None:
        a_waiting(not_before=timezone.now() + timedelta(hours=1), priority=1)
        assert queue.claim("default") is None

    def test_it_holds_up_no_other(self) -> None:
        a_waiting(not_before=timezone.now() + timedelta(hours=1), priority=1)
        other = a_waiting(priority=9)
        assert queue.claim("default") == other

    def test_when_its_time_has_come_it_takes_its_place(self) -> None:
        a_waiting(priority=5)
        due = a_waiting(not_before=timezone.now() - timedelta(seconds=1), priority=4)
        assert queue.claim("default") == due


class TestConstraints:
    """What the database itself refuses, whoever asks."""

    def test_two_runs_in_a_queue(self) -> None:
        a_run()
        other = a_waiting()
        with pytest.raises(IntegrityError), transaction.atomic():
            Execution.objects.filter(pk=other.pk).update(state=State.RUNNING)

    def test_two_that_wait_for_the_same(self) -> None:
        waiting, other = a_waiting(), a_waiting()
        with pytest.raises(IntegrityError), transaction.atomic():
            Execution.objects.filter(pk=other.pk).update(digest=waiting.digest)

    def test_any_number_that_have_ended(self) -> None:
        for _ in range(3):
            an_ended(argv=["x"])
        assert Execution.objects.filter(slot=None).count() == 3

    @pytest.mark.parametrize(
        "values", [{"priority": 10}, {"priority": -1}, {"state": "unknown"}, {"state": ""}]
    )
    def test_what_is_no_priority_or_state(self, values: dict[str, Any]) -> None:
        waiting = a_waiting()
        with pytest.raises(Exception, match=r"(?i)constraint|range"), transaction.atomic():
            Execution.objects.filter(pk=waiting.pk).update(**values)


class TestClaimThis:
    def test_it_never_waits(self) -> None:
        execution = queue.claim_this(a_request())
        assert execution is not None
        row = Execution.objects.get()
        assert (row.state, row.owner, row.started_at) == (
            State.RUNNING,
            str(owners.me()),
            execution.started_at,
        )
        assert queue.finish(execution, an_end())

    def test_the_slot_is_taken(self) -> None:
        a_run()
        assert queue.claim_this(a_request()) is None
        assert Execution.objects.count() == 1

    def test_it_goes_before_what_waits(self) -> None:
        a_waiting(priority=1)
        assert queue.claim_this(a_request(priority=9)) is not None
        assert queue.claim("default") is None


@committed
class TestCost:
    def test_one_look_up_of_the_queue_and_one_update(self) -> None:
        queue.claim("default")
        a_waiting()
        with CaptureQueriesContext(connection) as captured:
            queue.claim("default")
        said = [query["sql"].split()[0] for query in captured.captured_queries]
        servers = ["SELECT", "UPDATE"]  # of the lock, of the claim
        expected = {
            "sqlite": ["UPDATE"],
            "postgresql": ["SET", *servers],
            "mysql": ["SELECT", *servers],  # which has no RETURNING
        }
        statements = [word for word in said if word in ("SELECT", "UPDATE", "INSERT", "SET")]
        assert statements == ["SELECT", *expected[connection.vendor]]

    def test_a_queue_has_one_row(self) -> None:
        for _ in range(3):
            queue.claim("night")
        assert [row.name for row in Queue.objects.all()] == ["night"]

    def test_it_need_not_be_durable_if_it_may_be_repeated(self) -> None:
        a_waiting()
        assert self.durable_commits() == 0

    def test_it_is_durable_if_it_may_not(self) -> None:
        a_waiting(a_job(rerun_if_lost=False))
        assert self.durable_commits() == 1

    def durable_commits(self) -> int:
        """How many of a claim's commits wait for the disk."""
        if connection.vendor == "mysql":
            pytest.skip("MariaDB is told for all commits of a server at once")
        queue.claim("other")
        level, updates = "durable", []
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA synchronous = 2")
        # For a transaction of PostgreSQL, for a session of SQLite until it is taken back.
        relaxed = {"PRAGMA synchronous = 1", "SET LOCAL synchronous_commit = off"}
        durable = {"sqlite": "PRAGMA synchronous = 2", "postgresql": "COMMIT"}[connection.vendor]
        with CaptureQueriesContext(connection) as captured, queue.relaxed():
            queue.claim("default")
        for sql in (query["sql"] for query in captured.captured_queries):
            if sql in relaxed:
                level = "relaxed"
            elif sql == durable:
                level = "durable"
            elif sql.startswith("UPDATE"):
                updates.append(level)
        return updates.count("durable")
