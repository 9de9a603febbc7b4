"""Files that this process must not open: its own SQLite databases.

Whoever closes a file gives back all locks that its process has on it (fcntl(2), F_SETLK), by
whatever descriptor. SQLite would go on without them, and others would take its log away under it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

#: What SQLite has beside a database.
_BESIDE = (b"", b"-wal", b"-shm", b"-journal")

#: All of them, whether they are there or not.
_own: list[bytes] = []


def spare(databases: Iterable[str | os.PathLike[str]]) -> None:
    """Let these databases alone from now on, with all that SQLite has beside them."""
    real = [os.path.realpath(os.fsencode(database)) for database in databases]
    _own[:] = [database + ending for database in real for ending in _BESIDE]


def is_own(path: bytes) -> bool:
    """Whether a path leads to one of them."""
    directory, name = os.path.split(path)
    for own in _own:
        where, what = os.path.split(own)
        if name == what and _identity(directory) == _identity(where):
            return True  # it may be made anew at any moment
    found = _identity(path) if _own else None
    return found is not None and any(found == _identity(own) for own in _own)


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
