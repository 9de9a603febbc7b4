"""The databases that are measured: made, watched and dropped."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from benchmarks import counting
from tests.addresses import MARIADB_URL, POSTGRES_URL, REDIS_URL, mariadb_login


class Database(ABC):
    """A database of our own, from :meth:`create` to :meth:`drop`."""

    #: As people write it.
    title: ClassVar[str]

    def __init__(self, directory: Path) -> None:
        self.name = f"jobqueue_bench_{secrets.token_hex(4)}"
        self.directory = directory

    @property
    @abstractmethod
    def url(self) -> str:
        """What ``DATABASE_URL`` says."""

    #: What a cluster needs in its environment to be counted.
    counting: Mapping[str, str] = {}

    @abstractmethod
    def create(self) -> None:
        """Make it; an exception says why it can't be made here."""

    @abstractmethod
    def drop(self) -> None:
        """Leave nothing behind."""

    @abstractmethod
    def transactions(self) -> int:
        """How many there were so far, reading ones too."""


class SQLite(Database):
    """Transactions are counted by the clusters themselves: see :mod:`benchmarks.counting`."""

    title = "SQLite"

    @property
    def url(self) -> str:
        return f"sqlite:///{quote(str(self.directory / 'db.sqlite3'))}"

    @property
    def counted(self) -> Path:
        """The file that grows by one byte with each transaction."""
        return self.directory / "transactions"

    def create(self) -> None:
        self.counted.touch()
        self.counting = {counting.VARIABLE: str(self.counted)}

    def drop(self) -> None:
        pass  # it lies in the benchmark's directory

    def transactions(self) -> int:
        return self.counted.stat().st_size


class PostgreSQL(Database):
    """Transactions are those that the server counts for this database."""

    title = "PostgreSQL"

    @property
    def url(self) -> str:
        return urlsplit(POSTGRES_URL)._replace(path=f"/{self.name}").geturl()

    def create(self) -> None:
        self._execute(f'CREATE DATABASE "{self.name}"')

    def drop(self) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def transactions(self) -> int:
        count = self._execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database"
            f" WHERE datname = '{self.name}'"
        )
        return int(count[0][0])

    def _execute(self, statement: str) -> list[Any]:
        import psycopg

        with psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=5) as server:
            cursor = server.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class MariaDB(Database):
    """Statements are counted, by the server, for all of its databases: have it to yourself.

    At rest, nearly each of them is a transaction of its own.
    """

    title = "MariaDB"

    @property
    def url(self) -> str:
        return urlsplit(MARIADB_URL)._replace(path=f"/{self.name}").geturl()

    def create(self) -> None:
        self._execute(f"CREATE DATABASE `{self.name}` CHARACTER SET utf8mb4")

    def drop(self) -> None:
        self._execute(f"DROP DATABASE IF EXISTS `{self.name}`")

    def transactions(self) -> int:
        counts = self._execute(
            "SHOW GLOBAL STATUS WHERE Variable_name IN"
            " ('Com_select', 'Com_insert', 'Com_update', 'Com_delete')"
        )
        return sum(int(count) for _, count in counts)

    def _execute(self, statement: str) -> list[Any]:
        import pymysql

        server = pymysql.connect(**mariadb_login(), autocommit=True, connect_timeout=5)
        with server, server.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())


DATABASES: dict[str, type[Database]] = {
    "sqlite": SQLite,
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
}


def forget_in_redis(cluster: str) -> None:
    """Delete what a cluster of this name left in Redis."""
    import redis

    with redis.Redis.from_url(REDIS_URL) as client:
        for key in client.scan_iter(f"*{cluster}*"):
            client.delete(key)


def why_no_redis() -> str:
    """One line on why Redis can't be used here, or nothing."""
    try:
        import redis

        with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=5) as client:
            client.ping()
    except Exception as error:  # whatever it is, that broker is left out
        return first_line(error)
    return ""


def first_line(error: Exception) -> str:
    """An exception in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
