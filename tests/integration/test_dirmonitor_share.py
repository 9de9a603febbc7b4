"""A share that stops answering: nobody else waits for it, and the service can still be stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.dirmonitor import Monitoring
from tests.servers import need
from tests.shares import Share
from tests.waiting import wait_until


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    need("fuse")
    with Share(tmp_path / "mirrored", tmp_path / "share") as share:
        yield share


@pytest.fixture
def monitoring(tmp_path: Path, share: Share) -> Iterator[Monitoring]:
    """Of a local directory and of the share."""
    (tmp_path / "in").mkdir()
    (tmp_path / "local").symlink_to("in")
    found = Monitoring(tmp_path / "data")
    found.make({"Local": tmp_path / "local", "Share": share.path})
    yield found
    share.answer()
    found.kill()


def row(monitoring: Monitoring, name: str) -> Any:
    return next(row for row in monitoring.status() if row["name"] == name)


def is_so(monitoring: Monitoring, name: str, status: str) -> Callable[[], bool]:
    return lambda: row(monitoring, name)["status"] == status


def has_triggered(monitoring: Monitoring, name: str, after: Any = None) -> Callable[[], bool]:
    return lambda: row(monitoring, name)["last_trigger_at"] not in (None, after)


def forget_requests(monitoring: Monitoring) -> None:
    monitoring.shell("from jobqueue.api import Execution; Execution.objects.all().delete()")


def test_it_holds_up_nobody_is_unreachable_and_recovers(
    monitoring: Monitoring, share: Share, tmp_path: Path
) -> None:
    (share.mirrored / "first").write_text("x")
    with monitoring:
        wait_until(has_triggered(monitoring, "Share"), 180, "the share's first file to trigger")
        wait_until(is_so(monitoring, "Share", "polling"), 180, "it to be polled")
        before = row(monitoring, "Share")
        assert before["status_note"] == "The file system is fuse.share."
        share.hang()
        (share.mirrored / "second").write_text("x")
        (tmp_path / "in" / "here").write_text("x")
        wait_until(has_triggered(monitoring, "Local"), 180, "the local file to trigger")
        wait_until(is_so(monitoring, "Share", "unreachable"), 180, "it to be unreachable")
        assert row(monitoring, "Share")["status_since"] > before["status_since"]
        assert row(monitoring, "Share")["last_trigger_at"] == before["last_trigger_at"]
        forget_requests(monitoring)
        share.answer()
        last = before["last_trigger_at"]
        wait_until(has_triggered(monitoring, "Share", last), 180, "the share's second file")
        wait_until(is_so(monitoring, "Share", "polling"), 180, "it to be polled again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_service_ends_while_it_hangs_with_all_that_it_started(
    monitoring: Monitoring, share: Share, number: signal.Signals
) -> None:
    share.hang()
    with monitoring:
        wait_until(is_so(monitoring, "Share", "unreachable"), 180, "it to be unreachable")
        started = psutil.Process(monitoring.pid).children(recursive=True)
        assert started
        assert monitoring.end(number) == (0 if number is signal.SIGTERM else -number)
        assert row(monitoring, "Share")["status_note"] == "It doesn't answer."
        # What waits for a share can't be ended by anybody before it answers.
        share.answer()
        psutil.wait_procs(started, 90)
        assert not any(process.is_running() for process in started)


def test_it_stops_with_the_service(monitoring: Monitoring, share: Share) -> None:
    """Who looks at shares does nothing of its own accord."""
    with monitoring:
        wait_until(is_so(monitoring, "Share", "polling"), 180, "it to be polled")
        [looker] = psutil.Process(monitoring.pid).children()
        os.kill(monitoring.pid, signal.SIGSTOP)

        def rests() -> bool:
            before = looker.cpu_times()
            wait_until(lambda: looker.status() == psutil.STATUS_SLEEPING, 180, "it to rest")
            return looker.cpu_times() == before

        wait_until(rests, 180, "it to do nothing")
        os.kill(monitoring.pid, signal.SIGCONT)
        (share.mirrored / "a").write_text("x")
        wait_until(has_triggered(monitoring, "Share"), 180, "a trigger")


def test_another_process_looks_when_the_one_that_did_was_killed(
    monitoring: Monitoring, share: Share
) -> None:
    with monitoring:
        wait_until(is_so(monitoring, "Share", "polling"), 180, "it to be polled")
        [looker] = psutil.Process(monitoring.pid).children()
        looker.kill()
        (share.mirrored / "a").write_text("x")
        wait_until(has_triggered(monitoring, "Share"), 180, "a trigger")
        wait_until(is_so(monitoring, "Share", "polling"), 180, "the status to say so")


def test_a_link_that_is_switched_to_the_share_and_back(
    monitoring: Monitoring, share: Share, tmp_path: Path
) -> None:
    def switch(to: Path) -> None:
        (tmp_path / "new").symlink_to(to)
        (tmp_path / "new").rename(tmp_path / "local")

    (share.mirrored / "a").write_text("x")
    with monitoring:
        wait_until(is_so(monitoring, "Local", "watching"), 180, "it to be watched")
        switch(share.path)
        wait_until(has_triggered(monitoring, "Local"), 180, "a trigger")
        wait_until(is_so(monitoring, "Local", "polling"), 180, "it to be polled")
        share.hang()
        wait_until(is_so(monitoring, "Local", "unreachable"), 180, "it to be unreachable")
        last = row(monitoring, "Local")["last_trigger_at"]
        forget_requests(monitoring)
        (tmp_path / "in" / "b").write_text("x")
        switch(tmp_path / "in")
        wait_until(has_triggered(monitoring, "Local", last), 180, "the local file to trigger")
        wait_until(is_so(monitoring, "Local", "watching"), 180, "it to be watched again")
        assert is_so(monitoring, "Share", "unreachable")()
