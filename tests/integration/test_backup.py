"""A backup that is made while the service runs brings back all that there was, on each database.

By each database's own programs, as docs/operating.md has them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import servers
from tests.addresses import MARIADB_URL, POSTGRES_URL, mariadb_login
from tests.service import Service
from tests.waiting import wait_until


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of two empty ones of a kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'one.sqlite3'}", f"sqlite:///{tmp_path / 'two.sqlite3'}"
        return
    servers.need(request.param)
    is_postgres = request.param == "postgres"
    new = servers.new_postgres_database if is_postgres else servers.new_mariadb_database
    with new() as one, new() as two:
        yield one, two


def copy(one: str, two: str, file: Path) -> None:
    """Make a backup of the first database in this file, and restore it into the second."""
    {"sqlite": _copy_sqlite, "postgres": _copy_postgres, "mysql": _copy_mariadb}[
        urlsplit(one).scheme
    ](urlsplit(one).path, urlsplit(two).path, file)


def _copy_sqlite(one: str, two: str, file: Path) -> None:
    _call("sqlite3", one, f".backup '{file}'")
    shutil.copy(file, two)


def _copy_postgres(one: str, two: str, file: Path) -> None:
    def at(path: str) -> str:
        return urlsplit(POSTGRES_URL)._replace(scheme="postgresql", path=path).geturl()

    _call("pg_dump", "--format=custom", f"--file={file}", at(one))
    _call("pg_restore", "--no-owner", f"--dbname={at(two)}", str(file))


def _copy_mariadb(one: str, two: str, file: Path) -> None:
    assert MARIADB_URL
    login = mariadb_login()
    who = [f"--host={login['host']}", f"--port={login['port']}", f"--user={login['user']}"]
    secret = {"MYSQL_PWD": login["password"]} if login["password"] else {}
    with file.open("wb") as to:
        _call("mariadb-dump", *who, "--single-transaction", one.strip("/"), stdout=to, **secret)
    with file.open("rb") as source:
        _call("mariadb", *who, two.strip("/"), stdin=source, **secret)


def _call(program: str, *words: str, stdin: Any = None, stdout: Any = None, **env: str) -> None:
    if shutil.which(program) is None:
        servers.miss(program, f"no {program} is installed")
    done = subprocess.run(
        [program, *words],
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | env,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_all_comes_back(databases: tuple[str, str], tmp_path: Path) -> None:
    one, two = databases
    service = Service(tmp_path / "one", {"DATABASE_URL": one})
    service.manage("migrate", check=True)
    with service:
        service.manage("jobs", "create", "Nightly", "--", "echo", "to the log", check=True)
        create = ("schedules", "create", "Daily", "--job", "Nightly", "--once", "2199-01-31T06:00")
        service.manage(*create, check=True)
        service.manage("jobs", "run", "Nightly", "--wait", check=True)
        service.manage("queue", "pause", "--reason", "backup", check=True)
        service.manage("job2queue", "-p3", "true", "it waits", check=True)
        copy(one, two, tmp_path / "backup")
        before = [service.json(*words) for words in (["queue", "list"], ["jobs", "list"])]
        before.append(service.json("schedules", "list"))
    restored = Service(tmp_path / "two", {"DATABASE_URL": two})
    restored.manage("migrate", "--check", check=True)
    after = [restored.json(*words) for words in (["queue", "list"], ["jobs", "list"])]
    after.append(restored.json("schedules", "list"))
    assert after == before
    with restored:
        [status] = restored.json("queue", "status")
        assert (status["paused"]["reason"], len(status["waiting"])) == ("backup", 1)
        restored.manage("queue", "resume", check=True)
        # Numbers go on where they were.
        restored.manage("job2queue", "--wait", "true", "it is new", check=True)
        wait_until(
            lambda: not restored.json("queue", "status")[0]["waiting"], 180, "an empty queue"
        )
        states = [row["state"] for row in restored.json("queue", "list")]
        assert states == ["succeeded"] * 3
