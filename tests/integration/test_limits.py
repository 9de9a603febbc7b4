"""The limits of a run: time, size of its log, and what it leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.dispatch import Signal
from pytest_django import Settings

from jobqueue.api import (
    Execution,
    State,
    enqueue,
    execution_finished,
    execution_overdue,
    execution_started,
)
from jobqueue.testing import drain
from tests.builders import a_command, a_job
from tests.commands import program

pytestmark = pytest.mark.django_db

SOON = timedelta(seconds=0.2)


@pytest.fixture
def given(settings: Settings, tmp_path: Path) -> Callable[..., None]:
    """Lay these over ``JOBQUEUE``."""

    def set_over(**over: Any) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": tmp_path, **over}

    set_over()
    return set_over


@contextmanager
def heard(signal: Signal) -> Iterator[list[Execution]]:
    """The Executions that a signal brings."""
    executions: list[Execution] = []

    def hear(execution: Execution, **_: object) -> None:
        executions.append(execution)

    signal.connect(hear)
    try:
        yield executions
    finally:
        signal.disconnect(hear)


def run(argv: list[str], **over: Any) -> Execution:
    """The run of a Job, ended."""
    enqueue(a_job(argv=argv, **over))
    [execution] = drain()
    execution.refresh_from_db()
    return execution


@pytest.fixture
def until_overdue(tmp_path: Path) -> Iterator[list[str]]:
    """A command that goes on until the alert has come, and some looks longer."""
    gate = tmp_path / "gate"

    def open_it(**_: object) -> None:
        gate.touch()

    execution_overdue.connect(open_it)
    yield ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.05; done; sleep 1; echo goes on"]
    execution_overdue.disconnect(open_it)


def run_until_killed(argv: list[str], said: str) -> Execution:
    """The run of a Job whose limit left it the time to say that, however slow the machine is."""
    for seconds in (1, 4, 16, 64):
        execution = run(argv, kill_after=timedelta(seconds=seconds))
        assert execution.state == State.TIMED_OUT
        if said in execution.log_tail:
            return execution
    raise AssertionError(f"It never came to say {said!r}.")


@pytest.mark.usefixtures("given")
class TestMaxRuntime:
    def test_one_alert_and_the_run_goes_on(
        self, until_overdue: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with heard(execution_overdue) as overdue:
            execution = run(until_overdue, max_runtime=SOON)
        assert overdue == [execution]
        assert execution.state == State.SUCCEEDED
        assert execution.log_tail == "goes on\n"
        alerts = [line for line in caplog.messages if "runs longer than" in line]
        assert alerts == [f"{execution.pk} runs longer than 0:00:00.200000, and goes on"]
        assert execution.details == {"overdue": True}

    def test_a_short_run_raises_none(self) -> None:
        with heard(execution_overdue) as overdue:
            run(program("succeed"), max_runtime=timedelta(hours=1))
        assert overdue == []

    def test_the_site_s_default(self, until_overdue: list[str], given: Callable[..., None]) -> None:
        given(MAX_RUNTIME=SOON)
        with heard(execution_overdue) as overdue:
            run(until_overdue)
        assert len(overdue) == 1

    def test_a_job_s_own_goes_over_it_and_zero_is_none(self, given: Callable[..., None]) -> None:
        given(MAX_RUNTIME=SOON)
        with heard(execution_overdue) as overdue:
            run(program("sleep", 1), max_runtime=timedelta(0))
        assert overdue == []


@pytest.mark.usefixtures("given")
class TestKillAfter:
    def test_it_is_ended(self) -> None:
        execution = run_until_killed(program("sleep", 600), "sleeping")
        assert execution.return_code == 143
        assert "kill after" in execution.reason
        assert execution.log_tail == "sleeping\n"

    def test_with_all_its_processes(self) -> None:
        execution = run_until_killed(program("leave_children", 2, "wait"), "\n")
        children = execution.log_tail.splitlines()[0].split()
        assert len(children) == 2
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]

    def test_its_own_end_on_term_is_kept(self) -> None:
        execution = run_until_killed(program("end_on_term"), "ready")
        assert execution.return_code == 7
        assert execution.log_tail == "ready\nending\n"

    def test_the_site_s_default(self, given: Callable[..., None]) -> None:
        given(KILL_AFTER=SOON)
        assert run(program("sleep", 600)).state == State.TIMED_OUT

    def test_a_job_s_own_goes_over_it_and_zero_is_never(self, given: Callable[..., None]) -> None:
        given(KILL_AFTER=SOON)
        assert run(program("sleep", 1), kill_after=timedelta(0)).state == State.SUCCEEDED

    def test_for_a_bare_command_as_well(self, given: Callable[..., None]) -> None:
        given(KILL_AFTER=SOON)
        enqueue(program("sleep", 600))
        assert [execution.state for execution in drain()] == [State.TIMED_OUT]


@pytest.mark.usefixtures("given")
class TestOutput:
    def test_a_flood_is_cut_and_says_so(self, given: Callable[..., None]) -> None:
        given(LOG_LIMIT=100_000, LOG_TAIL=10_000)
        execution = run(program("flood", 200_000))
        assert execution.state == State.SUCCEEDED
        log = Path(execution.log_path).read_bytes()
        assert len(log) <= 100_000
        assert log.startswith(b"line 00000000\n")
        assert log.endswith(b"line 00199999\nthe end\n")
        assert b"[jobqueue] Cut at 100000 bytes" in log
        assert execution.details["log_cut"] is True
        assert execution.log_tail.endswith("the end\n")
        assert len(execution.log_tail) <= 10_000

    def test_an_endless_line(self, given: Callable[..., None]) -> None:
        given(LOG_LIMIT=50_000, LOG_TAIL=1_000)
        execution = run(program("endless_line", 1_000_000))
        assert execution.state == State.SUCCEEDED
        assert execution.log_tail == "x" * 1_000

    @pytest.mark.database
    def test_what_is_not_text(self) -> None:
        execution = run(program("not_utf8"))
        assert execution.state == State.SUCCEEDED
        assert execution.log_tail == "Gr��e\n�\x1b[31m\n�"

    def test_none_leaves_no_file(self) -> None:
        execution = run(program("silent"))
        assert (execution.log_path, execution.log_tail) == ("", "")

    def test_what_is_left_is_ended_and_the_log_says_so(self) -> None:
        execution = run(program("leave_children", 2))
        assert execution.state == State.SUCCEEDED
        assert "2 processes left in its session had to be ended." in execution.log_tail
        assert execution.details["leftovers"] == 2


@pytest.mark.usefixtures("given")
class TestSignals:
    def test_of_a_start_and_an_end(self) -> None:
        with heard(execution_started) as started, heard(execution_finished) as finished:
            execution = run(program("fail", 3))
        assert started == finished == [execution]
        assert (finished[0].state, finished[0].return_code) == (State.FAILED, 3)

    def test_a_receiver_that_fails_changes_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        def fail(**_: object) -> None:
            raise RuntimeError("the host's own trouble")

        execution_started.connect(fail)
        execution_finished.connect(fail)
        try:
            with caplog.at_level(logging.ERROR):
                assert run(a_command()).state == State.SUCCEEDED
        finally:
            execution_started.disconnect(fail)
            execution_finished.disconnect(fail)
        assert "the host's own trouble" in caplog.text

    def test_a_program_that_never_ran_has_not_started(self) -> None:
        with heard(execution_started) as started, heard(execution_finished) as finished:
            execution = run(["/nowhere/at/all"])
        assert started == []
        assert finished == [execution]
        assert execution.state == State.FAILED
