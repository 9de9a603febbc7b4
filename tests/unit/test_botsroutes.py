"""The routes of a Bots: where its database is, and that reading it disturbs nobody."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dirmonitor.bots import routes
from dirmonitor.bots.routes import Route, database, read

DEFAULT = """
import os
BOTSSYS_PATH = os.path.join(os.path.dirname(__file__), 'botssys')
DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': os.path.join(BOTSSYS_PATH, 'sqlitedb', 'botsdb'),
    }
}
"""
POSTGRES = "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'x'}}"


@pytest.fixture
def botsdb(tmp_path: Path) -> Path:
    """As Bots makes it, with routes that have several parts."""
    path = tmp_path / "bots db?#%41"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE routes (idroute varchar(35), seq integer, active bool)")
        rows = [("b", 1, 0), ("b", 2, 1), ("a", 1, 1), ("off", 1, 0), ("", 1, 1), (b"x", 1, 1)]
        connection.executemany("INSERT INTO routes VALUES (?, ?, ?)", rows)
        connection.commit()
    return path


@pytest.fixture
def writer(botsdb: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who uses the database meanwhile."""
    with closing(sqlite3.connect(botsdb, isolation_level=None)) as connection:
        yield connection


def declared(tmp_path: Path, settings: str, botssys: str = "botssys") -> Path:
    (tmp_path / "settings.py").write_text(settings)
    return database(tmp_path, botssys, Path("/lib/bots"))


class TestReading:
    def test_names_once_and_whether_any_part_is_active(self, botsdb: Path) -> None:
        assert read(botsdb) == [Route("a", True), Route("b", True), Route("off", False)]

    def test_nothing_is_left_behind(self, botsdb: Path) -> None:
        before = (botsdb.read_bytes(), botsdb.stat().st_mtime_ns, os.listdir(botsdb.parent))
        read(botsdb)
        assert (botsdb.read_bytes(), botsdb.stat().st_mtime_ns, os.listdir(botsdb.parent)) == before

    def test_a_log_of_writes_that_nobody_uses_is_not_made(
        self, botsdb: Path, writer: sqlite3.Connection
    ) -> None:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.close()
        read(botsdb)
        assert os.listdir(botsdb.parent) == [botsdb.name]

    def test_what_is_only_in_the_log_of_writes_counts(
        self, botsdb: Path, writer: sqlite3.Connection
    ) -> None:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO routes VALUES ('new', 1, 1)")
        assert Route("new", True) in read(botsdb)

    def test_a_writer_is_not_held_up(self, botsdb: Path, writer: sqlite3.Connection) -> None:
        writer.execute("BEGIN EXCLUSIVE")
        assert len(read(botsdb)) == 3
        writer.execute("INSERT INTO routes VALUES ('new', 1, 1)")
        writer.execute("COMMIT")

    def test_a_writer_in_the_middle_is_said(
        self, botsdb: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "PATIENCE", 0.05)
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("INSERT INTO routes VALUES ('new', 1, 1)")
        with pytest.raises(ValueError, match="locked"):
            read(botsdb)

    def test_no_database(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="there is no database"):
            read(tmp_path / "none")
        with pytest.raises(ValueError, match="there is no database"):
            read(tmp_path)
        assert not os.listdir(tmp_path)

    def test_another_file(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("UNB+" * 1000)
        with pytest.raises(ValueError, match="not a database"):
            read(tmp_path / "text")

    def test_another_database(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "db")) as connection:
            connection.execute("CREATE TABLE something (x)")
        with pytest.raises(ValueError, match="no such table: routes"):
            read(tmp_path / "db")

    def test_a_table_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "PATIENCE", 0.05)
        with closing(sqlite3.connect(tmp_path / "db")) as connection:
            connection.execute(
                "CREATE VIEW routes AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                "FROM n) SELECT 'r' || i AS idroute, 1 AS active FROM n"
            )
        with pytest.raises(ValueError, match="interrupted"):
            read(tmp_path / "db")

    def test_too_many(self, botsdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "MOST", 2)
        with pytest.raises(ValueError, match="more than 2"):
            read(botsdb)

    def test_text_that_is_none(self, botsdb: Path, writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO routes VALUES (CAST(X'FF' AS TEXT), 1, 1)")
        with pytest.raises(ValueError, match="UTF-8"):
            read(botsdb)


class TestWhereItIs:
    def test_as_written(self, tmp_path: Path) -> None:
        text = "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/x/db'}}"
        assert declared(tmp_path, text) == Path("/x/db")
        assert declared(tmp_path, text.replace("/x/", "x/")) == Path("/lib/bots/x/db")

    def test_the_default_of_bots(self, tmp_path: Path) -> None:
        assert declared(tmp_path, DEFAULT) == Path("/lib/bots/botssys/sqlitedb/botsdb")
        assert declared(tmp_path, DEFAULT, "/srv/bots") == Path("/srv/bots/sqlitedb/botsdb")
        assert declared(tmp_path, "from bots.config.settings import *", "/srv/bots") == Path(
            "/srv/bots/sqlitedb/botsdb"
        )

    def test_no_settings(self, tmp_path: Path) -> None:
        assert database(tmp_path, "/srv", None) == Path("/srv/sqlitedb/botsdb")
        with pytest.raises(ValueError, match="can't be seen"):
            database(tmp_path, "botssys", None)

    def test_a_server(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="they are in a database of postgresql"):
            declared(tmp_path, POSTGRES)

    @pytest.mark.parametrize(
        "text",
        [
            POSTGRES + "\nDATABASES['default']['NAME'] = '/other'",
            POSTGRES + "\nDATABASES.update(x)",
            f"if x:\n    {POSTGRES}",
            DEFAULT + POSTGRES,
        ],
    )
    def test_what_is_decided_when_it_runs(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ValueError, match="only when it runs"):
            declared(tmp_path, text)

    @pytest.mark.parametrize(
        "text", ["print 'python 2'", "x = \0", "(" * 5000, "-" * 100_000 + "1"]
    )
    def test_what_is_no_python(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ValueError, match="can't be read as Python 3"):
            declared(tmp_path, text)

    def test_it_is_not_run(self, tmp_path: Path) -> None:
        text = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        declared(tmp_path, text)
        assert not (tmp_path / "ran").exists()

    def test_nothing_is_said_of_its_strings(self, tmp_path: Path) -> None:
        assert declared(tmp_path, "x = '\\d'", "/srv") == Path("/srv/sqlitedb/botsdb")
