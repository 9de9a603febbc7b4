"""What directory monitors cost at rest, how soon they queue what is ready, and how they start."""

from __future__ import annotations

import random
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import processes
from benchmarks.installation import CHECKOUT, MANAGE, Installation
from benchmarks.results import Results, Target

REST = "Directory monitors at rest"
READY = "From a file's settle time to its request in the queue"
START = "From the start with many files to their request in the queue"
SETTLE = 1.0  # seconds
#: The longest time between two scans, and a bit: a minute at rest has just one.
MINUTE = 61.0


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    directories: tuple[int, ...] = (1, 10, 1_000, 10_000)
    monitors: tuple[int, ...] = (1_000,)
    rest: float = MINUTE
    files: int = 300
    present: int = 100_000


FULL = Size()
QUICK = Size(directories=(1, 1_000), rest=10, files=50, present=10_000)


class Running:
    """A ``manage.py dirmonitor`` that runs."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process, self._mark = process, mark

    def cpu_seconds(self) -> float:
        """What it has used so far, with all that it started."""
        return processes.cpu_seconds(processes.marked(self._mark))

    def memory(self) -> float:
        """MB that would be free without it."""
        file = Path(f"/proc/{self._process.pid}/smaps_rollup")
        [pss] = (line for line in file.read_text().splitlines() if line.startswith("Pss:"))
        return int(pss.split()[1]) / 1024


@contextmanager
def running(site: Installation) -> Iterator[Running]:
    """The service, from its start to its end."""
    mark = secrets.token_hex(8)
    with (site.directory / "dirmonitor.out").open("ab") as output:
        process = subprocess.Popen(
            [*MANAGE, "dirmonitor"],
            cwd=CHECKOUT,
            env=site.environ | {processes.MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(process, mark)
    finally:
        processes.end(process, mark)


def measure(
    sites: Sequence[Installation], results: Results, rounds: Iterable[int], size: Size
) -> None:
    """At rest with the first database alone, since little is asked of it then."""
    at_rest(sites[0], results, size)
    for _ in rounds:
        for site in sites:
            ready(site, results, size)
            start(site, results, size)


def tree(base: Path, number: int) -> Path:
    """A directory with so many below it, a hundred in each."""
    for each in range(number - 1):
        (base / f"{each // 100:04}" / f"{each:05}").mkdir(parents=True)
    base.mkdir(parents=True, exist_ok=True)
    return base


def at_rest(site: Installation, results: Results, size: Size) -> None:
    """One monitor on trees of directories, then many monitors on one directory each."""
    base = site.directory / "watched"
    shapes = {f"{n:,} directories": [tree(base / f"tree-{n}", n)] for n in size.directories}
    for n in size.monitors:
        shapes[f"{n:,} monitors"] = [tree(base / f"many-{n}" / str(i), 1) for i in range(n)]
    least = 0.0
    for title, paths in shapes.items():
        with watching(site, paths) as (service, _):
            cpu, memory = _minute(service, size.rest)
        least = least or memory
        what = f"{site.title}, {title}"
        results.add(REST, what, cpu, "% of a core", target=Target(1, of="value"))
        compared = "MB with one directory"
        results.add(REST, f"{what}, memory", memory, "MB", other=least, compared_with=compared)


def ready(site: Installation, results: Results, size: Size) -> None:
    """Files that come by rename, one by one, each for a monitor and a Job of its own."""
    base = site.directory / "ready"
    paths = [tree(base / str(number), 1) for number in range(size.files)]
    settled: dict[str, float] = {}
    with watching(site, paths) as (_, agent):
        for path in paths:
            (base / "file").write_text("x")
            (base / "file").rename(path / "file")
            settled[str(path / "file")] = time.time() + SETTLE
            time.sleep(random.uniform(0.01, 0.05))
        found = agent("requested", size.files)
    late = [1000 * (moment - settled[file]) for file, moment in found]
    what = f"{site.title}, {size.files} files"
    results.add(READY, f"{what}, median", median(late), "ms", worst=max(late))
    p99 = quantiles(late, n=100)[-1]
    results.add(READY, f"{what}, p99", p99, "ms", target=Target(50, of="value"))
    shutil.rmtree(base)


def start(site: Installation, results: Results, size: Size) -> None:
    """Files that lie there when the service starts, and when it starts again."""
    base = tree(site.directory / "present", 1)
    for number in range(size.present):
        (base / f"{number:06}.edi").touch()
    what = f"{site.title}, {size.present:,} files"
    begin = time.time()
    with watching(site, [base]) as (service, agent):
        [(_, moment)] = agent("requested", 1)
        used = service.cpu_seconds()
        results.add(START, what, moment - begin - SETTLE, "s after they settled", cpu=used)
        results.add(START, f"{what}, CPU time", used, "s")
    begin = time.monotonic()
    with watching(site, [base], again=True) as (service, _):
        results.add(START, f"{what}, all known", time.monotonic() - begin, "s until it watches")
    shutil.rmtree(base)


@contextmanager
def watching(
    site: Installation, paths: Sequence[Path], *, again: bool = False
) -> Iterator[tuple[Running, Any]]:
    """The service, watching all of these, and an agent; ``again`` with the monitors there are."""
    with site.agent() as agent:
        if not again:
            agent("watch", list(map(str, paths)), SETTLE)
        with running(site) as service:
            processes.wait_until(lambda: agent("all_watched"), 120, "all to be watched")
            yield service, agent


def _minute(service: Running, seconds: float) -> tuple[float, float]:
    """CPU time in percent of a core, and MB."""
    time.sleep(2)
    before, start = service.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return 100 * (service.cpu_seconds() - before) / (time.monotonic() - start), service.memory()
