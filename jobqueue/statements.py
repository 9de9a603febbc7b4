"""The fixed SQL of the hot path, a variant for each database. Only :mod:`jobqueue.queue` calls it.

Finishing one run and claiming the next is one transaction. The ORM can't say
``UPDATE … RETURNING``, and takes several times as long between two runs.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Self
from weakref import WeakSet

from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    Field,
    ForeignKey,
    IntegerField,
    JSONField,
    TextField,
)

from .models import Execution, Queue

Row = Sequence[Any]
NORMAL, FULL = 1, 2  # of SQLite's PRAGMA synchronous
_DUPLICATE_ENTRY = 1062  # MariaDB's ER_DUP_ENTRY

_EXECUTION = Execution._meta.db_table
_QUEUE = Queue._meta.db_table
_NOT_CLAIMED = {
    *("reason", "log_path", "log_tail", "return_code", "ended_at", "digest", "slot", "pid"),
    *("stop_requested_at", "stop_requested_by", "not_before", "unjudged"),
}
_FIELDS = [f for f in Execution._meta.concrete_fields if f.name not in _NOT_CLAIMED]
_NAMES = frozenset(f.attname for f in _FIELDS)
_UNSET = {
    *("id", "slot", "pid", "stop_requested_at", "started_at", "ended_at", "return_code"),
    "unjudged",
}
_BLANK = ("host", "owner", "stop_requested_by", "reason", "log_path", "log_tail")
_REQUEST = [f for f in Execution._meta.concrete_fields if f.name not in {*_UNSET, *_BLANK}]
#: Fields whose values every database takes as they are.
_PLAIN = (BooleanField, CharField, ForeignKey, IntegerField, TextField)
_REQUEST_COLUMNS = [str(f.column) for f in _REQUEST]
_request_values = attrgetter(*(f.attname for f in _REQUEST))
_FIELD = {f.name: f for f in Execution._meta.concrete_fields if f.name not in ("id", "slot")}
_END = ("ended_at", "return_code", "reason", "log_path", "log_tail", "pid", "details")

_READY = """state = 'waiting' AND queue = %(queue)s
    AND (not_before IS NULL OR not_before <= %(now)s)"""
_ORDER = "ORDER BY priority, queued_at, id LIMIT 1"
_NOT_PAUSED = f"""NOT EXISTS (SELECT 1 FROM {_QUEUE} WHERE name = %(queue)s
    AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > %(now)s))"""
_LOCK = f"SELECT id FROM {_QUEUE} WHERE name = %(queue)s FOR UPDATE"
_FREE = f"NOT EXISTS (SELECT 1 FROM {_EXECUTION} WHERE slot = %(slot)s)"
_RUNNING = "state = 'running', started_at = %(now)s, host = %(host)s, owner = %(owner)s"
_FINISH = f"""UPDATE {_EXECUTION}
    SET state = %(state)s, unjudged = job_id, {", ".join(f"{name} = %({name})s" for name in _END)}
    WHERE id = %(id)s AND state = 'running' AND owner = %(owner)s"""


def _needs_wake(this: str) -> str:
    """Whether nothing runs in the queue, and no request older than this one was ready before it.

    ``+ 0``: a planner that went by way of the key would read the whole record.
    """
    return f"""{_FREE} AND NOT EXISTS (SELECT 1 FROM {_EXECUTION} AS older
        WHERE {_READY} AND older.id + 0 < {this})"""


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
        ({", ".join([*_REQUEST_COLUMNS, *_BLANK])})
        VALUES ({", ".join([*(f"%({c})s" for c in _REQUEST_COLUMNS), *["''"] * len(_BLANK)])})
        ON CONFLICT (slot) DO NOTHING RETURNING id"""
    #: Writers come one after another: what the insert sees is what is there at its commit.
    accept_sql = f"{insert_sql}, {_needs_wake(f'{_EXECUTION}.id')}"
    needs_wake_sql = f"SELECT {_needs_wake('%(id)s')}"

    def accept(
        self, connection: BaseDatabaseWrapper, values: dict[str, Any]
    ) -> tuple[int, bool | None] | None:
        """Insert a waiting row, durably: its id, or None if the same request waits.

        And whether it :meth:`needs_wake`; None if that must be asked after the commit.
        """
        if connection.in_atomic_block:
            pk = self.insert(connection, values)
            return None if pk is None else (pk, None)
        with self.durable(connection):
            row = self._row(connection, self.accept_sql, values)
        return (row[0], bool(row[1])) if row else None

    def insert(self, connection: BaseDatabaseWrapper, values: dict[str, Any]) -> int | None:
        """Insert a waiting row in a transaction: its id, or None if the same request waits."""
        row = self._row(connection, self.insert_sql, values)
        return row[0] if row else None

    def needs_wake(self, connection: BaseDatabaseWrapper, added: Execution, now: datetime) -> bool:
        """Whether nothing runs in its queue, and no older request there was ready before it."""
        slot = slot_of_running(added.queue)
        values = {**prepare(connection, queue=added.queue, slot=slot, now=now), "id": added.pk}
        row = self._row(connection, self.needs_wake_sql, values)
        return bool(row and row[0])

    def finish(self, connection: BaseDatabaseWrapper, end: dict[str, Any]) -> bool:
        """End a run: whether it was still mine."""
        with self._cursor(connection) as cursor:
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

    def impatient(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        """While in it, a row that another transaction holds is waited for a second at most."""
        return nullcontext()  # SQLite locks no rows

    def _row(
        self, connection: BaseDatabaseWrapper, statement: str, values: dict[str, Any]
    ) -> Row | None:
        """The first row of what a statement returns."""
        with self._cursor(connection) as cursor:
            cursor.execute(statement, values)
            with connection.wrap_database_errors:
                row: Row | None = cursor.cursor.fetchone()
                return row

    def _cursor(self, connection: BaseDatabaseWrapper) -> Any:
        """Django's cursor, with one of the driver inside that is quicker than Django's own."""
        cursor: Any = connection.cursor()
        cursor.cursor = connection.connection.cursor(_NamingCursor)
        return cursor

    def _lock(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> None:
        """Hold the queue's own row: without it, first claims of several workers deadlock."""

    def _claim(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> Row | None:
        return self._row(connection, self.claim_sql, next_run)


class _NamingCursor(sqlite3.Cursor):
    """Django's own takes each statement's parameters apart each time, and is slower by a third."""

    def execute(self, statement: str, parameters: Any = ()) -> Self:
        return super().execute(_with_names(statement), parameters)


@cache
def _with_names(statement: str) -> str:
    return re.sub(r"%\((\w+)\)s", r":\1", statement)


def _synchronous(connection: BaseDatabaseWrapper, level: int) -> AbstractContextManager[None]:
    """Run with this PRAGMA synchronous; SQLite changes it outside of a transaction only."""
    if connection.in_atomic_block or (before := _get_synchronous(connection)) == level:
        return nullcontext()
    return _synchronous_meanwhile(connection, level, before)


@contextmanager
def _synchronous_meanwhile(
    connection: BaseDatabaseWrapper, level: int, before: int
) -> Iterator[None]:
    _set_synchronous(connection, level)
    try:
        yield
    finally:
        _set_synchronous(connection, before)


def _get_synchronous(connection: BaseDatabaseWrapper) -> int:
    if connection.connection is None:
        connection.ensure_connection()
    with connection.wrap_database_errors:
        level: int = connection.connection.execute("PRAGMA synchronous").fetchone()[0]
        return level


def _set_synchronous(connection: BaseDatabaseWrapper, level: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous = {level:d}")


class _Server(Statements):
    """A database server, where rows are locked one by one."""

    def durable(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        return nullcontext()

    def relaxed(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
        return nullcontext()  # PostgreSQL's statements say so themselves, MariaDB can't

    #: To begin and to end with being impatient.
    impatient_sql: tuple[str, str]

    @contextmanager
    def impatient(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        begin, end = self.impatient_sql
        with connection.cursor() as cursor:
            cursor.execute(begin)
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute(end)

    def _cursor(self, connection: BaseDatabaseWrapper) -> Any:
        return connection.cursor()

    def _lock(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, next_run)
            cursor.fetchall()


class PostgreSQL(_Server):
    """Finish and claim in one statement, so with one round trip.

    Statements are prepared: otherwise a third of their time goes into reading them.
    """

    impatient_sql = ("SET lock_timeout = '1s'", "RESET lock_timeout")
    claim_sql = f"""UPDATE {_EXECUTION} SET {_RUNNING}
        WHERE id = (SELECT id FROM {_EXECUTION} WHERE {_READY} {_ORDER} FOR UPDATE)
        AND {_FREE} AND {_NOT_PAUSED} RETURNING {_columns()}"""
    # A chosen row is locked, hence still waiting when it's updated; to ask for that once more would
    # have a planner without statistics read all that wait. "chosen" asks "ended", so that the slot
    # is free before it's taken again; the setting holds for this one transaction.
    finish_and_claim_sql = f"""WITH ended AS ({_FINISH} RETURNING id),
        chosen AS (SELECT id FROM {_EXECUTION} WHERE {_READY} AND {_NOT_PAUSED}
            AND (SELECT count(*) FROM ended) = 1 {_ORDER} FOR UPDATE),
        claimed AS (UPDATE {_EXECUTION} AS e SET {_RUNNING} FROM chosen
            WHERE e.id = chosen.id RETURNING {_columns("e.")})
        SELECT set_config('synchronous_commit', 'off', true), (SELECT count(*) FROM ended),
            claimed.* FROM (SELECT 1) AS one LEFT JOIN claimed ON true"""

    def accept(
        self, connection: BaseDatabaseWrapper, values: dict[str, Any]
    ) -> tuple[int, bool | None] | None:
        # What is committed while the insert waits for its own commit, only a later statement sees.
        pk = self.insert(connection, values)
        return None if pk is None else (pk, None)

    def finish_and_claim(
        self, connection: BaseDatabaseWrapper, end: dict[str, Any], next_run: dict[str, Any]
    ) -> tuple[bool, Row | None]:
        with self._cursor(connection) as cursor:
            cursor.execute(self.finish_and_claim_sql, {**next_run, **end})
            _, ended, *row = cursor.fetchone()
        return ended == 1, row if row[0] is not None else None

    def _lock(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        super()._lock(connection, next_run)

    def _cursor(self, connection: BaseDatabaseWrapper) -> Any:
        cursor: Any = connection.cursor()
        if connection.connection in _preparing or _begin_preparing(connection):
            cursor.cursor = _preparing_cursor()(connection.connection)
        return cursor


#: Connections whose statements may be prepared.
_preparing: WeakSet[Any] = WeakSet()


def _begin_preparing(connection: BaseDatabaseWrapper) -> bool:
    """Have statements prepared if they will be there for later transactions."""
    raw: Any = connection.connection
    # Django has those set this whose pooler may give each transaction another session.
    pooled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    if pooled or connection.in_atomic_block or not hasattr(raw, "prepare_threshold"):  # psycopg2
        return False
    if raw.prepare_threshold is None:  # nothing, as Django sets it
        raw.prepare_threshold = sys.maxsize  # nothing that doesn't ask for it
    with connection.cursor() as cursor:
        # A plan that was made while the table was small would read all of it when it has grown.
        cursor.execute("SET plan_cache_mode = force_custom_plan")
    _preparing.add(raw)
    return True


@cache
def _preparing_cursor() -> Any:
    import psycopg

    class PreparingCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **_: Any) -> Self:
            super().execute(query, params, prepare=True)
            self._query: Any = SimpleNamespace(query=query.encode())  # for Django's log of queries
            return self

    return PreparingCursor


class MariaDB(_Server):
    """Finish and claim in one round trip, by a statement made of several.

    There is no ``UPDATE … RETURNING``: the row is chosen first, by a read that locks nothing.

    An ``UPDATE`` that looks for the row would wait for every request that isn't committed yet.
    Rows are changed by way of the primary key: by way of the index of the order, where they move,
    changes deadlock or miss their row.
    """

    moves_by_index = True

    impatient_sql = (
        "SET @jobqueue_patience = @@innodb_lock_wait_timeout, innodb_lock_wait_timeout = 1",
        "SET innodb_lock_wait_timeout = @jobqueue_patience",
    )

    insert_sql = Statements.insert_sql.replace("ON CONFLICT (slot) DO NOTHING", "")
    # Two statements, each a transaction of its own, in one round trip.
    accept_sql = f"""BEGIN NOT ATOMIC {insert_sql.replace("RETURNING id", "")};
        SELECT LAST_INSERT_ID(), {_needs_wake("LAST_INSERT_ID()")}; END"""
    choose_sql = f"""SELECT {_columns_as_claimed()} FROM {_EXECUTION}
        WHERE {_READY} AND {_FREE} AND {_NOT_PAUSED} {_ORDER}"""
    claim_sql = f"""UPDATE {_EXECUTION} FORCE INDEX (PRIMARY) SET {_RUNNING}
        WHERE id = %(id)s AND state = 'waiting'"""
    finish_sql = Statements.finish_sql.replace("SET", "FORCE INDEX (PRIMARY) SET", 1)
    # To choose by "SET chosen = (SELECT …)" would lock what it reads.
    finish_and_claim_sql = f"""BEGIN NOT ATOMIC
        DECLARE mine INT;
        DECLARE chosen BIGINT;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
        START TRANSACTION;
        {finish_sql};
        SET mine = ROW_COUNT();
        IF mine THEN
            SELECT id INTO chosen FROM {_EXECUTION} WHERE {_READY} AND {_NOT_PAUSED} {_ORDER};
            {claim_sql.replace("%(id)s", "chosen")};
            IF ROW_COUNT() = 0 THEN SET chosen = NULL; END IF;
        END IF;
        COMMIT;
        SELECT mine, {_columns()} FROM (SELECT 1) AS one LEFT JOIN {_EXECUTION} ON id = chosen;
    END"""

    def accept(
        self, connection: BaseDatabaseWrapper, values: dict[str, Any]
    ) -> tuple[int, bool | None] | None:
        try:
            return super().accept(connection, values)
        except IntegrityError as error:
            _raise_unless_duplicate(error)
            return None

    def insert(self, connection: BaseDatabaseWrapper, values: dict[str, Any]) -> int | None:
        try:
            with transaction.atomic(using=connection.alias):
                return super().insert(connection, values)
        except IntegrityError as error:
            _raise_unless_duplicate(error)
            return None

    def finish_and_claim(
        self, connection: BaseDatabaseWrapper, end: dict[str, Any], next_run: dict[str, Any]
    ) -> tuple[bool, Row | None]:
        if connection.in_atomic_block:
            return super().finish_and_claim(connection, end, next_run)
        with self._cursor(connection) as cursor:
            cursor.execute(self.finish_and_claim_sql, {**next_run, **end})
            mine, *row = cursor.fetchone()
        return bool(mine), row if row[0] is not None else None

    def _claim(self, connection: BaseDatabaseWrapper, next_run: dict[str, Any]) -> Row | None:
        with self._cursor(connection) as cursor:
            cursor.execute(self.choose_sql, next_run)
            row: Row | None = cursor.fetchone()
            if row is None:
                return None
            cursor.execute(self.claim_sql, {**next_run, "id": row[0]})
            return row if cursor.rowcount == 1 else None


def _raise_unless_duplicate(error: IntegrityError) -> None:
    """Raise it again, unless it says that the row is there already."""
    if error.args[0] != _DUPLICATE_ENTRY:
        raise error


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


def prepare_request(connection: BaseDatabaseWrapper, execution: Execution) -> dict[str, Any]:
    """The row of a request, as :meth:`Statements.accept` and ``insert`` take it."""
    values = dict(zip(_REQUEST_COLUMNS, _request_values(execution), strict=True))
    for column, adapt in _REQUEST_ADAPTED:
        if values[column] is not None:
            values[column] = adapt(connection, values[column])
    values["slot"], values["now"] = slot_of_running(execution.queue), values["queued_at"]
    return values


def execution_from_row(connection: BaseDatabaseWrapper, row: Row) -> Execution:
    """The claimed Execution; what isn't needed to run it is deferred."""
    values = list(row)
    for place, column, convert in _converters(connection.alias):
        values[place] = convert(values[place], column, connection)
    return Execution.from_db(connection.alias, _NAMES, values)


def _prepare(connection: BaseDatabaseWrapper, name: str, value: Any) -> Any:
    if name == "now":
        return connection.ops.adapt_datetimefield_value(value)
    return _adapt(connection, _FIELD[name], value) if name in _FIELD else value


def _adapt(connection: BaseDatabaseWrapper, field: Field[Any, Any], value: Any) -> Any:
    if value is None or isinstance(field, _PLAIN):
        return value
    return field.get_db_prep_save(value, connection)


def _adapter(field: Field[Any, Any]) -> Callable[[BaseDatabaseWrapper, Any], Any]:
    """What stores a value of this field as the ORM does, without its way there."""
    if isinstance(field, JSONField):
        return lambda connection, value: connection.ops.adapt_json_value(value, field.encoder)
    if isinstance(field, DateTimeField):
        return lambda connection, value: connection.ops.adapt_datetimefield_value(value)
    return lambda connection, value: field.get_db_prep_save(value, connection)


_REQUEST_ADAPTED = [(str(f.column), _adapter(f)) for f in _REQUEST if not isinstance(f, _PLAIN)]


@cache
def _converters(alias: str) -> list[tuple[int, Any, Any]]:
    """Which places of a row are converted, and how."""
    connection = connections[alias]
    columns = [f.get_col(_EXECUTION) for f in _FIELDS]
    return [
        (place, column, convert)
        for place, column in enumerate(columns)
        for convert in (
            *connection.ops.get_db_converters(column),
            *column.field.get_db_converters(connection),
        )
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
