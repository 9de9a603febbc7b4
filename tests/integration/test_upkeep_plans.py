"""What looks at a long record again and again goes by an index, as each planner says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobqueue import conf, doctor, log_files, metrics, queue, retention
from jobqueue.alarms import pings
from jobqueue.models import Execution, Job, State
from tests.builders import a_cluster, a_job, a_run, a_waiting

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

NOW = timezone.now()
TABLE = Execution._meta.db_table
ROWS = 5_000


@pytest.fixture
def long_record() -> Job:
    """Runs of a Job and of none, as the planner knows them; two requests wait, one runs."""
    job, then = a_job(), NOW - timedelta(days=60)
    Execution.objects.bulk_create(
        (
            Execution(
                argv=["true"],
                digest="x",
                job=job if number % 2 else None,
                state=State.FAILED if number % 10 == 0 else State.SUCCEEDED,
                log_path="x",
                queued_at=then,
                started_at=then,
                ended_at=then,
            )
            for number in range(ROWS)
        ),
        batch_size=1000,
    )
    a_run()
    a_waiting(priority=2)
    a_waiting(priority=7)
    a_cluster()
    analyze = {
        "sqlite": "ANALYZE",
        "postgresql": f"ANALYZE {TABLE}",
        "mysql": f"ANALYZE TABLE {TABLE}",
    }
    with connection.cursor() as cursor:
        cursor.execute(analyze[connection.vendor])
    return job


def reads_all(sql: str) -> bool:
    """Whether the planner would read the whole table, or a whole index of it."""
    how = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "mysql": "EXPLAIN"}
    with connection.cursor() as cursor:
        cursor.execute(f"{how[connection.vendor]} {sql}".replace("%", "%%"))
        columns = [column[0] for column in cursor.description]
        plan = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    if connection.vendor == "sqlite":
        return any(str(row["detail"]).startswith(f"SCAN {TABLE}") for row in plan)
    if connection.vendor == "postgresql":
        return any(f"Seq Scan on {TABLE}" in row["QUERY PLAN"] for row in plan)
    return any(row["table"] == TABLE and row["type"] in ("ALL", "index") for row in plan)


def looks_at_files() -> Iterator[Any]:
    (conf.current().log_dir / "3").mkdir(parents=True, exist_ok=True)
    return log_files.unneeded(NOW)


@pytest.mark.parametrize(
    ("look", "least"),
    [
        (lambda: metrics.text(NOW), 8),
        (lambda: next(retention.steps(NOW)), 3),
        (lambda: retention._read(ROWS // 2), 1),
        (lambda: list(looks_at_files()), 2),
        (queue.running, 1),
        (lambda: list(doctor.examine()), 3),
    ],
    ids=["metrics", "retention", "in the midst", "log files", "running", "doctor"],
)
@pytest.mark.usefixtures("data_dir")
def test_no_record_is_read_from_end_to_end(
    long_record: Job, look: Callable[[], object], least: int
) -> None:
    with CaptureQueriesContext(connection) as asked:
        look()
    questions = [q["sql"] for q in asked if q["sql"].startswith("SELECT") and TABLE in q["sql"]]
    assert len(questions) >= least
    assert [sql for sql in questions if reads_all(sql)] == []


def test_whether_a_start_is_to_be_pinged_is_asked_of_what_runs(long_record: Job) -> None:
    Job.objects.update(ping_url="https://hc.example/1")
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{how} SELECT {pings.IS_STARTED}")
        plan = str(cursor.fetchall())
    assert "jobqueue_order" in plan or "jobqueue_state" in plan
