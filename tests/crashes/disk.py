"""A disk whose power can be cut: what was not synced is gone then (see ``disk.c``)."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests import servers

_SOURCE = Path(__file__).with_name("disk.c")
_PAGE = 4096
_SYNC_ALL = """
import os, sys
for directory, _, files in os.walk(sys.argv[1], topdown=False):
    for path in [*(os.path.join(directory, name) for name in files), directory]:
        if os.path.isdir(path) or os.path.isfile(path):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
"""


def build(directory: Path) -> Path:
    """The library that is laid under programs; skips the test if there is no C compiler."""
    servers.need("cc")
    library = directory / "disk.so"
    options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    subprocess.run([servers.find_compiler(), *options, "-o", library, _SOURCE], check=True)
    return library


class Disk:
    """All below one directory. What is there already is on the disk.

    environment  what a program has to be started with to be on this disk
    """

    def __init__(self, directory: Path, library: Path) -> None:
        self.directory = directory.resolve()
        self._platter = directory.with_name(f"{directory.name}-platter")
        for path in (self._platter / "data", self._platter / "names"):
            path.mkdir(parents=True)
        (self._platter / "lock").touch()
        self._library = ctypes.CDLL(str(library))
        self.environment = {
            "LD_PRELOAD": str(library),
            "JOBQUEUE_TEST_DISK": str(self.directory),
            "JOBQUEUE_TEST_PLATTER": str(self._platter),
        }
        self.sync()

    def sync(self) -> None:
        """Have all that is there now on the disk."""
        command = [sys.executable, "-I", "-S", "-c", _SYNC_ALL, str(self.directory)]
        subprocess.run(command, env=os.environ | self.environment, check=True)

    def cut_power(self, written_back: random.Random | None = None) -> None:
        """Kill all that was started on this disk; afterwards there is what the disk had.

        Args:
            written_back: of what was not synced, any part may have reached a real disk all the
                same. Choose for each changed page of a file; without it, nothing has.
        """
        with (self._platter / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # at once: nothing more gets onto the disk
            self._kill_all()
            left = dict(self._contents(written_back))
            self._replace(left)
        self.sync()

    def _kill_all(self) -> None:
        while users := list(self._users()):
            for process in users:
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def _users(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.environ().get("JOBQUEUE_TEST_DISK") == str(self.directory):
                    yield process

    def _contents(self, written_back: random.Random | None) -> Iterator[tuple[Path, bytes | None]]:
        """What the disk has: each file with its content, each directory with None."""
        unsynced = {self._id(path): path for path in self.directory.rglob("*") if path.is_file()}
        for kind, id_, path in self._names(self.directory, self._id(self.directory)):
            if kind == "d":
                yield path, None
                continue
            kept = self._platter / "data" / id_
            synced = kept.read_bytes() if kept.exists() else b""
            if written_back is None or id_ not in unsynced:
                yield path, synced
            else:
                yield path, _mixed(synced, unsynced[id_].read_bytes(), written_back)

    def _names(self, directory: Path, id_: str) -> Iterator[tuple[str, str, Path]]:
        listed = self._platter / "names" / id_
        for line in listed.read_text().splitlines() if listed.exists() else ():
            kind, below, name = line.split(" ", 2)
            yield kind, below, directory / name
            if kind == "d":
                yield from self._names(directory / name, below)

    def _replace(self, contents: dict[Path, bytes | None]) -> None:
        for path in self.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for kept in [*self._platter.glob("data/*"), *self._platter.glob("names/*")]:
            kept.unlink()
        for path, content in contents.items():
            if content is None:
                path.mkdir()
            else:
                path.write_bytes(content)

    def _id(self, path: Path) -> str:
        """As ``disk.c`` names a file: Python doesn't tell when one was born."""
        id_ = ctypes.create_string_buffer(64)
        if self._library.disk_id(os.fsencode(path), id_):
            raise FileNotFoundError(path)
        return id_.value.decode()


def _mixed(synced: bytes, unsynced: bytes, choice: random.Random) -> bytes:
    """Each page as it was synced, or as it was written since; and one of the two lengths."""
    length = len(choice.choice([synced, unsynced]))
    pages = (
        choice.choice([synced, unsynced])[at : at + _PAGE].ljust(_PAGE, b"\0")
        for at in range(0, length, _PAGE)
    )
    return b"".join(pages)[:length]
