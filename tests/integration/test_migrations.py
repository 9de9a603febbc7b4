"""Migrations."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from jobqueue.models import Execution
from tests.builders import a_job, a_waiting

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def test_none_is_missing() -> None:
    output = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=output)
    assert output.getvalue().strip() == "No changes detected"


def test_tables_have_their_default_names() -> None:
    names = connection.introspection.table_names()
    expected = {f"jobqueue_{name}" for name in ("job", "execution", "queue", "cluster")}
    assert expected <= set(names)


def indexes_of(column: str) -> list[str]:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "jobqueue_execution")
    return [
        name for name, has in constraints.items() if has["index"] and has["columns"][0] == column
    ]


@pytest.mark.parametrize("column", ["job_id", "retry_of_id"])
def test_what_points_to_a_row_is_found_by_one_index(column: str) -> None:
    assert len(indexes_of(column)) == 1


def test_rows_that_point_to_none_are_in_neither() -> None:
    if not connection.features.supports_partial_indexes:
        pytest.skip("MariaDB has all rows in each index")
    editor = connection.schema_editor()
    made = [str(index.create_sql(Execution, editor)) for index in Execution._meta.indexes]
    assert [sql.partition(" WHERE ")[2] for sql in made] == [
        "",
        "",
        '"job_id" IS NOT NULL',
        '"retry_of_id" IS NOT NULL',
        '"unjudged" IS NOT NULL',
    ]


@pytest.mark.django_db(transaction=True)
def test_rows_outlive_other_indexes() -> None:
    job = a_job()
    asked = a_waiting(job)
    call_command("migrate", "jobqueue", "0003", verbosity=0)
    before = [len(indexes_of(column)) for column in ("job_id", "retry_of_id")]
    call_command("migrate", verbosity=0)
    assert before == [1, 1]
    assert list(job.executions.all()) == [asked]


@pytest.mark.django_db(transaction=True)
def test_back_and_forth() -> None:
    call_command("migrate", "jobqueue", "zero", verbosity=0)
    assert "jobqueue_execution" not in connection.introspection.table_names()
    call_command("migrate", verbosity=0)
    assert not Execution.objects.exists()
