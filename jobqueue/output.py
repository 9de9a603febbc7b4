"""Reads the log file of a run, which may be anything: hostile, not UTF-8, still growing, cut."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

NEAR = 1024  # bytes in which a line break is looked for


def tail(path: str | os.PathLike[str], size: int) -> str:
    """The last `size` bytes of a file as text, from the beginning of a line if one is near.

    What isn't UTF-8, and NUL, which PostgreSQL can't store, comes as U+FFFD. "" without a file.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.seek(0, os.SEEK_END) - size
            # The byte before tells whether a line begins exactly at the cut.
            file.seek(max(0, start - 1))
            data = file.read(size + 1) if start > 0 else file.read(size)
    except OSError:
        return ""
    return _text((_after_cut(data) if start > 0 else data).decode(errors="replace"))


def follow(path: str | os.PathLike[str]) -> Follower:
    """Read a file as it grows, from its beginning; it need not be there yet."""
    return Follower(Path(path))


class Follower:
    """What is new in a file since one looked last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self) -> str:
        """What was written since the last time, as `tail` would show it; "" if nothing was.

        A character that is not there as a whole is left for the next time. When the size limit
        has cut the file below the place reached, a line says so and reading goes on at its end.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._position:
                    return self._skip_to(size)
                file.seek(self._position)
                data = file.read(size - self._position)
        except OSError:
            return ""
        self._position += len(data)
        return _text(self._decoder.decode(data))

    def _skip_to(self, end: int) -> str:
        self._position = end
        self._decoder.reset()
        return "\n[jobqueue] The log was cut: some of it is not shown here.\n"


def _after_cut(data: bytes) -> bytes:
    """What follows the first line break if one is near, else the first whole character.

    The first byte of `data` lies before the cut.
    """
    line_break = data.find(b"\n", 0, NEAR + 1)
    if 0 <= line_break < len(data) - 1:
        return data[line_break + 1 :]
    continuation = 0
    while continuation < 3 and data[1 + continuation : 2 + continuation] in _CONTINUATION:
        continuation += 1
    return data[1 + continuation :]


_CONTINUATION = {bytes([byte]) for byte in range(0x80, 0xC0)}


def _text(decoded: str) -> str:
    return decoded.replace("\0", "\N{REPLACEMENT CHARACTER}")
