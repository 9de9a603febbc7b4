"""What becomes of Jobs and monitors when a configuration of Bots moves in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from jobqueue.api import Job

from ..models import DirMonitor
from .ini import Monitor, Remark

NEW, CHANGED, UNCHANGED = "new", "changed", "unchanged"
#: Characters that a name made from a file has at most; a number may come behind.
NAME_LIMIT = 100


@dataclass
class JobStep:
    """What becomes of a command of the engine."""

    job: Job
    action: str = NEW
    #: In words, such as ``max_runtime: 1:00:00 -> 1:30:00``.
    changes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, job: Job, changes: list[str]) -> Self:
        """Of a Job that is there."""
        return cls(job, CHANGED if changes else UNCHANGED, changes)


@dataclass
class MonitorStep:
    """What becomes of a section."""

    definition: Monitor
    monitor: DirMonitor
    job: JobStep
    action: str = NEW
    changes: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """What becomes of all."""

    jobs: list[JobStep] = field(default_factory=list)
    monitors: list[MonitorStep] = field(default_factory=list)
    refused: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)

    def count(self, action: str) -> int:
        """How many Jobs and monitors are new, changed or unchanged."""
        steps: list[JobStep | MonitorStep] = [*self.jobs, *self.monitors]
        return sum(step.action == action for step in steps)

    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.count(NEW) or self.count(CHANGED))


def change(row: Any, values: dict[str, Any]) -> list[str]:
    """Give a row these values; what has changed, in words."""
    changes = []
    for name, value in values.items():
        if (before := getattr(row, name)) != value:
            changes.append(f"{name}: {_shown(before)} -> {_shown(value)}")
            setattr(row, name, value)
    return changes


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)
