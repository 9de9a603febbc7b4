"""Each process of the service killed in turn: nothing is lost, and never do two run at once.

What is asserted comes from the jobs, which stamp their starts and ends: a run whose worker died
goes on, its true code and whole output are recorded, only what ended without a code is run again,
and the queue goes on within the contract's seconds. SIGTERM still ends the cluster with 0.
"""

from __future__ import annotations

import signal

import pytest

from tests import stamps
from tests.crashes.conftest import NewScene
from tests.crashes.scene import BUSY, IDLE, PATIENCE, Scene
from tests.service import CLUSTER, Role, Service
from tests.stamps import Run, now
from tests.waiting import wait_until

#: Each victim on each kind of database and on each broker.
EVERYWHERE = pytest.mark.parametrize("place", ["sqlite-orm", "postgres-orm", "mariadb-redis"])
#: What differs from another victim only in when it dies.
TWICE = pytest.mark.parametrize("place", ["sqlite-orm", "postgres-orm"])
#: Who carries the wake-ups: also on the pairs that are left.
ALL_PAIRS = pytest.mark.parametrize(
    "place", ["sqlite-orm", "postgres-orm", "mariadb-redis", "postgres-redis", "mariadb-orm"]
)


def a_run_and_the_next(scene: Scene) -> Run:
    """One that goes on until it's released, and one that waits behind it."""
    run = scene.start_held("first", code=7)
    scene.ask("second")
    return run


def let_it_end(scene: Scene, killed: float) -> None:
    """The run ends, the next one follows in time, and all is as promised."""
    scene.release("first")
    ended = scene.until_ended("first").ended_at
    assert ended is not None
    scene.went_on("second", max(killed, ended), BUSY)
    scene.finish()


class TestOfTheCluster:
    @EVERYWHERE
    def test_a_busy_worker(self, scene: Scene) -> None:
        run = a_run_and_the_next(scene)
        killed = scene.kill(Role.WORKER)
        scene.until_adopted(run)
        let_it_end(scene, killed)

    @TWICE
    def test_a_busy_worker_whose_job_ends_before_anybody_looks(self, scene: Scene) -> None:
        a_run_and_the_next(scene)
        killed = scene.kill(Role.WORKER)
        let_it_end(scene, killed)

    @ALL_PAIRS
    def test_an_idle_worker(self, scene: Scene) -> None:
        scene.ask("before")
        scene.until_ended("before")
        scene.until_settled()
        killed = scene.kill(Role.WORKER)
        scene.ask("after")
        scene.went_on("after", killed, IDLE)
        scene.finish()

    @ALL_PAIRS
    def test_the_pusher(self, scene: Scene) -> None:
        a_carrier_of_messages(scene, Role.PUSHER)

    @ALL_PAIRS
    def test_a_pusher_that_hangs(self, scene: Scene) -> None:
        """As where another cluster, whose workers are all busy, takes the wake-ups."""
        scene.ask("before")
        scene.until_ended("before")
        pusher = scene.service.one(Role.PUSHER)
        scene.service.signal(signal.SIGSTOP, pusher)
        scene.ask("after")
        scene.went_on("after", now(), IDLE)
        scene.service.signal(signal.SIGCONT, pusher)
        scene.finish()

    @EVERYWHERE
    def test_the_monitor(self, scene: Scene) -> None:
        a_carrier_of_messages(scene, Role.MONITOR)

    @EVERYWHERE
    @pytest.mark.parametrize("role", [Role.MAIN, Role.SENTINEL])
    def test_what_is_left_goes_while_the_job_lives_on(self, scene: Scene, role: Role) -> None:
        run = a_run_and_the_next(scene)
        cluster = scene.cluster()
        killed = scene.kill(role)
        scene.restart()
        scene.until_cluster_gone(cluster, killed)
        assert run in scene.unended()
        scene.until_adopted(run)
        let_it_end(scene, killed)

    @EVERYWHERE
    def test_the_whole_cluster(self, scene: Scene) -> None:
        run = a_run_and_the_next(scene)
        killed = scene.kill(*CLUSTER)
        scene.restart()
        scene.until_adopted(run)
        let_it_end(scene, killed)

    @TWICE
    def test_the_whole_cluster_whose_job_ends_while_there_is_none(self, scene: Scene) -> None:
        a_run_and_the_next(scene)
        killed = scene.kill(*CLUSTER)
        scene.release("first")
        scene.until_ended("first")
        scene.restart()
        let_it_end(scene, killed)

    def test_one_of_several_workers(self, new_scene: NewScene) -> None:
        with new_scene(q_cluster={"workers": 4}) as scene:
            run = a_run_and_the_next(scene)
            other = scene.start_held("other", queue="other")
            killed = scene.kill_pids(scene.owner(run))
            scene.until_adopted(run)
            scene.release("other")
            scene.until_row(other.execution, state="succeeded")
            let_it_end(scene, killed)

    def test_a_second_cluster_by_mistake(self, scene: Scene) -> None:
        run = a_run_and_the_next(scene)
        with Service(scene.service.data_dir, scene.service.environment) as second:
            killed = scene.kill(*CLUSTER)
            wait_until(
                lambda: scene.owner(run) in second.pids(Role.WORKER),
                BUSY,
                "the adoption by the other cluster",
            )
            scene.release("first")
            scene.went_on("second", killed, BUSY)
            scene.restart()
            scene.ask("third")
            scene.went_on("third", now(), BUSY)
            assert second.stop() == 0
            assert second.roles() == {}
        scene.finish()


def a_carrier_of_messages(scene: Scene, role: Role) -> None:
    """Killed while a job runs, and again while none does."""
    a_run_and_the_next(scene)
    killed = scene.kill(role)
    scene.release("first")
    ended = scene.until_ended("first").ended_at
    assert ended is not None
    scene.went_on("second", max(killed, ended), BUSY)
    scene.until_settled()
    killed = scene.kill_pids(scene.service.one(role))
    scene.ask("third")
    scene.went_on("third", killed, IDLE)
    scene.finish()


class TestOfTheRun:
    @EVERYWHERE
    def test_all_of_qcluster_and_the_launcher(self, scene: Scene) -> None:
        a_run_and_the_next(scene)
        killed = scene.kill(*CLUSTER, Role.LAUNCHER)
        scene.restart()
        let_a_repetition_end(scene, killed)

    @EVERYWHERE
    def test_everything_at_once(self, scene: Scene) -> None:
        a_run_and_the_next(scene)
        killed = scene.kill(*CLUSTER, Role.LAUNCHER, Role.JOB)
        wait_until(lambda: not scene.service.roles(), PATIENCE, "the end of everything")
        scene.restart()
        let_a_repetition_end(scene, killed)

    @EVERYWHERE
    def test_the_launcher(self, scene: Scene) -> None:
        a_run_and_the_next(scene)
        killed = scene.kill(Role.LAUNCHER)
        let_a_repetition_end(scene, killed)

    @EVERYWHERE
    def test_the_job(self, scene: Scene) -> None:
        run = a_run_and_the_next(scene)
        killed = scene.kill(Role.JOB)
        scene.went_on("second", killed, BUSY)
        scene.finish(unfinished=["first"])
        row = scene.row(run.execution)
        assert (row["state"], row["return_code"]) == ("failed", 137)
        assert "SIGKILL" in row["reason"]
        assert row["log_tail"] == "first starts\n"

    @EVERYWHERE
    def test_a_job_that_had_children(self, scene: Scene) -> None:
        children_go_before_the_next_starts(scene)

    def test_a_job_that_had_children_who_ignore_sigterm(self, scene: Scene) -> None:
        children_go_before_the_next_starts(scene, "ignore-term")

    @TWICE
    def test_children_of_a_job_whose_launcher_was_killed(self, scene: Scene) -> None:
        execution = scene.ask_family("first", 2, "ignore-term")
        scene.ask("second")
        wait_until(lambda: stamps.last(scene.file, "child"), PATIENCE, "the children")
        killed = scene.kill(Role.LAUNCHER)
        again = scene.until_started("first", times=2)
        assert again.started_at - killed < BUSY
        assert again.started_at > stamps.last(scene.file, "child", execution)
        assert scene.row(execution)["state"] == "lost"
        scene.kill(Role.JOB)
        scene.finish(unfinished=["first"])

    @EVERYWHERE
    def test_three_times_in_a_row(self, scene: Scene) -> None:
        a_run_and_the_next(scene)
        for times in (1, 2, 3):
            scene.until_started("first", times)
            killed = scene.kill(Role.LAUNCHER, Role.JOB)
        scene.went_on("second", killed, BUSY)
        scene.finish(unfinished=["first"])
        rows = scene.rows()
        lost = [row for row in rows if row["state"] == "lost"]
        assert [row["attempt"] for row in lost] == [1, 2, 3]
        assert [row["retry_of_id"] for row in lost] == [None, lost[0]["id"], lost[1]["id"]]
        assert scene.logged(rf" ERROR .*\b{lost[2]['id']}\b")


def children_go_before_the_next_starts(scene: Scene, *words: str) -> None:
    """A job kills itself; its children are ended, and only then the next one starts."""
    execution = scene.ask_family("first", 2, *words)
    scene.ask("second")
    scene.release("first")
    scene.until_ended("second")
    scene.lived_until[execution] = stamps.last(scene.file, "child")
    scene.finish(unfinished=["first"])
    row = scene.row(execution)
    assert (row["state"], row["return_code"]) == ("failed", 137)
    assert row["log_tail"].startswith("first dies\n")
    assert "2 processes left in its session had to be ended" in row["log_tail"]


def let_a_repetition_end(scene: Scene, killed: float) -> None:
    """The run is lost and queued again, goes to its end this time, and all is as promised."""
    first = scene.runs("first")[0]
    again = scene.until_started("first", times=2)
    assert again.started_at - killed <= BUSY
    row = scene.row(first.execution)
    assert (row["state"], row["return_code"]) == ("lost", None)
    let_it_end(scene, killed)


class TestThatHangs:
    """What is stopped for a while, and goes on, has missed nothing and harms nothing."""

    @pytest.mark.parametrize("role", [Role.WORKER, Role.LAUNCHER, Role.SENTINEL, Role.MAIN])
    def test_while_its_job_ends(self, scene: Scene, role: Role) -> None:
        a_run_and_the_next(scene)
        [pid] = scene.service.pids(role)
        scene.service.signal(signal.SIGSTOP, pid)
        scene.release("first")
        scene.until_ended("first")
        scene.service.signal(signal.SIGCONT, pid)
        let_it_end(scene, now())

    def test_a_worker_that_is_killed_then(self, scene: Scene) -> None:
        """Its run's outcome is in the run file; nobody has stored it."""
        run = a_run_and_the_next(scene)
        [pid] = scene.service.pids(Role.WORKER)
        scene.service.signal(signal.SIGSTOP, pid)
        scene.release("first")
        scene.until_ended("first")
        wait_until(lambda: run.pid not in scene.service.roles(), PATIENCE, "the end of its process")
        killed = scene.kill_pids(pid)
        let_it_end(scene, killed)
