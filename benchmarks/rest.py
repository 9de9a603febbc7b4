"""What a cluster costs while there is nothing to do, beside one of django-q2 alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.installation import BARE, Cluster, Installation
from benchmarks.results import Results

TRANSACTIONS = "Transactions at rest"
CPU = "CPU time at rest, all processes of the cluster"
SETTLE = 4  # seconds until a cluster that was started is at rest

#: (transactions a second, CPU seconds a minute) of each round.
Rest = list[tuple[float, float]]


def at_rest(sites: Sequence[Installation], results: Results, rounds: int, seconds: float) -> None:
    """All installations at the same time: at rest they don't hinder each other."""
    ours = _watch(sites, {}, rounds, seconds)
    bare = _watch(sites, BARE, rounds, seconds)
    for site in sites:
        for (transactions, cpu), (other, other_cpu) in zip(
            ours[site.title], bare[site.title], strict=True
        ):
            results.add(
                TRANSACTIONS,
                site.title,
                transactions,
                "a second",
                other=other,
                compared_with="a second, django-q2 alone",
            )
            results.add(
                CPU,
                site.title,
                cpu,
                "s a minute",
                other=other_cpu,
                compared_with="s a minute, django-q2 alone",
            )


def _watch(
    sites: Sequence[Installation], settings: Mapping[str, str], rounds: int, seconds: float
) -> dict[str, Rest]:
    found: dict[str, Rest] = {site.title: [] for site in sites}
    with ExitStack() as running:
        clusters = {
            site: running.enter_context(site.cluster({**settings, **site.database.counting}))
            for site in sites
        }
        time.sleep(SETTLE)
        for _ in range(rounds):
            before = {site: _so_far(site, cluster) for site, cluster in clusters.items()}
            time.sleep(seconds)
            for site, cluster in clusters.items():
                passed = [b - a for a, b in zip(before[site], _so_far(site, cluster), strict=True)]
                duration, transactions, cpu = passed
                found[site.title].append((transactions / duration, 60 * cpu / duration))
    return found


def _so_far(site: Installation, cluster: Cluster) -> tuple[float, int, float]:
    return time.monotonic(), site.database.transactions(), cluster.cpu_seconds()
