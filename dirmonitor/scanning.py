"""Looks at directories and files; knows nothing of monitors, events or time.

Each look may take as long as the file system likes, so nothing here is called by who must not wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import matching
from .settling import Signature

#: Device and inode: another directory in its place has others.
Identity = tuple[int, int]

#: File systems whose changes are made elsewhere, or of which the kernel can't tell.
_REMOTE = {
    *("9p", "afs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs"),
    *("nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "vboxsf", "virtiofs"),
}
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True)
class Target:
    """Which files are meant."""

    path: bytes
    masks: str
    recursive: bool

    def means(self, path: bytes, roots: dict[bytes, Identity]) -> bool:
        """Whether this file is, or would be, among them while the path stands for these roots."""
        if path in roots:
            return True
        belongs = any(matching.belongs(path, root, recursive=self.recursive) for root in roots)
        return belongs and matching.matches(os.path.basename(path), self.masks)


@dataclass
class Scan:
    """What lies where a target leads."""

    #: What the path stands for now.
    roots: dict[bytes, Identity] = field(default_factory=dict)
    files: dict[bytes, Signature] = field(default_factory=dict)
    directories: set[bytes] = field(default_factory=set)
    #: What couldn't be read, and why; of what lies there nothing is known.
    errors: dict[bytes, OSError] = field(default_factory=dict)


def find_roots(path: bytes) -> dict[bytes, Identity]:
    """What a path stands for now.

    Raises:
        OSError: that can't be told; not for a path that isn't there.
    """
    found = ((root, _status(root)) for root in matching.roots(path, _exists, _names))
    return {root: (status.st_dev, status.st_ino) for root, status in found if status is not None}


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
            _walk(root, target, found, on_directory)
        elif status is not None and stat.S_ISREG(status.st_mode):
            parent = os.path.dirname(root)
            found.directories.add(parent)
            on_directory(parent)
            _add(root, found)
    return found


def _walk(root: bytes, target: Target, found: Scan, on_directory: Callable[[bytes], None]) -> None:
    left = [root]
    while left:
        directory = left.pop()
        try:
            on_directory(directory)
            entries = list(os.scandir(directory))
        except OSError as error:
            if error.errno not in _NOT_THERE:
                found.errors[directory] = error
            continue
        found.directories.add(directory)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if target.recursive:
                    left.append(entry.path)
            elif matching.matches(entry.name, target.masks):
                _add(entry.path, found)


def _add(path: bytes, found: Scan) -> None:
    try:
        seen = signature(path)
    except OSError as error:
        found.errors[path] = error
        return
    if seen is not None:
        found.files[path] = seen


def signature(path: bytes) -> Signature | None:
    """By what a version of a file is told from another one; None if there is no regular file.

    Raises:
        OSError: that can't be told.
    """
    status = _status(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def is_open_for_writing(path: bytes) -> bool | None:
    """Whether somebody has a file open for writing, or writable in memory; None if nobody can tell.

    A lease for reading is given by the kernel only where there is no writer; it is given back at
    once. Only the file's owner, or who has CAP_LEASE, may ask, and only on a local file system. Who
    asks must ignore SIGIO: it comes when somebody opens the file meanwhile.
    """
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


def file_system(device: int) -> str:
    """The type of the file system of this device, such as ``ext4``; "" if it isn't known."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        mount, _, rest = line.partition(" - ")
        if mount.split()[2] == number:
            return rest.split()[0]
    return ""


def is_remote(kind: str) -> bool:
    """Whether changes on a file system of this type may happen without the kernel's knowledge."""
    return kind in _REMOTE or kind.startswith("fuse")


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


def _exists(path: bytes) -> bool:
    return _status(path) is not None


def _names(directory: bytes) -> Iterator[bytes]:
    try:
        yield from os.listdir(directory)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
