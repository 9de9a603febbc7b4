"""Reading what jobs stamped."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests import stamps
from tests.stamps import Run


def a_run(
    label: str, start: float, end: float | None = None, *, execution: int = 0, queue: str = "q"
) -> Run:
    return Run(
        label=label,
        execution=execution or int(start * 10) + 1,
        queue=queue,
        host="",
        pid=int(start * 10) + 1000,
        started_at=start,
        ended_at=end,
        code=None if end is None else 0,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stamps"


def run(file: Path, label: str, execution: int, code: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        stamps.command(file, label, 0.01, code),
        env={"JOBQUEUE_EXECUTION": str(execution), "JOBQUEUE_QUEUE": "edi", "JOBQUEUE_HOST": "h"},
        capture_output=True,
        text=True,
        check=False,
    )


class TestRead:
    def test_what_a_job_stamps(self, file: Path) -> None:
        before = stamps.now()
        done = run(file, 'a "ä"', 7, code=3)
        [found] = stamps.read(file)
        assert (done.returncode, done.stdout) == (3, 'a "ä" starts\na "ä" ends with 3\n')
        assert (found.label, found.execution, found.queue, found.host) == ('a "ä"', 7, "edi", "h")
        assert found.code == 3
        assert found.ended_at is not None
        assert before < found.started_at < found.started_at + 0.01 <= found.ended_at < stamps.now()

    def test_several_in_the_order_of_their_starts(self, file: Path) -> None:
        for number, label in enumerate("bab", start=1):
            run(file, label, number)
        found = stamps.read(file)
        assert [r.label for r in found] == ["b", "a", "b"]
        assert stamps.starts(found) == stamps.ends(found) == Counter(b=2, a=1)
        assert stamps.executions(found) == {"b": [1, 3], "a": [2]}

    def test_none(self, file: Path) -> None:
        assert stamps.read(file) == []

    def test_half_a_line_at_the_end(self, file: Path) -> None:
        run(file, "a", 1)
        file.write_text(file.read_text()[:-10])
        [found] = stamps.read(file)
        assert (found.ended_at, found.code) == (None, None)

    def test_half_a_line_with_another_behind_it(self, file: Path) -> None:
        run(file, "a", 1)
        file.write_text(file.read_text()[:-10])
        run(file, "b", 2)
        assert [(r.label, r.code) for r in stamps.read(file)] == [("a", None), ("b", 0)]


class TestOverlaps:
    def test_one_after_another(self) -> None:
        assert stamps.overlaps([a_run("a", 1, 2), a_run("b", 2, 3), a_run("c", 3.5, 4)]) == []

    def test_two_at_once(self) -> None:
        a, b = a_run("a", 1, 3), a_run("b", 2, 4)
        assert stamps.overlaps([b, a]) == [(a, b)]

    def test_in_different_queues(self) -> None:
        assert stamps.overlaps([a_run("a", 1, 3), a_run("b", 2, 4, queue="r")]) == []

    def test_a_long_one_with_several(self) -> None:
        a, b, c = a_run("a", 1, 9), a_run("b", 2, 3), a_run("c", 4, 5)
        assert stamps.overlaps([a, b, c]) == [(a, b), (a, c)]

    def test_one_without_an_end(self) -> None:
        a, b = a_run("a", 1), a_run("b", 2, 3)
        assert stamps.overlaps([a, b]) == [(a, b)]
        assert stamps.overlaps([a, b], {a.execution: 1.9}) == []
        assert stamps.overlaps([a, b], {a.execution: 2.1}) == [(a, b)]


class TestRepeated:
    def test_one_that_was_killed_may_be(self) -> None:
        assert stamps.repeated([a_run("a", 1), a_run("a", 2, 3), a_run("b", 4, 5)]) == []

    def test_one_that_had_ended(self) -> None:
        again = a_run("a", 3, 4)
        assert stamps.repeated([a_run("a", 1, 2), again]) == [again]

    def test_the_same_execution_twice(self) -> None:
        again = a_run("a", 2, 3, execution=5)
        assert stamps.repeated([a_run("a", 1, execution=5), again]) == [again]
