"""Many files, many monitors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.builders import a_monitor
from tests.monitors import (
    has_triggered,
    is_watched,
    requests,
    running,
    start_over,
    triggered,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sigio_ignored")]


def test_ten_thousand_files_are_one_request(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, settle=1)
    with running():
        is_watched(monitor)
        for number in range(10_000):
            (inbox / f"{number:05}").touch()
        wait_until(lambda: sum(r.details["count"] for r in requests()) >= 10_000, 90, "all of them")
    assert [request.details["count"] for request in requests()] == [10_000]


def test_a_steady_inflow_is_three_requests_at_most(inbox: Path, mode: str) -> None:
    """Each request is taken at once, as by an idle queue."""
    monitor = a_monitor(inbox, mode=mode, settle=8, poll_interval=0.5)  # no pause is so long
    with running():
        is_watched(monitor)
        begin = time.monotonic()
        for number in range(40):
            (inbox / str(number)).touch()
            start_over()
            wait_until(lambda n=number: time.monotonic() > begin + n / 2, 60, "half a second")  # type: ignore[misc]
        has_triggered(*map(str, range(40)))
    assert len(requests()) <= 3
    assert sorted(triggered(), key=int) == [str(number) for number in range(40)]


def test_a_thousand_monitors(tmp_path: Path, mode: str) -> None:
    job = None
    for number in range(1000):
        (tmp_path / str(number)).mkdir()
        monitor = a_monitor(tmp_path / str(number), mode=mode, job=job, poll_interval=2)
        job = monitor.job
    with running():
        is_watched(monitor)
        (tmp_path / "7" / "seven").touch()
        (tmp_path / "999" / "last").touch()
        has_triggered("seven", "last")
