"""What is done with Django: called by an :class:`~benchmarks.agent.Agent`, in its process."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from django.apps import apps
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from benchmarks.processes import wait_until

if apps.is_installed("jobqueue"):
    from dirmonitor.models import DirMonitor
    from jobqueue import api
    from jobqueue.models import Execution, Fire, Job, Schedule

PATIENCE = 120  # seconds for a block of runs
BATCH = 2000
_numbers = count(1)


def prepare_commits() -> None:
    """The table for the raw loop of commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE benchmark_commit (id bigint PRIMARY KEY, note varchar(200) NOT NULL)"
        )


# Runs


def fill(queue: str, argv: list[str], number: int) -> None:
    """Have so many requests wait, each with another last argument, in a queue that is paused."""
    api.pause(queue, "benchmark")
    for start in range(0, number, BATCH):
        size = min(BATCH, number - start)
        Execution.objects.bulk_create([_request(queue, argv) for _ in range(size)])
    analyse()


def analyse() -> None:
    """Have the database know its executions, as a server sees to by itself some time later."""
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(Execution._meta.db_table)
        analyze = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}
        cursor.execute(f"{analyze.get(connection.vendor, 'ANALYZE')} {table}")


def _request(queue: str, argv: list[str]) -> Execution:
    request = Execution(queue=queue, argv=[*argv, str(next(_numbers))], queued_at=timezone.now())
    request.digest = request.request_digest()
    return request


def run(queue: str, number: int) -> list[float]:
    """Let the service run so many; when they and perhaps a few more started (seconds)."""
    rows = Execution.objects.filter(queue=queue)
    last: int = rows.waiting().in_order().values_list("pk", flat=True)[number - 1]
    since = timezone.now()
    api.resume(queue, "benchmark")
    # It is looked for seldom: looking takes time from those who run.
    _look_until(lambda: rows.filter(pk=last).ended().exists(), f"{number} runs in {queue}")
    api.pause(queue, "benchmark")
    _look_until(lambda: not rows.running().exists(), "the last run's end")
    if bad := rows.ended().exclude(state="succeeded").first():
        raise RuntimeError(f"{bad} {bad.state}: {bad.reason}")
    return _started(queue, since)


def _started(queue: str, since: datetime) -> list[float]:
    started = Execution.objects.filter(queue=queue, started_at__gte=since)
    return sorted(at.timestamp() for at in started.values_list("started_at", flat=True) if at)


def _look_until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(0.1)


def delays(argv: list[str], stamps: str, number: int) -> list[float]:
    """Seconds from a request, with nothing to do for the service, to what the job noted."""
    found = []
    notes = Path(stamps)
    for before in range(number):
        time.sleep(random.uniform(0.3, 0.6))  # any moment between two looks of a broker
        asked = time.time()
        api.enqueue([*argv, str(next(_numbers))])
        wait_until(lambda n=before: len(_lines(notes)) > n, PATIENCE, "a run")  # type: ignore[misc]
        found.append(float(_lines(notes)[-1]) - asked)
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


# Requests


def commit(number: int) -> float:
    """Durable commits of one small row a second."""
    with connection.cursor() as cursor:
        start = time.perf_counter()
        for _ in range(number):
            cursor.execute(
                "INSERT INTO benchmark_commit (id, note) VALUES (%s, %s)",
                [next(_numbers), "a request"],
            )
        return number / (time.perf_counter() - start)


def request(number: int) -> float:
    """Requests through the API a second."""
    start = time.perf_counter()
    for _ in range(number):
        api.enqueue(["true", str(next(_numbers))], queue="requests")
    return number / (time.perf_counter() - start)


def forget_requests() -> int:
    """Delete the requests that were made; how many wake-ups they left."""
    with connection.cursor() as cursor:
        for table in ("jobqueue_execution", "benchmark_commit"):
            cursor.execute(f"DELETE FROM {table}")
    return int(OrmQ.objects.all().delete()[0])


# Schedules


def plan(number: int, together: int) -> None:
    """So many schedules, of which some fire together every five seconds, the others tomorrow."""
    forget_schedules()
    jobs = [Job(name=f"Job {i}", argv=["true", f"{i}"], codes="exit-status") for i in range(number)]
    jobs = Job.objects.bulk_create(jobs, BATCH)
    tomorrow, now = timezone.now() + timedelta(days=1), timezone.now()
    Schedule.objects.bulk_create(
        [
            Schedule(
                name=job.name,
                job=job,
                expression="*/5 * * * * *" if i < together else f"{i % 60} 3 * * *",
                catch_up="all",  # each fire is another request, though the first one waits
                next_fire_at=tomorrow,
                planned_at=now,
            )
            for i, job in enumerate(jobs)
        ],
        BATCH,
    )
    for schedule in Schedule.objects.filter(expression="*/5 * * * * *"):
        schedule.save()


def lateness(times: int) -> list[float]:
    """Seconds from fire times to when their requests were in the queue, beside a long run."""
    long_run = api.enqueue(["sleep", "600"], priority=1).execution
    running = Execution.objects.filter(pk=long_run.pk, state="running", pid__isnull=False)
    _look_until(running.exists, "the long run")
    together = Schedule.objects.filter(expression="*/5 * * * * *").count()
    since = timezone.now()
    fires = Fire.objects.filter(fire_at__gt=since)
    _look_until(lambda: fires.count() >= times * together, f"{times} fire times")
    found = list(fires.values_list("recorded_at", "fire_at"))
    forget_schedules()
    api.clear("default", "benchmark")
    api.request_stop(long_run, "benchmark")
    _look_until(lambda: not Execution.objects.running().exists(), "the long run's end")
    return [(recorded - fire).total_seconds() for recorded, fire in found]


def forget_schedules() -> None:
    """Delete all schedules and Jobs."""
    with connection.cursor() as cursor:
        for model in (Fire, Schedule):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
        cursor.execute(f"UPDATE {Execution._meta.db_table} SET job_id = NULL")
        cursor.execute(f"DELETE FROM {Job._meta.db_table}")


# Directory monitors


def watch(paths: list[str], settle: float) -> None:
    """A monitor of each of these, with a Job of its own, and no others."""
    DirMonitor.objects.all().delete()
    Execution.objects.all().delete()
    Job.objects.all().delete()
    jobs = Job.objects.bulk_create([Job(name=path, argv=["true", path]) for path in paths], BATCH)
    DirMonitor.objects.bulk_create(
        [
            DirMonitor(name=job.name, path=job.name, job=job, settle=settle, recursive=True)
            for job in jobs
        ],
        BATCH,
    )


def all_watched() -> bool:
    """Whether the service has seen all of them."""
    return not DirMonitor.objects.exclude(status="watching").exists()


def requested(number: int) -> list[tuple[str, float]]:
    """The first files of so many requests, each with the moment of its request."""
    requests = Execution.objects.filter(source="dirmonitor")
    _look_until(lambda: requests.count() >= number, f"{number} requests")
    found = requests.values_list("details__files__0", "queued_at")
    return [(file, moment.timestamp()) for file, moment in found]


# django-q2 alone


def send_tasks(argv: list[str], number: int) -> None:
    """Queue tasks for django-q2, each of which runs a program."""
    logging.getLogger("django-q").setLevel(logging.WARNING)  # it tells of each
    for _ in range(number):
        async_task("benchmarks.peers.task.run", [*argv, str(next(_numbers))])
