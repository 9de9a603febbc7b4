"""The directory monitor's service on real directories, by events and by polling."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from dirmonitor import dispatch, scanning, service
from dirmonitor.models import DirMonitor, HandedOver
from dirmonitor.service import DirMonitorService
from tests.builders import a_job, a_monitor
from tests.monitors import (
    PATIENCE,
    all_settled,
    has_triggered,
    is_watched,
    requests,
    running,
    start_over,
    triggered,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sigio_ignored")]


def test_files_that_lay_there_are_one_request_that_names_them(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, priority=3, queue="files")
    for number in range(1000):
        (inbox / f"{number:04}").touch()
    with running():
        wait_until(lambda: HandedOver.objects.count() == 1000, PATIENCE, "all of them")
    [request] = requests()
    assert (request.priority, request.queue, request.job) == (3, "files", monitor.job)
    assert request.requested_by == monitor.name
    assert request.details["count"] == 1000
    assert len(request.details["files"]) == 100


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


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/tmp/a\0b", "NUL"),
        ("/", "“/” itself"),
        ("//.", "“/” itself"),
        ("in", "absolute"),
        ("", "ab"),
    ],
)
def test_a_row_that_makes_no_sense_disturbs_no_other(
    inbox: Path, mode: str, path: str, why: str
) -> None:
    if connection.vendor == "postgresql" and "\0" in path:
        pytest.skip("it stores no NUL")
    wrong = a_monitor(path, mode=mode)
    a_monitor(inbox, mode=mode)
    (inbox / "a").write_text("x")
    with running():
        has_triggered("a")

        def is_said() -> bool:
            wrong.refresh_from_db()
            return wrong.status == "unreachable" and why in wrong.status_note

        wait_until(is_said, PATIENCE, "the status to say so")
        wrong.path = str(inbox)
        wrong.save(update_fields=["path"])
        is_watched(wrong)


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
            PATIENCE,
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


def test_another_settle_time_holds_for_files_that_settle_already(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, settle=3600)
    (inbox / "a").write_text("x")

    def is_pending() -> bool:
        monitor.refresh_from_db()
        return monitor.files_pending == 1

    with running():
        wait_until(is_pending, PATIENCE, "it to settle")
        DirMonitor.objects.update(settle=0.2)
        has_triggered("a")


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
        wait_until(is_refused, PATIENCE, "the refusal to be shown")
        job.enabled = True
        job.save()
        has_triggered("a")


def test_a_refused_request_is_made_again_only_when_it_would_be_accepted(
    inbox: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To hand over thousands of files in vain takes long; to ask doesn't."""
    tries: list[set[bytes]] = []
    probes: list[int] = []
    hand_over, refusal = dispatch.hand_over, dispatch.refusal

    def counted(monitor: int, files: dict[bytes, Any], known: dict[bytes, Any]) -> Any:
        tries.append(set(files))
        return hand_over(monitor, files, known)

    def probed(monitor: int) -> str:
        probes.append(monitor)
        return refusal(monitor)

    monkeypatch.setattr(dispatch, "hand_over", counted)
    monkeypatch.setattr(dispatch, "refusal", probed)
    job = a_job(enabled=False)
    a_monitor(inbox, mode=mode, job=job)
    (inbox / "a").touch()
    with running():
        wait_until(lambda: len(probes) >= 3, PATIENCE, "it to be asked for some times")
        assert len(tries) == 1
        job.enabled = True
        job.save()
        has_triggered("a")
    assert len(tries) == 2


def test_a_refusal_is_forgotten_with_its_files(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, job=a_job(enabled=False))
    (inbox / "a").touch()

    def note() -> str:
        monitor.refresh_from_db()
        return monitor.status_note

    with running():
        wait_until(lambda: "disabled" in note(), PATIENCE, "the refusal to be shown")
        (inbox / "a").unlink()
        wait_until(lambda: "disabled" not in note(), PATIENCE, "the refusal to be forgotten")


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
        wait_until(lambda: not HandedOver.objects.exists(), PATIENCE, "the ledger to forget it")


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
            wait_until(unreachable.exists, PATIENCE, "the share to be shown as unreachable")
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
        wait_until(refused.is_set, PATIENCE, "the first try")
        assert triggered() == []
        is_away.clear()
        has_triggered("a")
    assert triggered() == ["a"]


def test_an_error_that_nobody_expected_is_shown_and_tried_again(
    inbox: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_broken, hand_over = threading.Event(), dispatch.hand_over
    is_broken.set()

    def broken(*args: Any) -> Any:
        if is_broken.is_set():
            raise RuntimeError("it can't be")
        return hand_over(*args)

    monkeypatch.setattr(dispatch, "hand_over", broken)
    monitor = a_monitor(inbox, mode=mode)
    (inbox / "a").touch()

    def is_shown() -> bool:
        monitor.refresh_from_db()
        return "RuntimeError: it can't be" in monitor.status_note

    with running():
        wait_until(is_shown, PATIENCE, "the error to be shown")
        is_broken.clear()
        has_triggered("a")


def test_a_file_that_is_gone_before_it_settled(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, settle=3600)
    pending = DirMonitor.objects.filter(files_pending=1)
    with running():
        is_watched(monitor)
        (inbox / "gone").touch()
        wait_until(pending.exists, PATIENCE, "it to be seen")
        (inbox / "gone").unlink()
        (inbox / "at once").touch()
        (inbox / "at once").unlink()
        DirMonitor.objects.update(settle=0.2)
        (inbox / "stays").touch()
        has_triggered("stays")
    assert triggered() == ["stays"]


def test_at_rest_only_a_sign_of_life_is_written(
    inbox: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the service visits nobody but who is polled."""
    written: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            written.append(next(word for word in sql.split() if "_" in word).strip('"`'))
        return execute(sql, params, many, context)

    def listen(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(note)

    monkeypatch.setattr(service, "SIGN_OF_LIFE", timedelta(seconds=1))
    monitors = [a_monitor(inbox, mode=mode, filemask=f"*.{number}") for number in range(5)]
    (inbox / "a.1").touch()
    connection_created.connect(listen)
    try:
        with running():
            has_triggered("a.1")
            for monitor in monitors:
                is_watched(monitor)
            all_settled()
            written.clear()
            wait_until(lambda: len(written) >= 5, PATIENCE, "signs of life")
            assert set(written) == {"dirmonitor_service"}
    finally:
        connection_created.disconnect(listen)
