"""A long record, and visits to pages of the admin: called by an Agent, in its process."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import DateTimeField, Field
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.inside import analyse
from jobqueue import api
from jobqueue.models import Execution, Job, Schedule

#: Runs that are made one by one, and the number of the first; older ones are copies of them.
BLOCK, FIRST = 1000, 1_000_000
#: A run each so many minutes, so that the shortest record has all of yesterday.
PACE = 3
JOBS, QUEUES = 10, ("default", "etl")
#: The ends of a hundred runs.
_STATES = ["failed"] * 12 + ["warned"] * 3 + ["timed_out", "cancelled"] + ["succeeded"] * 83
_OUTPUT = "2026-11-21 06:00:02 INFO orders-4711.edi: 12 orders, sent to the ERP\n" * 4
_client = Client(HTTP_HOST="localhost")


def prepare(copies: int) -> None:
    """A record that is so many times :data:`BLOCK` long, and what waits now."""
    _client.force_login(get_user_model().objects.create_superuser("benchmark"))
    jobs = [_job(number) for number in range(JOBS)]
    Execution.objects.bulk_create([_ended(jobs, number) for number in range(BLOCK)])
    _copy(copies - 1)
    _make_one_rare(Job.objects.create(name="Once", argv=["true", "once"]))
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Execution]):
            cursor.execute(statement)
    api.pause("default", "benchmark")
    for job in jobs[:5]:
        api.enqueue(job)
    analyse()


def _job(number: int) -> Job:
    job = Job.objects.create(name=f"Partner {number}", argv=["true", str(number)], in_run_menu=True)
    Schedule.objects.create(name=job.name, job=job, expression=f"{number} * * * *")
    return job


def _ended(jobs: list[Job], number: int) -> Execution:
    job = jobs[number % JOBS] if number % 3 else None
    at = timezone.now() - timedelta(minutes=PACE * (BLOCK - number))
    state = _STATES[number % len(_STATES)]
    is_good = state == "succeeded"
    return Execution(
        pk=FIRST + number, job=job, job_name=job.name if job else "", argv=["true", f"{number}"],
        queue=QUEUES[number % len(QUEUES)], state=state, return_code=0 if is_good else 1,
        reason="" if is_good else "return code 1", source="schedule" if job else "command",
        queued_at=at, started_at=at, ended_at=at + timedelta(minutes=1),
        log_tail=_OUTPUT, host="edi-1", digest=f"{number:064}",
    )  # fmt: skip


def _copy(times: int) -> None:
    """The same runs earlier, again and again."""
    table = connection.ops.quote_name(Execution._meta.db_table)
    fields = [field for field in Execution._meta.concrete_fields if not field.generated]
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    for copy in range(1, times + 1):
        values = ", ".join(_earlier(field, copy) for field in fields)
        statement = (
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE id >= {FIRST}"
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def _earlier(field: Field[Any, Any], copy: int) -> str:
    column = connection.ops.quote_name(field.column)
    if field.primary_key:
        return f"{column} - {copy * BLOCK}"
    if not isinstance(field, DateTimeField):
        return column
    minutes = copy * BLOCK * PACE
    return {
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{minutes} minutes')",
        "postgresql": f"{column} - INTERVAL '{minutes} minutes'",
        "mysql": f"{column} - INTERVAL {minutes} MINUTE",
    }[connection.vendor]


def _make_one_rare(job: Job) -> None:
    """The oldest run is the only one of its Job, its queue, its source and its end."""
    oldest = Execution.objects.order_by("pk").values_list("pk", flat=True).first()
    rare = {"job": job, "job_name": job.name, "argv": ["true", "once"], "queue": "rare"}
    Execution.objects.filter(pk=oldest).update(state="lost", source="api", **rare)


def visit(url: str, times: int) -> list[float]:
    """Milliseconds that a page takes, each time."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        answer = _client.get(url)
        found.append(1000 * (time.perf_counter() - start))
        if answer.status_code != 200:
            raise RuntimeError(f"{url}: {answer.status_code}")
    return found


def desks(number: int, url: str, every: float, seconds: float) -> tuple[float, int, int]:
    """So many open desks, each of which asks for news every so many seconds.

    Returns:
        How many seconds it took to answer them, how often they asked, how often that was no news.
    """
    tags: dict[int, str] = dict.fromkeys(range(number), "")
    took, asked, same = 0.0, 0, 0
    end = time.monotonic() + seconds
    while (moment := time.monotonic()) < end:
        desk = asked % number
        start = time.perf_counter()
        answer = _client.get(url, headers={"If-None-Match": tags[desk]})
        took += time.perf_counter() - start
        if answer.status_code not in (200, 304):
            raise RuntimeError(f"{url}: {answer.status_code}")
        tags[desk] = answer.headers["ETag"]
        asked, same = asked + 1, same + (answer.status_code == 304)
        time.sleep(max(0.0, moment + every / number - time.monotonic()))
    return took, asked, same


def queries(url: str) -> int:
    """How many a page takes."""
    with CaptureQueriesContext(connection) as asked:
        _client.get(url)
    return len(asked)


def pk_of(name: str) -> int:
    """The number of a Job."""
    return Job.objects.get(name=name).pk
