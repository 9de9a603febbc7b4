"""Where people see retries: pages, lists and commands; and where they say what they want."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobqueue import desk, metrics, queue
from jobqueue.ends import end_of
from jobqueue.executor import Outcome
from jobqueue.management.following import waiting_for
from jobqueue.models import Execution, Job, State
from tests.builders import a_cluster, a_job, a_run, a_waiting, an_ended
from tests.terminal import call
from tests.users import a_client, noted

pytestmark = [pytest.mark.database, pytest.mark.django_db]
LIST = "/admin/jobqueue/execution/"
HOUR = timedelta(hours=1)
#: Before a time of tomorrow, which an hour later may be.
DATE = "([0-9-]{10} )?"


def a_retry(**over: Any) -> Execution:
    """The second attempt of four, which waits for an hour; its Job's run failed at its first."""
    fields = {"max_retries": 3, "retry_delay": HOUR, "retry_max_delay": HOUR}
    run = a_run(a_job(**{**fields, **over}))
    queue.finish(run, end_of(run, Outcome(return_code=1)))
    return Execution.objects.waiting().get()


def clock(execution: Execution) -> str:
    """The time of day at which it starts, as pages show it."""
    assert execution.not_before is not None
    return f"{timezone.localtime(execution.not_before):%H:%M}"


def page(execution: Execution) -> str:
    return f"{LIST}{execution.pk}/change/"


def shown(url: str, *permissions: str) -> str:
    client = a_client("view_execution", *permissions)
    return " ".join(client.get(url).text.split())


class TestPages:
    @pytest.mark.parametrize("where", ["page", "list", "desk"])
    def test_which_attempt_it_is_and_when_it_comes(self, where: str) -> None:
        a_cluster()
        retry = a_retry()
        url = {"page": page(retry), "list": LIST, "desk": f"{LIST}desk/"}[where]
        text = shown(url)
        assert "attempt 2 of 4, again at <time" in text
        assert f"{clock(retry)}</time>" in text
        assert "attempt 2 of 4" in text

    def test_the_failed_one_says_what_comes(self) -> None:
        retry = a_retry()
        assert retry.retry_of is not None
        text = shown(page(retry.retry_of))
        assert "attempt 1 of 4; queued again as" in text
        assert "again at <time" in text
        assert f"{clock(retry)}</time>" in text

    def test_the_desk_tells_it_of_what_went_wrong_and_of_what_runs(self) -> None:
        retry = a_retry()
        assert "attempt 1 of 4; queued again as" in shown(f"{LIST}desk/")
        Execution.objects.filter(pk=retry.pk).update(not_before=None)
        assert queue.claim("default") == retry
        text = shown(f"{LIST}desk/")
        assert "attempt 2 of 4" in text
        assert "again at" not in text

    def test_of_a_first_attempt_lists_say_nothing(self) -> None:
        a_waiting(a_job(max_retries=3))
        an_ended(job_name="x")
        for url in (LIST, f"{LIST}desk/"):
            assert "attempt" not in shown(url)

    def test_cancel_ends_it(self) -> None:
        retry = a_retry()
        url = f"{LIST}{retry.pk}/cancel/"
        assert url in shown(page(retry), "stop_execution")
        client = a_client("view_execution", "stop_execution", username="anna")
        client.post(url, {"confirmed": "yes"})
        retry.refresh_from_db()
        assert retry.state == State.CANCELLED
        assert noted() == [("anna", "Cancelled.")]
        assert not Execution.objects.open().exists()

    def test_run_again_begins_anew(self) -> None:
        retry = a_retry()
        failed = retry.retry_of
        assert failed is not None
        queue.cancel(retry, by="x")
        client = a_client("view_execution", "view_job", "run_job")
        client.post(f"{LIST}{failed.pk}/again/")
        [again] = Execution.objects.waiting()
        assert again.plan is not None
        assert (again.plan.attempt, again.plan.attempts) == (1, 4)
        assert "retried" not in again.details

    def test_of_a_job(self) -> None:
        job = a_job(max_retries=8, retry_delay=timedelta(minutes=5), retry_on="failed, 75")
        text = shown(f"/admin/jobqueue/job/{job.pk}/change/", "view_job")
        assert (
            "Up to 9 attempts; again after 5 min, 10 min, 20 min, 40 min, 1 h 0 min, 1 h 0 min, …, "
            "on failed, 75."
        ) in text
        text = shown(f"/admin/jobqueue/job/{a_job().pk}/change/", "view_job")
        assert "A run that goes wrong isn&#x27;t tried again." in text


class TestNothingIsHeldUp:
    def test_on_the_desk_what_came_later_starts_before_it(self) -> None:
        a_cluster()
        retry, other = a_retry(), a_waiting(priority=9)
        places = desk.places(timezone.now())
        starts = [places[execution.pk].starts_at for execution in (other, retry)]
        assert None not in starts
        assert starts[0] < starts[1]  # type: ignore[operator]

    def test_it_is_no_wait_that_is_too_long(self) -> None:
        retry = a_retry()
        then = timezone.now() - 3 * HOUR
        Execution.objects.filter(pk=retry.pk).update(queued_at=then)
        text = metrics.text(timezone.now())
        assert 'jobqueue_oldest_wait_seconds{queue="default"} 0\n' in text


class TestCommands:
    def test_status_and_list(self) -> None:
        retry = a_retry(name="Engine")
        words = rf"Engine, attempt 2 of 4, again at {DATE}{clock(retry)}:"
        assert re.search(words, call("queue", "status").out)
        out = call("queue", "list").out
        assert re.search(words, out)
        assert "Engine, attempt 1 of 4\n" in out

    def test_json(self) -> None:
        a_retry()
        [status] = json.loads(call("queue", "status", "--json").out)
        assert status["waiting"][0]["retry"] == {
            "attempt": 2, "attempts": 4, "delay": 3600.0, "backoff": "exponential",
            "max_delay": 3600.0, "on": "failed, timed_out",
        }  # fmt: skip

    def test_who_waits_is_told_when_it_comes(self) -> None:
        retry = a_retry()
        assert re.search(rf"not before {DATE}{clock(retry)}", waiting_for(retry.pk))

    def test_options(self) -> None:
        options = [
            *("--max-retries", "5", "--retry-on", "failed, 75-78", "--retry-delay", "30"),
            *("--retry-backoff", "fixed", "--retry-max-delay", "2h", "--alarm-at-first-failure"),
        ]
        assert call("jobs", "create", "A", *options, "--", "x").code == 0
        job = Job.objects.get()
        assert (job.max_retries, job.retry_on, job.retry_backoff) == (5, "failed, 75-78", "fixed")
        assert (job.retry_delay, job.retry_max_delay) == (timedelta(seconds=30), 2 * HOUR)
        assert job.alarm_at_first_failure
        out = call("jobs", "show", "A").out
        assert "retries:                after 30 s, 30 s, 30 s, 30 s, 30 s\n" in out
        assert "retry_delay:            30 s\n" in out
        assert call("jobs", "edit", "A", "--max-retries", "0").code == 0
        assert "\nretries: " not in call("jobs", "show", "A").out

    @pytest.mark.parametrize(
        ("option", "why"),
        [
            ("--max-retries=101", "it takes a number from 0 to 100"),
            ("--max-retries=-1", "it takes a number from 0 to 100"),
            ("--retry-on=stopped", "retry_on: 'stopped' is no outcome"),
            ("--retry-delay=soon", "--retry-delay: 'soon' is no duration"),
            ("--retry-delay=31d", "retry_delay: A delay can't be longer than 30 days."),
            ("--retry-delay=2h", "retry_max_delay: The longest delay is shorter than the first"),
            ("--retry-max-delay=default", "'default' is no duration"),
            ("--retry-backoff=linear", "invalid choice"),
        ],
    )
    def test_refused_in_one_line(self, option: str, why: str) -> None:
        a_job(name="A", max_retries=1)
        done = call("jobs", "edit", "A", option)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert why in done.err
