"""Runs that nobody looks after any more: adopted, or lost and queued again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from jobqueue import ends, launcher, owners, queue, recovery, runs, signals
from jobqueue.executor import AdoptedRun, Executor, Outcome, read_run_file
from jobqueue.models import Execution, Job, Source, State
from jobqueue.owners import Owner
from jobqueue.recovery import Recovery
from tests.builders import a_command, a_dead_owner, a_job, a_run, a_waiting
from tests.commands import program
from tests.waiting import wait_until
from tests.wakeups import woken

pytestmark = [pytest.mark.database, pytest.mark.django_db]

PATIENCE = 90  # seconds that a slow machine is given
ELSEWHERE = Owner("edi-2:boot.1", 4711, 99)


@pytest.fixture(autouse=True)
def _own_directory(data_dir: Path) -> None:
    """No test sees the run files of another one."""


def belongs_to(execution: Execution, owner: Owner | str) -> Execution:
    Execution.objects.filter(pk=execution.pk).update(owner=str(owner))
    return Execution.objects.get(pk=execution.pk)


def an_abandoned(what: list[str] | Job | None = None, **over: Any) -> Execution:
    """A running row whose worker died before anything was started."""
    return belongs_to(a_run(what, **over), a_dead_owner())


@pytest.fixture
def leave() -> Iterator[Callable[..., Execution]]:
    """Starts a run for real, whose worker then dies."""
    started: list[int] = []

    def _leave(what: list[str] | Job, **over: Any) -> Execution:
        execution = an_abandoned(what, **over)
        owner = Owner.parse(execution.owner)
        executor = Executor(owner.run_path, owners.lease_path())
        run = executor.start(runs.command_for(execution))
        assert run.pid is not None
        started.append(run.pid)
        executor.close()
        return execution

    yield _leave
    for pid in started:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def looked(times: int = 1) -> Recovery:
    """What a worker has done that looked so often."""
    found = Recovery()
    for moment in range(times):
        found.look(2.0 * moment)
    return found


def now(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def forgotten(path: Path) -> bool:
    recovery.forget_run_files()
    return not path.exists()


def until_recorded(execution: Execution) -> Execution:
    """Workers look, one after another, until its end is known."""

    def is_recorded() -> bool:
        looked()
        return not now(execution).is_open

    wait_until(is_recorded, PATIENCE, "an end that is recorded")
    return now(execution)


def until_ended(found: Recovery, execution: Execution) -> Execution:
    def has_ended() -> bool:
        found.look_after_adopted()
        return not now(execution).is_open

    wait_until(has_ended, PATIENCE, "the end of an adopted run")
    return now(execution)


class TestAdopted:
    def test_one_that_goes_on_keeps_its_slot_and_gets_its_true_code(
        self, leave: Callable[..., Execution]
    ) -> None:
        execution = leave(program("end_on_term"))
        found = looked()
        row = now(execution)
        assert (row.state, Owner.parse(row.owner).pid) == (State.RUNNING, os.getpid())
        assert queue.claim(row.queue) is None
        assert row.pid is not None

        def output() -> str:
            found.look_after_adopted()
            return now(row).log_tail

        wait_until(output, PATIENCE, "its output in its row")
        os.kill(row.pid, signal.SIGTERM)
        ended = until_ended(found, execution)
        assert (ended.state, ended.return_code) == (State.FAILED, 7)
        assert (ended.log_tail, ended.details["adopted"]) == ("ready\nending\n", 1)
        assert not found.goes_on
        assert not Execution.objects.filter(retry_of=ended).exists()

    def test_the_next_one_is_woken_at_its_end(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("sleep", 0.2))
        a_waiting()
        until_ended(looked(), execution)
        assert woken() == ["default"]

    def test_again_when_its_second_worker_died(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("sleep", 600))
        looked()
        heir = Owner.parse(now(execution).owner)
        dead = a_dead_owner()
        belongs_to(execution, Owner(dead.place, dead.pid, dead.started, heir.launched))
        found = looked()
        assert Owner.parse(now(execution).owner) == heir
        assert now(execution).details["adopted"] == 2
        os.killpg(now(execution).pid or 0, signal.SIGKILL)
        assert until_ended(found, execution).return_code == 137

    def test_it_can_be_stopped(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("sleep", 600))
        found = looked()
        queue.request_stop(now(execution), "ada")
        row = until_ended(found, execution)
        assert (row.state, row.reason) == (State.STOPPED, "stopped by ada")

    def test_its_limits_hold(self, leave: Callable[..., Execution]) -> None:
        job = a_job(argv=program("sleep", 600), kill_after=timedelta(seconds=1))
        execution = leave(job)
        row = until_ended(looked(), execution)
        assert (row.state, row.return_code) == (State.TIMED_OUT, 143)

    def test_one_that_cannot_be_looked_after_does_not_hold_up_the_others(
        self, leave: Callable[..., Execution], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stuck = leave(program("sleep", 600))
        other = leave(a_job(argv=program("sleep", 0.1), queue="other"))
        found = looked()
        look = runs.look

        def fails_for_one(execution: Execution, *arguments: Any) -> None:
            if execution.pk == stuck.pk:
                raise ValueError("no look")
            look(execution, *arguments)

        monkeypatch.setattr(runs, "look", fails_for_one)
        assert until_ended(found, other).state == State.SUCCEEDED

    @pytest.mark.django_db(transaction=True)
    def test_the_last_ones_of_a_cluster_are_waited_for(
        self, leave: Callable[..., Execution]
    ) -> None:
        execution = leave(program("sleep", 1))
        recovery.see_to_the_last()
        assert now(execution).state == State.SUCCEEDED

    def test_the_alert_on_a_long_run_comes(self, leave: Callable[..., Execution]) -> None:
        job = a_job(argv=program("sleep", 600), max_runtime=timedelta(milliseconds=1))
        execution = leave(job)
        looked().look_after_adopted()
        assert now(execution).details["overdue"]

    def test_one_of_two_workers_does_it(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("sleep", 600))
        seen_by_both = now(execution)
        assert looked().goes_on
        assert not queue.adopt(seen_by_both, 1)

    def test_taken_over_by_another_host_it_is_killed(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("ignore_term"))
        found = looked()
        pid = now(execution).pid
        belongs_to(execution, ELSEWHERE)
        found.look_after_adopted()
        wait_until(lambda: not launcher.live_members(pid or 0), PATIENCE, "its death")


class TestEnded:
    def test_an_end_that_nobody_stored_is_stored(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("fail", 3))
        owner = Owner.parse(execution.owner)
        row = until_recorded(execution)
        assert (row.state, row.return_code) == (State.FAILED, 3)
        # Not before the launcher, which keeps it locked, has gone.
        wait_until(lambda: forgotten(owner.run_path), PATIENCE, "the run file to be forgotten")
        assert not Execution.objects.filter(retry_of=row).exists()

    def test_once(self, leave: Callable[..., Execution]) -> None:
        ends = []
        signals.execution_finished.connect(receiver := lambda **kw: ends.append(kw["execution"]))
        try:
            execution = leave(program("fail", 3))
            until_recorded(execution)
            looked(3)
        finally:
            signals.execution_finished.disconnect(receiver)
        assert [ended.pk for ended in ends] == [execution.pk]

    def test_the_run_file_stays_while_another_worker_needs_it(
        self, leave: Callable[..., Execution]
    ) -> None:
        execution = leave(program("fail", 3))
        owner = Owner.parse(execution.owner)
        seen_before = now(execution)
        assert queue.adopt(now(execution), 4711)
        run = AdoptedRun(owner.run_path, Path("/nowhere"), execution.pk)
        assert run.wait(PATIENCE)
        Recovery()._take_over(seen_before, owner)
        assert owner.run_path.exists()
        assert until_recorded(execution).return_code == 3


class TestLost:
    def test_it_is_queued_again_in_its_place(self) -> None:
        execution = an_abandoned(priority=3, requested_by="ada")
        later = a_waiting(priority=3)
        looked()
        row = now(execution)
        assert (row.state, row.return_code) == (State.LOST, None)
        assert row.reason.startswith("Its worker and its launcher died")
        again = Execution.objects.get(retry_of=row)
        assert (again.state, again.source, again.attempt) == (State.WAITING, Source.RETRY, 2)
        assert (again.argv, again.priority, again.queued_at) == (row.argv, 3, row.queued_at)
        assert (again.not_before, again.requested_by) == (None, "ada")
        assert row.details["queued_again_as"] == again.pk
        claimed = queue.claim("default")
        assert claimed is not None
        assert (claimed.pk, later.pk > 0) == (again.pk, True)
        assert woken() == ["default"]

    def test_what_is_left_of_it_is_ended_before(self, leave: Callable[..., Execution]) -> None:
        execution = leave(program("leave_children", 2, "wait", "ignore-term"))
        run = AdoptedRun(Owner.parse(execution.owner).run_path, Path("/nowhere"), execution.pk)
        assert run.pid is not None
        os.kill(run._said["launcher"], signal.SIGKILL)
        assert until_recorded(execution).state == State.LOST
        assert not launcher.live_members(run.pid)

    def test_not_again_if_its_job_says_so(self) -> None:
        execution = an_abandoned(a_job(rerun_if_lost=False))
        looked()
        assert now(execution).state == State.LOST
        assert "rerun_if_lost" in now(execution).reason
        assert "rerun_if_lost" in now(execution).details["not_queued_again"]
        assert not Execution.objects.filter(retry_of=execution).exists()

    def test_not_again_if_it_was_to_be_stopped(self) -> None:
        execution = an_abandoned()
        queue.request_stop(execution, "ada")
        looked()
        assert "ada had asked to stop it" in now(execution).reason
        assert not Execution.objects.filter(retry_of=execution).exists()

    def test_three_times_in_a_row_it_is_given_up_with_an_alert(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        given_up = []
        signals.execution_given_up.connect(receiver := lambda **kw: given_up.append(kw))
        try:
            execution = an_abandoned()
            for _ in range(2):
                looked()
                assert given_up == []
                claimed = queue.claim("default")
                assert claimed is not None
                execution = belongs_to(claimed, a_dead_owner())
            looked()
        finally:
            signals.execution_given_up.disconnect(receiver)
        assert "lost 3 times in a row" in now(execution).reason
        assert not Execution.objects.waiting().exists()
        assert [kw["execution"].pk for kw in given_up] == [execution.pk]
        assert "was lost 3 times in a row" in caplog.text

    def test_one_that_cannot_be_recovered_does_not_hold_up_the_others(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        stuck, other = an_abandoned(), an_abandoned(queue="other")
        end_of = ends.end_of

        def fails_for_one(execution: Execution, outcome: Outcome) -> queue.End:
            if execution.pk == stuck.pk:
                raise ValueError("no end")
            return end_of(execution, outcome)

        monkeypatch.setattr(recovery, "end_of", fails_for_one)
        looked()
        assert (now(stuck).state, now(other).state) == (State.RUNNING, State.LOST)
        assert "no end" in caplog.text


class TestNotTouched:
    def test_one_whose_worker_lives(self) -> None:
        with subprocess.Popen(["sleep", "600"]) as process:
            living = Owner(owners.here(), process.pid, launcher.started(process.pid))
            execution = belongs_to(a_run(), living)
            looked(100)
            process.kill()
        assert now(execution).state == State.RUNNING

    def test_one_of_another_host_that_is_heard_of(self) -> None:
        execution = belongs_to(a_run(), ELSEWHERE)
        looked(31)
        assert now(execution).state == State.RUNNING

    def test_one_of_this_host_before_its_restart_until_its_lease_has_run_out(self) -> None:
        me = owners.me()
        host, _, _ = me.place.rpartition(":")
        execution = belongs_to(a_run(), Owner(f"{host}:another-boot.1", me.pid, me.started))
        looked(31)
        assert now(execution).state == State.RUNNING
        looked(32)
        assert now(execution).state == State.LOST


class TestAnotherHost:
    def test_its_run_is_lost_when_its_lease_has_run_out(self) -> None:
        execution = belongs_to(a_run(), ELSEWHERE)
        looked(32)
        row = now(execution)
        assert row.state == State.LOST
        assert "60 s" in row.reason
        assert Execution.objects.filter(retry_of=row).exists()

    def test_what_is_known_of_its_output_stays(self) -> None:
        execution = belongs_to(a_run(), ELSEWHERE)
        known = {"log_path": "/there/1.log", "log_tail": "so far"}
        Execution.objects.filter(pk=execution.pk).update(**known)
        looked(32)
        row = now(execution)
        assert (row.state, row.log_path, row.log_tail) == (State.LOST, "/there/1.log", "so far")

    def test_its_length_is_a_setting(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "LEASE": 6}
        execution = belongs_to(a_run(), ELSEWHERE)
        looked(5)
        assert now(execution).state == State.LOST

    def test_a_row_that_names_no_owner_is_nobodys(self) -> None:
        execution = belongs_to(a_run(), "")
        looked(32)
        assert now(execution).state == State.LOST

    def test_an_end_in_a_run_file_that_is_here_counts(
        self, leave: Callable[..., Execution]
    ) -> None:
        execution = leave(program("fail", 3))
        run = AdoptedRun(Owner.parse(execution.owner).run_path, Path("/nowhere"), execution.pk)
        assert run.wait(PATIENCE)
        owner = Owner.parse(execution.owner)
        before_restart = Owner("edi-1:another-boot.1", owner.pid, owner.started)
        owner.run_path.rename(before_restart.run_path)
        belongs_to(execution, before_restart)
        looked(32)
        assert (now(execution).state, now(execution).return_code) == (State.FAILED, 3)


class TestEngineThatWasCutOff:
    def an_engine(self, **over: Any) -> Job:
        argv = ["bots-engine", "-cprod", "--new", "orders"]
        return a_job(argv=argv, codes="bots-engine", kill_after=timedelta(hours=1), **over)

    def test_its_recovery_run_comes_first(self) -> None:
        job = self.an_engine(env={"A": "1"}, working_directory="/tmp")
        execution = an_abandoned(job, priority=1)
        first = a_waiting(priority=1)
        looked()
        recovers = queue.claim("default")
        assert recovers is not None
        assert recovers.argv == ["bots-engine", "-cprod", "--cleanup"]
        assert (recovers.source, recovers.priority) == (Source.RECOVERY, 0)
        assert (recovers.env, recovers.working_directory) == ({"A": "1"}, "/tmp")
        assert (recovers.job, recovers.codes) == (job, "bots-engine")
        assert runs.command_for(recovers).kill_after is None
        assert recovers.details == {"recovers": execution.pk}
        row = now(execution)
        assert row.details["recovered_by"] == recovers.pk
        waiting = Execution.objects.waiting().in_order().values_list("pk", flat=True)
        assert list(waiting) == [row.details["queued_again_as"], first.pk]

    def test_one_that_somebody_asked_for_serves_and_moves_forward(self) -> None:
        job = self.an_engine()
        execution = an_abandoned(job)
        cleanup = a_waiting(a_job(argv=["bots-engine", "-cprod", "--cleanup"]), priority=9)
        looked()
        assert now(execution).details["recovered_by"] == cleanup.pk
        claimed = queue.claim("default")
        assert claimed is not None
        assert (claimed.pk, claimed.source) == (cleanup.pk, Source.RECOVERY)

    def test_a_recovery_that_is_cut_off_is_recovered_again_and_again(self) -> None:
        cut_off = an_abandoned(self.an_engine(rerun_if_lost=False))
        for _ in range(5):
            looked()
            claimed = queue.claim("default")
            assert claimed is not None
            assert claimed.source == Source.RECOVERY
            cut_off, before = belongs_to(claimed, a_dead_owner()), cut_off
        looked()
        assert Execution.objects.waiting().count() == 1
        assert f"What run {before.pk} had in hand may be lost" in now(cut_off).reason
        assert "may be lost" not in Execution.objects.earliest("pk").reason

    def test_another_program_has_none(self) -> None:
        an_abandoned(a_command())
        looked()
        assert not Execution.objects.filter(source=Source.RECOVERY).exists()

    def test_an_environment_can_have_its_own(self, settings: Settings) -> None:
        environments = {"etl": {"prefix": ["nice"], "recovery": ["etl", "--mend"]}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": environments}
        an_abandoned(a_job(environment="etl"))
        looked()
        recovers = queue.claim("default")
        assert recovers is not None
        assert runs.command_for(recovers).argv == ["nice", "etl", "--mend"]


class TestRunFiles:
    def make(self, owner: Owner) -> Path:
        owner.run_path.parent.mkdir(exist_ok=True)
        owner.run_path.touch()
        return owner.run_path

    def test_those_of_the_dead_are_removed(self) -> None:
        path = self.make(a_dead_owner())
        recovery.forget_run_files()
        assert not path.exists()

    def test_not_while_a_row_needs_it(self) -> None:
        path = self.make(Owner.parse(an_abandoned().owner))
        recovery.forget_run_files()
        assert path.exists()

    def test_not_if_its_row_came_at_the_last_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its worker claimed it, ran it and died, all while somebody looked for the dead."""
        execution = an_abandoned()
        path = self.make(Owner.parse(execution.owner))
        Execution.objects.filter(pk=execution.pk).update(state=State.WAITING)

        def claim_then_read(name: str) -> Any:
            Execution.objects.filter(pk=execution.pk).update(state=State.RUNNING)
            return read_run_file(name)

        monkeypatch.setattr("jobqueue.recovery.read_run_file", claim_then_read)
        recovery.forget_run_files()
        assert path.exists()

    def test_not_while_its_worker_lives(self) -> None:
        path = self.make(owners.me())
        recovery.forget_run_files()
        assert path.exists()
        recovery.forget_run_files(leaving=True)
        assert not path.exists()

    def test_not_while_its_launcher_lives(self) -> None:
        owner = a_dead_owner()
        executor = Executor(owner.run_path, owners.lease_path())
        executor.prepare()
        recovery.forget_run_files()
        assert owner.run_path.exists()
        executor.close()

    def test_those_of_another_place_after_a_month(self) -> None:
        path = self.make(ELSEWHERE)
        recovery.forget_run_files()
        assert path.exists()
        os.utime(path, (0, 0))
        recovery.forget_run_files()
        assert not path.exists()

    def test_other_files_are_left_alone(self, data_dir: Path) -> None:
        (data_dir / "runs").mkdir()
        other = data_dir / "runs" / "notes.run"
        other.touch()
        recovery.forget_run_files()
        assert other.exists()
