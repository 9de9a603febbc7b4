"""The genuine Bots engine, run by the real service, from outside as an operator does."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.realbots.install import PICKLIST_CSV, NotInstallableError, RealBots, install
from tests.servers import miss
from tests.service import Service
from tests.waiting import wait_until

#: Seconds: what a crowded machine may need for anything here.
PATIENCE = 180
#: Seconds; longer than any test waits, so that a held engine ends only by what the test does.
FOR_EVER = 3600
ENDED = {"succeeded", "warned", "failed", "timed_out", "stopped", "cancelled", "lost"}

Row = dict[str, Any]


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[RealBots]:
    try:
        bots = install(tmp_path / "bots")
    except NotInstallableError as reason:
        miss("bots", str(reason))
    yield bots
    # An engine that a failed test left behind may go.
    bots.hold(0)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    service = Service(tmp_path / "var")
    service.manage("migrate", check=True)
    return service


def test_return_codes_0_1_and_2_are_read_as_bots_means_them(
    bots: RealBots, service: Service
) -> None:
    create_job(service, "Orders to pick lists", bots.new("translate"))
    create_job(service, "Faulty", bots.new("faulty"))
    create_job(service, "No database", bots.without_database())
    picklist = bots.send("translate")
    bots.send("faulty")

    with service:
        fine = run_job(service, "Orders to pick lists")
        errors = run_job(service, "Faulty")
        broken = run_job(service, "No database")

    assert (fine["state"], fine["return_code"], fine["reason"]) == ("succeeded", 0, "")
    assert picklist.read_text() == PICKLIST_CSV
    assert (errors["state"], errors["return_code"]) == ("warned", 2)
    assert "errors" in errors["reason"]
    assert "1 files with errors" in errors["log_tail"]
    assert (broken["state"], broken["return_code"]) == ("failed", 1)
    assert "system error" in broken["reason"]
    assert "Could not find database file" in broken["log_tail"]


def test_a_run_that_meets_another_engine_is_repeated_and_holds_up_no_other(
    bots: RealBots, service: Service
) -> None:
    create_job(service, "Copy", bots.new("copy"))
    copy = bots.send("copy")

    with service, an_engine_outside_the_queue(bots) as other:
        service.manage("jobs", "run", "Copy", check=True)
        busy = the_one(service, lambda row: row["retry_of"] is None, ENDED)
        retry = the_one(service, lambda row: row["retry_of"] == busy["id"])
        # This one begins and ends while the other engine still holds the port.
        other_run = service.manage("job2queue", "--wait", "echo", "not held up")
        assert not copy.exists()
        bots.hold(0)
        assert other.wait() == 0
        repeated = wait_until(
            lambda: next((row for row in retries(service) if row["state"] == "succeeded"), None),
            PATIENCE,
            "the repeated run to succeed",
        )

    assert (busy["state"], busy["return_code"]) == ("failed", 3)
    assert "another engine" in busy["reason"]
    assert busy["log_tail"] == ""
    assert (retry["source"], retry["argv"]) == ("retry", busy["argv"])
    assert (other_run.returncode, other_run.stdout) == (0, "not held up\n")
    assert repeated["return_code"] == 0
    assert copy.exists()


def test_a_file_that_arrives_during_a_run_is_taken_by_the_next(
    bots: RealBots, service: Service
) -> None:
    create_job(service, "Slow", bots.new("slow"))
    early = bots.send("slow", "early-")
    bots.hold(FOR_EVER)

    with service:
        service.manage("jobs", "run", "Slow", check=True)
        wait_until(bots.held, PATIENCE, "the first run to have its files")
        late = bots.send("slow", "late-")
        service.manage("jobs", "run", "Slow", check=True)
        status = the_queue(service)
        bots.hold(0)
        wait_until(late.exists, PATIENCE, "the late file to come out")
        rows = wait_until(
            lambda: all_ended(service.json("queue", "list")), PATIENCE, "both runs to have ended"
        )

    assert len(status["waiting"]) == 1
    assert [row["state"] for row in rows] == ["succeeded", "succeeded"]
    assert early.exists()
    second, first = rows
    assert second["started_at"] >= first["ended_at"]
    assert "1 files send" in first["log_tail"]
    assert "1 files send" in second["log_tail"]


def test_a_bare_command_with_bots_engine_is_read_as_such(bots: RealBots, service: Service) -> None:
    bots.send("faulty")

    with service:
        waited = service.manage("job2queue", "--wait", *bots.new("faulty"))

    (row,) = service.json("queue", "list")
    assert waited.returncode == 2
    assert (row["state"], row["return_code"], row["job"]) == ("warned", 2, None)


def test_a_stopped_engine_ends_at_once_and_its_file_is_not_lost(
    bots: RealBots, service: Service
) -> None:
    create_job(service, "Slow", bots.new("slow"))
    interrupted = bots.send("slow")
    bots.hold(FOR_EVER)

    with service:
        service.manage("jobs", "run", "Slow", check=True)
        engine = wait_until(bots.held, PATIENCE, "the engine to be in the middle of its run")
        running = the_queue(service)["running"]
        assert running["pid"] == engine
        service.manage("queue", "stop", str(running["id"]), check=True)
        stopped = the_one(service, lambda row: row["id"] == running["id"], ENDED)
        assert not Path(f"/proc/{engine}").exists()
        bots.hold(0)
        service.manage("jobs", "run", "Slow", check=True)
        wait_until(interrupted.exists, PATIENCE, "the file of the stopped run to come out")
        wait_until(
            lambda: all_ended(service.json("queue", "list")), PATIENCE, "all runs to have ended"
        )

    # An engine that gets SIGINT goes on and ends with 2; SIGKILL would be 137.
    assert (stopped["state"], stopped["return_code"]) == ("stopped", 128 + 15)
    assert stopped["reason"]


def test_bots_alone_loses_the_file_of_an_engine_that_was_killed(bots: RealBots) -> None:
    """What the queue has to make good; should Bots mend it, the recovery run can go."""
    lost = bots.send("slow")
    killed = kill_in_the_middle(bots, bots.new("slow"))
    bots.hold(0)
    for route in ("copy", "slow"):
        subprocess.run(bots.new(route), stderr=subprocess.DEVNULL, check=False)

    assert killed == -signal.SIGKILL
    assert not lost.exists()


def test_bots_loses_the_file_when_its_recovery_is_killed_as_well(bots: RealBots) -> None:
    """What the queue can't make good, and so has to say; should Bots mend it, the words can go."""
    lost = bots.send("slow")
    kill_in_the_middle(bots, bots.new("slow"))
    kill_in_the_middle(bots, bots.engine("--cleanup"))
    bots.hold(0)
    subprocess.run(bots.engine("--cleanup"), stderr=subprocess.DEVNULL, check=True)

    assert not lost.exists()


@pytest.mark.parametrize("victim", ["engine", "everything"])
def test_the_file_of_an_engine_that_was_killed_is_delivered(
    bots: RealBots, service: Service, victim: str
) -> None:
    create_job(service, "Slow", bots.new("slow"))
    create_job(service, "Copy", bots.new("copy"))
    interrupted, later = bots.send("slow"), bots.send("copy")
    bots.hold(FOR_EVER)

    with service:
        service.manage("jobs", "run", "Slow", check=True)
        engine = wait_until(bots.held, PATIENCE, "the engine to be in the middle of its run")
        service.manage("jobs", "run", "-p1", "Copy", check=True)
        if victim == "everything":
            service.kill()
        else:
            service.kill(engine)
        # Not before: an engine that is let go may end by itself.
        bots.hold(0)
        if victim == "everything":
            service.start()
        wait_until(interrupted.exists, PATIENCE, "the file of the killed run to come out")
        wait_until(later.exists, PATIENCE, "the other route's file to come out")
        killed, recovery, *_ = in_order(service)

    assert killed["state"] == ("lost" if victim == "everything" else "failed")
    # Ahead of the one with priority 1.
    assert (recovery["source"], recovery["argv"]) == ("recovery", bots.engine("--cleanup"))
    assert recovery["state"] == "succeeded"


def test_a_recovery_that_is_killed_is_followed_by_another_and_says_what_may_be_lost(
    bots: RealBots, service: Service
) -> None:
    create_job(service, "Slow", bots.new("slow"))
    create_job(service, "Copy", bots.new("copy"))
    bots.send("slow")
    later = bots.send("copy")
    bots.hold(FOR_EVER)

    with service:
        service.manage("jobs", "run", "Slow", check=True)
        engine = wait_until(bots.held, PATIENCE, "the engine to be in the middle of its run")
        service.manage("jobs", "run", "-p1", "Copy", check=True)
        bots.hold(FOR_EVER)
        service.kill(engine)
        recovery = wait_until(bots.held, PATIENCE, "the recovery run to be in its middle")
        service.kill(recovery)
        bots.hold(0)
        wait_until(later.exists, PATIENCE, "the other route's file to come out")
        killed, first, second, copy = in_order(service)

    assert [row["source"] for row in (first, second)] == ["recovery", "recovery"]
    assert f"run {killed['id']} had in hand may be lost" in first["reason"]
    assert (first["state"], second["state"], copy["state"]) == ("failed", "succeeded", "succeeded")


def test_asking_fifty_times_at_once_leaves_one_waiting_run(
    bots: RealBots, service: Service
) -> None:
    create_job(service, "Slow", bots.new("slow"))
    bots.send("slow")
    bots.hold(FOR_EVER)

    with service:
        service.manage("jobs", "run", "Slow", check=True)
        wait_until(bots.held, PATIENCE, "the run to be in its middle")
        codes = ask_at_once(service, 50, "jobs", "run", "Slow")
        status = the_queue(service)
        bots.hold(0)
        rows = wait_until(
            lambda: all_ended(service.json("queue", "list")), PATIENCE, "both runs to have ended"
        )

    assert codes == {0: 1, 4: 49}
    assert len(status["waiting"]) == 1
    assert [row["state"] for row in rows] == ["succeeded", "succeeded"]


def kill_in_the_middle(bots: RealBots, argv: list[str]) -> int:
    """An engine without the queue, killed once it has its files; its return code."""
    bots.hold(FOR_EVER)
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as engine:
        wait_until(bots.held, PATIENCE, "the engine to be in the middle of its run")
        engine.kill()
        return engine.wait()


@contextmanager
def an_engine_outside_the_queue(bots: RealBots) -> Iterator[subprocess.Popen[bytes]]:
    """One that holds the port until ``bots.hold`` lets it go."""
    bots.hold(FOR_EVER)
    with subprocess.Popen(bots.new("slow"), stderr=subprocess.DEVNULL) as engine:
        try:
            wait_until(bots.held, PATIENCE, "the other engine to hold the port")
            yield engine
        finally:
            bots.hold(0)


def create_job(service: Service, name: str, argv: list[str]) -> None:
    service.manage("jobs", "create", name, "--codes", "bots-engine", "--", *argv, check=True)


def run_job(service: Service, name: str) -> Row:
    """The execution of a run that was asked for and waited for."""
    waited = service.manage("jobs", "run", "--wait", name)
    row: Row = service.json("queue", "list", "--limit", "1")[0]
    assert waited.returncode == row["return_code"]
    return row


def the_one(
    service: Service, matches: Callable[[Row], bool], states: set[str] | None = None
) -> Row:
    """The newest execution that matches, when there is one and its state is one of these."""

    def look() -> Row | None:
        rows = filter(matches, service.json("queue", "list"))
        return next((row for row in rows if states is None or row["state"] in states), None)

    return wait_until(look, PATIENCE, "an execution")


def retries(service: Service) -> list[Row]:
    return [row for row in service.json("queue", "list") if row["source"] == "retry"]


def all_ended(rows: list[Row]) -> list[Row]:
    return rows if all(row["state"] in ENDED for row in rows) else []


def in_order(service: Service) -> list[Row]:
    """All executions, once all have ended, by their start."""
    rows = wait_until(
        lambda: all_ended(service.json("queue", "list")), PATIENCE, "all runs to have ended"
    )
    return sorted(rows, key=lambda row: row["started_at"])


def the_queue(service: Service) -> Row:
    (status,) = service.json("queue", "status")
    assert status["queue"] == "default"
    return dict(status)


def ask_at_once(service: Service, times: int, *args: str) -> Counter[int]:
    """Exit codes of that many processes, as many of them at once as the machine bears."""
    with ThreadPoolExecutor(max_workers=10) as pool:
        asked = [pool.submit(service.manage, *args) for _ in range(times)]
    return Counter(one.result().returncode for one in asked)
