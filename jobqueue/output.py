"""Reads the log file of a run, which may be anything: hostile, not UTF-8, still growing, cut."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

NEAR = 1024  # bytes in which a line break is looked for
_BLOCK = 1024 * 1024  # bytes of a file that are looked through at once
# ECMA-48: colours and cursor movements, which only a terminal understands.
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_LINE_END = re.compile(r"\r\n?")
# Control characters, and those that turn the direction of text or can't be seen.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


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


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `end` of a file that has `size` of them now, as text."""

    start: int
    end: int
    size: int
    #: Each with where it begins; a line break ends all of them but, perhaps, the last.
    lines: list[tuple[int, str]]
    #: Whether the first one goes on with a line that began before.
    goes_on: bool


def part_before(path: str | os.PathLike[str], end: int | None, length: int) -> Part:
    """A part of a file that ends at a place, or with the file; begins with a line if one is near.

    Raises:
        OSError: the file can't be read.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        end = size if end is None else min(end, size)
        start = max(0, end - length)
        file.seek(max(0, start - 1))
        data = file.read(end - file.tell())
    if start > 0:
        data = _after_cut(data)
    return _part(end - len(data), data, size, goes_on=False)


def part_after(path: str | os.PathLike[str], start: int, length: int) -> Part:
    """A part of a file that begins at a place, up to a whole line if it doesn't reach the end.

    A character that is not there as a whole is left for the next time. A place beyond the end is
    the end: the size limit may have cut the file.

    Raises:
        OSError: the file can't be read.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = min(start, size)
        file.seek(max(0, start - 1))
        before = file.read(min(start, 1))
        data = file.read(length)
    if start + len(data) < size:
        line_break = data.rfind(b"\n", max(0, len(data) - NEAR))
        if line_break >= 0:
            data = data[: line_break + 1]
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(data)
    pending = len(decoder.getstate()[0])
    return _part(start, data[: len(data) - pending], size, goes_on=before not in (b"", b"\n"))


def _part(start: int, data: bytes, size: int, *, goes_on: bool) -> Part:
    lines, at = [], start
    for line in _lines(data):
        lines.append((at, _text(line.decode(errors="replace"))))
        at += len(line)
    return Part(start, at, size, lines, goes_on)


def _lines(data: bytes) -> list[bytes]:
    """With their line feeds, which alone end a line."""
    *whole, last = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])


def count_lines(path: str | os.PathLike[str], end: int) -> int:
    """How many line breaks there are before a place.

    Raises:
        OSError: the file can't be read.
    """
    with Path(path).open("rb") as file:
        return sum(block.count(b"\n") for _, block in _blocks(file, 0, end, 0))


def find(path: str | os.PathLike[str], text: str, start: int = 0) -> int | None:
    """Where a text is found from a place on; ASCII letters match in either case.

    Raises:
        OSError: the file can't be read.
    """
    wanted = text.encode().lower()
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for at, block in _blocks(file, start, size, len(wanted) - 1):
            found = block.lower().find(wanted)
            if found >= 0:
                return at + found
    return None


def _blocks(file: BinaryIO, start: int, end: int, overlap: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of a file; what lies across the border of two is whole in one of them."""
    while start < end:
        file.seek(start)
        block = file.read(min(_BLOCK, end - start) + overlap)
        if not block:
            return
        yield start, block
        start += _BLOCK


def readable(text: str) -> str:
    """Output as lines that can only be read: no colours, what is hidden in it shown escaped."""
    lines = _LINE_END.sub("\n", _TERMINAL.sub("", text))
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), lines)


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
