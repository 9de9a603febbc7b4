"""What the queue is compared with: a loop of ``subprocess.run``, and a program that notes when.

A loop runs before and after what it's compared with, so that a machine that gets slower or faster
meanwhile does so for both.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

PROGRAM = ["true"]


def noting(file: Path) -> list[str]:
    """A command that appends the time of day (seconds) at which it started to a file.

    Its further arguments mean nothing. Bash is the quickest program at hand that knows the time.
    """
    return ["bash", "-c", 'printf "%s\\n" "$EPOCHREALTIME" >>"$0"', str(file)]


def notes(file: Path) -> list[float]:
    """The times in that file."""
    return [float(line) for line in file.read_text().split()]


def starts(argv: Sequence[str], number: int) -> list[float]:
    """When each run of a raw loop was started, in seconds."""
    found = []
    for i in range(number):
        found.append(time.perf_counter())
        subprocess.run([*argv, str(i)], check=True)
    return found


def gaps(started: Sequence[float]) -> list[float]:
    """From each start to the next, in milliseconds."""
    return [1000 * (b - a) for a, b in pairwise(started)]


def beside(
    number: int, argv: Sequence[str], measured: Callable[[], Sequence[float]]
) -> tuple[list[float], list[float]]:
    """The gaps of what is measured, and those of a raw loop around it."""
    before = gaps(starts(argv, number // 2))
    found = gaps(measured())
    after = gaps(starts(argv, number // 2))
    return found, before + after


def delay(argv: Sequence[str], file: Path, number: int) -> list[float]:
    """Seconds from the call of ``subprocess.run`` to what the program notes."""
    asked = []
    for _ in range(number):
        asked.append(time.time())
        subprocess.run(argv, check=True)
    return [noted - at for noted, at in zip(notes(file)[-number:], asked, strict=True)]


def wall(command: Sequence[str], environ: Any = None) -> float:
    """Milliseconds that a command takes from its start to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=60)
    return 1000 * (time.perf_counter() - start)
