"""What an operator does to a queue: pause, resume, cancel, clear, change priorities, stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import queue
from jobqueue.api import NotQueued, State, execution_finished
from jobqueue.models import Execution, Job, Queue
from tests.builders import a_job, a_recovery, a_run, a_waiting, an_end, an_ended
from tests.wakeups import woken

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = timedelta(hours=1)


class TestPause:
    def test_none_starts(self) -> None:
        a_waiting(priority=1)
        queue.pause("default", by="ada")
        assert queue.claim("default") is None

    def test_who_and_why(self) -> None:
        until = timezone.now() + HOUR
        row = queue.pause("default", by="ada", reason="partner's server is down", until=until)
        assert row == Queue.objects.get(name="default")
        row.refresh_from_db()
        assert (row.paused_by, row.pause_reason) == ("ada", "partner's server is down")
        assert row.paused_until == until
        assert row.is_paused(timezone.now())
        assert not row.is_paused(until)

    def test_what_runs_goes_on_to_its_end(self) -> None:
        run = a_run()
        queue.pause("default", by="ada")
        assert queue.finish(run, an_end())

    def test_requests_are_still_accepted(self) -> None:
        queue.pause("default", by="ada")
        assert a_waiting().state == State.WAITING

    def test_other_queues_go_on(self) -> None:
        queue.pause("default", by="ada")
        other = a_waiting(queue="other")
        assert queue.claim("other") == other

    def test_until_a_time_it_resumes_by_itself(self) -> None:
        waiting = a_waiting()
        queue.pause("default", by="ada", until=timezone.now() + HOUR)
        assert queue.claim("default") is None
        assert not queue.is_ready("default")
        Queue.objects.update(paused_until=timezone.now())
        assert queue.is_ready("default")
        assert queue.claim("default") == waiting

    def test_a_naive_time_is_in_the_site_s_zone(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        until = datetime(2026, 7, 1, 12, 0)  # noqa: DTZ001
        queue.pause("default", by="ada", until=until)
        assert Queue.objects.get().paused_until == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)

    def test_a_second_one_replaces_the_first(self) -> None:
        queue.pause("default", by="ada", reason="first", until=timezone.now() + HOUR)
        queue.pause("default", by="bob", reason="second")
        row = Queue.objects.get()
        assert (row.paused_by, row.pause_reason, row.paused_until) == ("bob", "second", None)

    @pytest.mark.parametrize("name", ["", "two words", "x" * 65, "a/b"])
    def test_no_queue_can_be_called_so(self, name: str) -> None:
        with pytest.raises(NotQueued):
            queue.pause(name, by="ada")
        assert not Queue.objects.exists()


class TestResume:
    def test_runs_start_again(self) -> None:
        waiting = a_waiting()
        queue.pause("default", by="ada")
        assert queue.resume("default", by="bob")
        assert queue.claim("default") == waiting

    def test_nothing_of_the_pause_is_left(self) -> None:
        queue.pause("default", by="ada", reason="x", until=timezone.now() + HOUR)
        queue.resume("default", by="bob")
        row = Queue.objects.get()
        assert (row.paused_at, row.paused_until) == (None, None)
        assert (row.paused_by, row.pause_reason) == ("", "")

    def test_it_was_not_paused(self) -> None:
        assert not queue.resume("default", by="ada")
        queue.pause("default", by="ada")
        assert queue.resume("default", by="ada")
        assert not queue.resume("default", by="ada")

    def test_what_waits_is_woken_at_the_commit(
        self, django_capture_on_commit_callbacks: Any
    ) -> None:
        a_waiting()
        queue.pause("default", by="ada")
        with django_capture_on_commit_callbacks(execute=True):
            queue.resume("default", by="ada")
            assert woken() == []
        assert woken() == ["default"]

    def test_nothing_is_if_nothing_waits(self) -> None:
        queue.pause("default", by="ada")
        queue.resume("default", by="ada")
        assert woken() == []


class TestCancel:
    def test_a_waiting_one(self) -> None:
        waiting = a_waiting()
        assert queue.cancel(waiting, by="ada")
        row = Execution.objects.get()
        assert (row.state, row.reason, row.slot) == (State.CANCELLED, "cancelled by ada", None)
        assert row.ended_at is not None
        assert row.started_at is None

    def test_not_a_running_one(self) -> None:
        run = a_run()
        assert not queue.cancel(run, by="ada")
        assert Execution.objects.get().state == State.RUNNING

    def test_not_one_that_has_ended(self) -> None:
        assert not queue.cancel(an_ended(), by="ada")
        assert Execution.objects.get().state == State.SUCCEEDED

    def test_its_request_can_be_made_anew(self) -> None:
        queue.cancel(a_waiting(["x"]), by="ada")
        assert a_waiting(["x"]).state == State.WAITING

    def test_of_many_those_that_wait(self) -> None:
        run, waiting = a_run(), [a_waiting() for _ in range(30)]
        with CaptureQueriesContext(connection) as asked:
            assert queue.cancel_all([run, *waiting], by="ada") == waiting
        cancelled = Execution.objects.filter(state=State.CANCELLED, reason="cancelled by ada")
        assert {row.pk for row in cancelled} == {row.pk for row in waiting}
        looks = [q for q in asked if q["sql"].startswith("SELECT") and "retry_of_id" in q["sql"]]
        assert len(looks) == 1  # at what they were to repeat


class TestClear:
    def test_all_that_waits(self) -> None:
        run, ended = a_run(), an_ended()
        waiting = {a_waiting().pk for _ in range(3)}
        a_waiting(queue="other")
        assert queue.clear("default", by="ada") == 3
        cancelled = Execution.objects.filter(state=State.CANCELLED)
        assert {row.pk for row in cancelled} == waiting
        assert {row.reason for row in cancelled} == {"cleared by ada"}
        assert list(Execution.objects.filter(pk__in=[run.pk, ended.pk]).order_by("pk"))
        assert Execution.objects.waiting().get().queue == "other"

    def test_nothing_waits(self) -> None:
        assert queue.clear("default", by="ada") == 0

    def test_of_many_retries_by_few_statements(
        self, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        """Each batch reads what was cancelled, locks the runs before, writes what these say, and
        has them judged."""
        monkeypatch.setattr(queue, "_BATCH", 10)
        job = a_job()
        retries = [self.a_retry(job) for _ in range(30)]
        Execution.objects.filter(pk__in=retries).update(state=State.CANCELLED, reason="cleared")
        with django_assert_num_queries(3 * 4):
            queue._not_queued_again(retries)
        runs = Execution.objects.filter(state=State.FAILED)
        assert len(runs) == 30
        for run in runs:
            again = run.details["retry_cancelled"]
            why = f"execution {again} was cleared"
            assert Execution.objects.get(pk=again).retry_of_id == run.pk
            assert run.reason == f"return code 1; not queued again: {why}"
            assert run.details == {"a": 1, "not_queued_again": why, "retry_cancelled": again}
            assert run.unjudged == job.pk

    def test_of_many_that_repeat_nothing_by_one_statement(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        ended = [an_ended(state=State.CANCELLED).pk for _ in range(30)]
        with django_assert_num_queries(1):
            queue._not_queued_again(ended)

    def test_a_run_that_was_queued_again_as_another_request_is_left_alone(self) -> None:
        """What a host writes into details makes nobody repeat a run."""
        run, other = an_ended(state=State.FAILED), a_waiting()
        told = a_waiting(details={"also_repeats": [run.pk]})
        Execution.objects.filter(pk=run.pk).update(details={"queued_again_as": other.pk})
        assert queue.clear("default", by="ada") == 2
        run.refresh_from_db()
        assert (run.details, run.unjudged) == ({"queued_again_as": other.pk}, None)
        assert Execution.objects.get(pk=told.pk).state == State.CANCELLED

    def a_retry(self, job: Job) -> int:
        """What repeats a failed run."""
        values = {"state": State.FAILED, "return_code": 1, "reason": "return code 1"}
        run = an_ended(job=job, **values)
        again = a_waiting()
        Execution.objects.filter(pk=again.pk).update(retry_of=run)
        Execution.objects.filter(pk=run.pk).update(details={"a": 1, "queued_again_as": again.pk})
        return again.pk


class TestPriority:
    def test_of_a_waiting_one(self) -> None:
        first, second = a_waiting(), a_waiting()
        assert queue.set_priority(second, 1, by="ada")
        assert list(Execution.objects.waiting().in_order()) == [second, first]

    def test_not_of_a_running_one(self) -> None:
        assert not queue.set_priority(a_run(), 1, by="ada")

    def test_a_recovery_run_keeps_its_own(self) -> None:
        recovery = a_recovery()
        assert not queue.set_priority(recovery, 9, by="ada")
        assert Execution.objects.get(pk=recovery.pk).priority == 0

    @pytest.mark.parametrize("priority", [0, 10, -5])
    def test_only_from_one_to_nine(self, priority: int) -> None:
        with pytest.raises(NotQueued):
            queue.set_priority(a_waiting(), priority, by="ada")
        assert Execution.objects.get().priority == 5


class TestAmend:
    def test_a_waiting_one(self) -> None:
        waiting = a_waiting(details={"count": 1})
        assert queue.amend(waiting, lambda found: {**found, "more": 2})
        assert waiting.details == Execution.objects.get().details == {"count": 1, "more": 2}

    def test_what_runs_then_says_so_to_its_end(self) -> None:
        queue.amend(a_waiting(), lambda _: {"count": 1})
        run = queue.claim("default")
        assert run is not None
        queue.finish(run, an_end(details={"error": "none"}))
        assert Execution.objects.get().details == {"count": 1, "error": "none"}

    def test_not_a_running_one(self) -> None:
        run = a_run(details={"count": 1})
        assert not queue.amend(run, lambda _: {})
        assert Execution.objects.get().details == {"count": 1}


class TestStop:
    def test_it_is_noted_for_its_worker(self) -> None:
        run = a_run()
        assert queue.request_stop(run, by="ada")
        row = Execution.objects.get()
        assert (row.state, row.stop_requested_by) == (State.RUNNING, "ada")
        assert row.stop_requested_at is not None

    def test_not_of_one_that_waits_or_has_ended(self) -> None:
        assert not queue.request_stop(a_waiting(), by="ada")
        assert not queue.request_stop(an_ended(), by="ada")


class TestLooking:
    def test_queues_with_requests(self) -> None:
        for name in ("b", "a", "b", "c.1", "c-2", "c_3"):
            a_waiting(queue=name)
        a_run(queue="running")
        assert set(queue.with_requests()) == {"a", "b", "c.1", "c-2", "c_3"}

    def test_each_by_one_look_up(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for name in ("a", "b"):
            for _ in range(10):
                a_waiting(queue=name)
        with django_assert_num_queries(3):
            assert list(queue.with_requests()) == ["a", "b"]

    def test_ready(self) -> None:
        assert not queue.is_ready("default")
        a_waiting(not_before=timezone.now() + HOUR)
        assert not queue.is_ready("default")
        a_waiting()
        assert queue.is_ready("default")
        assert queue.claim("default")
        a_waiting()
        assert not queue.is_ready("default")
        assert not queue.is_free("default")


@pytest.mark.django_db(transaction=True)
class TestSignals:
    def test_hosts_hear_of_what_is_cancelled(self) -> None:
        heard: list[tuple[int, str]] = []

        def hear(execution: Execution, **_: object) -> None:
            assert not connection.in_atomic_block
            heard.append((execution.pk, execution.state))

        one, two = a_waiting(), a_waiting()
        execution_finished.connect(hear)
        try:
            queue.cancel(one, by="ada")
            queue.clear("default", by="ada")
        finally:
            execution_finished.disconnect(hear)
        assert heard == [(one.pk, State.CANCELLED), (two.pk, State.CANCELLED)]
