"""Migrations."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from jobqueue.models import Execution

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def test_none_is_missing() -> None:
    output = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=output)
    assert output.getvalue().strip() == "No changes detected"


def test_tables_have_their_default_names() -> None:
    names = connection.introspection.table_names()
    expected = {f"jobqueue_{name}" for name in ("job", "execution", "queue", "cluster")}
    assert expected <= set(names)


@pytest.mark.django_db(transaction=True)
def test_back_and_forth() -> None:
    call_command("migrate", "jobqueue", "zero", verbosity=0)
    assert "jobqueue_execution" not in connection.introspection.table_names()
    call_command("migrate", "jobqueue", verbosity=0)
    assert not Execution.objects.exists()
