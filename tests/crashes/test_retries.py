"""Retries of a Job under the real service: as often as it takes, whatever is killed meanwhile."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.commands import program
from tests.console import Row
from tests.crashes.scene import PATIENCE, Scene
from tests.service import CLUSTER, Role

DATABASES = pytest.mark.parametrize("place", ["sqlite-orm", "postgres-orm", "mariadb-redis"])
HOUR = 3600


def a_flaky_job(scene: Scene, name: str, times: int, delay: float, **over: Any) -> None:
    """A Job that fails so often before it succeeds, and is tried again after so many seconds."""
    fields = {"max_retries": 3, "retry_delay": delay, "retry_backoff": "fixed", "queue": name}
    argv = program("fail_at_first", scene.directory / name, times)
    scene.console.create_job(name, argv, **{**fields, **over})


def starts(scene: Scene, name: str) -> int:
    """How often its process was started."""
    return len((scene.directory / name).read_text().splitlines())


def attempts(rows: list[Row], name: str) -> list[tuple[int, str]]:
    return [(row["retry"]["attempt"], row["state"]) for row in rows if row["job_name"] == name]


def until_it_waits(scene: Scene, name: str) -> Row:
    """The retry of its first run, when that has failed."""
    row = scene.console.enqueue(name)
    ended = scene.until_row(row["id"], state="failed", return_code=75)
    again: int = ended["details"]["queued_again_as"]
    return scene.row(again)


@DATABASES
def test_fails_twice_and_succeeds_and_who_waits_learns_only_that(scene: Scene) -> None:
    a_flaky_job(scene, "flaky", times=2, delay=0.5)
    done: subprocess.CompletedProcess[str] = scene.service.manage("jobs", "run", "flaky", "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("It is queued again as execution") == 2
    expected = [(1, "failed"), (2, "failed"), (3, "succeeded")]
    assert attempts(scene.until_settled(), "flaky") == expected
    assert starts(scene, "flaky") == 3


@DATABASES
def test_kill_9_in_its_delay_loses_nothing(scene: Scene) -> None:
    """Others run meanwhile; it comes in its time, or when somebody asks for it."""
    a_flaky_job(scene, "soon", times=1, delay=5)
    a_flaky_job(scene, "later", times=1, delay=HOUR)
    later = until_it_waits(scene, "later")
    until_it_waits(scene, "soon")
    scene.kill(Role.WORKER)
    scene.until_row(scene.ask("other", queue="later"), state="succeeded")
    scene.kill(*CLUSTER)
    scene.restart()
    assert scene.row(later["id"]) == later
    assert scene.console.enqueue("later") == {"outcome": "promoted", "id": later["id"]}
    rows = scene.until_settled(2 * PATIENCE)
    assert attempts(rows, "later") == [(1, "failed"), (2, "succeeded")]
    assert starts(scene, "later") == 2
    # A slow machine may have started it before it was killed; then that one went on, or was lost.
    ended = [one for one in attempts(rows, "soon") if one[1] != "lost"]
    assert ended == [(1, "failed"), (2, "succeeded")]
