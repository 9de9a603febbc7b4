"""Command lines for tests, and what the jobs among them wrote down."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

JOBS = Path(__file__).parent / "jobs"


def program(name: str, *arguments: object) -> list[str]:
    """The argv of one of the programs in ``tests/jobs``."""
    return [sys.executable, "-I", "-S", str(JOBS / f"{name}.py"), *map(str, arguments)]


def run(*argv: object) -> None:
    """Run a program that must succeed."""
    subprocess.run(list(map(str, argv)), check=True, capture_output=True)


class Notes:
    """What jobs (``tests/jobs/note.py``) wrote down about themselves."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def command(self, name: object, seconds: float | Path = 0) -> list[str]:
        """A job that notes this name and takes so long, or until there is this file."""
        return program("note", self.file, name, seconds)

    def lines(self) -> list[dict[str, Any]]:
        """One for each run that has ended, in the order of their starts."""
        text = self.file.read_text() if self.file.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        return sorted(lines, key=lambda line: line["start"])

    def names(self) -> list[str]:
        """Who ran, in the order of their starts."""
        return [line["name"] for line in self.lines()]

    def overlap(self) -> bool:
        """Whether two ran at the same time."""
        return any(after["start"] < before["end"] for before, after in pairwise(self.lines()))
