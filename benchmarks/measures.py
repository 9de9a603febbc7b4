"""What is measured of one installation, one round at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles

from benchmarks import raw
from benchmarks.agent import Agent
from benchmarks.installation import MANAGE, Installation
from benchmarks.results import Results, Target

GAP = "From the start of a run to the start of the next"
IDLE = "From a request to its start, when nothing else was to be done"
REQUESTS = "Requests through `jobqueue.api.enqueue`"
COMMAND = "The command line"
LATENESS = "From the time of a schedule to its request in the queue, beside a long run"
#: Names of queues.
FEW, MANY, NOTED = "few", "many", "noted"
#: How many times the gap of a raw loop ours may take.
GAP_TARGETS = {"SQLite": 2.0, "PostgreSQL": 3.5, "MariaDB": 5.0}


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    runs: int  # in a round of gaps
    many: int  # waiting ones, besides
    delays: int
    blocks: int  # of requests, in turn with blocks of commits
    block: int
    commands: int
    rest: float  # seconds
    schedules: tuple[int, ...]
    fires: int  # times that they fire together


FULL = Size(
    runs=300,
    many=100_000,
    delays=10,
    blocks=4,
    block=200,
    commands=5,
    rest=12,
    schedules=(10, 1_000, 10_000),
    fires=3,
)
QUICK = Size(
    runs=100,
    many=10_000,
    delays=4,
    blocks=2,
    block=100,
    commands=2,
    rest=5,
    schedules=(10, 1_000),
    fires=1,
)
#: Schedules that fire in the same second.
TOGETHER = 100


def gap(
    site: Installation, agent: Agent, results: Results, size: Size, queue: str, waiting: str
) -> None:
    """The gap in a queue that was filled."""
    found, beside = raw.beside(
        size.runs, raw.PROGRAM, lambda: agent("run", queue, size.runs)[: size.runs]
    )
    results.add(
        GAP,
        f"{site.title}, {waiting} waiting",
        median(found),
        "ms",
        other=median(beside),
        compared_with="ms in a raw loop",
        target=Target(GAP_TARGETS[site.title]),
        mean=mean(found),
        mean_other=mean(beside),
    )


def gap_with_few(site: Installation, agent: Agent, results: Results, size: Size) -> None:
    """The gap, with nothing else waiting."""
    agent("fill", FEW, raw.PROGRAM, size.runs)
    gap(site, agent, results, size, FEW, str(size.runs))


def compare_many(site: Installation, results: Results, size: Size) -> None:
    """How much longer the gap is with many waiting, each in units of its raw loop."""
    few = results.find(GAP, f"{site.title}, {size.runs} waiting")
    many = results.find(GAP, f"{site.title}, {size.many:,} waiting")
    if few and many and few.ratio and many.ratio:
        results.add(
            GAP,
            f"{site.title}, {size.many:,} to {size.runs} waiting",
            many.ratio,
            "x raw",
            other=few.ratio,
            compared_with="x raw",
            target=Target(1.1),
        )


def gap_noted(site: Installation, agent: Agent, results: Results, size: Size) -> None:
    """Whether what the rows say of the gap is what the jobs themselves note."""
    file = site.directory / "noted"
    file.unlink(missing_ok=True)
    agent("fill", NOTED, raw.noting(file), size.runs // 3)
    by_rows = median(raw.gaps(agent("run", NOTED, size.runs // 3)))
    results.add(
        GAP,
        f"{site.title}, noted by the jobs",
        median(raw.gaps(sorted(raw.notes(file)))),
        "ms",
        other=by_rows,
        compared_with="ms in their rows (a shell is run)",
    )


def idle(site: Installation, agent: Agent, results: Results, size: Size, broker: str) -> None:
    """From a request to what its job notes, while the cluster is idle."""
    file = site.directory / f"delays-{broker}"
    file.unlink(missing_ok=True)
    found = agent("delays", raw.noting(file), str(file), size.delays)
    results.add(
        IDLE,
        f"{site.title}, {broker} broker",
        1000 * median(found),
        "ms",
        other=1000 * median(raw.delay(raw.noting(file), file, size.delays)),
        compared_with="ms from `subprocess.run`",
        worst=1000 * max(found),
    )


def requests(site: Installation, agent: Agent, results: Results, size: Size) -> None:
    """Requests a second, and commits a second of one row in a table of its own."""
    ours, commits = [], []
    for _ in range(size.blocks):
        commits.append(agent("commit", size.block))
        ours.append(agent("request", size.block))
    results.add(
        REQUESTS,
        site.title,
        median(ours),
        "a second",
        other=median(commits),
        compared_with="durable commits of one row a second",
        target=Target(0.5, at_least=True),
        wake_ups=agent("forget_requests"),
    )


def lateness(
    site: Installation, agent: Agent, results: Results, size: Size, schedules: int
) -> None:
    """How late schedules fire, up to a hundred of them in the same second."""
    together = min(schedules, TOGETHER)
    agent("plan", schedules, together)
    found = [1000 * late for late in agent("lateness", size.fires)]
    *_, p99 = quantiles(found, n=100)
    what = f"{site.title}, {schedules:,} schedules, {together} at once"
    results.add(LATENESS, f"{what}, median", median(found), "ms", worst=max(found))
    results.add(LATENESS, f"{what}, p99", p99, "ms", target=Target(100, of="value"))


def command_line(site: Installation, results: Results, size: Size) -> None:
    """``job2queue``, Django doing nothing, and Python doing nothing, in turn."""
    job2queue = [*MANAGE, "job2queue", *raw.PROGRAM]
    script = Path(sys.executable).with_name("job2queue")
    ways: dict[str, tuple[Callable[[int], list[str]], str]] = {
        "python -c pass": (lambda _: [sys.executable, "-c", "pass"], ""),
        "manage.py version": (lambda _: [*MANAGE, "version"], "python -c pass"),
        "manage.py job2queue": (lambda i: [*job2queue, str(i)], "manage.py version"),
    }
    if script.exists():
        ways["job2queue"] = (lambda i: [str(script), *raw.PROGRAM, f"-{i}"], "manage.py version")
    times: dict[str, list[float]] = {}
    for i in range(size.commands):
        for name, (command, _) in ways.items():
            _time(site, name, command(i), times, results)
    for name, found in times.items():
        _add_command(results, site, name, found, ways[name][1], times)


def _time(
    site: Installation, name: str, command: list[str], times: dict[str, list[float]], to: Results
) -> None:
    try:
        times.setdefault(name, []).append(raw.wall(command, site.environ))
    except subprocess.CalledProcessError as error:
        times.pop(name)
        lines = str(error.stderr).strip().splitlines() or [str(error)]
        why = lines[-1] if lines[0].startswith("Traceback") else lines[0]
        to.leave_out(f"{site.title}, {name}", why)


def _add_command(
    results: Results,
    site: Installation,
    name: str,
    found: list[float],
    other: str,
    times: dict[str, list[float]],
) -> None:
    results.add(
        COMMAND,
        f"{site.title}, `{name}`",
        median(found),
        "ms",
        other=median(times[other]) if other else None,
        compared_with=f"ms, `{other}`" if other else "",
    )
