"""What jobs (``tests/jobs/stamp.py``) wrote down about themselves: who ran when.

All moments are seconds of ``CLOCK_BOOTTIME``, see :func:`now`.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from tests.commands import program

#: How each stamp begins.
_BEGIN = '{"event"'


@dataclass(frozen=True)
class Run:
    """One process that stamped its start; without an end it was killed, or goes on."""

    label: str
    execution: int
    queue: str
    host: str
    pid: int
    started_at: float
    ended_at: float | None = None
    code: int | None = None
    #: The process that had started it: a launcher.
    parent: int = 0


def now() -> float:
    """The moment, by the clock of the stamps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def command(file: Path, label: object, seconds: float | Path = 0, code: int = 0) -> list[str]:
    """A job that stamps its start and end, takes so long, and exits with this code.

    With a path, it takes until there is such a file.
    """
    return program("stamp", file, label, seconds, code)


def read(file: Path) -> list[Run]:
    """The runs in the order of their starts; stamps that were only half written are left out."""
    runs: dict[tuple[int, int, str], list[Run]] = defaultdict(list)
    for stamp in _stamps(file):
        key = stamp["execution"], stamp["pid"], stamp["label"]
        if stamp["event"] == "start":
            runs[key].append(_started(stamp))
        elif stamp["event"] == "end" and runs[key]:
            runs[key][-1] = replace(runs[key][-1], ended_at=stamp["at"], code=stamp["code"])
    return sorted((run for group in runs.values() for run in group), key=lambda r: r.started_at)


def last(file: Path, event: str, execution: int | None = None) -> float:
    """When something of this name was stamped for the last time, by this Execution; 0: never."""
    return max(
        (
            stamp["at"]
            for stamp in _stamps(file)
            if stamp["event"] == event and execution in (None, stamp["execution"])
        ),
        default=0,
    )


def overlaps(
    runs: Iterable[Run], lived_until: Mapping[int, float] | None = None
) -> list[tuple[Run, Run]]:
    """Pairs of runs of which the second started in the same queue before the first was over.

    A run without an end stamp lasted for ever, unless ``lived_until`` says when its process was
    known to live for the last time, such as just before it was killed: by the id of its Execution.
    """
    queues = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.started_at):
        queues[run.queue].append(run)
    known = lived_until or {}
    return [pair for line in queues.values() for pair in _overlaps(line, known)]


def starts(runs: Iterable[Run]) -> Counter[str]:
    """How often each label was started."""
    return Counter(run.label for run in runs)


def ends(runs: Iterable[Run]) -> Counter[str]:
    """How often each label came to its end."""
    return Counter(run.label for run in runs if run.ended_at is not None)


def executions(runs: Iterable[Run]) -> dict[str, list[int]]:
    """Which Executions each label was, in the order of their starts."""
    found: dict[str, list[int]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.started_at):
        found[run.label].append(run.execution)
    return dict(found)


def repeated(runs: Iterable[Run]) -> list[Run]:
    """Runs that started although their label had come to its end, or their Execution had started.

    Of labels that were asked for once.
    """
    found, ended, seen = [], {}, set()
    for run in sorted(runs, key=lambda run: run.started_at):
        if run.label in ended or run.execution in seen:
            found.append(run)
        seen.add(run.execution)
        if run.ended_at is not None:
            ended[run.label] = run.ended_at
    return found


def _overlaps(line: list[Run], lived_until: Mapping[int, float]) -> Iterator[tuple[Run, Run]]:
    """Of one queue, in the order of their starts."""
    last: Run | None = None
    for before, after in pairwise(line):
        if last is None or _over(before, lived_until) >= _over(last, lived_until):
            last = before
        if after.started_at < _over(last, lived_until):
            yield last, after


def _over(run: Run, lived_until: Mapping[int, float]) -> float:
    if run.ended_at is not None:
        return run.ended_at
    return max(run.started_at, lived_until.get(run.execution, inf))


def _started(stamp: dict[str, Any]) -> Run:
    return Run(
        label=stamp["label"],
        execution=stamp["execution"],
        queue=stamp["queue"],
        host=stamp["host"],
        pid=stamp["pid"],
        started_at=stamp["at"],
        parent=stamp.get("parent", 0),
    )


def _stamps(file: Path) -> Iterator[dict[str, Any]]:
    text = file.read_text(errors="replace") if file.exists() else ""
    for line in text.splitlines():
        # A line that was cut short by a crash has the next one behind it.
        try:
            yield json.loads(line[max(0, line.rfind(_BEGIN)) :])
        except ValueError:
            continue
