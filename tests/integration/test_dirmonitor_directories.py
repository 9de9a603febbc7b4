"""Directories that are made, moved, covered and linked while they are watched; wildcards."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import a_monitor
from tests.monitors import (
    PATIENCE,
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


# Directories


def test_made_again_at_once_many_times(inbox: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        for _ in range(30):
            shutil.rmtree(inbox)
            inbox.mkdir()
            (inbox / "a").write_text("x")
        has_triggered("a")
        start_over()
        barrier(inbox, "last")


def test_renamed_away_and_another_one_in_its_place(inbox: Path, tmp_path: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        inbox.rename(tmp_path / "moved")
        (tmp_path / "moved" / "not-here").touch()
        inbox.mkdir()
        barrier(inbox, "here")
        (tmp_path / "moved" / "nor-here").touch()
        start_over()
        barrier(inbox, "last")
    assert triggered() == ["here", "last"]


def test_its_parent_is_replaced(tmp_path: Path, mode: str) -> None:
    inbox = tmp_path / "parent" / "in"
    inbox.mkdir(parents=True)
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        (tmp_path / "parent").rename(tmp_path / "old")
        inbox.mkdir(parents=True)
        barrier(inbox, "here")


def test_a_link_that_is_switched(tmp_path: Path, mode: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"in-{name}").touch()
    (tmp_path / "in").symlink_to("one")
    monitor = a_monitor(tmp_path / "in", mode=mode)
    with running():
        has_triggered("in-one")
        start_over()
        is_watched(monitor)
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(tmp_path / "in")
        has_triggered("in-two")
        start_over()
        (tmp_path / "one" / "no").touch()
        barrier(tmp_path / "two", "yes")
    assert triggered() == ["in-one", "in-two", "yes"]


def test_a_tree_that_is_made_and_one_that_is_moved_here(inbox: Path, away: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode, recursive=True)
    for number in range(20):
        (away / "tree" / str(number) / "sub").mkdir(parents=True)
        (away / "tree" / str(number) / "sub" / f"moved{number}").touch()
    with running():
        is_watched(monitor)
        (away / "tree").rename(inbox / "tree")
        for number in range(20):
            (inbox / str(number) / "sub").mkdir(parents=True)
            (inbox / str(number) / "sub" / f"made{number}").touch()
        wanted = [f"{word}{number}" for word in ("moved", "made") for number in range(20)]
        has_triggered(*wanted)
        start_over()
        (inbox / "tree" / "7" / "sub" / "later").touch()
        (inbox / "7" / "sub" / "later-too").touch()
        has_triggered("later", "later-too")


def test_a_subdirectory_that_is_moved_renamed_and_deleted(
    inbox: Path, away: Path, mode: str
) -> None:
    (inbox / "sub").mkdir()
    monitor = a_monitor(inbox, mode=mode, recursive=True)
    with running():
        is_watched(monitor)
        (inbox / "sub").rename(away / "sub")
        (away / "sub" / "no").touch()
        barrier(inbox, "first")
        start_over()
        (away / "sub").rename(inbox / "other")
        has_triggered("no")
        start_over()
        (inbox / "other").rename(inbox / "third")
        (inbox / "third" / "yes").touch()
        has_triggered("yes")
        start_over()
        shutil.rmtree(inbox / "third")
        (inbox / "third").mkdir()
        barrier(inbox / "third", "again")


def test_subdirectories_do_not_count_unless_asked_for(inbox: Path, away: Path, mode: str) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        (inbox / "sub").mkdir()
        (inbox / "sub" / "no").touch()
        (away / "sub2").mkdir()
        (away / "sub2" / "no-too").touch()
        (away / "sub2").rename(inbox / "sub2")
        barrier(inbox, "yes")
    assert triggered() == ["yes"]


@pytest.fixture
def mounting(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Mounts like ``mount``; the last argument is the mount point."""
    mounted: list[Path] = []

    def mount(*argv: object) -> None:
        done = subprocess.run(["mount", *map(str, argv)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"can't mount: {done.stderr.decode(errors='replace').strip()}")
        mounted.append(Path(str(argv[-1])))

    yield mount
    for point in reversed(mounted):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def is_unmounted(point: Path) -> bool:
    """Unmount it, unless somebody reads it just now, as the service does again and again."""
    return subprocess.run(["umount", point], capture_output=True, check=False).returncode == 0


def test_mounted_over_and_unmounted(inbox: Path, mode: str, mounting: Callable[..., None]) -> None:
    monitor = a_monitor(inbox, mode=mode)
    with running():
        is_watched(monitor)
        mounting("-t", "tmpfs", "none", inbox)
        barrier(inbox, "on-top")
        start_over()
        wait_until(lambda: is_unmounted(inbox), PATIENCE, "nobody to look at it")
        barrier(inbox, "below")
        start_over()
        mounting("-t", "tmpfs", "none", inbox)
        barrier(inbox, "again")


@pytest.mark.parametrize("recursive", [False, True])
def test_bound_over(
    inbox: Path, away: Path, mode: str, mounting: Callable[..., None], recursive: bool
) -> None:
    """The files that show lay there before: no event tells of them."""
    target = inbox / "sub" if recursive else inbox
    target.mkdir(exist_ok=True)
    (away / "shown").touch()
    monitor = a_monitor(inbox, mode=mode, recursive=recursive)
    with running():
        is_watched(monitor)
        mounting("--bind", away, target)
        has_triggered("shown")
        start_over()
        barrier(away, "through-the-other-path")


# Paths


def test_one_file(inbox: Path, away: Path, mode: str) -> None:
    monitor = a_monitor(inbox / "a", mode=mode)
    (inbox / "a").write_text("x")
    with running():
        has_triggered("a")
        start_over()
        is_watched(monitor)
        (inbox / "b").touch()
        (away / "a").write_text("y")
        (away / "a").rename(inbox / "a")
        wait_until(lambda: triggered().count("a") == 2, PATIENCE, "the second version")
        start_over()
        shutil.rmtree(inbox)
        inbox.mkdir()
        (inbox / "a").write_text("z")
        wait_until(lambda: triggered().count("a") == 3, PATIENCE, "the third version")
    assert triggered() == ["a", "a", "a"]


def test_wildcards_and_directories_that_come_later(tmp_path: Path, mode: str) -> None:
    (tmp_path / "one" / "in").mkdir(parents=True)
    monitor = a_monitor(tmp_path / "*" / "in", mode=mode)
    with running():
        is_watched(monitor)
        barrier(tmp_path / "one" / "in", "first")
        start_over()
        (tmp_path / "two" / "in").mkdir(parents=True)
        (tmp_path / "two" / "out").mkdir()
        (tmp_path / "two" / "out" / "no").touch()
        barrier(tmp_path / "two" / "in", "second")
    assert triggered() == ["first", "second"]


def test_nested_monitors_and_many_masks(inbox: Path, mode: str) -> None:
    (inbox / "sub").mkdir()
    everything = a_monitor(inbox, mode=mode, recursive=True, name="everything")
    below = a_monitor(inbox / "sub", mode=mode, name="below")
    kinds = [a_monitor(inbox, mode=mode, filemask=f"*.{n}", name=f"{n}") for n in range(20)]
    with running():
        for monitor in (everything, below, *kinds):
            is_watched(monitor)
        (inbox / "sub" / "deep.3").touch()
        for number in range(20):
            (inbox / f"a.{number}").touch()
        # Each of the 20, and all of them below it, and the deep one twice.
        wait_until(lambda: sum(r.details["count"] for r in requests()) == 42, PATIENCE, "all")
    found = {request.requested_by: sorted(request.details["files"]) for request in requests()}
    assert found.pop("below") == [str(inbox / "sub" / "deep.3")]
    assert len(found.pop("everything")) == 21
    assert found == {f"{n}": [str(inbox / f"a.{n}")] for n in range(20)}
