"""Looks at real directories, and what inotify tells of them."""

from __future__ import annotations

import mmap
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dirmonitor import own_files, scanning, watching
from dirmonitor.scanning import Scan, Target
from dirmonitor.settling import Event
from dirmonitor.watching import Hint, Watcher
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("sigio_ignored")


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
        assert not found.errors
        assert found.has_links
        assert found.files[os.fsencode(inside / "link")][1] == 1

    def test_what_is_no_regular_file_is_none(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert names(scan(tmp_path)) == set()

    def test_a_path_that_is_neither_a_directory_nor_a_file_is_an_error(
        self, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "device").symlink_to("/dev/null")
        for name in ("pipe", "device"):
            assert list(scan(tmp_path / name).errors) == [os.fsencode(tmp_path / name)]
            assert not scan(tmp_path / f"{name}*").errors

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

    def test_one_bad_neighbour_among_those_of_a_wildcard(self, tmp_path: Path) -> None:
        (tmp_path / "in1").mkdir()
        (tmp_path / "in1" / "a").touch()
        (tmp_path / "in2").symlink_to("in2")
        assert names(scan(tmp_path / "in?")) == {b"a"}
        assert names(scan(tmp_path / "i*" / "a")) == {b"a"}

    def test_files_that_a_wildcard_stands_for_have_to_fit_as_well(self, tmp_path: Path) -> None:
        for name in ("readme.txt", "a.edi"):
            (tmp_path / name).touch()
        assert names(scan(tmp_path / "*", "*.edi")) == {b"a.edi"}
        assert names(scan(tmp_path / "readme.txt", "*.edi")) == {b"readme.txt"}

    def test_what_could_not_be_read_may_hold_anything(self) -> None:
        found = Scan(files={b"/in/a": (1, 1, 1)}, errors={b"/in/sub": PermissionError()})
        assert b"/in/a" in found
        assert b"/in/sub/b" in found
        assert b"/in/sub" in found
        assert b"/in/subway" not in found

    def test_what_is_not_there_has_no_roots(self, tmp_path: Path) -> None:
        assert scan(tmp_path / "later") == Scan()

    def test_a_loop_as_the_path_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(OSError, match="symbolic links"):
            scan(tmp_path / "loop")


READ = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT * FROM a").fetchall()
connection.close()
"""


@pytest.fixture
def _spared() -> Iterator[None]:
    """What this process spares is forgotten afterwards."""
    yield
    own_files.spare([])


@pytest.mark.usefixtures("_spared")
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

    @pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
    def test_sqlite_keeps_its_locks_on_a_database_of_this_process(
        self, tmp_path: Path, ending: str
    ) -> None:
        database, link = tmp_path / "db.sqlite3", tmp_path / "link"
        link.symlink_to(f"{database}{ending}")
        own_files.spare([database])
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=wal")
            connection.execute("CREATE TABLE a (b)")
            for path in (f"{database}{ending}", str(link)):
                assert scanning.is_open_for_writing(os.fsencode(path)) is True
            # The last one that closes a database takes its log away.
            subprocess.run([sys.executable, "-c", READ, database], check=True)
            assert Path(f"{database}-wal").exists()

    def test_a_neighbour_of_such_a_database_is_asked(self, tmp_path: Path) -> None:
        own_files.spare([tmp_path / "db.sqlite3"])
        for directory in (tmp_path, tmp_path / "sub"):
            directory.mkdir(exist_ok=True)
        for file in (tmp_path / "db.sqlite3-old", tmp_path / "sub" / "db.sqlite3"):
            file.touch()
            assert scanning.is_open_for_writing(os.fsencode(file)) is False

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

        wait_until(told, 90, str(expected))

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

        wait_until(told, 90, "the next file")
        assert {hint.path for hint in seen} == {os.fsencode(watched.path / "b")}

    def test_it_tells_of_new_and_vanished_directories(
        self, watched: Watched, tmp_path: Path
    ) -> None:
        (watched.path / "sub").mkdir()
        watched.heard(Hint(1, directory=os.fsencode(watched.path / "sub")))
        (watched.path / "sub").rename(tmp_path / "away")
        watched.heard(Hint(1))
        watched.path.rmdir()
        watched.heard(Hint(1, directory=os.fsencode(watched.path)))
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
