"""The disk of the power cuts forgets what a real one may forget, and nothing else."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crashes.disk import Disk

_PRELUDE = """
import os
def write(name, text, mode="a"):
    file = open(name, mode)
    file.write(text)
    file.flush()
    return file.fileno(), file
def sync(name):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""


@pytest.fixture
def disk(tmp_path: Path, disk_library: Path) -> Disk:
    directory = tmp_path / "disk"
    (directory / "below").mkdir(parents=True)
    (directory / "old").write_text("before.")
    return Disk(directory, disk_library)


def do(disk: Disk, *lines: str) -> None:
    """Run these lines of Python on the disk, in its directory."""
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PRELUDE + "\n".join(lines)],
        cwd=disk.directory,
        env=os.environ | disk.environment,
        check=True,
    )


def left(disk: Disk) -> dict[str, str]:
    """What is there after a power cut."""
    disk.cut_power()
    files = [path for path in disk.directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(disk.directory)): path.read_text() for path in files}


def test_what_was_there_from_the_beginning(disk: Disk) -> None:
    assert left(disk) == {"old": "before."}
    assert (disk.directory / "below").is_dir()


def test_what_was_written_is_lost_unless_it_was_synced(disk: Disk) -> None:
    do(disk, "write('old', 'one.')", "sync('old')", "write('old', 'two.')")
    assert left(disk) == {"old": "before.one."}


def test_fdatasync_is_enough(disk: Disk) -> None:
    do(disk, "fd, _ = write('old', 'one.')", "os.fdatasync(fd)")
    assert left(disk) == {"old": "before.one."}


def test_a_new_file_needs_its_directory_synced(disk: Disk) -> None:
    do(disk, "write('a', '1')", "sync('a')", "write('b', '2')", "sync('b')", "sync('.')")
    assert left(disk) == {"old": "before.", "a": "1", "b": "2"}
    do(disk, "write('c', '3')", "sync('c')")
    assert "c" not in left(disk)


def test_a_name_without_its_content(disk: Disk) -> None:
    do(disk, "write('a', '1')", "sync('.')")
    assert left(disk) == {"old": "before.", "a": ""}


def test_a_directory_below(disk: Disk) -> None:
    do(disk, "write('below/a', '1')", "sync('below/a')", "sync('below')")
    assert left(disk) == {"old": "before.", "below/a": "1"}


@pytest.mark.parametrize("change", ["os.unlink('old')", "os.rename('old', 'new')"])
def test_a_name_that_went_comes_back_unless_its_directory_was_synced(
    disk: Disk, change: str
) -> None:
    do(disk, change)
    assert left(disk) == {"old": "before."}
    do(disk, change, "sync('.')")
    assert "old" not in left(disk)


def test_a_file_cut_short(disk: Disk) -> None:
    do(disk, "write('old', 'short', mode='w')")
    assert left(disk) == {"old": "before."}
    do(disk, "write('old', 'short', mode='w')", "sync('old')")
    assert left(disk) == {"old": "short"}


def test_an_inode_s_number_that_is_used_again_is_another_file(disk: Disk) -> None:
    again = "os.unlink('old')", "fd, _ = write('new', 'another')", "os.fsync(fd)"
    do(disk, *again)
    assert left(disk) == {"old": "before."}


def test_any_page_may_have_been_written_back(disk: Disk) -> None:
    do(disk, "write('old', 'x' * 4096 * 8, mode='w')", "sync('old')")
    do(disk, "write('old', 'y' * 4096 * 8, mode='w')")
    disk.cut_power(written_back=random.Random(1))
    text = (disk.directory / "old").read_text()
    pages = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    assert set(pages) == {"x" * 4096, "y" * 4096}


def test_the_cut_kills_whoever_uses_it(disk: Disk) -> None:
    code = "import os, signal; os.write(1, b'x'); signal.pause()"
    command = [sys.executable, "-I", "-S", "-c", code]
    there = os.environ | disk.environment
    with subprocess.Popen(command, env=there, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        assert user.stdout.read(1) == b"x"
        disk.cut_power()
        assert user.wait(60) == -9
