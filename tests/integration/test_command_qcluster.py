"""``manage.py qcluster`` without a database that it can use: one line, and exit code 1."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.service import Service


def refusal(directory: Path, database_url: str) -> str:
    """The one line on stderr of a service that doesn't start."""
    service = Service(directory / "data", {"DATABASE_URL": database_url})
    done = service.manage("qcluster")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert service.processes() == []
    return done.stderr


def test_it_is_not_migrated(tmp_path: Path, database_url: str) -> None:
    said = refusal(tmp_path, database_url)
    assert Path(urlsplit(database_url).path).name in said
    assert "lacks tables of the queue: run `manage.py migrate`." in said


def test_it_is_behind_by_a_migration(tmp_path: Path, database_url: str) -> None:
    service = Service(tmp_path / "data", {"DATABASE_URL": database_url})
    service.manage("migrate", check=True)
    service.manage("migrate", "jobqueue", "0001", check=True)
    assert "run `manage.py migrate`" in refusal(tmp_path, database_url)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_there_is_no_such_database(
    tmp_path: Path, request: pytest.FixtureRequest, server: str
) -> None:
    url = request.getfixturevalue(f"{server}_url")
    said = refusal(tmp_path, f"{url}_of_nobody")
    assert "_of_nobody" in said
    assert "See to its server, or to DATABASES" in said


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
def test_the_server_is_away(tmp_path: Path, scheme: str) -> None:
    said = refusal(tmp_path, f"{scheme}://nobody:secret@127.0.0.1:1/orders")
    assert "The database orders at 127.0.0.1:1 can't be used: " in said
    assert "See to its server, or to DATABASES" in said
    assert "secret" not in said


def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "db.sqlite3", tmp_path):
        said = refusal(tmp_path, f"sqlite:///{path}")
        assert f"The database {path} can't be used: unable to open database file. See to" in said


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (file := tmp_path / "letter").write_text("Dear Ada, this is a letter and no database.")
    assert f"The database {file} can't be used: file is not a" in refusal(
        tmp_path, f"sqlite:///{file}"
    )


def test_a_database_that_can_only_be_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    Service(tmp_path / "data", {"DATABASE_URL": url}).manage("migrate", check=True)
    said = refusal(tmp_path, f"{url}?init_command=PRAGMA+query_only=ON")
    assert "can't be used: attempt to write a readonly database" in said


def test_one_that_another_process_holds_is_no_reason_to_refuse(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    url = f"sqlite:///{file}?timeout=0"
    service = Service(tmp_path / "data", {"DATABASE_URL": url})
    service.manage("migrate", check=True)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert service.manage("shell", "-c", CHECK).returncode == 0
    other.close()


CHECK = "from jobqueue.management import service_database; service_database.check()"
