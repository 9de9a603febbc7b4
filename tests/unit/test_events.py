"""What the apps log: each event has a name that stays, and is documented."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue.logs import JsonFormatter

ROOT = Path(__file__).resolve().parents[2]
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
#: What each record has by itself: a field of that name is refused by `logging`.
RESERVED = {*logging.makeLogRecord({}).__dict__, "message", "asctime"}
MODULES = sorted(path for app in ("jobqueue", "dirmonitor") for path in (ROOT / app).rglob("*.py"))


def trees() -> Iterator[tuple[str, ast.AST]]:
    for path in MODULES:
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def dicts_of_events(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """The name of each event in a module, and of its fields as far as they stand there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else "" for key in node.keys]
            if keys[:1] == ["event"] and isinstance(node.values[0], ast.Constant):
                yield str(node.values[0].value), {str(key) for key in keys[1:] if key}


def documented() -> dict[str, set[str]]:
    """The events in the table, with their fields."""
    page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    section = page.partition("\n## Logs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| \w+ \|([^|]*)\|", section, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}


def test_each_is_in_the_table_and_each_in_the_table_is_there() -> None:
    found = {event for _, tree in trees() for event, _ in dicts_of_events(tree)}
    assert found == set(documented())


def test_its_fields_are_documented() -> None:
    known = documented()
    wrong = [
        (where, event, fields - known[event])
        for where, tree in trees()
        for event, fields in dicts_of_events(tree)
        if fields - known[event]
    ]
    assert not wrong


def test_no_field_has_a_name_of_logging_s_own() -> None:
    for where, tree in trees():
        for event, fields in dicts_of_events(tree):
            assert not fields & RESERVED, (where, event)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_is_without_an_event(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            if called in {f"log.{level}" for level in LEVELS}:
                assert "extra" in {word.arg for word in node.keywords}, ast.unparse(node)
            assert not called.startswith(("logging.info", "logging.warning", "logging.error"))


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()
    line: dict[str, Any] = json.loads(text)
    return line


class TestJson:
    def test_a_line(self) -> None:
        fields = {"event": "run.started", "execution": 12, "job": "Engine"}
        values = {"msg": "%s started", "args": (12,), "levelname": "INFO", "name": "jobqueue.runs"}
        record = logging.makeLogRecord({**values, "created": 1_700_000_000.25, **fields})
        assert line_of(record) == {
            "time": "2023-11-14T22:13:20.250+00:00",
            "level": "INFO",
            "logger": "jobqueue.runs",
            "event": "run.started",
            "message": "12 started",
            "execution": 12,
            "job": "Engine",
        }

    @pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", '"},{"', "\ud800", "ä", "x" * 100_000])
    def test_nothing_breaks_a_line(self, text: str) -> None:
        record = logging.makeLogRecord({"msg": "%s", "args": (text,), "job": text})
        assert line_of(record)["message"] == text

    def test_what_others_hang_to_a_record_is_left_out_unless_it_is_plain(self) -> None:
        record = logging.makeLogRecord({"msg": "x", "request": object(), "status_code": 500})
        line = line_of(record)
        assert "request" not in line
        assert line["status_code"] == 500
        assert line["event"] is None

    def test_an_exception(self) -> None:
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(JsonFormatter())
        log = logging.getLogger("tests.json")
        log.addHandler(handler)
        try:
            raise RuntimeError("why")
        except RuntimeError:
            log.exception("it failed")
        finally:
            log.removeHandler(handler)
        assert json.loads(out.getvalue())["exception"].endswith("RuntimeError: why")
