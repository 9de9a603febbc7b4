"""The test kit for hosts, as a host uses it: inside the transaction of a test."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import TestCase
from django.utils import timezone

from jobqueue import conf, owners, queue
from jobqueue.api import Execution, Job, State, enqueue
from jobqueue.testing import assert_enqueued, assert_not_enqueued, drain, fire_schedules
from tests.builders import a_command, a_job, a_schedule
from tests.commands import Notes, program

pytestmark = [pytest.mark.database, pytest.mark.django_db]


FAR = timezone.now() + timedelta(days=1000)


class TestDrain:
    def test_all_that_is_ready_in_order(self, notes: Notes) -> None:
        for priority in (5, 9, 1):
            enqueue(notes.command(priority), priority=priority)
        ended = drain()
        assert notes.names() == ["1", "5", "9"]
        assert [execution.priority for execution in ended] == [1, 5, 9]
        assert {execution.state for execution in ended} == {State.SUCCEEDED}

    def test_nothing_is_ready(self) -> None:
        enqueue(a_command(), not_before=timezone.now() + timedelta(hours=1))
        enqueue(a_command(), queue="other")
        assert drain() == []
        assert len(drain("other")) == 1

    def test_not_in_a_paused_queue(self) -> None:
        enqueue(a_command())
        queue.pause("default", by="ada")
        assert drain() == []

    def test_how_they_ended(self) -> None:
        enqueue(program("fail", 7))
        enqueue(["/nowhere/at/all"])
        failed, absent = drain()
        assert (failed.state, failed.return_code, failed.log_tail) == ("failed", 7, "failing\n")
        assert "was not found" in absent.reason
        stored = Execution.objects.get(pk=failed.pk)
        assert (stored.state, stored.return_code) == ("failed", 7)

    def test_so_many_and_no_more(self) -> None:
        for _ in range(3):
            enqueue(a_command())
        assert len(drain(limit=2)) == 2
        assert len(drain()) == 1

    def test_nothing_is_left_of_it(self) -> None:
        enqueue(a_command())
        drain()
        assert not owners.me().run_path.exists()
        assert conf.current().run_dir.parent.exists()

    @pytest.mark.django_db(transaction=True)
    def test_outside_of_a_transaction(self, tmp_path: Path) -> None:
        enqueue(["touch", str(tmp_path / "touched")])
        assert len(drain()) == 1
        assert (tmp_path / "touched").exists()


class TestInATestCase(TestCase):
    job: Job

    @classmethod
    def setUpTestData(cls) -> None:
        cls.job = a_job(argv=["true"])

    def test_a_job(self) -> None:
        enqueue(self.job, priority=2)
        assert_enqueued(self.job, priority=2)
        [execution] = drain()
        assert execution.job == self.job
        assert_not_enqueued(self.job)

    def test_the_next_one_starts_from_the_same(self) -> None:
        assert not Execution.objects.exists()


class TestAssertEnqueued:
    def test_a_command(self) -> None:
        waiting = enqueue(["report.py", "x"], queue="night", requested_by="ada").execution
        assert assert_enqueued(["report.py", "x"]) == waiting
        assert assert_enqueued(("report.py", "x"), queue="night", requested_by="ada") == waiting

    def test_the_one_that_runs_first(self) -> None:
        enqueue(["x"], queue="a")
        best = enqueue(["x"], queue="b", priority=1).execution
        assert assert_enqueued(["x"]) == best

    def test_a_job_is_not_its_command(self) -> None:
        job = a_job(argv=["x"])
        enqueue(job)
        assert_enqueued(job)
        assert_not_enqueued(["x"])

    def test_what_has_started_waits_no_more(self) -> None:
        enqueue(["x"])
        assert queue.claim("default")
        assert_not_enqueued(["x"])

    def test_it_says_what_waits_instead(self) -> None:
        job = a_job(name="Nightly")
        enqueue(["x"], priority=3, details={"files": ["a"]})
        enqueue(job)
        with pytest.raises(AssertionError) as failure:
            assert_enqueued(["x"], priority=1, details={})
        assert str(failure.value) == (
            "Not enqueued: ['x'], priority=1, details={}\n"
            "Waiting:\n"
            "  ['x'], queue='default', priority=3, details={'files': ['a']}\n"
            "  the Job 'Nightly', queue='default', priority=5, details={}"
        )

    def test_it_says_that_nothing_waits(self) -> None:
        with pytest.raises(AssertionError, match="Not enqueued: the Job 'Nightly'\nNothing waits"):
            assert_enqueued(a_job(name="Nightly"))

    def test_a_field_that_there_is_not(self) -> None:
        with pytest.raises(TypeError, match="no field prio"):
            assert_enqueued(["x"], prio=1)


class TestAssertNotEnqueued:
    def test_nothing_at_all(self) -> None:
        assert_not_enqueued()
        enqueue(["x"])
        with pytest.raises(AssertionError, match="Enqueued: anything"):
            assert_not_enqueued()

    def test_only_with_other_values(self) -> None:
        enqueue(["x"], priority=3)
        assert_not_enqueued(["x"], priority=1)
        with pytest.raises(AssertionError) as failure:
            assert_not_enqueued(["x"], priority=3)
        assert str(failure.value) == (
            "Enqueued: ['x'], priority=3\nFound:\n  ['x'], queue='default', priority=3"
        )


class TestFireSchedules:
    def test_what_is_due_is_queued(self) -> None:
        job = a_job()
        schedule, _ = a_schedule(job=job), a_schedule(kind="once", once_at=FAR)
        assert schedule.next_fire_at is not None
        (fire,) = fire_schedules(schedule.next_fire_at)
        assert (fire.schedule, fire.outcome) == (schedule, "added")
        assert assert_enqueued(job, source="schedule") == fire.execution

    def test_nothing_is_due(self) -> None:
        a_schedule(kind="once", once_at=FAR)
        assert fire_schedules(timezone.now()) == []
