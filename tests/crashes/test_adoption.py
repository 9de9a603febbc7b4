"""A run whose worker was killed is adopted: it goes on under the same rules, to its own end.

Its slot stays taken, its true code and its whole output are recorded, whoever else dies meanwhile;
its limits hold and an order to stop it is obeyed. One whose outcome is known is never repeated.
"""

from __future__ import annotations

import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.commands import program
from tests.console import Row
from tests.crashes.scene import BUSY, GONE, PATIENCE, Scene, until_outcome_noted
from tests.service import CLUSTER, Role
from tests.stamps import Run
from tests.waiting import wait_until

#: Ever higher numbers, until there is a file.
COUNTS = """
import itertools, os, sys, time
for number in itertools.count():
    if os.path.exists(sys.argv[1]):
        break
    os.write(1, b"%d\\n" % number)
    time.sleep(0.1)
"""
DATABASES = pytest.mark.parametrize("place", ["sqlite-orm", "postgres-orm", "mariadb-redis"])


def orphan(scene: Scene, run: Run) -> float:
    """Kill its worker and wait until another one has it; the moment of the kill."""
    scene.note_lives([run])
    killed = scene.kill_pids(scene.owner(run))
    scene.until_adopted(run)
    return killed


def elapsed(row: Row) -> float:
    """Seconds from its start to its end."""
    started, ended = (datetime.fromisoformat(row[name]) for name in ("started_at", "ended_at"))
    return (ended - started).total_seconds()


@DATABASES
def test_the_worker_then_its_replacement_then_the_cluster(scene: Scene) -> None:
    run = scene.start_held("first", code=7)
    scene.ask("second")
    orphan(scene, run)
    orphan(scene, run)
    killed = scene.kill(*CLUSTER)
    scene.restart()
    scene.until_adopted(run)
    assert scene.row(run.execution)["state"] == "running"
    assert scene.runs("second") == []
    scene.release("first")
    scene.went_on("second", killed, BUSY + GONE)
    scene.finish()
    assert len(scene.rows()) == 2


def test_its_launcher_dies_too(scene: Scene) -> None:
    run = scene.start_held("first")
    scene.ask("second")
    orphan(scene, run)
    killed = scene.kill(Role.LAUNCHER)
    again = scene.until_started("first", times=2)
    assert again.started_at - killed <= BUSY
    assert scene.row(run.execution)["state"] == "lost"
    scene.release("first")
    scene.finish()


def test_its_job_dies(scene: Scene) -> None:
    run = scene.start_held("first")
    scene.ask("second")
    orphan(scene, run)
    killed = scene.kill(Role.JOB)
    scene.went_on("second", killed, BUSY)
    scene.finish(unfinished=["first"])
    row = scene.row(run.execution)
    assert (row["state"], row["return_code"]) == ("failed", 137)


def test_its_output_is_seen_while_it_goes_on(scene: Scene) -> None:
    release = scene.directory / "release"
    execution = scene.console.enqueue(["python3", "-I", "-S", "-c", COUNTS, str(release)])["id"]
    wait_until(lambda: scene.row(execution)["log_tail"], PATIENCE, "its first line")
    scene.kill(Role.WORKER)
    before = scene.row(execution)["log_tail"]
    wait_until(lambda: scene.row(execution)["log_tail"] != before, BUSY, "the next lines")
    assert scene.row(execution)["state"] == "running"
    release.touch()
    row = scene.until_row(execution, state="succeeded")
    whole = "".join(f"{number}\n" for number in range(row["log_tail"].count("\n")))
    assert row["log_tail"] == Path(row["log_path"]).read_text() == whole
    assert scene.service.stop() == 0
    scene.passed = True


def test_kill_after_holds(scene: Scene) -> None:
    limit = BUSY + 10  # it is to be adopted before
    execution = scene.ask_job("first", scene.held("first"), kill_after=limit)
    scene.ask("second")
    orphan(scene, scene.until_started("first"))
    row = scene.until_row(execution, state="timed_out", return_code=143)
    assert limit <= elapsed(row) < limit + BUSY
    assert "kill after" in row["reason"]
    scene.finish(unfinished=["first"])


def test_kill_after_holds_while_no_cluster_is_there(scene: Scene) -> None:
    execution = scene.ask_job("first", scene.held("first"), kill_after=2)
    run = scene.until_started("first")
    scene.kill(*CLUSTER)
    wait_until(lambda: run.pid not in scene.service.roles(), PATIENCE, "its end by the launcher")
    scene.restart()
    scene.until_row(execution, state="timed_out")
    scene.finish(unfinished=["first"])


@DATABASES
def test_it_can_be_stopped(scene: Scene) -> None:
    run = scene.start_held("first")
    scene.ask("second")
    orphan(scene, run)
    done = scene.service.manage("queue", "stop", str(run.execution))
    assert done.returncode == 0, done.stderr
    row = scene.row(run.execution)
    assert (row["state"], row["return_code"]) == ("stopped", 143)
    assert row["reason"].startswith("stopped by")
    scene.finish(unfinished=["first"])


def test_one_that_ignores_sigterm_is_stopped_all_the_same(scene: Scene) -> None:
    execution = scene.console.enqueue(program("ignore_term"))["id"]
    wait_until(lambda: scene.row(execution)["log_tail"], PATIENCE, "its first line")
    scene.kill(Role.WORKER)
    scene.console.stop(execution)
    row = scene.until_row(execution, state="stopped")
    assert row["return_code"] == 137
    assert scene.service.stop() == 0
    scene.passed = True


def test_an_order_to_stop_that_came_while_nobody_was_there(scene: Scene) -> None:
    run = scene.start_held("first")
    scene.ask("second")
    scene.note_lives([run])
    scene.kill(*CLUSTER)
    scene.console.stop(run.execution)
    scene.restart()
    scene.until_row(run.execution, state="stopped")
    scene.finish(unfinished=["first"])


def test_max_runtime_alerts(scene: Scene) -> None:
    execution = scene.ask_job("first", scene.held("first"), max_runtime=3)
    orphan(scene, scene.until_started("first"))
    line = rf" WARNING {execution} runs longer than 0:00:03, and goes on$"
    wait_until(lambda: scene.logged(line), PATIENCE, "the alert")
    assert scene.row(execution)["state"] == "running"
    orphan(scene, scene.until_started("first"))
    scene.release("first")
    row = scene.until_row(execution, state="succeeded")
    assert row["details"]["overdue"] is True
    assert scene.log().count("runs longer than") == 1
    scene.finish()


def test_sigterm_waits_for_its_end(scene: Scene) -> None:
    run = scene.start_held("first", code=3)
    orphan(scene, run)
    scene.service.signal(signal.SIGTERM, scene.service.one(Role.MAIN))
    wait_until(lambda: not scene.service.pids(Role.PUSHER), PATIENCE, "the cluster to stop")
    assert run in scene.unended()
    assert scene.row(run.execution)["state"] == "running"
    scene.release("first")
    released = time.monotonic()
    scene.finish()
    assert time.monotonic() - released < 45


@DATABASES
def test_one_that_must_not_be_repeated(scene: Scene) -> None:
    execution = scene.ask_job("first", scene.held("first"), rerun_if_lost=False)
    scene.until_started("first")
    scene.ask("second")
    killed = scene.kill(*CLUSTER, Role.LAUNCHER, Role.JOB)
    scene.restart()
    scene.went_on("second", killed, BUSY + GONE)
    scene.finish(unfinished=["first"])
    row = scene.row(execution)
    assert (row["state"], row["return_code"]) == ("lost", None)
    assert "rerun_if_lost" in row["reason"]
    assert len(scene.runs("first")) == 1


@DATABASES
def test_one_whose_outcome_nobody_had_stored_is_not_repeated(scene: Scene) -> None:
    run = scene.start_held("first", code=5)
    scene.ask("second")
    scene.service.signal(signal.SIGSTOP, *scene.cluster())
    scene.release("first")
    until_outcome_noted(scene.service, run)
    assert scene.row(run.execution)["state"] == "running"
    killed = scene.kill(*CLUSTER, Role.LAUNCHER)
    scene.restart()
    scene.went_on("second", killed, BUSY + GONE)
    scene.finish()
    assert scene.row(run.execution)["return_code"] == 5
