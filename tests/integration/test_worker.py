"""The service at work: a real ``manage.py qcluster`` on the database of the test."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from jobqueue import queue
from jobqueue.api import enqueue
from jobqueue.models import Cluster, Execution, State
from tests.builders import a_job, a_waiting
from tests.commands import Notes, program
from tests.service import Service
from tests.site import a_service, wait_for_end, wait_for_start
from tests.waiting import wait_until
from tests.wakeups import woken

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 180  # that a slow machine is given
FORGIVEN = 5  # seconds after SIGTERM in which a run may still start


def log_of_service() -> str:
    path: Path = settings.JOBQUEUE["DATA_DIR"] / "logs" / "jobqueue.log"
    return path.read_text() if path.exists() else ""


def ancestors(pid: int) -> list[int]:
    """The processes from which this one descends, its parent first."""
    parents = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        parents.append(pid)
    return parents


class TestOrder:
    @pytest.mark.database
    def test_best_priority_first_then_arrival(self, notes: Notes) -> None:
        for priority in (5, 9, 1, 5, 3):
            enqueue(notes.command(f"p{priority}-{priority}"), priority=priority)
            enqueue(notes.command(f"p{priority}-later"), priority=priority)
        with a_service():
            wait_for_end()
        names = ["p1-1", "p1-later", "p3-3", "p3-later", "p5-5", "p5-later", "p9-9", "p9-later"]
        assert notes.names() == names
        assert not notes.overlap()

    def test_the_first_one_that_comes_during_a_run_is_next(
        self, notes: Notes, tmp_path: Path
    ) -> None:
        with a_service():
            first = enqueue(notes.command("first", tmp_path / "gate")).execution
            wait_for_start(first)
            for number in range(3):
                enqueue(notes.command(number), priority=2)
            enqueue(notes.command("urgent"), priority=1)
            (tmp_path / "gate").touch()
            wait_for_end()
        assert notes.names() == ["first", "urgent", "0", "1", "2"]

    @pytest.mark.database
    def test_a_failing_one_holds_up_nothing(self, notes: Notes) -> None:
        enqueue(program("fail", 7))
        enqueue(["/nowhere/at/all"])
        enqueue(["true"], working_directory="/nowhere")
        enqueue(program("die_by_signal", int(signal.SIGKILL)))
        enqueue(notes.command("last"))
        with a_service():
            rows = wait_for_end()
        seen = [(row.state, row.return_code) for row in rows]
        assert seen == [
            (State.FAILED, 7),
            (State.FAILED, None),
            (State.FAILED, None),
            (State.FAILED, 137),
            (State.SUCCEEDED, 0),
        ]
        words = ["return code 7", "was not found", "working directory", "SIGKILL", ""]
        assert all(word in row.reason for word, row in zip(words, rows, strict=True))


class TestRun:
    def test_what_a_job_is_given(self, tmp_path: Path) -> None:
        job = a_job(
            name="Show",
            argv=program("show", "a b", "--settings=x"),
            working_directory=str(tmp_path),
            env={"LANG": "x", "JOBQUEUE_QUEUE": "not this"},
            queue="edi",
        )
        trigger = timezone.now() - timedelta(days=1)
        with a_service(ANSWER="42") as service:
            row = enqueue(job, trigger=trigger).execution
            [row] = wait_for_end(row)
            shown = json.loads(row.log_tail)
            assert service.pid in ancestors(shown["parent"])
        env = shown["env"]
        assert shown["argv"] == ["a b", "--settings=x"]
        assert shown["cwd"] == str(tmp_path)
        assert (env["LANG"], env["ANSWER"]) == ("x", "42")
        assert env["JOBQUEUE_EXECUTION"] == str(row.pk)
        assert (env["JOBQUEUE_JOB"], env["JOBQUEUE_QUEUE"]) == ("Show", "edi")
        assert env["JOBQUEUE_TRIGGER"] == trigger.isoformat()
        assert shown["pid"] == shown["session"] == row.pid

    def test_a_bare_command_runs_in_the_service_s_directory(self) -> None:
        row = enqueue(program("show")).execution
        with a_service():
            [row] = wait_for_end(row)
        shown = json.loads(row.log_tail)
        assert shown["cwd"] == os.getcwd()
        assert shown["env"]["JOBQUEUE_JOB"] == ""
        assert shown["env"]["JOBQUEUE_TRIGGER"] == row.queued_at.isoformat()

    def test_output_is_seen_while_it_runs_and_kept(self) -> None:
        script = "import sys, time; print('one', flush=True); sys.stdin.read(); time.sleep(600)"
        with a_service():
            row = enqueue([sys.executable, "-c", script]).execution
            wait_until(
                lambda: Execution.objects.filter(pk=row.pk, log_tail="one\n").exists(),
                SECONDS,
                "the first line in the database",
            )
            queue.request_stop(row, by="ada")
            [row] = wait_for_end(row)
        assert (row.state, row.reason, row.log_tail) == (State.STOPPED, "stopped by ada", "one\n")
        assert Path(row.log_path).read_text() == "one\n"

    def test_stopped_with_all_its_processes(self) -> None:
        with a_service() as service:
            row = enqueue(program("leave_children", 2, "wait")).execution
            wait_until(
                lambda: Execution.objects.exclude(log_tail="").exists(), SECONDS, "the children"
            )
            row.refresh_from_db()
            children = {int(pid) for pid in row.log_tail.split()}
            assert children <= {process.pid for process in service.processes()}
            queue.request_stop(row, by="ada")
            wait_for_end(row)
            assert not children & {process.pid for process in service.processes()}

    def test_deleted_while_it_runs(self, notes: Notes, tmp_path: Path) -> None:
        with a_service():
            row = wait_for_start(enqueue(notes.command("deleted", tmp_path / "gate")).execution)
            enqueue(notes.command("next"))
            Execution.objects.filter(pk=row.pk).delete()
            (tmp_path / "gate").touch()
            wait_until(lambda: len(notes.names()) == 2, SECONDS, "both to run")
            wait_for_end()
        assert notes.names() == ["deleted", "next"]
        assert not notes.overlap()

    def test_another_engine_was_running(self, tmp_path: Path, notes: Notes) -> None:
        lock = tmp_path / "lock"
        lock.touch()
        script = f"import os, sys; sys.exit(3 if os.path.exists({str(lock)!r}) else 0)"
        job = a_job(argv=[sys.executable, "-c", script], codes="bots-engine")
        with a_service(jobqueue={"BUSY_DELAY": 2, "BUSY_DELAY_MAX": 2}):
            first = enqueue(job).execution
            enqueue(notes.command("not held up"), priority=9)
            wait_until(notes.names, SECONDS, "the other one to run")
            wait_until(
                lambda: Execution.objects.filter(retry_of=first).exists(), SECONDS, "a retry"
            )
            lock.unlink()
            wait_for_end()
        chain = list(Execution.objects.filter(job=job).order_by("pk"))
        assert [row.attempt for row in chain] == list(range(1, len(chain) + 1))
        assert [row.retry_of for row in chain[1:]] == chain[:-1]
        assert {(row.state, row.return_code) for row in chain[:-1]} == {(State.FAILED, 3)}
        assert (chain[-1].state, chain[-1].source) == (State.SUCCEEDED, "retry")
        assert chain[-1].started_at is not None
        assert chain[-2].ended_at is not None
        assert chain[-1].started_at - chain[-2].ended_at >= timedelta(seconds=2)


class TestService:
    @pytest.mark.database
    def test_an_idle_one_starts_what_comes(self, notes: Notes) -> None:
        with a_service():
            for number in range(3):
                wait_for_end(enqueue(notes.command(number)).execution)
            wait_until(lambda: not woken(), SECONDS, "the wake-ups to be taken")
        assert notes.names() == ["0", "1", "2"]

    def test_its_log_has_a_line_for_each_start_and_end(self) -> None:
        row = enqueue(program("fail", 7, "a\nb")).execution
        with a_service():
            wait_for_end(row)
        lines = [line for line in log_of_service().splitlines() if f" {row.pk} " in line]
        assert [word for line in lines for word in ("added", "started", "failed") if word in line]
        assert f"{row.pk} started: " in log_of_service()
        assert f"{row.pk} failed: return code 7, " in log_of_service()

    def test_a_request_that_nobody_woke_it_for(self, notes: Notes) -> None:
        with a_service():
            first = enqueue(notes.command("first", 0.5)).execution
            wait_for_start(first)
            Execution.objects.create(argv=notes.command("silent"), queue="other")
            wait_for_end()
        assert notes.names() == ["first", "silent"]

    def test_a_pause_that_ends_by_itself(self, notes: Notes) -> None:
        with a_service():
            until = timezone.now() + timedelta(seconds=3)
            queue.pause("default", by="ada", until=until)
            paused = enqueue(notes.command("paused")).execution
            other = enqueue(notes.command("other"), queue="other").execution
            [paused, other] = wait_for_end(paused, other)
        assert sorted(notes.names()) == ["other", "paused"]
        assert paused.started_at is not None
        assert paused.started_at >= until

    def test_a_cluster_is_listed_while_it_lives(self) -> None:
        with a_service() as service:
            row = wait_until(lambda: Cluster.objects.alive().first(), SECONDS, "its row")
            assert (row.pid, row.host) == (service.pid, settings.JOBQUEUE["HOST"])
            assert row.name in service.last_output()
        assert not Cluster.objects.exists()

    def test_a_worker_that_is_recycled(self, notes: Notes) -> None:
        # With a full task queue django-q2 can't stop if its last worker was recycled meanwhile.
        with a_service({"recycle": 1, "queue_limit": 10}):
            for number in range(4):
                wait_for_end(enqueue(notes.command(number)).execution)
        assert notes.names() == ["0", "1", "2", "3"]

    def test_no_run_file_is_left(self, tmp_path: Path) -> None:
        enqueue(["true"])
        with a_service(jobqueue={"DATA_DIR": str(tmp_path)}):  # no other test has left any there
            [row] = wait_for_end()
        assert row.state == State.SUCCEEDED
        assert (tmp_path / "runs").is_dir()
        assert list(tmp_path.glob("runs/*.run")) == []

    def test_an_environment_that_is_gone_when_it_starts(self) -> None:
        row = enqueue(["true"]).execution
        Execution.objects.update(environment="etl")
        with a_service():
            [row] = wait_for_end(row)
        assert (row.state, row.return_code) == (State.FAILED, None)
        assert "no environment 'etl'" in row.reason

    def test_a_program_that_is_no_longer_allowed(self) -> None:
        row = enqueue(["true"]).execution
        with a_service(jobqueue={"ALLOWED_PROGRAMS": ["/opt/*"]}):
            [row] = wait_for_end(row)
        assert row.state == State.FAILED
        assert "isn't allowed" in row.reason

    def test_logs_that_can_not_be_written(self, tmp_path: Path, notes: Notes) -> None:
        (tmp_path / "var").mkdir()
        (tmp_path / "var" / "logs").touch()  # where the directory should be
        row = enqueue(program("note_write_error", tmp_path / "errno")).execution
        last = enqueue(notes.command("last")).execution
        with a_service(jobqueue={"DATA_DIR": str(tmp_path / "var")}):
            row, last = wait_for_end(row, last)
        assert (tmp_path / "errno").read_text() == "28"  # as on a full disk
        assert "could not be made" in row.details["note"]
        assert notes.names() == ["last"]


def stop_and_look(service: Service) -> int:
    """SIGTERM; its exit code, when nothing of it is left."""
    code = service.stop()
    assert service.processes() == []
    return code


class TestStop:
    def test_an_idle_one(self) -> None:
        with a_service() as service:
            assert stop_and_look(service) == 0

    @pytest.mark.database
    def test_a_busy_one(self, notes: Notes, tmp_path: Path) -> None:
        with a_service() as service:
            run = wait_for_start(enqueue(notes.command("running", tmp_path / "gate")).execution)
            waiting = a_waiting(notes.command("waiting"))
            os.kill(service.pid, signal.SIGTERM)
            signalled = time.monotonic()
            wait_until(lambda: "stopping" in service.last_output(), SECONDS, "it to obey")
            wait_until(lambda: time.monotonic() > signalled + FORGIVEN, SECONDS, "time to pass")
            is_told = Cluster.objects.exclude(stopping_at=None).exists
            wait_until(is_told, SECONDS, "its row to say so")
            (tmp_path / "gate").touch()
            assert stop_and_look(service) == 0
        run.refresh_from_db()
        assert (run.state, run.return_code) == (State.SUCCEEDED, 0)
        assert notes.names() == ["running"]
        assert Execution.objects.waiting().get() == waiting
        with a_service():
            wait_for_end()
        assert notes.names() == ["running", "waiting"]

    def test_a_signal_to_the_whole_process_group(self, notes: Notes) -> None:
        with a_service() as service:
            run = wait_for_start(enqueue(notes.command("running", 4)).execution)
            assert service.stop(whole_group=True) == 0
            assert service.processes() == []
        run.refresh_from_db()
        assert (run.state, run.return_code) == (State.SUCCEEDED, 0)

    def test_amid_many_short_ones(self, notes: Notes) -> None:
        for number in range(300):
            enqueue(notes.command(number, 0.1))  # so that most of them can't be over yet
        with a_service() as service:
            wait_until(lambda: len(notes.names()) > 5, SECONDS, "some to run")
            assert stop_and_look(service) == 0
        ended = Execution.objects.filter(state=State.SUCCEEDED)
        assert len(notes.names()) == ended.count() < 300
        assert Execution.objects.waiting().count() == 300 - ended.count()
