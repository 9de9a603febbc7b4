"""Threads for tasks that may hang, and which paths lead to shares."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dirmonitor import looking, scanning
from dirmonitor.looking import Glance, Threads, glance
from dirmonitor.mounts import Mounts, is_remote, kinds
from dirmonitor.scanning import Identity, Target
from tests.waiting import wait_until

MOUNTINFO = rb"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:25 / /mnt/a\040share rw shared:9 - nfs4 server:/x rw
31 22 0:26 / /data/ssh rw - fuse.sshfs me@there: rw
32 22 0:27 / /covered rw - cifs //server/x rw
33 32 0:28 / /covered rw - tmpfs none rw
"""


class Pool:
    """Threads, their results, and how many there are of them."""

    def __init__(self) -> None:
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self.ended = 0
        self.threads: Threads[int, int] = Threads(self._wake, self._end)
        self.results: list[int] = []

    def _end(self) -> None:
        self.ended += 1

    def has(self, *results: int) -> bool:
        """Whether these were done; keeps them going meanwhile."""
        self.threads.attend()
        self.results += [result for _, result in self.threads.finished()]
        return set(results) <= set(self.results)


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.threads.end(90)


class TestThreads:
    def test_one_is_enough_for_what_is_quick(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(looking, "_STUCK", 3600)  # on a slow machine, quick takes its time
        used: list[int] = []

        def note(number: int) -> int:
            used.append(threading.get_ident())
            return number

        for number in range(100):
            pool.threads.submit(number, partial(note, number))
        wait_until(lambda: pool.has(*range(100)), 90, "all to be done")
        assert pool.results == list(range(100))
        assert len(set(used)) == 1

    def test_those_that_hang_hold_up_no_other(self, pool: Pool) -> None:
        answers = threading.Event()

        def waiting(number: int) -> int:
            answers.wait(60)
            return number

        try:
            for number in range(3):
                pool.threads.submit(number, partial(waiting, number))
            pool.threads.submit(3, lambda: 3)
            wait_until(lambda: pool.has(3), 90, "the one that doesn't hang")
            assert pool.results == [3]
        finally:
            answers.set()
        wait_until(lambda: pool.has(0, 1, 2), 90, "the others")

    def test_at_the_end_all_have_ended(self, pool: Pool) -> None:
        pool.threads.submit(0, lambda: 0)
        wait_until(lambda: pool.has(0), 90, "it to be done")
        assert pool.ended == 0
        pool.threads.end(90)
        assert pool.ended == 1

    def test_nothing_waits(self, pool: Pool) -> None:
        assert pool.threads.attend() is None


def a_glance(paths: list[bytes]) -> Glance:
    """At paths that stand for nothing, where some shares are mounted."""
    expected: dict[int, tuple[Target, dict[bytes, Identity]]] = {
        number: (Target(path, "*", False), {}) for number, path in enumerate(paths)
    }
    return Glance(expected, Mounts(MOUNTINFO.strip()))


class TestMounts:
    def test_what_is_mounted_where(self) -> None:
        found = kinds(MOUNTINFO.strip())
        assert found.pop(b"/mnt/a share") == "nfs4"
        assert found == {b"/": "ext4", b"/data/ssh": "fuse.sshfs", b"/covered": "tmpfs"}

    def test_a_root_that_is_a_share(self) -> None:
        mounts = Mounts(MOUNTINFO.strip().replace(b"ext4", b"9p"))
        assert mounts.share(b"/in", recursive=False) == "9p"
        assert mounts.share(b"/covered/in", recursive=False) == ""

    @pytest.mark.parametrize(
        ("path", "recursive", "expected"),
        [
            (b"/mnt/a share", False, "nfs4"),
            (b"/mnt/a share/deep/in", False, "nfs4"),
            (b"/mnt/a shared", False, ""),
            (b"/data", False, ""),
            (b"/data", True, "fuse.sshfs"),
            (b"/data/*/in", False, "fuse.sshfs"),
            (b"/", True, "fuse.sshfs, nfs4"),
            (b"/covered", True, ""),
        ],
    )
    def test_which_paths_lead_there(self, path: bytes, recursive: bool, expected: str) -> None:
        assert Mounts(MOUNTINFO.strip()).share(path, recursive=recursive) == expected

    def test_links_are_followed_up_to_the_share(self, tmp_path: Path) -> None:
        (tmp_path / "one").symlink_to("two")
        (tmp_path / "two").symlink_to("/mnt/./a share/x")
        (tmp_path / "up").symlink_to("../../../../../../../../data/ssh")
        (tmp_path / "loop").symlink_to("loop")
        mounts = Mounts(MOUNTINFO.strip())
        at = {name: os.fsencode(tmp_path / name) for name in ("one", "up", "loop")}
        assert mounts.share(at["one"] + b"/in", recursive=False) == "nfs4"
        assert mounts.share(at["up"], recursive=False) == "fuse.sshfs"
        assert mounts.share(at["loop"] + b"/in", recursive=False) == ""

    def test_links_of_many_paths_are_read_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[bytes] = []

        def noted(path: bytes) -> bytes:
            read.append(path)
            return readlink(path)

        readlink = os.readlink
        monkeypatch.setattr(os, "readlink", noted)
        paths = [os.fsencode(tmp_path / str(number)) for number in range(100)]
        done = glance(a_glance(paths))
        assert done.changed == []
        assert len(read) == len(set(read)) == 100 + len(tmp_path.parts) - 1

    def test_a_glance_tells_of_a_path_that_leads_to_a_share_now(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And doesn't touch it, since it might hang."""
        looked: list[bytes] = []

        def noted(path: bytes) -> dict[bytes, Identity]:
            looked.append(path)
            return {}

        monkeypatch.setattr(scanning, "find_roots", noted)
        (tmp_path / "share").symlink_to("/data/ssh/in")
        paths = [os.fsencode(tmp_path / name) for name in ("local", "share")]
        done = glance(a_glance(paths))
        assert (done.changed, looked) == ([1], paths[:1])

    def test_types(self) -> None:
        assert is_remote("nfs4")
        assert is_remote("fuse.sshfs")
        assert not is_remote("ext4")
