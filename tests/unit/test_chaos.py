"""The verdict of ``make chaos``: every promise that is broken is seen, and none that is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import spans
from tests.chaos.ledger import ADDED, DUPLICATE, REFUSED, UNKNOWN, Ask, Kill, Ledger, Spec, Steer
from tests.chaos.verdict import GOES_ON, Row, Verdict
from tests.stamps import Run

#: The wall clock's reading when that of the stamps was 0.
BOOT = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
LAUNCHER, JOB = 50, 60


class World:
    """What a session of chaos leaves behind; moments are seconds after the boot."""

    def __init__(self, directory: Path) -> None:
        self.ledger = Ledger(directory / "ledger")
        self.runs: list[Run] = []
        self.rows: list[Row] = []

    def asked(self, label: str = "a", outcome: str = ADDED, **over: Any) -> None:
        """A request; by default that of execution 1 at second 10."""
        self.ledger.add_spec(Spec(label, "default", 1.0))
        values = {"asked_at": 10.0, "answered_at": 10.1, "execution": 1, **over}
        self.ledger.add(Ask("Api", label, "default", outcome=outcome, **values))

    def ran(self, execution: int = 1, label: str = "a", **over: Any) -> None:
        """What its job stamped; by default from second 11 to 12."""
        values = {"started_at": 11.0, "ended_at": 12.0, "code": 0, "pid": JOB, **over}
        self.runs.append(Run(label, execution, "default", "", parent=LAUNCHER, **values))

    def row(self, pk: int = 1, label: str = "a", **over: Any) -> None:
        """An execution; by default one that succeeded."""
        values: Row = {
            "id": pk,
            "argv": ["stamp.py", "FILE", label, "1", "0"],
            "queue": "default",
            "state": "succeeded",
            "return_code": 0,
            "reason": "",
            "queued_at": 10.0,
            "started_at": 10.9,
            "ended_at": 12.1,
            "pid": JOB,
            "retry_of": None,
            "details": {},
            "log_tail": f"{label} starts\n{label} ends with 0\n",
            **over,
        }
        for name in ("queued_at", "started_at", "ended_at"):
            if values[name] is not None:
                values[name] = datetime.fromtimestamp(BOOT + values[name], UTC).isoformat()
        self.rows.append(values)

    def lost(self, pk: int = 1, **over: Any) -> None:
        """An execution that is lost."""
        self.row(pk, **{"state": "lost", "return_code": None, "reason": "Gone.", **over})

    def killed(self, pid: int, role: str, at: float = 11.5) -> None:
        """A process was killed."""
        self.ledger.add(Kill(role, at, at, [(pid, role, None)]))

    def broken(self) -> list[str]:
        """The rules that didn't hold."""
        verdict = Verdict(self.ledger, self.runs, self.rows, BOOT)
        return [violation.rule for violation in verdict.violations()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def good(world: World) -> World:
    """A request that was accepted and has run."""
    world.asked()
    world.ran()
    world.row()
    return world


def test_all_is_well(good: World) -> None:
    assert good.broken() == []


class TestTwoAtOnce:
    def test_by_their_stamps(self, good: World) -> None:
        good.asked("b", execution=2)
        good.ran(2, "b", started_at=11.9, ended_at=13.0)
        good.row(2, "b")
        assert good.broken() == ["two at once"]

    def test_beside_one_that_was_killed_later(self, world: World) -> None:
        world.asked()
        world.ran(ended_at=None, code=None)
        world.row(state="failed", return_code=137, reason="killed")
        world.killed(JOB, "job", at=12.0)
        world.asked("b", execution=2)
        world.ran(2, "b", started_at=11.9, ended_at=13.0, pid=61)
        world.row(2, "b")
        assert world.broken() == ["two at once"]

    def test_behind_one_that_was_killed_before(self, world: World) -> None:
        world.asked()
        world.ran(ended_at=None, code=None)
        world.row(state="failed", return_code=137, reason="killed")
        world.killed(JOB, "job", at=11.8)
        world.asked("b", execution=2)
        world.ran(2, "b", started_at=11.9, ended_at=13.0, pid=61)
        world.row(2, "b")
        assert world.broken() == []

    def test_by_their_lock(self, world: World) -> None:
        world.asked()
        world.row(state="failed", return_code=113, reason="return code 113")
        assert world.broken() == ["two at once"]


class TestRequests:
    def test_without_a_row(self, world: World) -> None:
        world.asked()
        assert world.broken() == ["request lost"]

    def test_with_the_row_of_another(self, good: World) -> None:
        good.asked("b", execution=1)
        assert good.broken() == ["request lost"]

    def test_that_was_taken_for_one_that_had_started(self, good: World) -> None:
        good.asked(outcome=DUPLICATE, asked_at=11.5)
        assert good.broken() == ["request lost"]

    def test_that_waited_already(self, good: World) -> None:
        good.asked(outcome=DUPLICATE, asked_at=10.5)
        assert good.broken() == []

    def test_that_still_waits(self, world: World) -> None:
        world.asked()
        world.row(state="waiting", return_code=None, started_at=None, ended_at=None)
        assert world.broken() == ["not settled"]

    def test_that_runs_for_ever(self, world: World) -> None:
        world.asked()
        world.row(state="running", return_code=None, ended_at=None)
        assert world.broken() == ["not settled"]

    def test_whose_requester_was_killed(self, world: World) -> None:
        world.asked(outcome=UNKNOWN, execution=None)
        assert world.broken() == []
        world.row()
        world.ran()
        assert world.broken() == []

    def test_that_nobody_made(self, good: World) -> None:
        good.row(2)
        good.ran(2, started_at=13.0, ended_at=14.0)
        assert good.broken() == ["nobody asked for it"]

    def test_that_was_refused(self, world: World) -> None:
        world.asked(outcome=REFUSED, execution=None)
        assert world.broken() == ["refused"]


class TestRuns:
    def test_of_nothing(self, world: World) -> None:
        world.ran()
        assert world.broken() == ["nobody asked for it"]

    def test_of_the_same_execution(self, good: World) -> None:
        good.ran(started_at=13.0, ended_at=14.0)
        assert good.broken() == ["run twice", "wrong end"]

    def test_again_though_the_code_was_known(self, good: World) -> None:
        good.row(2, retry_of=1)
        good.ran(2, started_at=13.0, ended_at=14.0)
        assert good.broken() == ["run twice"]

    def test_that_never_started(self, world: World) -> None:
        world.asked()
        world.row()
        assert world.broken() == ["wrong end"]

    def test_with_another_code(self, world: World) -> None:
        world.asked()
        world.ran(code=3)
        world.row(log_tail="a starts\na ends with 3\n")
        assert world.broken() == ["wrong end"]

    def test_with_another_output(self, world: World) -> None:
        world.asked()
        world.ran()
        world.row(log_tail="a starts\n")
        assert world.broken() == ["wrong output"]

    def test_with_a_note_of_ours(self, world: World) -> None:
        world.asked()
        world.ran()
        world.row(log_tail="a starts\na ends with 0\n\n[jobqueue] 1 process had to be ended.\n")
        assert world.broken() == []

    def test_killed_by_nobody(self, world: World) -> None:
        world.asked()
        world.ran(ended_at=None, code=None)
        world.row(state="failed", return_code=137, reason="killed")
        assert world.broken() == ["wrong end"]

    def test_without_a_reason(self, world: World) -> None:
        world.asked()
        world.ran(code=3)
        world.row(state="failed", return_code=3, log_tail="a starts\na ends with 3\n")
        assert world.broken() == ["wrong end"]

    def test_stopped_by_nobody(self, world: World) -> None:
        world.asked()
        world.row(state="stopped", return_code=143, reason="stopped")
        assert world.broken() == ["wrong end"]
        world.ledger.add(Steer("stop", 1, 11.5, True))
        assert world.broken() == []

    def test_cancelled_though_it_ran(self, good: World) -> None:
        good.rows[0] |= {"state": "cancelled", "return_code": None, "reason": "cancelled"}
        good.ledger.add(Steer("cancel", 1, 11.5, True))
        assert good.broken() == ["wrong end"]


class TestLost:
    @pytest.fixture
    def lost(self, world: World) -> World:
        """A run that was lost, and its request that ran again."""
        world.asked()
        world.ran(ended_at=None, code=None)
        world.lost(details={"queued_again_as": 2})
        world.row(2, retry_of=1)
        world.ran(2, started_at=13.0, ended_at=14.0)
        return world

    def test_with_its_launcher(self, lost: World) -> None:
        lost.killed(LAUNCHER, "launcher")
        assert lost.broken() == []

    def test_with_nobody_killed(self, lost: World) -> None:
        assert lost.broken() == ["lost without need"]

    def test_with_only_its_worker(self, lost: World) -> None:
        lost.killed(40, "worker")
        assert lost.broken() == ["lost without need"]

    def test_and_forgotten(self, world: World) -> None:
        world.asked()
        world.ran(ended_at=None, code=None)
        world.lost()
        world.killed(LAUNCHER, "launcher")
        assert world.broken() == ["not queued again"]

    def test_where_it_must_not_run_again(self, lost: World) -> None:
        lost.killed(LAUNCHER, "launcher")
        lost.ledger.add_spec(Spec("a", "default", 1.0, rerun_if_lost=False))
        assert lost.broken() == ["not queued again"]

    def test_three_times(self, world: World) -> None:
        world.asked()
        for pk in (1, 2, 3):
            again = {"details": {"queued_again_as": pk + 1}} if pk < 3 else {}
            begin = 10.0 * pk
            world.ran(pk, ended_at=None, code=None, started_at=begin + 1, pid=JOB + pk)
            world.killed(LAUNCHER, "launcher", at=begin + 1.5)
            world.lost(
                pk,
                retry_of=pk - 1 or None,
                started_at=begin + 0.9,
                ended_at=begin + 2,
                **again,
            )
        assert world.broken() == []


def test_a_queue_that_stands_still(world: World) -> None:
    late = 11 + GOES_ON
    world.asked()
    world.ran(started_at=late, ended_at=late + 1)
    world.row(started_at=late, ended_at=late + 1)
    assert world.broken() == ["stood still"]
    world.killed(40, "worker", at=15.0)
    assert world.broken() == []


class TestSpans:
    def test_union(self) -> None:
        assert spans.union([(5, 6), (1, 2), (2, 3), (8, 8)]) == [(1, 3), (5, 6)]

    def test_without(self) -> None:
        assert spans.without([(0, 10)], [(2, 3), (9, 12)]) == [(0, 2), (3, 9)]
        assert spans.without([(0, 1)], []) == [(0, 1)]

    def test_cut(self) -> None:
        assert spans.cut([(0, 10)], [4, 20]) == [(0, 4), (4, 10)]

    def test_longest(self) -> None:
        assert spans.longest([(0, 1), (5, 8)]) == 3
        assert spans.longest([]) == 0
