"""What of the record goes, what stays, and how little a step does."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import conf, log_files, retention
from jobqueue.models import Execution, Fire, Job, State
from jobqueue.models.execution import FAILURES
from tests.builders import a_job, a_run, a_schedule, a_waiting, an_ended, write_log

pytestmark = [pytest.mark.database, pytest.mark.django_db]

NOW = timezone.now()
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def keep(settings: Settings, data_dir: Path) -> None:
    """Two runs of each Job, ten days, failures thirty, output three."""
    given = {"KEEP_RUNS": 2, "KEEP_DAYS": 10, "KEEP_FAILED_DAYS": 30, "KEEP_OUTPUT_DAYS": 3}
    settings.JOBQUEUE = {**settings.JOBQUEUE, **given}


def ended(days: float, job: Job | None = None, **over: Any) -> Execution:
    """A run that ended so many days ago."""
    then = NOW - days * DAY
    named = {"job": job, "job_name": job.name} if job else {}
    moments = {"queued_at": then, "started_at": then, "ended_at": then}
    return an_ended(**{**named, **moments, **over})


def take(days: int | None = None) -> list[retention.Step]:
    """Take all steps; those that found something."""
    steps = list(retention.steps(NOW, days))
    for step in steps:
        step.take()
    return [step for step in steps if step != retention.Step()]


def kept(*rows: Execution) -> list[bool]:
    there = set(Execution.objects.values_list("pk", flat=True))
    return [row.pk in there for row in rows]


class TestRows:
    def test_the_old_go(self) -> None:
        old, young = ended(10.1), ended(9.9)
        take()
        assert kept(old, young) == [False, True]

    @pytest.mark.parametrize("state", FAILURES)
    def test_failures_stay_longer(self, state: str) -> None:
        old, older = ended(29.9, state=state), ended(30.1, state=state)
        take()
        assert kept(old, older) == [True, False]

    def test_what_was_cancelled_is_no_failure(self) -> None:
        cancelled = ended(11, state=State.CANCELLED, started_at=None, return_code=None)
        take()
        assert kept(cancelled) == [False]

    def test_failures_stay_no_shorter_than_others(self) -> None:
        job = a_job(keep_days=100, keep_runs=0)
        old, older = (ended(days, job, state=State.FAILED) for days in (99, 101))
        take()
        assert kept(old, older) == [True, False]

    def test_the_last_ones_of_a_job_stay_however_old(self) -> None:
        job, other = a_job(), a_job()
        rows = [ended(400, job), ended(300, other), ended(200, job), ended(100, job)]
        take()
        assert kept(*rows) == [False, True, True, True]

    def test_commands_without_a_job_have_no_last_ones(self) -> None:
        rows = [ended(20), ended(19)]
        take()
        assert kept(*rows) == [False, False]

    def test_a_job_has_its_own_numbers(self) -> None:
        often, seldom = a_job(keep_runs=0, keep_days=1), a_job(keep_runs=3)
        rows = [ended(2, often), ended(0.5, often), *(ended(400, seldom) for _ in range(4))]
        take()
        assert kept(*rows) == [False, True, False, True, True, True]

    def test_nothing_goes_that_is_kept_for_ever(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "KEEP_DAYS": None, "KEEP_OUTPUT_DAYS": None}
        rows = [ended(9999), ended(9999, state=State.FAILED)]
        job = a_job(keep_days=1, keep_runs=0)
        rows += [ended(2, job), ended(2, job, state=State.FAILED)]
        assert [step.executions for step in take()] == [[rows[2].pk]]
        assert kept(*rows) == [True, True, False, True]

    def test_what_is_open_stays_however_old(self) -> None:
        running, waiting = a_run(), a_waiting()
        Execution.objects.update(queued_at=NOW - 999 * DAY)
        take(days=0)
        assert kept(running, waiting) == [True, True]

    def test_one_that_waited_or_ran_for_long_is_as_old_as_its_end(self) -> None:
        row = ended(99, ended_at=NOW)
        take()
        assert kept(row) == [True]

    def test_the_order_of_keys_need_not_be_that_of_times(self) -> None:
        """A retry has the time of arrival of what it repeats."""
        rows = [ended(20), ended(1), ended(20), ended(0), ended(20)]
        take()
        assert kept(*rows) == [False, True, False, True, False]


class TestWhatPointsToThem:
    def test_a_run_stays_as_long_as_its_retry(self) -> None:
        """How often in a row it was lost is asked of the whole chain."""
        first = ended(400, state=State.LOST)
        second = ended(399, state=State.LOST, retry_of=first)
        waiting = a_waiting()
        Execution.objects.filter(pk=waiting.pk).update(retry_of=second)
        take()
        assert kept(first, second, waiting) == [True, True, True]
        Execution.objects.filter(pk=waiting.pk).update(state="failed", ended_at=NOW - 31 * DAY)
        take()
        assert not Execution.objects.exists()

    def test_a_chain_longer_than_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "READ", 3)
        chain = [ended(40)]
        while len(chain) < 8:
            chain.append(ended(40, retry_of=chain[-1]))
        while Execution.objects.exists():
            before = Execution.objects.count()
            take()
            assert Execution.objects.count() < before
            for row in Execution.objects.exclude(pk=chain[0].pk):
                assert row.retry_of is not None

    def test_a_fire_time_outlives_its_execution(self) -> None:
        schedule = a_schedule(last_fire_at=NOW)
        fire = Fire.objects.create(
            schedule=schedule, fire_at=NOW - 11 * DAY, outcome="added", execution=ended(11)
        )
        take()
        fire.refresh_from_db()
        assert fire.execution is None

    def test_the_number_of_the_last_run_of_a_job_is_asked_once(self) -> None:
        job = a_job()
        for _ in range(5):
            ended(20, job)
        with CaptureQueriesContext(connection) as asked:
            list(retention.steps(NOW))
        of_job = [q for q in asked if '"job_id" = ' in q["sql"] or "`job_id` = " in q["sql"]]
        assert len(of_job) == 1


class TestFires:
    def test_they_go_with_the_failures_but_for_the_last_one_of_each_schedule(self) -> None:
        often, seldom = a_schedule(last_fire_at=NOW), a_schedule(last_fire_at=NOW - 400 * DAY)
        for schedule, days in ((often, 31), (often, 29), (often, 0), (seldom, 400)):
            moment = NOW - days * DAY
            Fire.objects.create(
                schedule=schedule, fire_at=moment, recorded_at=moment, outcome="added"
            )
        take()
        left = Fire.objects.order_by("pk").values_list("schedule", "fire_at")
        expected = [(often.pk, NOW - 29 * DAY), (often.pk, NOW)]
        assert list(left) == [*expected, (seldom.pk, NOW - 400 * DAY)]

    def test_in_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "READ", 4)
        monkeypatch.setattr(retention, "STEP", 3)
        schedule = a_schedule(last_fire_at=NOW)
        for days in range(60, 50, -1):
            moment = NOW - days * DAY
            Fire.objects.create(
                schedule=schedule, fire_at=moment, recorded_at=moment, outcome="missed"
            )
        assert [len(step.fires) for step in take()] == [3, 1, 3, 1, 2]
        assert not Fire.objects.exists()


class TestOutput:
    def test_it_goes_before_its_row(self) -> None:
        old, young = write_log(ended(3.1)), write_log(ended(2.9))
        take()
        for row in (old, young):
            row.refresh_from_db()
        assert (old.log_path, old.log_tail) == ("", retention.DELETED)
        assert not conf.current().log_path(old.pk).exists()
        assert young.log_tail == "some output\n"
        assert Path(young.log_path).exists()

    def test_it_goes_once(self) -> None:
        write_log(ended(4))
        assert [len(step.outputs) for step in take()] == [1]
        assert take() == []

    def test_of_the_last_runs_and_of_failures_too(self) -> None:
        row = write_log(ended(4, a_job(), state=State.FAILED))
        take()
        row.refresh_from_db()
        assert row.log_tail == retention.DELETED

    def test_a_job_keeps_its_own_for_as_long_as_it_says(self) -> None:
        job = a_job(keep_output_days=6)
        young, old = write_log(ended(5, job)), write_log(ended(7, job))
        assert [step.outputs for step in take()] == [[old.pk]]
        assert Path(young.log_path).exists()

    def test_that_of_a_run_that_goes_on_stays(self) -> None:
        row = write_log(a_run())
        Execution.objects.update(queued_at=NOW - 999 * DAY, started_at=NOW - 999 * DAY)
        assert take(days=0) == []
        assert Path(row.log_path).exists()

    def test_only_files_in_the_directory_of_logs(self, tmp_path: Path) -> None:
        """Whatever a row says."""
        dear = tmp_path / "dear"
        dear.touch()
        row = ended(11, log_path=str(dear))
        take()
        assert kept(row) == [False]
        assert dear.exists()

    def test_a_file_that_can_not_be_deleted_holds_up_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        row = ended(11, log_path="x")
        conf.current().log_path(row.pk).mkdir(parents=True)
        with caplog.at_level(logging.WARNING):
            take()
        assert kept(row) == [False]
        assert "log files can't be deleted" in caplog.text


class TestHowLittleAStepDoes:
    def test_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "STEP", 2)
        for _ in range(5):
            ended(11)
        for _ in range(3):
            write_log(ended(5))
        steps = [(len(step.executions), len(step.outputs)) for step in take()]
        assert steps == [(2, 0), (2, 0), (1, 0), (0, 2), (0, 1)]

    def test_it_reads_no_more_than_it_must(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "READ", 4)
        for days in (20, *[2] * 20):
            ended(days)
        seen = [step.executions for step in retention.steps(NOW)]
        assert seen == [[Execution.objects.order_by("pk")[0].pk]]

    @pytest.mark.parametrize("count", [1, 100])
    def test_statements_of_a_deletion(
        self, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        """However many rows: a savepoint, their keys, five tables that may point to them, them."""
        Execution.objects.bulk_create(
            Execution(argv=["true"], state="succeeded", digest="x", ended_at=NOW)
            for _ in range(count)
        )
        step = retention.Step(executions=list(Execution.objects.values_list("pk", flat=True)))
        with django_assert_num_queries(9):
            step.take()
        assert not Execution.objects.exists()

    def test_nothing_is_locked_for_nothing(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(0):
            retention.Step().take()

    def test_statements_of_a_look(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for _ in range(50):
            write_log(ended(5))
        with django_assert_num_queries(3):  # Jobs with own numbers, executions, fire times
            assert len(list(retention.steps(NOW))) == 1

    def test_output_is_not_read(self) -> None:
        write_log(ended(11))
        with CaptureQueriesContext(connection) as asked:
            take()
        assert len(asked) > 3
        reads = [q["sql"] for q in asked if q["sql"].startswith("SELECT")]
        assert not [sql for sql in reads if "log_tail" in sql]


class TestLogFiles:
    def a_file(self, number: int, days: float = 0, name: str = "") -> Path:
        path = conf.current().log_path(number)
        path = path.with_name(name) if name else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        then = time.time() - days * 86400
        os.utime(path, (then, then))
        return path

    def unneeded(self, days: int | None = None) -> Iterator[Path]:
        for directory in log_files.unneeded(timezone.now(), days):
            yield from directory.files

    def test_those_of_executions_stay(self) -> None:
        path = write_log(an_ended()).log_path
        os.utime(path, (0, 0))
        assert list(self.unneeded()) == []

    def test_that_of_a_run_stays_though_its_row_does_not_name_it_yet(self) -> None:
        running = self.a_file(a_run().pk, days=400)
        assert list(self.unneeded(days=0)) == []
        assert running.exists()

    def test_one_of_which_the_output_was_deleted_elsewhere(self) -> None:
        path = self.a_file(an_ended(log_tail=retention.DELETED).pk)
        self.a_file(an_ended().pk)
        assert list(self.unneeded()) == [path]

    def test_orphans_when_they_are_old(self) -> None:
        old, _ = self.a_file(5, days=3.1), self.a_file(6, days=2.9)
        assert list(self.unneeded()) == [old]

    def test_orphans_for_ever(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "KEEP_OUTPUT_DAYS": None}
        self.a_file(5, days=4000)
        assert list(self.unneeded()) == []

    def test_whatever_else_lies_there_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "dear").mkdir()
        (tmp_path / "dear/5.log").touch()
        for name in (
            "5.txt",
            "x.log",
            "05.log",
            "5.log.gz",
            "1005.log",
            "-5.log",
            "\N{ARABIC-INDIC DIGIT FIVE}.log",
        ):
            self.a_file(5, days=400, name=name)
        logs = conf.current().log_dir
        (logs / "0/8.log").symlink_to(tmp_path / "dear/5.log")
        (logs / "0/9.log").mkdir()
        (logs / "7").symlink_to(tmp_path / "dear")
        (logs / "notes").mkdir()
        os.utime(logs / "0/8.log", (0, 0), follow_symlinks=False)
        assert list(self.unneeded(days=0)) == []

    def test_no_directory_of_logs_at_all(self) -> None:
        assert list(self.unneeded()) == []

    def test_a_directory_that_is_empty_for_good_goes_too(self) -> None:
        full, current = self.a_file(5, days=9), self.a_file(1005, days=9)
        an_ended(pk=1007)
        for directory in log_files.unneeded(timezone.now()):
            directory.take()
        assert not full.parent.exists()
        assert current.parent.exists()
        assert not current.exists()

    def test_a_directory_in_which_a_run_may_still_begin_stays(self) -> None:
        waiting = a_waiting()
        number = waiting.pk // 1000
        file = self.a_file(number * 1000 + 999, days=9)
        an_ended(pk=(number + 1) * 1000)
        for directory in log_files.unneeded(timezone.now()):
            directory.take()
        assert not file.exists()
        assert file.parent.exists()

    def test_two_questions_a_directory(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(20):
            self.a_file(number, days=9)
        with django_assert_num_queries(3):  # and whether there are newer ones
            [directory] = log_files.unneeded(timezone.now())
        assert len(directory.files) == 20


def test_a_moment_of_long_ago() -> None:
    """The longest time that can be kept reaches further back than what has a date."""
    assert list(retention.steps(datetime(2026, 1, 1, tzinfo=NOW.tzinfo), conf.KEEP_MOST)) == []
