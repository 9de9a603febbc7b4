"""Every way in which a file arrives, by real writers on real directories; by events and polling."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dirmonitor.models import DirMonitor
from dirmonitor.service import DirMonitorService
from tests.builders import a_monitor
from tests.commands import run
from tests.monitors import (
    PATIENCE,
    all_settled,
    barrier,
    has_triggered,
    is_watched,
    requests,
    running,
    start_over,
    triggered,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sigio_ignored")]


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")


# Writers


def _renamed(inbox: Path, away: Path) -> None:
    (away / "a").write_text("x")
    (away / "a").rename(inbox / "a")


def _linked(inbox: Path, away: Path) -> None:
    (away / "a").write_text("x")
    os.link(away / "a", inbox / "a")


def _link_then_unlinked(inbox: Path, away: Path) -> None:
    _linked(inbox, away)
    (away / "a").unlink()


def _symlinked(inbox: Path, away: Path) -> None:
    (away / "target").write_text("x")
    (inbox / "a").symlink_to(away / "target")


def _copied_with_its_times(inbox: Path, away: Path) -> None:
    (away / "a").write_text("x")
    os.utime(away / "a", (0, 0))
    run("cp", "-p", away / "a", inbox / "a")


def _synchronised(inbox: Path, away: Path) -> None:
    need("rsync")
    (away / "a").write_text("x" * 100_000)
    run("rsync", "-t", away / "a", f"{inbox}/")


def _synchronised_in_place(inbox: Path, away: Path) -> None:
    need("rsync")
    (away / "a").write_text("x" * 100_000)
    run("rsync", "-t", "--inplace", away / "a", f"{inbox}/")


def _without_a_name_at_first(inbox: Path, away: Path) -> None:
    descriptor = os.open(inbox, os.O_TMPFILE | os.O_WRONLY)
    os.write(descriptor, b"x")
    at, follow = -100, 0x400
    source, target = os.fsencode(f"/proc/self/fd/{descriptor}"), os.fsencode(inbox / "a")
    if ctypes.CDLL(None, use_errno=True).linkat(at, source, at, target, follow):
        pytest.skip(os.strerror(ctypes.get_errno()))
    os.close(descriptor)


def _in_the_far_future(inbox: Path, away: Path) -> None:
    (inbox / "a").write_text("x")
    os.utime(inbox / "a", (2**33, 2**33))


def _empty(inbox: Path, away: Path) -> None:
    (inbox / "a").touch()


def _unreadable(inbox: Path, away: Path) -> None:
    (inbox / "a").write_text("x")
    (inbox / "a").chmod(0)


def _truncated_by_its_path(inbox: Path, away: Path) -> None:
    (inbox / "a").touch()
    os.truncate(inbox / "a", 4096)


WRITERS = [
    _renamed, _linked, _link_then_unlinked, _symlinked, _copied_with_its_times, _synchronised,
    _synchronised_in_place, _without_a_name_at_first, _in_the_far_future, _empty, _unreadable,
    _truncated_by_its_path,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
def test_it_triggers_once(
    inbox: Path, away: Path, mode: str, write: Callable[[Path, Path], None]
) -> None:
    monitor = a_monitor(inbox, mode=mode, settle=3600)
    with running():
        is_watched(monitor)
        write(inbox, away)
        # Not before: what lies between two steps of a slow writer would be a version of its own.
        DirMonitor.objects.update(settle=0.2)
        has_triggered("a")
        start_over()
        barrier(inbox, "last")
    assert triggered().count("a") == 1


def test_a_link_to_a_file_that_is_made_later(inbox: Path, away: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        (inbox / "a").symlink_to(away / "target")
        barrier(inbox)
        (away / "new").write_text("x")
        (away / "new").rename(away / "target")
        has_triggered("a")
        start_over()
        barrier(inbox, "last")
    assert triggered().count("a") == 1


# Writers that aren't through


@contextmanager
def _open(inbox: Path) -> Iterator[None]:
    with (inbox / "a").open("w") as file:
        file.write("half")
        file.flush()
        yield


@contextmanager
def _not_written_to(inbox: Path) -> Iterator[None]:
    with (inbox / "a").open("w"):
        yield


@contextmanager
def _allocated(inbox: Path) -> Iterator[None]:
    descriptor = os.open(inbox / "a", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, 1 << 20)
    yield
    os.write(descriptor, b"x")
    os.close(descriptor)


@contextmanager
def _mapped(inbox: Path) -> Iterator[None]:
    descriptor = os.open(inbox / "a", os.O_CREAT | os.O_RDWR)
    os.truncate(descriptor, 4096)
    with mmap.mmap(descriptor, 4096) as memory:
        os.close(descriptor)
        yield
        memory[:1] = b"x"


@contextmanager
def _through_another_name(inbox: Path) -> Iterator[None]:
    outside = inbox.with_name("outside")
    with outside.open("w") as file:
        os.link(outside, inbox / "a")
        yield
        file.write("x")


@contextmanager
def _renamed_while_open(inbox: Path) -> Iterator[None]:
    outside = inbox.with_name("outside")
    with outside.open("w") as file:
        outside.rename(inbox / "a")
        yield
        file.write("x")


@contextmanager
def _by_a_process_of_its_own(inbox: Path) -> Iterator[None]:
    """One that is killed: then the file is as finished as any."""
    code = "import sys, time; f = open(sys.argv[1], 'w'); f.write('x'); f.flush(); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(inbox / "a")]) as writer:
        try:
            wait_until((inbox / "a").exists, PATIENCE, "the writer to begin")
            yield
        finally:
            writer.kill()


UNFINISHED = [
    _open, _not_written_to, _allocated, _mapped, _through_another_name, _renamed_while_open,
    _by_a_process_of_its_own,
]  # fmt: skip


@pytest.mark.parametrize("writing", UNFINISHED)
def test_what_is_not_finished_waits_and_holds_up_nobody(
    inbox: Path, mode: str, writing: Callable[[Path], Iterator[None]]
) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        with writing(inbox):  # type: ignore[attr-defined]
            barrier(inbox, "first")
            barrier(inbox, "second")
            assert "a" not in triggered()
            start_over()
        has_triggered("a")
    assert triggered().count("a") == 1


def test_who_has_a_file_open_is_shown(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)

    def is_said() -> bool:
        monitor.refresh_from_db()
        return monitor.pending_note == f"1 still open for writing by pid {os.getpid()}"

    with running(), (inbox / "a").open("w"):
        wait_until(is_said, PATIENCE, "the writer to be named")


def test_a_file_that_grows_is_said_to(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, settle=3)

    def is_said() -> bool:
        with (inbox / "a").open("a") as file:
            file.write("x")
        monitor.refresh_from_db()
        return monitor.pending_note in ("1 still growing", "1 settling") and grows(monitor)

    def grows(_: object) -> bool:
        seen.add(monitor.pending_note)
        return mode == "inotify" or "1 still growing" in seen

    seen: set[str] = set()
    with running():
        is_watched(monitor)
        wait_until(is_said, PATIENCE, "it to be said")


def test_a_link_to_a_file_that_changes_elsewhere(inbox: Path, away: Path, mode: str) -> None:
    (away / "target").write_text("x")
    (inbox / "a").symlink_to(away / "target")
    a_monitor(inbox, mode=mode)
    with running():
        has_triggered("a")
        start_over()
        (away / "target").write_text("longer")
        wait_until(lambda: triggered().count("a") == 2, PATIENCE, "the second version")


def test_names_of_every_kind(inbox: Path, mode: str) -> None:
    names = [b"\xff\xfe", b"new\nline", b"'\"`$(x)", b"\x1b[31m", b"x" * 255, b" ", b"-rf", b"\\"]
    for name in names:
        (Path(os.fsdecode(os.fsencode(inbox) + b"/" + name))).touch()
    a_monitor(inbox, mode=mode)
    DirMonitorService(once=True).run()
    assert len(triggered()) == len(names)
    DirMonitorService(once=True).run()
    assert len(requests()) == 1


def test_links_that_lead_nowhere_hold_up_nobody(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        (inbox / "loop").symlink_to("loop")
        (inbox / "nowhere").symlink_to("nothing")
        (inbox / "long").symlink_to("/".join(["x" * 250] * 15))
        (inbox / "directory").symlink_to(inbox)
        barrier(inbox)
        all_settled()
    assert triggered() == ["barrier"]
