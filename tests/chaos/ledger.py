"""What the program itself knows: what it asked for and was answered, and whom it killed.

All moments are seconds of ``CLOCK_BOOTTIME``, the clock of the jobs' stamps.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from tests import stamps

#: The exit code of a job that found another one in its queue.
NOT_ALONE = 113
#: Answers to a request; UNKNOWN: who should have answered was killed in the middle of it.
ADDED, DUPLICATE, PROMOTED, REFUSED, UNKNOWN = (
    *("added", "duplicate", "promoted"),
    *("refused", "unknown"),
)
#: The file of the jobs' stamps.
STAMPS = "stamps"
_CHILD = 'sleep 60 & exec "$@"'


@dataclass(frozen=True)
class Spec:
    """What a job will do, known by its label."""

    label: str
    queue: str
    seconds: float
    code: int = 0
    #: It leaves a child behind.
    child: bool = False
    #: Whoever runs it is killed, as often as it runs.
    hunted: bool = False
    rerun_if_lost: bool = True
    kill_after: float | None = None

    def argv(self, directory: Path) -> list[str]:
        """The command: only alone in its queue, since it and its children hold a lock."""
        lock = ["flock", "-n", "-E", str(NOT_ALONE), "-F", str(directory / f"{self.queue}.lock")]
        child = ["sh", "-c", _CHILD, "sh"] if self.child else []
        job = stamps.command(directory / STAMPS, self.label, round(self.seconds, 3), self.code)
        return [*lock, *child, *job]


@dataclass(frozen=True)
class Ask:
    """A request and its answer."""

    channel: str
    label: str
    queue: str
    asked_at: float
    answered_at: float
    outcome: str
    execution: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Steer:
    """An order to cancel or stop an execution; None: nobody knows whether it was done."""

    kind: str
    execution: int
    asked_at: float
    done: bool | None


@dataclass(frozen=True)
class Pause:
    """A queue was paused for so many seconds."""

    queue: str
    asked_at: float
    seconds: float


@dataclass(frozen=True)
class Kill:
    """Processes that were killed at once; each by its role and the execution that it ran."""

    victim: str
    at: float
    #: When all of them had been sent the signal.
    until: float
    processes: Sequence[tuple[int, str, int | None]]

    def pids(self, *roles: str) -> set[int]:
        """Those in one of these roles."""
        return {pid for pid, role, _ in self.processes if role in roles}


Entry: TypeAlias = Ask | Steer | Pause | Kill


@dataclass
class Ledger:
    """Everything, in memory and, for whoever looks into a violation, in a file."""

    file: Path
    specs: dict[str, Spec] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    steers: list[Steer] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add_spec(self, spec: Spec) -> Spec:
        """A job that may be asked for."""
        with self._lock:
            self.specs[spec.label] = spec
            self._write("Spec", asdict(spec))
        return spec

    def add(self, entry: Entry) -> None:
        """What happened."""
        kept: dict[type, list[Any]] = {
            Ask: self.asks,
            Steer: self.steers,
            Pause: self.pauses,
            Kill: self.kills,
        }
        with self._lock:
            kept[type(entry)].append(entry)
            self._write(type(entry).__name__, asdict(entry))

    def hunted(self) -> set[str]:
        """The labels of jobs that are to be lost again and again."""
        with self._lock:
            return {spec.label for spec in self.specs.values() if spec.hunted}

    def victims(self) -> Counter[str]:
        """How often each was killed."""
        return Counter(kill.victim for kill in self.kills)

    def _write(self, kind: str, values: dict[str, Any]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({kind: values}) + "\n")
