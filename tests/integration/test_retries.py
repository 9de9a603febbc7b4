"""Retries of Jobs: what is queued again after which end, and what isn't."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from jobqueue import queue, requests
from jobqueue.ends import LOST_IN_A_ROW, end_of
from jobqueue.executor import Outcome
from jobqueue.models import Execution, Job, Source, State
from jobqueue.queue import DUPLICATE, PROMOTED
from tests.builders import a_job, a_request, a_run, a_waiting

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = timedelta(hours=1)
LOST = Outcome(return_code=None, message="Its process is gone.")
TIMED_OUT = Outcome(return_code=143, ended_by="kill_after")


def retried_job(**over: Any) -> Job:
    fields = {"max_retries": 3, "retry_delay": timedelta(0), "retry_backoff": "fixed"}
    return a_job(**{**fields, **over})


def code(number: int) -> Outcome:
    return Outcome(return_code=number)


def ends(run: Execution, outcome: Outcome) -> Execution | None:
    """The run ends so; what is queued because of that and may start at once."""
    assert queue.finish(run, end_of(run, outcome))
    return queue.claim(run.queue)


def attempts(job: Job, outcome: Outcome) -> list[Execution]:
    """All runs of a request of which each ends so."""
    found: list[Execution] = []
    run: Execution | None = a_run(job)
    while run is not None:
        found.append(run)
        run = ends(run, outcome)
    return found


def numbers(runs: list[Execution]) -> list[tuple[int, int]]:
    plans = [run.plan for run in runs]
    return [(plan.attempt, plan.attempts) for plan in plans if plan is not None]


class TestAgain:
    def test_as_often_as_its_job_says(self) -> None:
        runs = attempts(retried_job(), code(1))
        assert numbers(runs) == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert [run.attempt for run in runs] == [1, 2, 3, 4]
        for before, run in itertools.pairwise(runs):
            assert (run.source, run.retry_of) == (Source.RETRY, before)
            assert before.details["queued_again_as"] == run.pk
        assert "queued_again_as" not in runs[-1].details

    def test_until_one_ends_well(self) -> None:
        run = ends(a_run(retried_job()), code(1))
        assert run is not None
        assert ends(run, code(0)) is None

    def test_the_request_keeps_its_place(self) -> None:
        run = a_run(retried_job(), priority=2, details={"files": ["x"]}, requested_by="ada")
        names = ("priority", "queued_at", "argv", "digest", "details", "requested_by")
        asked = {name: getattr(run, name) for name in names}
        again = ends(run, code(1))
        assert again is not None
        assert {name: getattr(again, name) for name in names} == asked

    def test_after_the_delay(self) -> None:
        run, before = a_run(retried_job(retry_delay=HOUR)), timezone.now()
        assert ends(run, code(1)) is None
        [again] = Execution.objects.waiting()
        assert again.not_before is not None
        assert again.not_before - before >= HOUR
        assert again.not_before - timezone.now() <= 1.1 * HOUR

    def test_it_is_there_with_the_end_of_its_run_or_neither_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed in the middle of it, the run has not ended, and its end comes again."""
        run = a_run(retried_job())

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as killed:
            killed.setattr(queue, "_queue_because", dies)
            with pytest.raises(KeyboardInterrupt):
                queue.finish(run, end_of(run, code(1)))
        assert Execution.objects.get().state == State.RUNNING
        assert ends(run, code(1)) is not None

    def test_while_it_waits_others_run(self) -> None:
        other = a_waiting(priority=9)
        run = a_run(retried_job(retry_delay=HOUR), priority=1)
        assert ends(run, code(1)) == other

    def test_the_second_delay_is_twice_the_first(self) -> None:
        job = retried_job(retry_delay=HOUR, retry_backoff="exponential", retry_max_delay=2 * HOUR)
        ends(a_run(job), code(1))
        Execution.objects.waiting().update(not_before=None)
        run = queue.claim("default")
        assert run is not None
        ends(run, code(1))
        [again] = Execution.objects.waiting()
        assert again.not_before is not None
        assert again.not_before > timezone.now() + 1.5 * HOUR

    def test_bare_commands_and_jobs_that_say_nothing_have_one_attempt(self) -> None:
        for what in (a_job(), None):
            assert ends(a_run(what), code(1)) is None

    def test_a_new_request_begins_anew(self) -> None:
        job = retried_job(max_retries=1)
        for _ in range(2):
            assert numbers(attempts(job, code(1))) == [(1, 2), (2, 2)]

    def test_the_same_one_that_waits_already_serves(self) -> None:
        run = a_run(job := retried_job())
        waiting = a_waiting(job)
        assert ends(run, code(1)) == waiting
        assert run.details["queued_again_as"] == waiting.pk
        assert Execution.objects.count() == 2


class TestOutcomes:
    @pytest.mark.parametrize(
        ("on", "outcome", "again"),
        [
            ("failed", code(1), True),
            ("failed", TIMED_OUT, False),
            ("timed_out", TIMED_OUT, True),
            ("75-78", code(76), True),
            ("75-78", code(1), False),
            ("failed", Outcome(return_code=None, error="not_found", message="gone"), True),
            ("warned", code(2), False),
        ],
    )
    def test_only_those_that_its_job_names(self, on: str, outcome: Outcome, again: bool) -> None:
        assert (ends(a_run(retried_job(retry_on=on)), outcome) is not None) is again

    def test_errors_in_a_run_of_the_engine(self) -> None:
        job = retried_job(argv=["bots-engine"], retry_on="warned")
        assert ends(a_run(job), code(2)) is not None

    def test_never_what_an_operator_stopped(self) -> None:
        run = a_run(retried_job(retry_on="failed, timed_out, 1-255"))
        assert ends(run, Outcome(return_code=143, ended_by="stop")) is None

    def test_not_what_somebody_wants_to_stop_and_fails_by_itself(self) -> None:
        """The order is in the row, and its worker has not seen it yet."""
        run = a_run(retried_job())
        assert queue.request_stop(Execution.objects.get(pk=run.pk), by="ada")
        assert ends(run, code(1)) is None
        run.refresh_from_db()
        assert run.reason == "return code 1; not queued again: ada had asked to stop it"

    def test_a_cancelled_retry_is_the_last(self) -> None:
        ends(a_run(retried_job(retry_delay=HOUR)), code(1))
        [waiting] = Execution.objects.waiting()
        assert queue.cancel(waiting, by="ada")
        assert not Execution.objects.open().exists()


class TestMeanwhile:
    def test_its_job_was_disabled(self) -> None:
        run = a_run(job := retried_job())
        Job.objects.filter(pk=job.pk).update(enabled=False)
        assert ends(run, code(1)) is None
        run.refresh_from_db()
        assert run.reason == "return code 1; not queued again: the Job is disabled"

    @pytest.mark.parametrize("when", ["while it waits", "while it runs"])
    def test_its_job_was_deleted(self, when: str) -> None:
        job = retried_job()
        run = a_run(job) if when == "while it runs" else None
        waiting = None if run else a_waiting(job)
        job.delete()
        run = run or queue.claim("default")
        assert run is not None
        assert waiting is None or run == waiting
        assert ends(run, code(1)) is None
        run.refresh_from_db()
        assert run.details == {"not_queued_again": "the Job was deleted"}

    def test_its_job_was_edited(self) -> None:
        """As all else that a request takes from its Job."""
        job = retried_job(max_retries=2)
        run = a_run(job)
        Job.objects.filter(pk=job.pk).update(max_retries=0)
        assert ends(run, code(1)) is not None


class TestBusy:
    """The engine's 3, and what else passes by itself, is looked at again without an attempt."""

    @pytest.fixture(autouse=True)
    def site(self, settings: Settings) -> None:
        busy = {"BUSY_ATTEMPTS": 3, "BUSY_DELAY": timedelta(0)}
        settings.JOBQUEUE = {**settings.JOBQUEUE, **busy}

    def test_it_uses_up_no_retry(self) -> None:
        run = ends(a_run(retried_job(argv=["bots-engine"])), code(3))
        assert run is not None
        assert numbers([run]) == [(1, 4)]
        again = ends(run, code(1))
        assert again is not None
        assert numbers([again]) == [(2, 4)]
        assert again.attempt == 3

    def test_a_failed_attempt_is_no_look(self) -> None:
        """Each attempt may find the engine busy as often as the first."""
        run: Execution | None = a_run(retried_job(argv=["bots-engine"], max_retries=1))
        found = []
        for number in (3, 3, 1, 3, 3, 3):
            assert run is not None
            found.append(run.plan.attempt if run.plan else None)
            run = ends(run, code(number))
        assert found == [1, 1, 1, 2, 2, 2]
        assert run is None

    def test_then_the_retries_of_its_job_come(self) -> None:
        runs = attempts(retried_job(argv=["bots-engine"], max_retries=1), code(3))
        assert numbers(runs) == [(1, 2)] * 3 + [(2, 2)] * 3

    def test_without_any_it_is_as_ever(self) -> None:
        assert len(attempts(a_job(argv=["bots-engine"]), code(3))) == 3


class TestLost:
    def test_it_uses_up_no_retry(self) -> None:
        run = ends(a_run(retried_job()), LOST)
        assert run is not None
        assert numbers([run]) == [(1, 4)]
        assert ends(run, code(1)) is not None

    def test_after_three_in_a_row_the_retries_of_its_job_come_if_they_are_for_it(self) -> None:
        runs = attempts(retried_job(retry_on="lost", max_retries=2), LOST)
        assert numbers(runs) == [(1, 3)] * LOST_IN_A_ROW + [(2, 3), (3, 3)]
        assert "Not queued again" not in runs[LOST_IN_A_ROW - 1].reason
        assert "Not queued again: it was lost 3 times in a row." in runs[-1].reason

    def test_else_it_is_as_ever(self) -> None:
        assert len(attempts(retried_job(), LOST)) == LOST_IN_A_ROW

    def test_never_where_a_job_must_not_run_twice(self) -> None:
        job = retried_job(rerun_if_lost=False, retry_on="lost")  # not by a form
        assert len(attempts(job, LOST)) == 1

    def test_a_recovery_run_has_no_retries(self) -> None:
        run = a_run(retried_job(argv=["bots-engine"]))
        recovery = ends(run, TIMED_OUT)
        assert recovery is not None
        assert (recovery.source, recovery.retry) == (Source.RECOVERY, None)
        [again] = Execution.objects.waiting()
        assert numbers([again]) == [(2, 4)]


class TestAsked:
    """A request for the same while a retry still has its delay before it."""

    @pytest.fixture
    def job(self) -> Job:
        job = retried_job(retry_delay=HOUR)
        ends(a_run(job, priority=3), code(1))
        return job

    def test_lets_it_start_now(self, job: Job) -> None:
        answer = queue.enqueue(a_request(job))
        assert answer.outcome is PROMOTED
        run = queue.claim("default")
        assert run == answer.execution
        assert run is not None
        assert numbers([run]) == [(2, 4)]
        assert run.priority == 3

    def test_lets_it_start_now_with_others(self, job: Job) -> None:
        with transaction.atomic():
            [answer] = queue.enqueue_all([a_request(job)])
        assert answer.outcome is PROMOTED
        assert queue.claim("default") == answer.execution

    def test_does_nothing_more_once_it_may_start(self, job: Job) -> None:
        queue.enqueue(a_request(job))
        assert queue.enqueue(a_request(job)).outcome is DUPLICATE

    def test_for_later_leaves_its_delay(self, job: Job) -> None:
        later = timezone.now() + 2 * HOUR
        assert queue.enqueue(a_request(job, not_before=later)).outcome is DUPLICATE
        assert queue.claim("default") is None

    def test_what_an_asker_delayed_itself_stays_so(self) -> None:
        a_waiting(job := retried_job(), not_before=timezone.now() + HOUR)
        assert queue.enqueue(a_request(job)).outcome is DUPLICATE
        assert queue.claim("default") is None


class TestFields:
    @pytest.mark.parametrize(
        "over",
        [
            {"max_retries": 101},
            {"retry_delay": timedelta(seconds=-1)},
            {"retry_delay": timedelta(days=31)},
            {"retry_max_delay": timedelta(days=31)},
            {"retry_backoff": "linear"},
        ],
    )
    def test_the_database_takes_no_nonsense(self, over: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            a_job(**over)

    @pytest.mark.parametrize(
        ("over", "field"),
        [
            ({"max_retries": 101}, "max_retries"),
            ({"retry_on": "sometimes"}, "retry_on"),
            ({"retry_on": "lost", "rerun_if_lost": False}, "retry_on"),
            ({"retry_delay": 2 * HOUR, "retry_max_delay": HOUR}, "retry_max_delay"),
            ({"retry_delay": timedelta(days=31), "retry_backoff": "fixed"}, "retry_delay"),
            ({"retry_delay": timedelta(seconds=-1)}, "retry_delay"),
        ],
    )
    def test_a_form_says_which_field_is_wrong(self, over: dict[str, Any], field: str) -> None:
        job = Job(**{"name": "x", "argv": ["x"], "max_retries": 1, **over})
        with pytest.raises(ValidationError) as error:
            job.full_clean()
        assert list(error.value.message_dict) == [field]

    def test_outcomes_that_nobody_checked_are_refused_when_it_is_queued(self) -> None:
        job = a_job(max_retries=1, retry_on="sometimes")
        with pytest.raises(requests.NotQueued, match="'sometimes' is no outcome"):
            a_request(job)

    def test_without_retries_they_do_not_matter(self) -> None:
        Job(name="x", argv=["x"], retry_on="lost", rerun_if_lost=False).full_clean()


@pytest.mark.parametrize("state", [State.FAILED, State.LOST])
def test_a_row_of_an_older_version_has_one_attempt(state: State) -> None:
    run = a_run()
    Execution.objects.filter(pk=run.pk).update(retry=None)
    assert Execution.objects.get(pk=run.pk).plan is None


@pytest.mark.parametrize(
    ("ended_by", "begins"), [("stop", "stopped by an operator"), ("kill_after", "ended after")]
)
def test_an_end_by_force_is_said(ended_by: str, begins: str) -> None:
    run = a_run(a_job(kill_after=timedelta(seconds=5)))
    by_term = end_of(run, Outcome(return_code=143, signal=15, ended_by=ended_by)).reason
    by_force = end_of(run, Outcome(return_code=137, signal=9, ended_by=ended_by)).reason
    assert by_term.startswith(begins)
    assert by_force == f"{by_term}; SIGTERM didn't end it, SIGKILL 10 seconds later did"
