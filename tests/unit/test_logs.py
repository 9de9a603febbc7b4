"""The service's log: :mod:`botsproject.logs`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botsproject.logs import ClusterFilter, LineFormatter, SharedRotatingFileHandler

WRITER = """
import logging, sys
from botsproject.logs import SharedRotatingFileHandler
path, name, records = sys.argv[1:]
log = logging.Logger("crowd")
log.addHandler(SharedRotatingFileHandler(path, max_bytes=2000, count=100))
print("ready", flush=True)
sys.stdin.read()
for number in range(int(records)):
    log.warning("%s-%d", name, number)
"""


def a_record(message: str = "hello", **over: object) -> logging.LogRecord:
    fields = {"msg": message, "levelno": logging.INFO, "levelname": "INFO", **over}
    return logging.makeLogRecord(fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "jobqueue.log"


@pytest.fixture
def handler(path: Path) -> Iterator[SharedRotatingFileHandler]:
    handler = SharedRotatingFileHandler(path, max_bytes=100, count=2)
    yield handler
    handler.close()


def lines_of(path: Path) -> list[str]:
    files = sorted(path.parent.glob(f"{path.name}*"))
    return [line for file in files for line in file.read_text().splitlines()]


class TestLineFormatter:
    def test_time_level_and_message(self):
        formatter = LineFormatter("%(asctime)s %(levelname)s %(message)s")
        record = a_record("1 started", created=0.123, msecs=123.0)
        assert formatter.format(record).endswith(":00,123 INFO 1 started")

    def test_the_time_is_that_of_each_record(self):
        formatter = LineFormatter("%(asctime)s")
        moments = [(0.123, 123.0), (0.5, 500.0), (1.0, 0.0), (0.25, 250.0), (59.999, 999.9)]
        shown = [formatter.format(a_record(created=at, msecs=ms)) for at, ms in moments]
        assert [time[-6:] for time in shown] == ["00,123", "00,500", "01,000", "00,250", "59,999"]

    def test_the_format_of_the_time_can_be_another(self):
        formatter = LineFormatter("%(asctime)s", "%S.")
        assert formatter.format(a_record(created=7.0, msecs=0.0)) == "07."

    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\x1b[2J"])
    def test_a_message_is_one_line(self, end):
        line = LineFormatter().format(a_record(f"job {end}2026-11-21 ERROR forged"))
        assert line.splitlines() == [line]
        assert line.isprintable()
        assert "forged" in line

    def test_a_traceback_is_indented(self):
        try:
            raise ValueError("first\n2026-11-21 ERROR forged \x1b")
        except ValueError:
            record = a_record(exc_info=sys.exc_info())
        first, *rest = LineFormatter().format(record).splitlines()
        assert first == "hello"
        assert rest
        assert all(line.startswith("    ") and line.isprintable() for line in rest)


class TestSharedRotatingFileHandler:
    def test_makes_the_directory_with_the_first_record(self, handler, path):
        assert not path.parent.exists()
        handler.handle(a_record())
        assert path.read_text() == "hello\n"

    def test_turns_over_by_size_and_keeps_so_many(self, handler, path):
        for number in range(9):
            handler.handle(a_record(f"{number} {'x' * 60}"))
        kept = {file.name: file.read_text()[0] for file in path.parent.iterdir()}
        assert kept == {"jobqueue.log": "8", "jobqueue.log.1": "7", "jobqueue.log.2": "6"}

    def test_a_record_larger_than_the_file_is_written_whole(self, handler, path):
        handler.handle(a_record("x" * 1000))
        assert path.stat().st_size == 1001

    @pytest.mark.parametrize(("max_bytes", "count"), [(0, 2), (100, 0)])
    def test_never_turns_over_with_0(self, path, max_bytes, count):
        handler = SharedRotatingFileHandler(path, max_bytes, count)
        for _ in range(9):
            handler.handle(a_record("x" * 60))
        handler.close()
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_follows_when_another_program_takes_the_file_away(self, handler, path):
        handler.handle(a_record("old"))
        path.rename(path.with_suffix(".moved"))
        handler.handle(a_record("new"))
        assert path.read_text() == "new\n"

    def test_writes_again_after_close(self, handler, path):
        handler.handle(a_record("one"))
        handler.close()
        handler.handle(a_record("two"))
        assert lines_of(path) == ["one", "two"]

    def test_what_is_not_utf8_is_escaped(self, handler, path):
        handler.handle(a_record("\udcff"))
        assert path.read_text() == "\\udcff\n"

    def test_a_file_that_cannot_be_opened_is_told_once(self, handler, path, capsys):
        path.mkdir(parents=True)
        handler.handle(a_record())
        handler.handle(a_record())
        assert capsys.readouterr().err == f"The log {path} can't be written: Is a directory\n"
        path.rmdir()
        handler.handle(a_record("back"))
        assert path.read_text() == "back\n"

    def test_a_full_disk_stops_nobody(self, capsys):
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full")
        handler = SharedRotatingFileHandler("/dev/full")
        handler.handle(a_record())
        handler.close()
        assert "No space left" in capsys.readouterr().err

    def test_a_record_that_cannot_be_formatted_stops_nobody(self, handler, capsys):
        handler.handle(a_record("%d", args=("x",)))
        assert "Logging error" in capsys.readouterr().err

    def test_a_crowd_loses_no_line(self, path):
        argv = [sys.executable, "-c", WRITER, str(path)]
        crowd = [
            subprocess.Popen(
                [*argv, name, "300"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for name in "abcd"
        ]
        for writer in crowd:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in crowd:
            writer.communicate()
        assert [writer.returncode for writer in crowd] == [0, 0, 0, 0]
        expected = {f"{name}-{number}" for name in "abcd" for number in range(300)}
        found = lines_of(path)
        assert len(found) == len(expected)
        assert set(found) == expected
        assert len(list(path.parent.iterdir())) > 2


class TestClusterFilter:
    def test_keeps_what_is_on_the_cluster_or_wrong(self):
        keeps = ClusterFilter().filter
        assert keeps(a_record(module="cluster"))
        assert keeps(a_record(module="tasks", levelno=logging.WARNING))
        assert not keeps(a_record(module="tasks"))
