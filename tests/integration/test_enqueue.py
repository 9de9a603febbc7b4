"""Asking for a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.conf import Conf
from pytest_django import Settings

from jobqueue import broker, queue, requests
from jobqueue.api import (
    ADDED,
    DUPLICATE,
    PROMOTED,
    Enqueued,
    JobDisabled,
    NotQueued,
    Source,
    State,
    enqueue,
)
from jobqueue.models import Codes, Execution
from tests.builders import a_command, a_job, a_request, a_run, a_waiting, an_end
from tests.wakeups import woken

pytestmark = [pytest.mark.database, pytest.mark.django_db]

committed = pytest.mark.django_db(transaction=True)
SUMMER = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint in one, that comes to nothing."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class TestAdded:
    def test_a_command(self) -> None:
        before = timezone.now()
        answer = enqueue(["report.py", "--day", "x"], requested_by="ada")
        assert answer == Enqueued(ADDED, answer.execution)
        row = Execution.objects.get(pk=answer.execution.pk)
        assert row.argv == ["report.py", "--day", "x"]
        assert (row.state, row.priority, row.queue, row.attempt) == (State.WAITING, 5, "default", 1)
        assert (row.source, row.requested_by, row.job) == (Source.API, "ada", None)
        assert before <= row.queued_at <= timezone.now()
        assert (row.started_at, row.ended_at, row.return_code, row.pid) == (None, None, None, None)
        assert (row.reason, row.log_path, row.log_tail, row.details) == ("", "", "", {})

    def test_all_that_can_be_said(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": {"java": {"prefix": ["java"]}}}
        over: dict[str, Any] = {
            "priority": 2,
            "queue": "edi.out_1-a",
            "source": Source.COMMAND,
            "requested_by": "ada",
            "details": {"files": ["ä.edi", "b\n.edi"]},
            "environment": "java",
            "env": {"LANG": "C", "EMPTY": ""},
            "working_directory": "/srv/ä",
        }
        row = enqueue(["app.jar"], trigger=SUMMER, not_before=SUMMER, **over).execution
        row.refresh_from_db()
        assert {name: getattr(row, name) for name in over} == over
        assert row.trigger_at == row.not_before == SUMMER

    def test_a_job_as_it_is_now(self) -> None:
        job = a_job(
            argv=["x"],
            queue="night",
            working_directory="/srv",
            env={"A": "b"},
            max_runtime=timedelta(minutes=1),
            kill_after=timedelta(hours=1),
            rerun_if_lost=False,
            codes=Codes.BOTS_ENGINE,
        )
        row = enqueue(job).execution
        job.argv, job.name = ["y"], "renamed"
        job.save()
        row.refresh_from_db()
        assert (row.job, row.argv, row.queue) == (job, ["x"], "night")
        assert row.job_name != "renamed"
        assert (row.working_directory, row.env) == ("/srv", {"A": "b"})
        assert (row.max_runtime, row.kill_after) == (timedelta(minutes=1), timedelta(hours=1))
        assert (row.rerun_if_lost, row.codes) == (False, Codes.BOTS_ENGINE)

    def test_a_job_that_names_no_queue(self) -> None:
        assert enqueue(a_job(queue="")).execution.queue == "default"

    def test_what_is_stored_counts_not_what_the_caller_has(self) -> None:
        job = a_job(argv=["new"])
        job.argv = ["changed", "and", "not", "saved"]
        assert enqueue(job).execution.argv == ["new"]

    def test_the_answer_can_be_used_at_once(self) -> None:
        execution = enqueue(a_command()).execution
        assert execution.command
        assert execution.is_open
        execution.refresh_from_db()
        assert execution.slot == f"waiting:default:{execution.digest}"

    def test_naive_moments_are_in_the_site_s_zone(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        naive = datetime(2026, 7, 1, 12, 0)  # noqa: DTZ001
        row = enqueue(a_command(), trigger=naive, not_before=naive).execution
        row.refresh_from_db()
        assert row.trigger_at == row.not_before == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("argv", "codes"),
        [(["bots-engine"], Codes.BOTS_ENGINE), (["true"], Codes.EXIT_STATUS)],
    )
    def test_bots_engine_is_known(self, argv: list[str], codes: str) -> None:
        assert enqueue(argv).execution.codes == codes

    def test_it_is_known_behind_a_prefix(self, settings: Settings) -> None:
        known = {"prod": {"prefix": ["bots-engine", "-cprod"]}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": known}
        assert enqueue(["route"], environment="prod").execution.codes == Codes.BOTS_ENGINE

    def test_a_line_in_the_log_at_the_commit(
        self, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
    ) -> None:
        caplog.set_level(logging.INFO, logger="jobqueue")
        with django_capture_on_commit_callbacks(execute=True):
            pk = enqueue(["echo", "a\nb"], requested_by="ada").execution.pk
        [line] = caplog.messages
        assert line.startswith(f"{pk} added: priority 5, queue default, by api ada: echo")
        assert line.isprintable()


class TestQueueName:
    def test_the_asker_s_before_the_job_s_before_the_default(self) -> None:
        job = a_job(queue="night")
        assert enqueue(job, queue="day").execution.queue == "day"
        assert enqueue(job).execution.queue == "night"
        assert enqueue(a_command()).execution.queue == "default"

    @pytest.mark.parametrize("name", ["a", "0", "a" * 64, "a.b_c-d"])
    def test_what_one_can_be_called(self, name: str) -> None:
        assert enqueue(a_command(), queue=name).execution.queue == name

    @pytest.mark.parametrize(
        "name", ["", "two words", "a" * 65, "a" * 300, "a/b", "Default", "ä", "a\n", "\0", "\u0661"]
    )
    def test_what_it_can_not(self, name: Any) -> None:
        with pytest.raises(NotQueued, match="queue's name has 1 to 64") as refusal:
            enqueue(a_command(), queue=name)
        assert str(refusal.value).isprintable()
        assert not Execution.objects.exists()


class TestDuplicate:
    def test_it_is_discarded(self) -> None:
        argv = a_command()
        first = enqueue(argv).execution
        answer = enqueue(argv)
        assert (answer.outcome, answer.execution) == (DUPLICATE, first)
        assert Execution.objects.count() == 1

    def test_it_changes_nothing(self) -> None:
        argv = a_command()
        first = a_waiting(argv, priority=3, requested_by="ada")
        enqueue(argv, priority=7, requested_by="bob", details={"files": ["x"]})
        row = Execution.objects.get()
        assert (row.priority, row.requested_by, row.details) == (3, "ada", {})
        assert row.queued_at == first.queued_at

    @pytest.mark.parametrize(
        "over",
        [
            {"priority": 1},
            {"priority": 9},
            {"source": Source.ADMIN},
            {"requested_by": "bob"},
            {"details": {"a": 1}},
            {"not_before": SUMMER},
            {"env": {"B": "b", "A": "a"}},
        ],
    )
    def test_what_does_not_make_another(self, over: dict[str, Any]) -> None:
        same: dict[str, Any] = {"env": {"A": "a", "B": "b"}, "trigger": SUMMER}
        enqueue(["x"], **same)
        assert enqueue(["x"], **{**same, **over}).outcome is not ADDED

    def test_a_moment_is_the_same_in_every_zone(self) -> None:
        enqueue(["x"], trigger=SUMMER)
        elsewhere = SUMMER.astimezone(timezone.get_fixed_timezone(120))
        assert enqueue(["x"], trigger=elsewhere).outcome is DUPLICATE

    @pytest.mark.parametrize(
        "over",
        [
            {"working_directory": "/srv"},
            {"env": {"A": "b"}},
            {"env": {"A": "a", "B": ""}},
            {"environment": "nice"},
            {"trigger": SUMMER},
            {"queue": "other"},
        ],
    )
    def test_what_makes_another(self, over: dict[str, Any], settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": {"nice": {"prefix": ["nice"]}}}
        same: dict[str, Any] = {"env": {"A": "a"}}
        enqueue(["x"], **same)
        assert enqueue(["x"], **{**same, **over}).outcome is ADDED

    @pytest.mark.parametrize(
        "argv",
        [["x", "a b"], ["x a", "b"], ["x", "a", "b", ""], ["X", "a", "b"], ["x", "a", "\uff42"]],
    )
    def test_words_are_not_run_together(self, argv: list[str]) -> None:
        enqueue(["x", "a", "b"])
        assert enqueue(argv).outcome is ADDED

    def test_a_job_and_the_same_command(self) -> None:
        enqueue(a_job(argv=["x"]))
        assert enqueue(["x"]).outcome is DUPLICATE

    def test_the_same_as_one_that_runs_is_new(self) -> None:
        running = a_run(["x"])
        answer = enqueue(["x"])
        assert answer.outcome is ADDED
        assert answer.execution != running
        assert enqueue(["x"]).outcome is DUPLICATE

    def test_the_same_as_one_that_ended_is_new(self) -> None:
        queue.finish(a_run(["x"]), an_end())
        assert enqueue(["x"]).outcome is ADDED


class TestPromoted:
    def test_a_better_priority_moves_it_forward(self) -> None:
        before, moved = a_waiting(priority=5), a_waiting(["x"], priority=6)
        answer = enqueue(["x"], priority=4)
        assert (answer.outcome, answer.execution) == (PROMOTED, moved)
        assert answer.execution.priority == 4
        assert list(Execution.objects.waiting().in_order()) == [moved, before]

    def test_its_time_of_arrival_is_kept(self) -> None:
        first = a_waiting(["x"], priority=9)
        second = a_waiting(priority=3)
        enqueue(["x"], priority=3)
        assert list(Execution.objects.waiting().in_order()) == [first, second]
        assert Execution.objects.get(pk=first.pk).queued_at == first.queued_at

    @pytest.mark.parametrize("priority", [5, 6, 9])
    def test_no_better_one_does_not(self, priority: int) -> None:
        enqueue(["x"], priority=5)
        assert enqueue(["x"], priority=priority).outcome is DUPLICATE
        assert Execution.objects.get().priority == 5


class TestRefused:
    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            ([], "No command"),
            ([""], "program is empty"),
            ("echo hello", "list of strings"),
            (None, "list of strings"),
            (["echo", 1], "isn't a string"),
            (["echo", "a\0"], "NUL"),
            (["echo", os.fsdecode(b"\xff")], "UTF-8"),
            (["echo", "x" * 200_000], "131071 bytes"),
        ],
    )
    def test_a_command(self, argv: Any, words: str) -> None:
        with pytest.raises(NotQueued, match=words) as refusal:
            enqueue(argv)
        assert str(refusal.value).isprintable()
        assert not Execution.objects.exists()

    @pytest.mark.parametrize("priority", [0, 10, -1, "abc", "5", 5.0, None, True])
    def test_a_priority(self, priority: Any) -> None:
        with pytest.raises(NotQueued, match=r"from 1 \(first\) to 9 \(last\)"):
            enqueue(a_command(), priority=priority)
        assert not Execution.objects.exists()

    @pytest.mark.parametrize(
        "over",
        [
            {"env": {"A=B": "c"}},
            {"env": {"A": "\0"}},
            {"environment": "unknown"},
            {"working_directory": "a\0b"},
            {"working_directory": os.fsdecode(b"/srv/\xff")},
            {"working_directory": "/" + "x" * 1024},
            {"details": {"files": ["a\0b"]}},
            {"details": {"files": [os.fsdecode(b"\xff")]}},
            {"details": {"file": object()}},
        ],
    )
    def test_what_can_not_be_stored_or_run(self, over: dict[str, Any]) -> None:
        with pytest.raises(NotQueued) as refusal:
            enqueue(a_command(), **over)
        assert str(refusal.value).isprintable()
        assert not Execution.objects.exists()

    def test_a_program_that_is_not_allowed(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_PROGRAMS": ["/opt/*"]}
        with pytest.raises(NotQueued, match="isn't allowed"):
            enqueue(["/bin/sh"])

    def test_a_disabled_job(self) -> None:
        job = a_job(enabled=False, name="Nightly")
        with pytest.raises(JobDisabled, match="'Nightly' is disabled"):
            enqueue(job)

    def test_a_job_that_was_disabled_meanwhile(self) -> None:
        job = a_job()
        type(job).objects.update(enabled=False)
        with pytest.raises(JobDisabled):
            enqueue(job)

    def test_a_job_that_is_gone(self) -> None:
        job = a_job()
        type(job).objects.all().delete()
        with pytest.raises(NotQueued, match="isn't there"):
            enqueue(job)

    @committed
    def test_a_job_that_goes_in_that_instant(self) -> None:
        job = a_job()
        request = a_request(job)
        job.delete()
        with pytest.raises((NotQueued, IntegrityError)):
            queue.enqueue(request)
        assert not Execution.objects.exists()

    def test_a_job_whose_environment_broke(self, settings: Settings) -> None:
        job = a_job(environment="etl")
        with pytest.raises(NotQueued, match="no environment 'etl'"):
            enqueue(job)


class TestAccepted:
    @pytest.mark.parametrize(
        "argv",
        [
            ["echo", "x" * 100_000],
            ["echo", *["x" * 100] * 1000],
            ["echo", "a\nb", "--settings=x", "-p3", "--"],
            ["é", "😀", "'", '"', "\\", "$HOME", "%s", "%(x)s", "{}", "\x1b[31m"],
        ],
    )
    def test_unusual_words_arrive_untouched(self, argv: list[str]) -> None:
        pk = enqueue(argv).execution.pk
        assert Execution.objects.get(pk=pk).argv == argv
        assert enqueue(argv).outcome is DUPLICATE

    def test_who_asks_may_be_anybody(self) -> None:
        row = enqueue(a_command(), requested_by="a\0b\udcff" + "x" * 300).execution
        row.refresh_from_db()
        assert row.requested_by.startswith("ab?x")
        assert len(row.requested_by) == 254


@committed
class TestTransaction:
    def test_a_duplicate_of_its_own_is_not_asked_again(
        self, django_capture_on_commit_callbacks: Any
    ) -> None:
        command = a_command()
        with django_capture_on_commit_callbacks() as callbacks:
            first, second = enqueue(command), enqueue(command)
        assert (first.outcome, second.outcome) == (ADDED, DUPLICATE)
        assert queue.claim("default") == first.execution
        for callback in callbacks:
            callback()
        assert Execution.objects.get() == first.execution

    def test_it_takes_effect_at_the_commit(self) -> None:
        with transaction.atomic():
            enqueue(a_command())
            assert woken() == []
        assert woken() == ["default"]
        assert Execution.objects.waiting().count() == 1

    def test_rolled_back_it_leaves_nothing(self) -> None:
        with rolled_back():
            enqueue(a_command())
        assert not Execution.objects.exists()
        assert woken() == []

    def test_rolled_back_to_a_savepoint_as_well(self) -> None:
        kept = a_command()
        with transaction.atomic():
            enqueue(kept)
            with rolled_back():
                enqueue(a_command(), queue="other")
        assert Execution.objects.get().argv == kept
        assert woken() == ["default"]

    def test_after_a_rolled_back_one_the_same_is_new(self) -> None:
        with rolled_back():
            enqueue(["x"])
        assert enqueue(["x"]).outcome is ADDED

    def test_twice_in_one(self) -> None:
        with transaction.atomic():
            assert enqueue(["x"]).outcome is ADDED
            assert enqueue(["x"]).outcome is DUPLICATE
            assert enqueue(["x"], priority=1).outcome is PROMOTED
        row = Execution.objects.get()
        assert (row.priority, row.state) == (1, State.WAITING)
        assert woken() == ["default"]

    def test_a_duplicate_is_discarded_if_the_other_still_waits(self) -> None:
        a_waiting(["x"])
        with transaction.atomic():
            enqueue(["x"])
        assert Execution.objects.count() == 1

    def test_a_duplicate_is_queued_anew_if_the_other_started_before_the_commit(self) -> None:
        waiting = a_waiting(["x"])
        with transaction.atomic():
            assert enqueue(["x"], priority=2, requested_by="bob").execution == waiting
            assert queue.claim("default") == waiting
        again = Execution.objects.waiting().get()
        assert (again.argv, again.priority, again.requested_by) == (["x"], 2, "bob")
        assert again != waiting

    def test_and_if_the_other_was_cancelled(self) -> None:
        waiting = a_waiting(["x"])
        with transaction.atomic():
            enqueue(["x"])
            queue.cancel(waiting, by="ada")
        assert Execution.objects.waiting().count() == 1

    def test_a_rolled_back_duplicate_is_not(self) -> None:
        a_waiting(["x"])
        with rolled_back():
            enqueue(["x"])
            assert queue.claim("default")
        assert Execution.objects.count() == 1


@committed
class TestWakeUps:
    def test_only_the_first_request_wakes(self) -> None:
        for _ in range(10):
            enqueue(a_command())
        assert woken() == ["default"]

    def test_each_queue_is_woken(self) -> None:
        for name in ("a", "b", "a", "b"):
            enqueue(a_command(), queue=name)
        assert woken() == ["a", "b"]

    def test_while_one_runs_none_is_needed(self) -> None:
        a_run()
        before = woken()
        enqueue(a_command())
        assert woken() == before

    def test_a_duplicate_sends_none(self) -> None:
        enqueue(["x"])
        enqueue(["x"])
        enqueue(["x"], priority=1)
        assert woken() == ["default"]

    def test_one_that_may_not_start_yet_sends_none(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        for _ in range(10):
            enqueue(a_command(), not_before=later)
        assert woken() == []

    def test_one_that_may_not_start_yet_hides_no_other(self) -> None:
        enqueue(a_command(), not_before=timezone.now() + timedelta(hours=1))
        enqueue(a_command())
        assert woken() == ["default"]

    def test_with_sync_on_none_is_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Conf, "SYNC", True)
        assert enqueue(["false"]).outcome is ADDED
        assert woken() == []
        assert Execution.objects.get().state == State.WAITING

    def test_a_broker_that_is_away_loses_no_request(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", {"host": "127.0.0.1", "port": 1})
        broker._broker.cache_clear()
        try:
            assert enqueue(a_command()).outcome is ADDED
        finally:
            broker._broker.cache_clear()
        assert Execution.objects.waiting().count() == 1
        assert "not sent, the clock will look" in caplog.text

    def test_thousands_leave_a_handful(self) -> None:
        # Each of the first ones is asked as in real life, the rest is put there at once.
        for _ in range(50):
            enqueue(a_command())
        rows = [requests.build(a_command()) for _ in range(2_000)]
        Execution.objects.bulk_create(rows, batch_size=500)
        for _ in range(50):
            enqueue(a_command(), priority=1)
        assert Execution.objects.waiting().count() == 2_100
        assert len(woken()) <= 5


@committed
class TestCost:
    def statements(self, ask: Callable[[], object]) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            ask()
        ours = [query["sql"] for query in captured.captured_queries]
        words = ("INSERT", "UPDATE", "SELECT", "DELETE", "BEGIN")
        return [sql for sql in ours if sql.split()[0] in words]

    def test_a_request_is_an_insert_that_looks_around(self) -> None:
        enqueue(a_command())
        # PostgreSQL looks when it has committed, MariaDB does so in the same round trip.
        expected = {"sqlite": 1, "postgresql": 2, "mysql": 1}[connection.vendor]
        assert len(self.statements(lambda: enqueue(a_command()))) == expected

    def test_a_job_is_read_before(self) -> None:
        enqueue(a_command())
        job = a_job()
        bare = len(self.statements(lambda: enqueue(a_command())))
        assert len(self.statements(lambda: enqueue(job))) == bare + 1

    def prepared(self) -> list[tuple[str, int]]:
        """The statements that PostgreSQL has prepared, and how often it took an old plan."""
        if connection.vendor != "postgresql":
            pytest.skip("only PostgreSQL's statements are prepared")
        connection.close()
        for _ in range(20):
            enqueue(a_command())
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement, generic_plans FROM pg_prepared_statements")
            return list(cursor.fetchall())

    def test_statements_are_prepared_and_planned_for_the_table_as_it_is(self) -> None:
        prepared = self.prepared()
        assert any(statement.startswith("INSERT") for statement, _ in prepared)
        assert {old_plans for _, old_plans in prepared} == {0}

    def test_behind_a_pooler_none_is_prepared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        assert self.prepared() == []

    def test_accepting_is_durable(self) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("a server is durable by its own settings, which a system check looks at")
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = 1")
        with CaptureQueriesContext(connection) as captured:
            enqueue(a_command())
        said = [query["sql"] for query in captured.captured_queries]
        insert = next(i for i, sql in enumerate(said) if sql.startswith("INSERT INTO jobqueue_"))
        assert said[insert - 1] == "PRAGMA synchronous = 2"
        assert said[insert + 1] == "PRAGMA synchronous = 1"
