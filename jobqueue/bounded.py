"""Reads of a few rows out of many, by few statements that cost the same in any history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet

from .models import Execution, Queue, State

M = TypeVar("M", bound=Model)


#: So many of the newest executions are looked through one by one; of a longer table, by and by, one
#: of so many parts is chosen.
NEAR, POINTS = 1000, 32
#: SQLite takes no more than 500 in one statement (SQLITE_MAX_COMPOUND_SELECT).
PARTS = 300

_TABLE = Execution._meta.db_table
# From one name to the next by the index (state, queue, …), however many rows have the same.
_NEXT = f"SELECT MIN(queue) FROM {_TABLE} WHERE state = %s"
_QUEUES = f"""
WITH RECURSIVE names (name) AS (
    {_NEXT}
    UNION ALL
    SELECT ({_NEXT} AND queue > names.name) FROM names WHERE names.name IS NOT NULL
)
SELECT id, name, paused_at, paused_until, paused_by, pause_reason FROM {Queue._meta.db_table}
UNION ALL
SELECT NULL, name, NULL, NULL, '', '' FROM names WHERE name IS NOT NULL"""

# When the row was queued that is next from a number on. (No index leads to what is no retry: one
# for it would be worse than the table's own order.)
_POINT = f"""SELECT %s AS number, (
    SELECT queued_at FROM {_TABLE}
    WHERE id >= %s AND COALESCE(retry_of_id, 0) = 0 ORDER BY id LIMIT 1
) AS queued_at"""


def queues() -> tuple[list[Queue], set[str]]:
    """All that have a row, and the names of those in which something waits."""
    found = list(Queue.objects.raw(_QUEUES, [State.WAITING] * 2))
    return [row for row in found if row.pk], {row.name for row in found if not row.pk}


def newest_before(moment: datetime) -> int:
    """The number of the newest execution that was queued before this moment; 0 without any.

    Numbers grow with time, but for what is queued again, which keeps the time at which it first
    came and doesn't count here.
    """
    numbers = Execution.objects.order_by("-pk").values_list("pk", flat=True)
    newest = numbers.first() or 0
    near = numbers.filter(pk__gt=newest - NEAR, queued_at__lt=moment, retry_of=None).first()
    return near or _far(moment, newest - NEAR + 1)


def _far(moment: datetime, high: int) -> int:
    """The same below a number, from which on none is of before."""
    low = 0
    while high - low > 1:
        step = -((low - high) // POINTS)  # rounded up
        low = _last_before(moment, range(low + step, high, step)) or low
        high = min(high, low + step)
    return low


def _last_before(moment: datetime, numbers: Sequence[int]) -> int | None:
    """The last of these numbers from which on the next row is of before."""
    connection = connections[_alias()]
    points = " UNION ALL ".join([_POINT] * len(numbers))
    sql = f"SELECT MAX(number) FROM ({points}) points WHERE queued_at < %s"
    params = [number for each in numbers for number in (each, each)]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, connection.ops.adapt_datetimefield_value(moment)])
        found: int | None = cursor.fetchone()[0]
    return found


@dataclass(frozen=True)
class Sieve(Generic[M]):
    """The rows of a slice of which a condition is true: what isn't wanted stays in the database.

    By a filter of the ORM, more and more rows would be read until the slice has as many as it may.
    """

    rows: QuerySet[M]
    #: SQL about columns of the slice, with a `%s` for each of the values.
    condition: str
    values: tuple[object, ...] = ()


Part: TypeAlias = QuerySet[M] | Sieve[M]


def together(parts: Sequence[Part[M]]) -> list[M]:
    """The rows of several slices of the same columns, in no certain order."""
    found: list[M] = []
    for some in _at_once(parts):
        rows, sql, params = _union(some)
        found += rows.model._base_manager.using(rows.db).raw(sql, params)
    return found


def counts(parts: Sequence[QuerySet[Any]]) -> dict[str, int]:
    """How often each value is in slices of one column."""
    found: dict[str, int] = {}
    for some in _at_once(parts):
        rows, sql, params = _union(some)
        with connections[rows.db].cursor() as cursor:
            counted = f"SELECT all_parts.*, COUNT(*) FROM ({sql}) all_parts GROUP BY 1"
            cursor.execute(counted, params)
            found |= dict(cursor.fetchall())
    return found


def _at_once(parts: Sequence[Part[M]]) -> Iterator[list[Sieve[M]]]:
    """As many as one statement may have."""
    sieves = [part if isinstance(part, Sieve) else Sieve(part, "TRUE") for part in parts]
    for start in range(0, len(sieves), PARTS):
        yield sieves[start : start + PARTS]


def _union(parts: Sequence[Sieve[M]]) -> tuple[QuerySet[M], str, list[Any]]:
    """A statement, and the first of its slices; the ORM has none that every database takes."""
    pieces: list[str] = []
    params: list[Any] = []
    for number, part in enumerate(parts):
        compiler = part.rows.query.get_compiler(using=part.rows.db)
        sql, values = compiler.as_sql()
        pieces.append(f"SELECT * FROM ({sql}) part_{number} WHERE {part.condition}")
        params += [*values, *(_adapted(compiler.connection, value) for value in part.values)]
    return parts[0].rows, " UNION ALL ".join(pieces), params


def _adapted(connection: BaseDatabaseWrapper, value: object) -> object:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _alias() -> str:
    return router.db_for_write(Execution)
