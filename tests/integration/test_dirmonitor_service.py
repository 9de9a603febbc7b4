"""The directory monitor's service on real directories, by events and by polling."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections

from dirmonitor import dispatch, scanning
from dirmonitor.models import DirMonitor, HandedOver
from dirmonitor.service import DirMonitorService
from jobqueue.api import Execution, Source
from tests.builders import a_job, a_monitor
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["inotify", "poll"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def _ignore_sigio() -> Iterator[None]:
    """As the command does: it comes when a file is opened while it is looked at."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@contextmanager
def running() -> Iterator[DirMonitorService]:
    """The service, in a thread of this process."""
    service = DirMonitorService()

    def run() -> None:
        try:
            service.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join(60)
    assert not thread.is_alive()


def requests() -> list[Execution]:
    """What was queued, oldest first."""
    return list(Execution.objects.filter(source=Source.DIRMONITOR).order_by("pk"))


def triggered() -> list[str]:
    """The names of all files that triggered."""
    files = [name for request in requests() for name in request.details["files"]]
    return [os.path.basename(name) for name in files]


def has_triggered(*names: str) -> None:
    wait_until(lambda: set(names) <= set(triggered()), 30, f"{names} to trigger")


def is_watched(monitor: DirMonitor) -> None:
    """Wait until the service has seen all of it."""

    def seen() -> bool:
        monitor.refresh_from_db()
        return monitor.status in ("watching", "polling")

    wait_until(seen, 30, "the monitor to be watched")


def start_over() -> None:
    """Let what waits be no duplicate of what comes."""
    Execution.objects.all().update(state="succeeded")


def test_files_that_lay_there_are_one_request_that_names_them(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, priority=3, queue="files")
    for number in range(1000):
        (inbox / f"{number:04}").touch()
    with running():
        has_triggered("0000")
    [request] = requests()
    assert (request.priority, request.queue, request.job) == (3, "files", monitor.job)
    assert request.requested_by == monitor.name
    assert request.details["count"] == 1000
    assert len(request.details["files"]) == 100
    assert HandedOver.objects.count() == 1000


def test_a_file_triggers_once_also_after_a_restart(inbox: Path, mode: str) -> None:
    a_monitor(inbox, mode=mode)
    (inbox / "first").write_text("x")
    with running():
        has_triggered("first")
    start_over()
    (inbox / "second").write_text("x")
    with running():
        has_triggered("second")
    assert triggered() == ["first", "second"]


def test_a_file_that_comes_while_it_runs_by_rename(inbox: Path, tmp_path: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        (tmp_path / "a").write_text("x")
        (tmp_path / "a").rename(inbox / "a")
        has_triggered("a")


def test_a_file_that_is_being_written_waits_for_its_end(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        with (inbox / "slow").open("w") as slow:
            slow.write("half")
            slow.flush()
            (inbox / "quick").write_text("x")
            has_triggered("quick")
            assert "slow" not in triggered()
            start_over()
        has_triggered("slow")


def test_only_what_is_meant_triggers(inbox: Path, tmp_path: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, filemask="*.edi")
    with running():
        is_watched(monitor)
        for name in ("in/sub/no.edi", "in2/no.edi", "in/no.csv", "in/yes.edi"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        has_triggered("yes.edi")
    assert triggered() == ["yes.edi"]


def test_new_subdirectories_with_their_files(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, recursive=True)
    with running():
        is_watched(monitor)
        (inbox / "a" / "b").mkdir(parents=True)
        (inbox / "a" / "b" / "deep").touch()
        has_triggered("deep")


def test_a_directory_that_is_made_later_or_again(inbox: Path, mode: str) -> None:
    inbox.rmdir()
    monitor = a_monitor(inbox, mode=mode)
    with running():
        wait_until(
            lambda: DirMonitor.objects.filter(pk=monitor.pk, status="missing").exists(),
            30,
            "it to be missed",
        )
        inbox.mkdir()
        (inbox / "later").touch()
        has_triggered("later")
        start_over()
        (inbox / "later").unlink()
        inbox.rmdir()
        inbox.mkdir()
        (inbox / "again").touch()
        has_triggered("again")


def test_a_row_that_changes_takes_effect(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, filemask="*.edi")
    (inbox / "a.csv").touch()
    (inbox / "a.edi").touch()
    with running():
        has_triggered("a.edi")
        start_over()
        DirMonitor.objects.filter(pk=monitor.pk).update(filemask="*.edi;*.csv")
        has_triggered("a.csv")
    assert triggered() == ["a.edi", "a.csv"]


def test_a_name_that_is_no_text(inbox: Path, mode: str) -> None:
    a_monitor(inbox, mode=mode)
    Path(os.fsdecode(os.fsencode(inbox) + b"/\xff\n")).touch()
    with running():
        has_triggered("\\xff\n")
    start_over()
    (inbox / "b").touch()
    with running():
        has_triggered("b")
    assert triggered() == ["\\xff\n", "b"]


def test_a_job_that_accepts_nothing_keeps_its_files_pending(inbox: Path, mode: str) -> None:
    job = a_job(enabled=False)
    monitor = a_monitor(inbox, mode=mode, job=job)
    (inbox / "a").touch()

    def is_refused() -> bool:
        monitor.refresh_from_db()
        return "disabled" in monitor.status_note and monitor.files_pending == 1

    with running():
        wait_until(is_refused, 30, "the refusal to be shown")
        job.enabled = True
        job.save()
        has_triggered("a")


def test_two_services_do_no_harm(inbox: Path, mode: str) -> None:
    a_monitor(inbox, mode=mode)
    with running(), running():
        (inbox / "a").touch()
        has_triggered("a")
        start_over()
        (inbox / "b").touch()
        has_triggered("b")
    assert sorted(triggered()) == ["a", "b"]


def test_touching_a_known_file_is_no_change(inbox: Path) -> None:
    monitor = a_monitor(inbox, mode="inotify")
    (inbox / "a").write_text("x")
    with running():
        is_watched(monitor)
        has_triggered("a")
        start_over()
        (inbox / "a").touch()
        (inbox / "a").chmod(0o600)
        (inbox / "b").write_text("x")
        has_triggered("b")
    assert triggered() == ["a", "b"]


def test_once_ends_by_itself_with_all_queued(inbox: Path, mode: str) -> None:
    a_monitor(inbox, mode=mode)
    (inbox / "a").touch()
    DirMonitorService(once=True).run()
    assert triggered() == ["a"]


def test_a_dry_run_says_what_would_be_queued_and_changes_nothing(inbox: Path, mode: str) -> None:
    a_monitor(inbox, mode=mode, name="In")
    (inbox / "a").touch()
    said: list[str] = []
    DirMonitorService(once=True, say=said.append).run()
    assert said == [f"In: 1 file: {inbox / 'a'}"]
    assert requests() == []
    assert not HandedOver.objects.exists()


def test_what_is_gone_is_forgotten(inbox: Path, mode: str) -> None:
    a_monitor(inbox, mode=mode)
    (inbox / "a").touch()
    with running():
        has_triggered("a")
        (inbox / "a").unlink()
        wait_until(lambda: not HandedOver.objects.exists(), 30, "the ledger to forget it")


def test_a_share_that_hangs_holds_up_no_other_and_recovers(
    inbox: Path, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the share: a look at its path doesn't return."""
    answers, find_roots = threading.Event(), scanning.find_roots
    share = tmp_path / "share"
    share.mkdir()

    def hanging(path: bytes) -> dict[bytes, scanning.Identity]:
        if path == os.fsencode(share):
            answers.wait(120)
        return find_roots(path)

    monkeypatch.setattr(scanning, "find_roots", hanging)
    a_monitor(share, mode=mode, name="Share")
    a_monitor(inbox, mode=mode)
    (share / "there").touch()
    (inbox / "here").touch()
    try:
        with running():
            has_triggered("here")
            unreachable = DirMonitor.objects.filter(name="Share", status="unreachable")
            wait_until(unreachable.exists, 30, "the share to be shown as unreachable")
            answers.set()
            has_triggered("there")
    finally:
        answers.set()


def test_a_database_that_is_away_loses_nothing(
    inbox: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away, hand_over, refused = threading.Event(), dispatch.hand_over, threading.Event()
    is_away.set()

    def away(*args: Any) -> Any:
        if is_away.is_set():
            refused.set()
            raise OperationalError("the server has gone")
        return hand_over(*args)

    monkeypatch.setattr(dispatch, "hand_over", away)
    a_monitor(inbox, mode=mode)
    (inbox / "a").touch()
    with running():
        wait_until(refused.is_set, 30, "the first try")
        assert triggered() == []
        is_away.clear()
        has_triggered("a")
    assert triggered() == ["a"]


def test_a_file_that_is_gone_before_it_settled(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, settle=1)
    with running():
        is_watched(monitor)
        (inbox / "gone").touch()
        (inbox / "gone").unlink()
        (inbox / "stays").touch()
        has_triggered("stays")
    assert triggered() == ["stays"]
