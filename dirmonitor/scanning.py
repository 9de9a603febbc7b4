"""Looks at directories and files; knows nothing of monitors, events or time.

Each look may take as long as the file system likes, so nothing here is called by who must not wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from . import matching, own_files
from .settling import Signature

T = TypeVar("T")

#: Device and inode: another directory in its place has others.
Identity = tuple[int, int]

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}
#: Why a link can't be followed.
_NO_WAY = {errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG}


@dataclass(frozen=True)
class Target:
    """Which files are meant."""

    path: bytes
    masks: str
    recursive: bool

    def lies_in(self, path: bytes, roots: Container[bytes]) -> bool:
        """Whether a path is one of these roots, or where files of one of them may lie."""
        return matching.belongs(path, roots, recursive=self.recursive)

    def means(self, path: bytes, roots: Container[bytes]) -> bool:
        """Whether this file is, or would be, among them while the path stands for these roots."""
        if path == self.path and path in roots:  # one file, by its name
            return True
        fits = matching.matches(os.path.basename(path), self.masks)
        return fits and self.lies_in(path, roots)


@dataclass
class Scan:
    """What lies where a target leads."""

    #: What the path stands for now.
    roots: dict[bytes, Identity] = field(default_factory=dict)
    files: dict[bytes, Signature] = field(default_factory=dict)
    directories: set[bytes] = field(default_factory=set)
    #: What couldn't be read, and why; of what lies there nothing is known.
    errors: dict[bytes, OSError] = field(default_factory=dict)
    #: Some are links, or have further names: they may change without anything happening here.
    has_links: bool = False

    def __contains__(self, path: object) -> bool:
        """Whether a file was found, or lies where nothing could be read."""
        return path in self.files or (
            isinstance(path, bytes)
            and any(path == unread or path.startswith(unread + b"/") for unread in self.errors)
        )


def find_roots(path: bytes) -> dict[bytes, Identity]:
    """What a path stands for now.

    Raises:
        OSError: that can't be told; not for a path that isn't there, nor for one of many that a
            wildcard stands for and that can't be entered or followed.
    """
    if not matching.is_wild(os.fsdecode(path)):
        found = [(path, _status(path))]
    else:
        paths = matching.roots(path, lambda p: _passable(_exists, p) or False, _names)
        found = [(root, _passable(_status, root)) for root in paths]
    return {root: (status.st_dev, status.st_ino) for root, status in found if status is not None}


def _passable(look: Callable[[bytes], T], path: bytes) -> T | None:
    """What a look shows; None if the way there is barred, for this path alone."""
    try:
        return look(path)
    except OSError as error:
        if error.errno in _NO_WAY:
            return None
        raise


def scan(target: Target, on_directory: Callable[[bytes], None]) -> Scan:
    """All files that are meant. A link to a file counts as the file; one to a directory isn't
    followed below the root.

    Args:
        on_directory: called with each directory before it is listed, so that who watches it misses
            nothing.

    Raises:
        OSError: the path itself can't be looked at.
    """
    found = Scan(find_roots(target.path))
    for root in found.roots:
        status = _status(root)
        if status is not None and stat.S_ISDIR(status.st_mode):
            _walk([root], target, found, on_directory)
        elif status is not None and stat.S_ISREG(status.st_mode) and target.means(root, [root]):
            parent = os.path.dirname(root)
            found.directories.add(parent)
            on_directory(parent)
            _add(root, os.path.islink(root), found)
        elif status is not None and root == target.path and not stat.S_ISREG(status.st_mode):
            found.errors[root] = OSError(errno.EINVAL, "It is neither a directory nor a file")
    return found


def scan_below(
    directories: Iterable[bytes], target: Target, on_directory: Callable[[bytes], None]
) -> Scan:
    """What a scan would find in these directories, which lie where the target's files may."""
    found = Scan()
    _walk(list(directories), target, found, on_directory)
    return found


def _walk(
    left: list[bytes], target: Target, found: Scan, on_directory: Callable[[bytes], None]
) -> None:
    fits = matching.fitting(target.masks)
    while left:
        directory = left.pop()
        try:
            on_directory(directory)
            with os.scandir(directory) as entries:
                listed = list(entries)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                found.errors[directory] = error
            continue
        found.directories.add(directory)
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                if target.recursive:
                    left.append(entry.path)
            elif fits(entry.name):
                _add(entry.path, entry.is_symlink(), found)


def _add(path: bytes, is_link: bool, found: Scan) -> None:
    try:
        status = _status_of_file(path)
    except OSError as error:
        found.errors[path] = error
        return
    if is_link or (status is not None and status.st_nlink > 1):
        found.has_links = True
    if status is not None and stat.S_ISREG(status.st_mode):
        found.files[path] = _signature(status)


def signature(path: bytes) -> Signature | None:
    """By what a version of a file is told from another one; None if there is no regular file.

    Raises:
        OSError: that can't be told.
    """
    status = _status_of_file(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return _signature(status)


def kind(path: bytes) -> tuple[bool, bool]:
    """Whether it is, or leads to, a regular file; and whether it is a link, perhaps to nothing, or
    has further names, so that it may change without anything happening where it lies.

    Raises:
        OSError: that can't be told.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False, False
    if stat.S_ISLNK(status.st_mode):
        return signature(path) is not None, True
    return stat.S_ISREG(status.st_mode), status.st_nlink > 1


def _signature(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns


def is_open_for_writing(path: bytes) -> bool | None:
    """Whether somebody has a file open for writing, or writable in memory; None if nobody can tell.

    A lease for reading is given by the kernel only where there is no writer; it is given back at
    once. Only the file's owner, or who has CAP_LEASE, may ask, and only on a local file system. Who
    asks must ignore SIGIO: it comes when somebody opens the file meanwhile.
    """
    if own_files.is_own(path):
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except BlockingIOError:
        return True  # another one's lease is being broken
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def writers(paths: Iterable[bytes]) -> dict[bytes, int]:
    """Which process has a file open for writing, as far as ``/proc`` shows it; no file is asked.

    Only the root user sees everybody's.
    """
    wanted, found = set(paths), dict[bytes, int]()
    for process in filter(str.isdecimal, os.listdir("/proc")):
        for descriptor in _descriptors(process):
            with suppress(OSError):  # it is closed meanwhile, as the one that listed them
                path = os.fsencode(os.readlink(f"/proc/{process}/fd/{descriptor}"))
                if path in wanted and _writes(process, descriptor):
                    found[path] = int(process)
        if found.keys() == wanted:
            break
    return found


def _descriptors(process: str) -> list[str]:
    try:
        return os.listdir(f"/proc/{process}/fd")
    except OSError:  # it is gone, or another user's
        return []


def _writes(process: str, descriptor: str) -> bool:
    info = Path(f"/proc/{process}/fdinfo/{descriptor}").read_text().split()
    return int(info[info.index("flags:") + 1], 8) & os.O_ACCMODE != os.O_RDONLY


def _status(path: bytes) -> os.stat_result | None:
    """None if there is no such path.

    Raises:
        OSError: that can't be told.
    """
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


def _status_of_file(path: bytes) -> os.stat_result | None:
    """The same; a link that can't be followed leads to nothing."""
    try:
        return _status(path)
    except OSError as error:
        if error.errno in _NO_WAY and os.path.islink(path):
            return None
        raise


def _exists(path: bytes) -> bool:
    return _status(path) is not None


def _names(directory: bytes) -> Iterator[bytes]:
    try:
        yield from os.listdir(directory)
    except OSError as error:
        if error.errno not in _NOT_THERE | {errno.EACCES}:
            raise
