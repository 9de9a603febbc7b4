"""The fixed SQL of the hot path, a variant for each database. Only :mod:`jobqueue.queue` calls it.

Finishing one run and claiming the next is one transaction. The ORM can't say
``UPDATE … RETURNING``, and takes several times as long between two runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cache
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .models import Execution, Queue

Row = Sequence[Any]
NORMAL, FULL = 1, 2  # of SQLite's PRAGMA synchronous
_DUPLICATE_ENTRY = 1062  # MariaDB's ER_DUP_ENTRY

_EXECUTION = Execution._meta.db_table
_QUEUE = Queue._meta.db_table
_NOT_CLAIMED = {
    *("reason", "log_path", "log_tail", "return_code", "ended_at", "digest", "slot", "pid"),
    *("stop_requested_at", "stop_requested_by", "not_before"),
}
_FIELDS = [f for f in Execution._meta.concrete_fields if f.name not in _NOT_CLAIMED]
_UNSET = {"id", "slot", "pid", "stop_requested_at", "started_at", "ended_at", "return_code"}
_BLANK = ("host", "owner", "stop_requested_by", "reason", "log_path", "log_tail")
_REQUEST = [f for f in Execution._meta.concrete_fields if f.name not in {*_UNSET, *_BLANK}]
_FIELD = {f.name: f for f in Execution._meta.concrete_fields if f.name not in ("id", "slot")}
_END = ("ended_at", "return_code", "reason", "log_path", "log_tail", "pid", "details")

_READY = """state = 'waiting' AND queue = %(queue)s
    AND (not_before IS NULL OR not_before <= %(now)s)"""
_ORDER = "ORDER BY priority, queued_at, id LIMIT 1"
_NOT_PAUSED = f"""NOT EXISTS (SELECT 1 FROM {_QUEUE} WHERE name = %(queue)s
    AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > %(now)s))"""
_LOCK = f"SELECT id FROM {_QUEUE} WHERE name = %(queue)s FOR UPDATE"
_FREE = f"NOT EXISTS (SELECT 1 FROM {_EXECUTION} WHERE slot = %(slot)s)"
_NEEDS_WAKE = f"""SELECT {_FREE} AND NOT EXISTS
    (SELECT 1 FROM {_EXECUTION} WHERE {_READY} AND id < %(id)s)"""
_RUNNING = "state = 'running', started_at = %(now)s, host = %(host)s, owner = %(owner)s"
_FINISH = f"""UPDATE {_EXECUTION}
    SET state = %(state)s, {", ".join(f"{name} = %({name})s" for name in _END)}
    WHERE id = %(id)s AND state = 'running' AND owner = %(owner)s"""


def _columns(prefix: str = "") -> str:
    return ", ".join(f"{prefix}{f.column}" for f in _FIELDS)


def _columns_as_claimed() -> str:
    """The columns with the values that :data:`_RUNNING` will give them."""
    after = {
        "state": "'running'",
        "started_at": "CAST(%(now)s AS DATETIME(6))",
        "host": "%(host)s",
        "owner": "%(owner)s",
    }
    columns = [str(f.column) for f in _FIELDS]
    return ", ".join(after.get(column, column) for column in columns)


class Statements:
    """SQLite, and what all share. Parameters are prepared by :func:`prepare`."""

    claim_sql = f"""UPDATE {_EXECUTION} SET {_RUNNING}
        WHERE id = (SELECT id FROM {_EXECUTION} WHERE {_READY} {_ORDER})
        AND {_FREE} AND {_NOT_PAUSED} RETURNING {_columns()}"""
    finish_sql = _FINISH
    #: An update that looks for a state may go by an index in which the row moves, and then deadlock
    #: with a claim, or miss the row: lock it by its key first.
    moves_by_index = False
    insert_sql = f"""INSERT INTO {_EXECUTION}
        ({", ".join([*(str(f.column) for f in _REQUEST), *_BLANK])})
        VALUES ({", ".join(["%s"] * len(_REQUEST) + ["''"] * len(_BLANK))})
        ON CONFLICT (slot) DO NOTHING RETURNING id"""

    def insert(self, connection: BaseDatabaseWrapper, values: Sequence[Any]) -> int | None:
        """Insert a waiting row: its id, or None if the same request waits."""
        with connection.cursor() as cursor:
            cursor.execute(self.insert_sql, values)
            row = cursor.fetchone()
        return row[0] if row else None

    def needs_wake(self, connection: BaseDatabaseWrapper, added: Execution, now: datetime) -> bool:
        """Whether nothing runs in its queue, and no older request there was ready before it."""
        values = {"queue": added.queue, "slot": slot_of_running(added.queue), "now": now}
        with connection.cursor() as cursor:
            cursor.execute(_NEEDS_WAKE, {**prepare(connection, **values), "id": added.pk})
            return bool(cursor.fetchone()[0])

    def finish(self, connection: BaseDatabaseWrapper, end: dict[str, Any]) -> bool:
        """End a run: whether it was still mine."""
        with connection.cursor() as cursor:
            cursor.execute(self.finish_sql, end)
            return bool(cursor.rowcount == 1)

    def claim(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> Row | None:
        """Start the best waiting one: its columns, or None."""
        with transaction.atomic(using=connection.alias):
            self._lock(connection, next_run)
            return self._claim(connection, next_run)

    def finish_and_claim(
        self, connection: BaseDatabaseWrapper, end: dict[str, Any], next_run: dict[str, Any]
    ) -> tuple[bool, Row | None]:
        """Both in one transaction; nothing is claimed if the run wasn't mine any more."""
        with transaction.atomic(using=connection.alias):
            mine = self.finish(connection, end)
            return mine, self._claim(connection, next_run) if mine else None

    def durable(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        """While in it, a commit returns when it is on the disk."""
        return _synchronous(connection, FULL)

    def relaxed(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        """While in it, a commit need not reach the disk at once: a run may then be repeated."""
        return _synchronous(connection, NORMAL)

    def _lock(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> None:
        """Hold the queue's own row: without it, first claims of several workers deadlock."""

    def _claim(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> Row | None:
        with connection.cursor() as cursor:
            cursor.execute(self.claim_sql, next_run)
            row: Row | None = cursor.fetchone()
            return row


@contextmanager
def _synchronous(connection: BaseDatabaseWrapper, level: int) -> Iterator[None]:
    """Run with this PRAGMA synchronous; SQLite changes it outside of a transaction only."""
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        before = cursor.execute("PRAGMA synchronous").fetchone()[0]
    if before != level:
        _set_synchronous(connection, level)
    try:
        yield
    finally:
        if before != level:
            _set_synchronous(connection, before)


def _set_synchronous(connection: BaseDatabaseWrapper, level: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous = {level:d}")


class _Server(Statements):
    """A database server, where rows are locked one by one."""

    def durable(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        return nullcontext()

    def relaxed(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        return nullcontext()  # PostgreSQL's statements say so themselves, MariaDB can't

    def _lock(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, next_run)
            cursor.fetchall()


class PostgreSQL(_Server):
    """Finish and claim in one statement, so with one round trip."""

    claim_sql = f"""UPDATE {_EXECUTION} SET {_RUNNING}
        WHERE id = (SELECT id FROM {_EXECUTION} WHERE {_READY} {_ORDER} FOR UPDATE)
        AND {_FREE} AND {_NOT_PAUSED} AND state = 'waiting' RETURNING {_columns()}"""
    # "chosen" asks "ended", so that the slot is free before it's taken again; the setting holds
    # for this one transaction.
    finish_and_claim_sql = f"""WITH ended AS ({_FINISH} RETURNING id),
        chosen AS (SELECT id FROM {_EXECUTION} WHERE {_READY} AND {_NOT_PAUSED}
            AND (SELECT count(*) FROM ended) = 1 {_ORDER} FOR UPDATE),
        claimed AS (UPDATE {_EXECUTION} AS e SET {_RUNNING} FROM chosen
            WHERE e.id = chosen.id AND e.state = 'waiting' RETURNING {_columns("e.")})
        SELECT set_config('synchronous_commit', 'off', true), (SELECT count(*) FROM ended),
            claimed.* FROM (SELECT 1) AS one LEFT JOIN claimed ON true"""

    def finish_and_claim(
        self, connection: BaseDatabaseWrapper, end: dict[str, Any], next_run: dict[str, Any]
    ) -> tuple[bool, Row | None]:
        with connection.cursor() as cursor:
            cursor.execute(self.finish_and_claim_sql, {**next_run, **end})
            _, ended, *row = cursor.fetchone()
        return ended == 1, row if row[0] is not None else None

    def _lock(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        super()._lock(connection, next_run)


class MariaDB(_Server):
    """No ``UPDATE … RETURNING``: the row is chosen first, by a read that locks nothing.

    An ``UPDATE`` that looks for the row would wait for every request that isn't committed yet.
    Rows are changed by way of the primary key: by way of the index of the order, where they move,
    changes deadlock or miss their row.
    """

    moves_by_index = True

    insert_sql = Statements.insert_sql.replace("ON CONFLICT (slot) DO NOTHING", "")
    choose_sql = f"""SELECT {_columns_as_claimed()} FROM {_EXECUTION}
        WHERE {_READY} AND {_FREE} AND {_NOT_PAUSED} {_ORDER}"""
    claim_sql = f"""UPDATE {_EXECUTION} FORCE INDEX (PRIMARY) SET {_RUNNING}
        WHERE id = %(id)s AND state = 'waiting'"""
    finish_sql = Statements.finish_sql.replace("SET", "FORCE INDEX (PRIMARY) SET", 1)

    def insert(self, connection: BaseDatabaseWrapper, values: Sequence[Any]) -> int | None:
        # Within a transaction a savepoint is due; on its own, the statement is one by itself, to
        # which atomic() would add three round trips.
        inside = transaction.atomic(using=connection.alias)
        try:
            with inside if connection.in_atomic_block else nullcontext():
                return super().insert(connection, values)
        except IntegrityError as error:
            if error.args[0] != _DUPLICATE_ENTRY:
                raise
            return None

    def _claim(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> Row | None:
        with connection.cursor() as cursor:
            cursor.execute(self.choose_sql, next_run)
            row: Row | None = cursor.fetchone()
            if row is None:
                return None
            cursor.execute(self.claim_sql, {**next_run, "id": row[0]})
            return row if cursor.rowcount == 1 else None


_BY_VENDOR = {"sqlite": Statements(), "postgresql": PostgreSQL(), "mysql": MariaDB()}


def statements(connection: BaseDatabaseWrapper) -> Statements:
    """The variant for this database.

    Raises:
        NotImplementedError: it is none of SQLite, PostgreSQL and MariaDB.
    """
    try:
        return _BY_VENDOR[connection.vendor]
    except KeyError:
        raise NotImplementedError(
            f"jobqueue runs on SQLite, PostgreSQL and MariaDB, not on {connection.display_name}."
        ) from None


def prepare(connection: BaseDatabaseWrapper, **values: Any) -> dict[str, Any]:
    """Values of fields, and of ``now``, as this database takes them."""
    return {name: _prepare(connection, name, value) for name, value in values.items()}


def prepare_insert(connection: BaseDatabaseWrapper, execution: Execution) -> list[Any]:
    """The row of a request, as :meth:`Statements.insert` takes it."""
    return [f.get_db_prep_save(getattr(execution, f.attname), connection) for f in _REQUEST]


def execution_from_row(connection: BaseDatabaseWrapper, row: Row) -> Execution:
    """The claimed Execution; what isn't needed to run it is deferred."""
    values = [
        _convert(value, column, converters, connection)
        for value, (column, converters) in zip(row, _converters(connection.alias), strict=True)
    ]
    return Execution.from_db(connection.alias, [f.attname for f in _FIELDS], values)


def _prepare(connection: BaseDatabaseWrapper, name: str, value: Any) -> Any:
    if name == "now":
        return connection.ops.adapt_datetimefield_value(value)
    return _FIELD[name].get_db_prep_save(value, connection) if name in _FIELD else value


def _convert(value: Any, column: Any, converters: Sequence[Any], connection: Any) -> Any:
    for converter in converters:
        value = converter(value, column, connection)
    return value


@cache
def _converters(alias: str) -> list[tuple[Any, list[Any]]]:
    connection = connections[alias]
    columns = [f.get_col(_EXECUTION) for f in _FIELDS]
    return [
        (col, [*connection.ops.get_db_converters(col), *col.field.get_db_converters(connection)])
        for col in columns
    ]


def slot_of_running(queue: str) -> str:
    """The slot that a running row of this queue holds."""
    return f"running:{queue}"


def slot_of_waiting(queue: str, digest: str) -> str:
    """The slot that a waiting row of this request holds."""
    return f"waiting:{queue}:{digest}"


def parameters_of_claim(
    connection: BaseDatabaseWrapper, queue: str, now: datetime, host: str, owner: str
) -> dict[str, Any]:
    """What :meth:`Statements.claim` needs."""
    slot = slot_of_running(queue)
    return prepare(connection, queue=queue, now=now, host=host, owner=owner, slot=slot)
