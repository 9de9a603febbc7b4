"""The output of a run by parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from jobqueue.admin import live_output
from jobqueue.models import Execution, State
from tests.builders import an_ended, log_file
from tests.users import a_client

pytestmark = pytest.mark.django_db


def asked(run: Execution, **query: Any) -> dict[str, Any]:
    url = f"/admin/jobqueue/execution/{run.pk}/output/"
    answer = a_client("view_execution").get(url, query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def text(part: dict[str, Any]) -> str:
    return "\n".join("".join(piece for _, piece in pieces) for _, pieces in part["lines"])


def test_takes_view_execution(run: Execution, client: Client) -> None:
    url = f"/admin/jobqueue/execution/{run.pk}/output/"
    assert a_client("view_job", "stop_execution").get(url).status_code == 403
    assert client.get(url).status_code == 302


def test_one_that_was_pruned_is_not_found() -> None:
    assert a_client("view_execution").get("/admin/jobqueue/execution/9/output/").status_code == 404


def test_the_end_and_what_comes(run: Execution) -> None:
    log_file(run).write_bytes(b"one\n\x1b[31mtwo\x1b[0m\r\n")
    first = asked(run)
    assert (first["state"], first["is_open"]) == ("running", True)
    assert first["lines"] == [[0, [["", "one"]]], [4, [["jobqueue-ansi-red", "two"]]]]
    log_file(run).write_bytes(b"one\n\x1b[31mtwo\x1b[0m\r\nthree\n")
    news = asked(run, after=first["end"])
    assert text(news) == "three"
    assert not news["is_cut"]


def test_a_long_one_by_parts(run: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_output, "PART", 1000)
    lines = [f"line {number}" for number in range(1000)]
    log_file(run).write_bytes("\n".join(lines).encode() + b"\n")
    part = asked(run)
    shown = text(part)
    while part["start"] > 0:
        part = asked(run, before=part["start"])
        shown = f"{text(part)}\n{shown}"
    assert shown == "\n".join(lines)


def test_looking(run: Execution) -> None:
    log_file(run).write_bytes(b"one\ntwo\nthree\n")
    assert asked(run, find="TWO")["found"] == 4
    assert asked(run, find="two", **{"from": 5})["found"] is None
    assert asked(run, lines=8)["lines_before"] == 2


def test_a_log_that_was_cut(run: Execution) -> None:
    log_file(run).write_bytes(b"short\n")
    assert asked(run, after=5000)["is_cut"]


@pytest.mark.parametrize("typed", ["-1", "x", "1e3", "9" * 30, "٣", ""])
def test_a_forged_place_is_none(run: Execution, typed: str) -> None:
    log_file(run).write_bytes(b"one\n")
    assert text(asked(run, after=typed)) == "one"
    assert text(asked(run, before=typed)) == "one"


def test_only_files_of_logs(run: Execution, tmp_path: Path, settings: Settings) -> None:
    secret = tmp_path.parent / "secret"
    secret.write_text("secret")
    Execution.objects.filter(pk=run.pk).update(log_path=str(secret), log_tail="tail")
    assert asked(run)["tail"] == [[0, [["", "tail"]]]]


def test_where_the_file_is_elsewhere(data_dir: Path) -> None:
    ended = an_ended(log_tail="one\n\x1b[1mtwo\n", state=State.FAILED)
    url = f"/admin/jobqueue/execution/{ended.pk}/output/"
    client = a_client("view_execution")
    answer = client.get(url)
    assert answer.json() == {
        "state": "failed",
        "is_open": False,
        "tail": [[0, [["", "one"]]], [0, [["jobqueue-ansi-bold", "two"]]]],
    }
    tag = answer.headers["ETag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    Execution.objects.filter(pk=ended.pk).update(log_tail="news")
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


def test_nothing_was_printed(data_dir: Path) -> None:
    assert asked(an_ended())["tail"] == []
