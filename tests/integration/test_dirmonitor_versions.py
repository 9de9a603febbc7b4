"""What is another version of a file that was handed over, and what isn't."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dirmonitor.models import HandedOver
from tests.builders import a_monitor
from tests.commands import run
from tests.monitors import (
    PATIENCE,
    barrier,
    has_triggered,
    is_watched,
    running,
    start_over,
    triggered,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sigio_ignored")]


def _rewritten(file: Path) -> None:
    file.write_text("y")


def _appended_to(file: Path) -> None:
    with file.open("a") as opened:
        opened.write("y")


def _replaced(file: Path) -> None:
    new = file.parent.with_name("new")
    new.write_text("x")
    new.rename(file)


def _deleted_and_made_again(file: Path) -> None:
    file.unlink()
    file.write_text("x")


def _changed_places(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("longer")
    has_triggered("other")
    start_over()
    exchange = 2
    at = (-100, os.fsencode(file), -100, os.fsencode(other), exchange)
    if ctypes.CDLL(None, use_errno=True).renameat2(*at):
        pytest.skip(os.strerror(ctypes.get_errno()))


@pytest.mark.parametrize(
    "change", [_rewritten, _appended_to, _replaced, _deleted_and_made_again, _changed_places]
)
def test_a_new_version_triggers_again(
    inbox: Path, mode: str, change: Callable[[Path], None]
) -> None:
    a_monitor(inbox, mode=mode)
    (inbox / "a").write_text("x")
    with running():
        has_triggered("a")
        start_over()
        change(inbox / "a")
        wait_until(lambda: triggered().count("a") == 2, PATIENCE, "the second version")


def _read(file: Path) -> None:
    file.read_text()


def _changed_modes(file: Path) -> None:
    file.chmod(0o640)


def _given_another_name_elsewhere(file: Path) -> None:
    os.link(file, file.parent.with_name("elsewhere"))


def _locked(file: Path) -> None:
    run("flock", file, "true")


def _given_an_attribute(file: Path) -> None:
    try:
        os.setxattr(file, "user.note", b"x")
    except OSError as error:
        pytest.skip(f"no extended attributes: {error.strerror}")


@pytest.mark.parametrize(
    "change",
    [_read, _changed_modes, _given_another_name_elsewhere, _locked, _given_an_attribute],
)
def test_what_changes_no_content_is_no_version(
    inbox: Path, mode: str, change: Callable[[Path], None]
) -> None:
    a_monitor(inbox, mode=mode)
    (inbox / "a").write_text("x")
    with running():
        has_triggered("a")
        start_over()
        change(inbox / "a")
        barrier(inbox, "first")
        start_over()
        barrier(inbox, "second")
    assert triggered() == ["a", "first", "second"]


def test_times_that_were_set_are_no_version_after_a_restart_either(inbox: Path) -> None:
    monitor = a_monitor(inbox, mode="inotify")
    (inbox / "a").write_text("x")
    with running():
        is_watched(monitor)
        has_triggered("a")
        start_over()
        before = HandedOver.objects.get().signature
        os.utime(inbox / "a", (1, 1))
        wait_until(
            lambda: HandedOver.objects.get().signature != before, PATIENCE, "the ledger to know"
        )
    with running():
        barrier(inbox)
    assert triggered() == ["a", "barrier"]
