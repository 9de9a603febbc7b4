"""The end of a run, and the start of the next one."""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobqueue import queue, runs
from jobqueue.models import Execution, Job, Queue, Source, State
from jobqueue.queue import End
from tests.builders import a_job, a_run, a_waiting, an_end, an_ended

pytestmark = [pytest.mark.database, pytest.mark.django_db]

committed = pytest.mark.django_db(transaction=True)


def a_full_end(**over: Any) -> End:
    return an_end(
        state=State.FAILED,
        reason="return code 7 'ä'",
        return_code=7,
        pid=4711,
        log_path="/logs/1.log",
        log_tail="ä😀\n%s\x1b[31m'",
        details={"leftovers": 2},
        **over,
    )


def finish(execution: Execution, end: End) -> bool:
    return queue.finish(execution, end)


def finish_and_claim(execution: Execution, end: End) -> bool:
    """As finish, with the claim of the next one; whether this one was mine."""
    queue.finish_and_claim(execution, end)
    return execution.state == end.state


ways = pytest.mark.parametrize("way", [finish, finish_and_claim])


@ways
class TestEnd:
    def test_it_is_written_down(self, way: Any) -> None:
        before = timezone.now()
        run = a_run(details={"files": ["x"]})
        end = a_full_end()
        assert way(run, end)
        row = Execution.objects.get(pk=run.pk)
        expected = {**dataclasses.asdict(end), "details": {"files": ["x"], "leftovers": 2}}
        del expected["again_after"], expected["recovery"]
        assert {name: getattr(row, name) for name in expected} == expected
        assert {name: getattr(run, name) for name in expected} == expected
        assert row.ended_at is not None
        assert before <= row.ended_at <= timezone.now()
        assert row.slot is None

    @pytest.mark.parametrize("state", [s for s in State.values if s not in ("waiting", "running")])
    def test_every_state(self, way: Any, state: str) -> None:
        run = a_run()
        assert way(run, an_end(state=state, reason="x"))
        assert Execution.objects.get(pk=run.pk).state == state

    def test_the_slot_is_free(self, way: Any) -> None:
        way(a_run(), an_end())
        assert queue.is_free("default")
        a_waiting()
        assert queue.claim("default") is not None

    def test_the_longest_tail(self, way: Any) -> None:
        run = a_run()
        tail = "€" * (64 * 1024 // 3)
        way(run, an_end(log_tail=tail))
        assert Execution.objects.get(pk=run.pk).log_tail == tail

    def test_the_largest_return_code(self, way: Any) -> None:
        run = a_run()
        way(run, an_end(state=State.FAILED, return_code=2**31 - 1))
        assert Execution.objects.get(pk=run.pk).return_code == 2**31 - 1


@ways
class TestNotMine:
    def test_another_owner(self, way: Any) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(owner="somebody else")
        assert not way(run, an_end())
        assert Execution.objects.get(pk=run.pk).state == State.RUNNING

    def test_it_ended_already(self, way: Any) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(state=State.LOST)
        assert not way(run, an_end(again_after=timedelta(0)))
        assert Execution.objects.get().state == State.LOST

    def test_it_was_deleted(self, way: Any) -> None:
        run = a_run()
        Execution.objects.all().delete()
        assert not way(run, an_end())
        assert not Execution.objects.exists()

    def test_what_runs_instead_is_left_alone(self, way: Any) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(state=State.LOST)
        other, waiting = a_run(), a_waiting()
        way(run, an_end())
        assert Execution.objects.running().get() == other
        assert Execution.objects.waiting().get() == waiting


class TestNext:
    def test_the_best_one_runs(self) -> None:
        run = a_run()
        a_waiting(priority=5)
        best = a_waiting(priority=4)
        claimed = queue.finish_and_claim(run, an_end())
        assert claimed == best
        assert Execution.objects.running().get() == best
        assert claimed.started_at is not None

    def test_one_after_the_other(self) -> None:
        run: Execution | None = a_run()
        waiting = [a_waiting() for _ in range(5)]
        seen = []
        while run is not None:
            seen.append(run)
            run = queue.finish_and_claim(run, an_end())
        assert seen[1:] == waiting

    def test_none_waits(self) -> None:
        assert queue.finish_and_claim(a_run(), an_end()) is None

    def test_another_queue_is_not_looked_at(self) -> None:
        a_waiting(queue="other")
        assert queue.finish_and_claim(a_run(), an_end()) is None

    def test_a_pause_begins_after_the_run(self) -> None:
        run, waiting = a_run(), a_waiting()
        queue.pause("default", by="ada")
        assert queue.finish_and_claim(run, an_end()) is None
        assert Execution.objects.waiting().get() == waiting
        assert run.state == State.SUCCEEDED

    def test_after_a_run_that_was_not_ours_the_queue_goes_on(self) -> None:
        run, waiting = a_run(), a_waiting()
        Execution.objects.filter(pk=run.pk).delete()
        assert queue.finish_and_claim(run, an_end()) == waiting

    def test_before_it_may_start_none_does(self) -> None:
        run = a_run()
        a_waiting(not_before=timezone.now() + timedelta(hours=1))
        assert queue.finish_and_claim(run, an_end()) is None


class TestAgain:
    def end(self, **over: Any) -> End:
        return an_end(state=State.FAILED, reason="busy", return_code=3, **over)

    def test_the_same_request_is_queued_again(self) -> None:
        job = a_job(queue="edi", env={"A": "b"}, kill_after=timedelta(hours=1))
        run = a_run(job, priority=3, details={"files": ["x"]}, requested_by="ada")
        before = timezone.now()
        queue.finish(run, self.end(again_after=timedelta(seconds=10), details={"note": "y"}))
        again = Execution.objects.waiting().get()
        same = ("job", "job_name", "argv", "queue", "priority", "queued_at", "env", "kill_after")
        more = ("digest", "requested_by", "codes", "rerun_if_lost", "trigger_at")
        run.refresh_from_db()
        for name in same + more:
            assert getattr(again, name) == getattr(run, name), name
        assert (again.source, again.retry_of, again.attempt) == (Source.RETRY, run, 2)
        assert again.details == {"files": ["x"]}
        assert again.not_before is not None
        assert again.not_before - before >= timedelta(seconds=10)
        assert run.details == {"files": ["x"], "note": "y", "queued_again_as": again.pk}

    def test_nothing_of_the_run_is_taken_over(self) -> None:
        run = a_run()
        queue.request_stop(run, by="ada")
        queue.finish(run, a_full_end(again_after=timedelta(0)))
        again = Execution.objects.waiting().get()
        assert (again.started_at, again.ended_at, again.return_code) == (None, None, None)
        assert (again.stop_requested_at, again.stop_requested_by) == (None, "")
        assert (again.host, again.owner, again.pid, again.reason) == ("", "", None, "")
        assert (again.log_path, again.log_tail) == ("", "")

    def test_without_a_delay_it_may_start_at_once(self) -> None:
        run = a_run()
        again = queue.finish_and_claim(run, self.end(again_after=timedelta(0)))
        assert again is not None
        assert again.retry_of == run
        assert again.not_before is None

    def test_it_holds_up_no_other(self) -> None:
        run, other = a_run(), a_waiting(priority=9)
        assert queue.finish_and_claim(run, self.end(again_after=timedelta(seconds=10))) == other

    def test_a_third_one_points_to_the_second(self) -> None:
        first = a_run()
        second = queue.finish_and_claim(first, self.end(again_after=timedelta(0)))
        assert second is not None
        third = queue.finish_and_claim(second, self.end(again_after=timedelta(0)))
        assert third is not None
        assert (third.retry_of, third.attempt) == (second, 3)

    def test_the_same_one_that_waits_already_serves(self) -> None:
        run = a_run(["x"])
        waiting = a_waiting(["x"])
        queue.finish(run, self.end(again_after=timedelta(seconds=10)))
        row = Execution.objects.waiting().get()
        assert row == waiting
        assert (row.retry_of, row.not_before) == (None, None)
        assert run.details["queued_again_as"] == waiting.pk

    def test_not_if_it_was_not_mine(self) -> None:
        run = a_run()
        Execution.objects.filter(pk=run.pk).update(owner="somebody else")
        assert not queue.finish(run, self.end(again_after=timedelta(0)))
        assert Execution.objects.count() == 1

    @pytest.mark.parametrize("way", [finish, queue.finish_and_claim])
    def test_not_if_its_job_was_disabled_meanwhile(self, way: Any, caplog: Any) -> None:
        """It accepts no request from anyone; the record and the log say so."""
        caplog.set_level(logging.INFO, "jobqueue")
        run = a_run(job := a_job())
        Job.objects.filter(pk=job.pk).update(enabled=False)
        way(run, self.end(again_after=timedelta(seconds=10)))
        runs.announce_finished(run)
        said = "busy; not queued again: the Job is disabled"
        assert said in caplog.text
        for row in (run, Execution.objects.get()):
            assert (row.state, row.return_code, row.reason) == (State.FAILED, 3, said)
            assert row.details == {"not_queued_again": "the Job is disabled"}

    def test_a_deleted_job_can_not_be_disabled(self) -> None:
        run = a_run(job := a_job())
        job.delete()
        queue.finish(run, self.end(again_after=timedelta(seconds=10)))
        assert Execution.objects.waiting().get().retry_of == run


@committed
class TestCost:
    def test_of_a_run_and_the_start_of_the_next(self) -> None:
        run = a_run()
        a_waiting()
        with CaptureQueriesContext(connection) as captured:
            assert queue.finish_and_claim(run, an_end()) is not None
        said = [query["sql"] for query in captured.captured_queries]
        expected = {
            "sqlite": ["BEGIN", "UPDATE", "UPDATE", "COMMIT"],
            "postgresql": ["WITH"],
            "mysql": ["BEGIN"],  # of a statement that is made of all others
        }
        assert [sql.split()[0] for sql in said] == expected[connection.vendor]

    def test_no_transaction_stays_open(self) -> None:
        run = a_run()
        a_waiting()
        queue.finish_and_claim(run, an_end())
        assert not connection.in_atomic_block
        assert connection.get_autocommit()


class TestForeign:
    def test_a_deleted_job_leaves_its_record(self) -> None:
        job = a_job(name="Nightly")
        ended, waiting = an_ended(job=job, job_name=job.name), a_waiting(job)
        job.delete()
        ended.refresh_from_db()
        assert (ended.job, ended.label) == (None, "Nightly")
        assert queue.claim("default") == waiting

    def test_the_queue_s_row_is_not_needed(self) -> None:
        run = a_run()
        Queue.objects.all().delete()
        waiting = a_waiting()
        assert queue.finish_and_claim(run, an_end()) == waiting

    def test_a_line_in_the_log_tells_what_is_cancelled(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        waiting = a_waiting()
        with caplog.at_level(logging.INFO, logger="jobqueue"):
            queue.cancel(waiting, by="a\nb")
        assert caplog.messages[-1:] == [f"{waiting.pk} cancelled by a\\nb"]
