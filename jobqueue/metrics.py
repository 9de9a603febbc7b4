"""How it stands, in the text format of Prometheus.

Source of the format: Prometheus documentation, "Exposition formats", text-based format 0.0.4.

All is read by look-ups in an index whose number depends on how many queues there are and how many
Jobs, not on the length of the record.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from django.db import Error
from django.db.models import Min

from . import gauges, queue, tallies
from .gauges import Read, Sample
from .models import Alarm, Cluster, Execution, Job, Message, Queue, State, Tally

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: So many waiting ones of a queue are counted at most, and so many messages.
MOST_WAITING = 10_000


def text(now: datetime) -> str:
    """All metrics at this moment."""
    lines = [*_of_clusters(), *_of_queues(now), *_of_runs(now), *_of_alarms()]
    for id, read in gauges.of_apps():
        lines += _of_app(id, read, now)
    return "\n".join(lines) + "\n"


def _of_clusters() -> Iterator[str]:
    hosts = Counter(cluster.host for cluster in Cluster.objects.alive())
    alive = [({"host": host}, count) for host, count in sorted(hosts.items())]
    yield from _metric("clusters", "gauge", "Clusters that serve the queues.", alive)


def _of_queues(now: datetime) -> Iterator[str]:
    paused = {row.name: row.is_paused(now) for row in Queue.objects.all()}
    # In no order: a planner could go by way of the key to have them sorted.
    runs = Execution.objects.running().order_by().only("queue", "started_at")
    running = {run.queue: run for run in runs}
    names = sorted({*paused, *running, *queue.with_requests()})

    def gauge(name: str, help_text: str, values: Iterable[float]) -> Iterator[str]:
        samples = [({"queue": q}, v) for q, v in zip(names, values, strict=True)]
        return _metric(name, "gauge", help_text, samples)

    yield from gauge(
        "waiting", f"Requests that wait; {MOST_WAITING} may be more.", map(_waiting, names)
    )
    yield from gauge(
        "oldest_wait_seconds",
        "How long the request has waited that could have started first.",
        (_oldest_wait(name, now) for name in names),
    )
    yield from gauge("running", "Whether a run goes on.", (name in running for name in names))
    yield from gauge(
        "running_seconds",
        "For how long it has.",
        (_elapsed(running[name], now) if name in running else 0 for name in names),
    )
    yield from gauge(
        "paused", "Whether nothing starts.", (paused.get(name, False) for name in names)
    )


def _waiting(name: str) -> int:
    return Execution.objects.waiting().filter(queue=name).order_by()[:MOST_WAITING].count()


def _oldest_wait(name: str, now: datetime) -> float:
    """In seconds. The index has them by priority: the first one of each is looked up."""
    waiting, oldest = Execution.objects.waiting().filter(queue=name), 0.0
    priority = waiting.aggregate(first=Min("priority"))["first"]
    while priority is not None:
        times = waiting.filter(priority=priority).ready(now).order_by("queued_at", "id")
        if (row := times.values_list("queued_at", "not_before").first()) is not None:
            oldest = max(oldest, (now - max(filter(None, row))).total_seconds())
        priority = waiting.filter(priority__gt=priority).aggregate(first=Min("priority"))["first"]
    return oldest


def _elapsed(run: Execution, now: datetime) -> float:
    elapsed = run.elapsed(now)
    return max(0.0, elapsed.total_seconds()) if elapsed else 0.0


def _of_runs(now: datetime) -> Iterator[str]:
    rows = list(Tally.objects.order_by("queue", "job_name", "state", "within_ms"))
    ends: dict[tuple[str, str, str], int] = defaultdict(int)
    durations: dict[tuple[str, str], list[Tally]] = defaultdict(list)
    succeeded: dict[str, datetime] = {}
    for row in rows:
        ends[row.queue, row.job_name, row.state] += row.count
        durations[row.queue, row.job_name].append(row)
        if row.state == State.SUCCEEDED:
            last = succeeded.get(row.job_name, row.last_at)
            succeeded[row.job_name] = max(last, row.last_at)
    samples = [({"queue": q, "job": job, "state": s}, n) for (q, job, s), n in ends.items()]
    yield from _metric("runs_total", "counter", "Runs that have ended, by how.", samples)
    yield from _histogram(durations)
    jobs = Job.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)
    since = [
        ({"job": name}, max(0.0, (now - succeeded[name]).total_seconds()))
        for name in jobs
        if name in succeeded
    ]
    about = "How long ago a run of an enabled Job has succeeded; nothing before the first."
    yield from _metric("job_seconds_since_success", "gauge", about, since)


def _of_alarms() -> Iterator[str]:
    """There is one for each Job; of messages, an index leads to those that aren't sent."""
    alarms = Alarm.objects.order_by("job__name").values_list("job__name", "is_bad")
    bad = [({"job": name or ""}, is_bad) for name, is_bad in alarms]
    yield from _metric("alarm", "gauge", "Whether a Job is bad; without a name, the service.", bad)
    counted = {"waiting": Message.objects.waiting(), "given_up": Message.objects.given_up()}
    unsent = [
        ({"state": state}, rows.order_by()[:MOST_WAITING].count())
        for state, rows in counted.items()
    ]
    about = f"Messages that aren't sent yet, or won't be; {MOST_WAITING} may be more."
    yield from _metric("unsent_messages", "gauge", about, unsent)


def _of_app(id: str, read: Read, now: datetime) -> list[str]:
    """What an app has added; all of it, or nothing if it fails."""
    try:
        return [
            line
            for gauge in read(now)
            for line in _metric(gauge.name, "gauge", gauge.about, gauge.samples)
        ]
    except Error:
        raise
    except Exception:  # a host's mistake must not hide what the queue has to say
        log.exception("metrics of %s", id, extra={"event": "metrics.failed", "of": id})
        return []


def _histogram(durations: Mapping[tuple[str, str], list[Tally]]) -> Iterator[str]:
    name = "run_duration_seconds"
    yield from _head(name, "histogram", "How long runs took, whatever their end.")
    for (of_queue, job), rows in durations.items():
        labels, count = {"queue": of_queue, "job": job}, 0
        by_bound = Counter[int]()
        for row in rows:
            by_bound[row.within_ms] += row.count
        for bound in tallies.BOUNDS:
            count += by_bound[tallies.within_ms(bound)]
            yield _line(f"{name}_bucket", {**labels, "le": f"{bound:g}"}, count)
        total = by_bound.total()
        yield _line(f"{name}_bucket", {**labels, "le": "+Inf"}, total)
        yield _line(f"{name}_sum", labels, sum(row.seconds for row in rows))
        yield _line(f"{name}_count", labels, total)


def _metric(name: str, kind: str, about: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield from _head(name, kind, about)
    for labels, value in samples:
        yield _line(name, labels, value)


def _head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP jobqueue_{name} {about}"
    yield f"# TYPE jobqueue_{name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"jobqueue_{name}{{{pairs}}} {float(value):.15g}"


def _escaped(text: str) -> str:
    """Names are anybody's: a line break would begin a metric of their own."""
    plain = text.encode(errors="backslashreplace").decode()
    return plain.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
