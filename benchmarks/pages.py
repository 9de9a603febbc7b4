"""What pages of the admin cost with a long record, beside the same with a short one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.installation import Installation
from benchmarks.results import Results, Target

QUERIES = "Queries of pages"
#: Executions in the short record.
FEW = 1000
#: Open desks, how often each asks for news (seconds), and for how long they are watched.
DESKS, EVERY, WATCHED = 20, 3.0, 40.0
#: In turn with the short record, so that a machine that gets slower does so for both.
BLOCKS = 5
_LIST = "jobqueue/execution/"
#: What people call it, and where it is; `{job}` and `{once}` stand for Jobs, `{day}` for
#: yesterday.
PAGES = {
    "the index": "",
    "the desk": f"{_LIST}desk/",
    "the timeline": f"{_LIST}timeline/",
    "the timeline of a day": f"{_LIST}timeline/?day={{day}}",
    "executions": _LIST,
    "executions, page 20": f"{_LIST}?p=20",
    "executions, failed": f"{_LIST}?state__exact=failed",
    "executions, succeeded": f"{_LIST}?state__exact=succeeded",
    "executions, the only lost one": f"{_LIST}?state__exact=lost",
    "executions, running (none)": f"{_LIST}?state__exact=running",
    "executions of the last hour": f"{_LIST}?since=hour",
    "executions of today": f"{_LIST}?since=today",
    "executions of 7 days": f"{_LIST}?since=7days",
    "executions of a queue": f"{_LIST}?queue=etl",
    "executions of a queue, failed": f"{_LIST}?queue=etl&state__exact=failed",
    "executions of a queue with one": f"{_LIST}?queue=rare",
    "executions of a source with one": f"{_LIST}?source__exact=api",
    "executions of a Job": f"{_LIST}?job__id__exact={{job}}",
    "executions of a Job with one": f"{_LIST}?job__id__exact={{once}}",
    "a search that finds many": f"{_LIST}?q=Partner",
    "a search that finds one": f"{_LIST}?q=once",
    "an execution": f"{_LIST}1000500/change/",
    "Jobs": "jobqueue/job/",
    "a Job": "jobqueue/job/{job}/change/",
    "queues": "jobqueue/queue/",
    "schedules": "jobqueue/schedule/",
    "fire times": "jobqueue/fire/",
    "alarms": "jobqueue/alarm/",
    "mails": "jobqueue/message/",
    "directory monitors": "dirmonitor/dirmonitor/",
}


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    executions: int
    #: Times that a page is looked at, in each block.
    visits: int


FULL, QUICK = Size(1_000_000, 4), Size(20_000, 2)


def measure(
    sites: Sequence[Installation], results: Results, rounds: Iterable[int], size: Size
) -> None:
    """Each database with a short record, and another one of its kind with a long one."""
    for site in sites:
        with site.another() as other, site.agent() as few, other.agent() as many:
            few("inside_pages.prepare", 1)
            many.slowly("inside_pages.prepare", size.executions // FEW)
            for _ in rounds:
                _round(site.title, few, many, results, size)
            _count(site.title, many, results)
            _open_desks(site.title, few, many, results)


def _round(title: str, few: Any, many: Any, results: Results, size: Size) -> None:
    section = f"Pages with {size.executions:,} executions, beside {FEW:,}"
    for name, url in _pages(many):
        short: list[float] = []
        long: list[float] = []
        for agent, found in [(few, short), (many, long)] * BLOCKS:
            found.extend(agent("inside_pages.visit", url, size.visits))
        results.add(
            section, f"{title}, {name}", median(long), "ms",
            other=median(short), compared_with="ms", target=Target(1.2), worst=max(long),
        )  # fmt: skip


def _count(title: str, many: Any, results: Results) -> None:
    each = {name: many("inside_pages.queries", url) for name, url in _pages(many)}
    target = Target(15, of="value")
    results.add(QUERIES, f"{title}, the most", max(each.values()), "", target=target, **each)


def _open_desks(title: str, few: Any, many: Any, results: Results) -> None:
    asked_for = (DESKS, f"/admin/{_LIST}desk/live/", EVERY, WATCHED)
    [(short, *_), (long, asked, same)] = [
        agent.slowly("inside_pages.desks", *asked_for) for agent in (few, many)
    ]
    results.add(
        f"{DESKS} open desks", f"{title}, time that answers take", 1000 * long / WATCHED,
        "ms a second", other=1000 * short / WATCHED, compared_with="ms a second",
        asked=asked, no_news=same,
    )  # fmt: skip


def _pages(agent: Any) -> Iterator[tuple[str, str]]:
    job, once = agent("inside_pages.pk_of", "Partner 7"), agent("inside_pages.pk_of", "Once")
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    for name, url in PAGES.items():
        yield name, f"/admin/{url.format(job=job, once=once, day=day)}"
