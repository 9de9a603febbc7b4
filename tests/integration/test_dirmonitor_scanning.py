"""Looks at real directories, and what inotify tells of them."""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirmonitor import scanning, watching
from dirmonitor.scanning import Scan, Target
from dirmonitor.settling import Event
from dirmonitor.watching import Hint, Watcher
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _ignore_sigio() -> Iterator[None]:
    """As the service does: it comes when a file is opened while it is looked at."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


def scan(path: Path, masks: str = "*", recursive: bool = False) -> Scan:
    return scanning.scan(Target(os.fsencode(path), masks, recursive), lambda _: None)


def names(found: Scan) -> set[bytes]:
    return {os.path.basename(path) for path in found.files}


class TestScan:
    def test_only_files_that_fit_and_lie_in_the_directory_itself(self, tmp_path: Path) -> None:
        for name in ("a.edi", "b.csv", "sub/c.edi"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        assert names(scan(tmp_path, "*.edi")) == {b"a.edi"}
        assert names(scan(tmp_path, "*.edi", recursive=True)) == {b"a.edi", b"c.edi"}

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        name = b"\xff\n'\x1b[31m" + b"x" * 240
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).touch()
        assert names(scan(tmp_path)) == {name}

    def test_links_to_files_count_and_loops_are_not_followed(self, tmp_path: Path) -> None:
        inside = tmp_path / "in"
        (inside / "sub").mkdir(parents=True)
        (inside / "sub" / "loop").symlink_to(inside)
        (inside / "itself").symlink_to("itself")
        (inside / "nowhere").symlink_to("nothing")
        (tmp_path / "target").write_text("x")
        (inside / "link").symlink_to(tmp_path / "target")
        found = scan(inside, recursive=True)
        assert names(found) == {b"link"}
        assert found.files[os.fsencode(inside / "link")][1] == 1

    def test_what_is_no_regular_file_is_none(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert names(scan(tmp_path)) == set()

    def test_one_file(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        (tmp_path / "b").touch()
        assert names(scan(tmp_path / "a")) == {b"a"}

    def test_wildcards(self, tmp_path: Path) -> None:
        for directory in ("in1", "in2", "in[1]"):
            (tmp_path / directory).mkdir()
            (tmp_path / directory / f"of-{directory}").touch()
        assert names(scan(tmp_path / "in?")) == {b"of-in1", b"of-in2"}
        assert names(scan(tmp_path / "in[1]")) == {b"of-in[1]"}

    def test_what_is_not_there_has_no_roots(self, tmp_path: Path) -> None:
        assert scan(tmp_path / "later") == Scan()

    def test_a_loop_as_the_path_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(OSError, match="symbolic links"):
            scan(tmp_path / "loop")


class TestOpenForWriting:
    def test_a_writer_is_seen_until_it_closes(self, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path / "a")
        with (tmp_path / "a").open("w"):
            assert scanning.is_open_for_writing(path) is True
        assert scanning.is_open_for_writing(path) is False

    def test_a_reader_is_no_writer(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        with (tmp_path / "a").open():
            assert scanning.is_open_for_writing(os.fsencode(tmp_path / "a")) is False

    def test_memory_that_is_mapped_for_writing(self, tmp_path: Path) -> None:
        file = tmp_path / "a"
        file.write_bytes(b"x" * 4096)
        descriptor = os.open(file, os.O_RDWR)
        mapped = mmap.mmap(descriptor, 4096)
        os.close(descriptor)
        assert scanning.is_open_for_writing(os.fsencode(file)) is True
        mapped.close()
        assert scanning.is_open_for_writing(os.fsencode(file)) is False

    def test_a_file_that_is_gone_can_not_be_told(self, tmp_path: Path) -> None:
        assert scanning.is_open_for_writing(os.fsencode(tmp_path / "gone")) is None


def test_file_systems_of_others_are_remote() -> None:
    assert scanning.is_remote("nfs4")
    assert scanning.is_remote("fuse.sshfs")
    assert not scanning.is_remote("ext4")
    assert scanning.file_system(os.stat("/proc").st_dev) == "proc"


class Watched:
    """A directory that is watched for monitor 1, and what was heard of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.watcher = path, Watcher()
        self.watcher.watch(1, os.fsencode(path))

    def heard(self, *expected: Hint) -> None:
        """Wait until all of these were told."""
        hints: set[Hint] = set()

        def told() -> bool:
            hints.update(self.watcher.read())
            return hints >= set(expected)

        wait_until(told, 10, str(expected))

    def of(self, name: str, event: Event) -> Hint:
        return Hint(1, os.fsencode(self.path / name), event)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "in").mkdir()
    found = Watched(tmp_path / "in")
    yield found
    found.watcher.close()


class TestWatcher:
    def test_it_tells_what_happens_to_files(self, watched: Watched, tmp_path: Path) -> None:
        file = watched.path / "a"
        file.write_text("x")
        watched.heard(*(watched.of("a", e) for e in (Event.ARRIVED, Event.WRITTEN, Event.CLOSED)))
        os.utime(file, (0, 0))
        watched.heard(watched.of("a", Event.TOUCHED))
        file.rename(tmp_path / "a")
        watched.heard(watched.of("a", Event.LEFT))
        (tmp_path / "a").rename(file)
        watched.heard(watched.of("a", Event.ARRIVED))

    def test_looking_at_files_tells_nothing(self, watched: Watched) -> None:
        (watched.path / "a").touch()
        watched.heard(watched.of("a", Event.CLOSED))
        scan(watched.path)
        scanning.is_open_for_writing(os.fsencode(watched.path / "a"))
        (watched.path / "b").touch()
        seen: list[Hint] = []

        def told() -> bool:
            seen.extend(watched.watcher.read())
            return watched.of("b", Event.CLOSED) in seen

        wait_until(told, 10, "the next file")
        assert {hint.path for hint in seen} == {os.fsencode(watched.path / "b")}

    def test_new_and_vanished_directories_ask_for_a_scan(self, watched: Watched) -> None:
        (watched.path / "sub").mkdir()
        watched.heard(Hint(1))
        (watched.path / "sub").rmdir()
        watched.heard(Hint(1))
        watched.path.rmdir()
        watched.heard(Hint(1))
        assert watched.watcher.count() == 0

    def test_a_directory_is_watched_for_each_monitor_once(self, watched: Watched) -> None:
        watched.watcher.watch(2, os.fsencode(watched.path))
        watched.watcher.watch(2, os.fsencode(watched.path))
        assert watched.watcher.count() == 1
        watched.watcher.keep_only(1, ())
        (watched.path / "a").touch()
        watched.heard(Hint(2, os.fsencode(watched.path / "a"), Event.ARRIVED))
        watched.watcher.keep_only(2, ())
        assert watched.watcher.count() == 0

    def test_without_inotify_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def none_left(**_: object) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(watching, "INotify", none_left)
        watcher = Watcher()
        assert watcher.fileno() is None
        assert list(watcher.read()) == []
        with pytest.raises(watching.OutOfWatches, match="max_user_instances"):
            watcher.watch(1, os.fsencode(tmp_path))
