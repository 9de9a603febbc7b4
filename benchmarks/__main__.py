"""The one command: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import measures, monitors, page, pages, raw
from benchmarks.agent import Agent
from benchmarks.databases import (
    DATABASES,
    first_line,
    forget_in_redis,
    why_no_redis,
)
from benchmarks.installation import Installation
from benchmarks.measures import FULL, QUICK, Size
from benchmarks.peers import running as peers
from benchmarks.rest import at_rest
from benchmarks.results import Results
from tests.addresses import REDIS_URL


class Rounds:
    """So many rounds of each; only the first one of what comes when the time is used up."""

    def __init__(self, number: int, minutes: float, results: Results) -> None:
        self._number = number
        self._results = results
        self._end = time.monotonic() + 60 * minutes

    def __iter__(self) -> Iterator[int]:
        for number in range(self._number):
            if number and time.monotonic() > self._end:
                self._results.leave_out("some rounds", "the time was used up (--minutes)")
                return
            yield number


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the queue beside what it is compared with, on a machine that has"
        " nothing else to do. Takes about ten minutes, with --quick about three.",
    )
    add = parser.add_argument
    add("--database", action="append", choices=DATABASES, help="may be repeated; default: all")
    add("--quick", action="store_true", help="few runs: to see that everything works")
    add("--rounds", type=int, default=3, help="the medians of so many are shown; default 3")
    add("--minutes", type=float, default=8, help="then one round has to do; default 8")
    add("--peers", action=argparse.BooleanOptionalAction, default=True, help="other queues, too")
    add("--monitors", action="store_true", help="directory monitors, instead of the queue")
    add("--pages", action="store_true", help="pages of the admin, instead of the queue")
    add("--json", type=Path, metavar="FILE", help="write all figures of all rounds")
    add("--markdown", type=Path, metavar="FILE", help="renew the results in this page")
    return parser.parse_args()


def main() -> int:
    """Measure and report; 0 unless there was nothing to measure."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleared away
    asked = arguments()
    results = Results(asked.rounds, asked.quick)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobqueue-bench-") as directory, ExitStack() as stack:
        sites = list(
            _installations(asked.database or list(DATABASES), Path(directory), stack, results)
        )
        if sites and asked.monitors:
            size = monitors.QUICK if asked.quick else monitors.FULL
            monitors.measure(sites, results, Rounds(asked.rounds, asked.minutes, results), size)
        elif sites and asked.pages:
            number = pages.QUICK if asked.quick else pages.FULL
            pages.measure(sites, results, Rounds(asked.rounds, asked.minutes, results), number)
        elif sites:
            _measure(sites, results, asked)
    results.seconds = time.monotonic() - start
    print(results.table())
    if asked.json:
        asked.json.write_text(json.dumps(results.json(), indent=1) + "\n")
    if asked.markdown:
        subject = "directory monitors" if asked.monitors else "pages" if asked.pages else "queue"
        page.renew(asked.markdown, subject, results.markdown())
    return 0 if sites else 1


def _installations(
    names: Sequence[str], directory: Path, stack: ExitStack, results: Results
) -> Iterator[Installation]:
    for name in dict.fromkeys(names):
        (own := directory / name).mkdir()
        database = DATABASES[name](own)
        try:
            database.create()
        except Exception as error:  # whatever it is, that database is left out
            results.leave_out(database.title, first_line(error))
            continue
        stack.callback(database.drop)
        _say(f"{database.title}: tables")
        site = Installation(database)
        site.migrate()
        yield site


def _measure(sites: Sequence[Installation], results: Results, asked: argparse.Namespace) -> None:
    size = QUICK if asked.quick else FULL
    rounds = Rounds(asked.rounds, asked.minutes, results)
    for site in sites:
        _say(f"{site.title}: {size.runs} waiting, idle, command line, requests")
        with site.agent() as agent:
            _measure_few(site, agent, results, size, rounds)
    _measure_redis(sites, results, size, rounds)
    for site in sites:
        _say(f"{site.title}: schedules")
        with site.agent() as agent, site.cluster():
            for number in size.schedules:
                for _ in rounds:
                    measures.lateness(site, agent, results, size, number)
    _say("at rest")
    at_rest(sites, results, asked.rounds, size.rest)
    for _ in rounds if asked.peers else ():
        _say("other queues")
        peers.measure(results, sites, size.runs)
    for site in sites:
        _say(f"{site.title}: {size.many:,} waiting")
        with site.agent() as agent:
            _measure_many(site, agent, results, size, rounds)


def _measure_few(
    site: Installation, agent: Agent, results: Results, size: Size, rounds: Rounds
) -> None:
    agent("prepare_commits")
    with site.cluster():
        for _ in rounds:
            measures.gap_with_few(site, agent, results, size)
            measures.gap_noted(site, agent, results, size)
            measures.idle(site, agent, results, size, "ORM")
            measures.command_line(site, results, size)
    for _ in rounds:
        measures.requests(site, agent, results, size)


def _measure_redis(
    sites: Sequence[Installation], results: Results, size: Size, rounds: Rounds
) -> None:
    if reason := why_no_redis():
        results.leave_out("Redis broker", reason)
        return
    changes = {"REDIS_URL": REDIS_URL}
    for site in sites:
        _say(f"{site.title}: idle with Redis")
        try:
            with site.agent(changes) as agent, site.cluster(changes):
                for _ in rounds:
                    measures.idle(site, agent, results, size, "Redis")
        finally:
            forget_in_redis(site.cluster_name)


def _measure_many(
    site: Installation, agent: Agent, results: Results, size: Size, rounds: Rounds
) -> None:
    many = f"{size.many:,}"
    agent("fill", measures.MANY, raw.PROGRAM, size.many)
    with site.cluster():
        for _ in rounds:
            measures.gap(site, agent, results, size, measures.MANY, many)
    measures.compare_many(site, results, size)


def _say(what: str) -> None:
    """Progress, beside the results."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("stopped; databases, clusters and directories are gone")
        sys.exit(130)
