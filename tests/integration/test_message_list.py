"""The list of messages begins with what isn't sent, and takes the same however long it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobqueue.admin import filters
from jobqueue.models import Message
from jobqueue.models.message import DROPPED, SENT, UNSENT

pytestmark = [pytest.mark.database, pytest.mark.django_db]
LIST = "/admin/jobqueue/message/"
TABLE = Message._meta.db_table
#: How each planner says that it puts rows in order by itself.
SORTS = {"sqlite": "TEMP B-TREE", "postgresql": "Sort", "mysql": "filesort"}


def a_message(**over: Any) -> Message:
    return Message.objects.create(**{"recipients": ["a@x.example"], "subject": "s", **over})


def sorts(sql: str) -> bool:
    """Whether the planner would sort for it."""
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql}".replace("%", "%%"))
        return SORTS[connection.vendor] in str(cursor.fetchall())


@pytest.fixture
def many() -> None:
    """Sent ones, as the planner knows them, and a few others between them."""
    now = timezone.now()
    Message.objects.bulk_create(
        Message(
            recipients=["a@x.example"],
            subject=str(number),
            sent_at=now if number % 50 else None,
            dropped_by="" if number % 100 else "anna",
        )
        for number in range(1000)
    )
    fields = [f for f in Message._meta.concrete_fields if not (f.primary_key or f.generated)]
    columns = ", ".join(str(field.column) for field in fields)
    analyze = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
    with connection.cursor() as cursor:
        for _ in range(6):  # 64,000
            cursor.execute(f"INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM {TABLE}")
        cursor.execute(f"{analyze} {TABLE}")


def test_its_standing_follows_a_message() -> None:
    message = a_message(due_at=timezone.now())

    def standing(**over: Any) -> Any:
        rows = Message.objects.filter(pk=message.pk)
        rows.update(**over)
        return rows.values_list("standing", flat=True).get()

    assert standing() == UNSENT
    assert standing(due_at=None) == UNSENT
    assert standing(dropped_by="anna") == DROPPED
    assert standing(dropped_by="", sent_at=timezone.now()) == SENT


# Committed, and many: MariaDB guesses from a few pages how many there are, and sorts what is short.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("query", ["", "?p=3", "?state=unsent", "?state=sent", "?state=dropped"])
@pytest.mark.usefixtures("many")
def test_no_page_reads_or_sorts_all(admin_client: Client, query: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert admin_client.get(f"{LIST}{query}").status_code == 200
    questions = [q["sql"] for q in asked if q["sql"].startswith("SELECT") and TABLE in q["sql"]]
    assert len(questions) >= 3
    assert [sql for sql in questions if "LIMIT" not in sql or sorts(sql)] == []


def test_filters_know_the_newest_values_and_the_chosen_one(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "REACH", 2)
    for channel in ("webhook", "mail", "ping"):
        a_message(channel=channel)

    def offered(**chosen: str) -> list[str]:
        specs = admin_client.get(LIST, chosen).context["cl"].filter_specs
        [spec] = [one for one in specs if getattr(one, "lookup_kwarg", "") == "channel"]
        return list(spec.lookup_choices)

    assert offered() == ["mail", "ping"]
    assert offered(channel="webhook") == ["mail", "ping", "webhook"]
