"""How the commands print for people: tables, colours on a terminal, how long ago something was."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, TextIO

from django.core.management.base import OutputWrapper
from django.utils.termcolors import colorize

from ..commandline import printable

#: Of states; the others have none.
COLOURS = {
    "running": "cyan",
    "succeeded": "green",
    "warned": "yellow",
    "failed": "red",
    "timed_out": "red",
    "stopped": "magenta",
    "lost": "red",
}
_UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))
_GAP = "  "
_CLEAR = "\r\x1b[K"
# ECMA-48: colours and cursor movements.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Cell:
    """Text with a colour; "" is the terminal's own."""

    text: str
    colour: str = ""


class Console:
    """Where a command prints: its results to stdout, notes about them to stderr."""

    def __init__(
        self, stdout: OutputWrapper, stderr: OutputWrapper, *, force: bool, never: bool
    ) -> None:
        self._stdout, self._stderr = stdout, stderr
        wanted = stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = force or (wanted and not never)
        self._progress = ""

    def say(self, line: str = "", colour: str = "") -> None:
        """A line of the result."""
        self.end_progress()
        self._stdout.write(self._paint(line, colour) + "\n")

    def note(self, line: str) -> None:
        """A line beside the result."""
        self.end_progress()
        self._stderr.write(line, str)

    def output(self, text: str) -> None:
        """Output of a job; on a terminal it can only be read."""
        if text:
            self.end_progress()
            self._stdout.write(_harmless(text) if self._stdout.isatty() else text, ending="")
            self._stdout.flush()

    def file(self, text: str) -> None:
        """Text of many lines in UTF-8, whatever the terminal or the pipe is said to take."""
        self.end_progress()
        buffer: BinaryIO | None = getattr(self._stdout, "buffer", None)
        if buffer is None:
            self._stdout.write(text, ending="")
        else:
            self._stdout.flush()
            buffer.write(text.encode())
        self._stdout.flush()

    def progress(self, line: str) -> None:
        """What goes on: a line that replaces itself on a terminal, elsewhere only the first."""
        if self._stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._stderr.write(_CLEAR + _cut(line, width), str, ending="")
            self._stderr.flush()
        elif not self._progress:
            self._stderr.write(line, str)
        self._progress = line

    def end_progress(self) -> None:
        """Nothing goes on any more."""
        if self._progress and self._stderr.isatty():
            self._stderr.write(_CLEAR, str, ending="")
            self._stderr.flush()
        self._progress = ""

    def silence(self) -> None:
        """Let all further results vanish."""
        silence(self._stdout)

    def is_terminal(self) -> bool:
        """Whether people read the notes as they come."""
        return self._stderr.isatty()

    def table(self, rows: Sequence[Sequence[str | Cell]], indent: str = "") -> None:
        """Aligned columns under a first row of titles; on a terminal, lines that fit its width."""
        cells = [[c if isinstance(c, Cell) else Cell(c) for c in row] for row in rows]
        widths = [max(_width(cell.text) for cell in column) for column in zip(*cells, strict=True)]
        room = self._room(len(indent) + sum(widths[:-1]) + len(_GAP) * (len(widths) - 1))
        for number, row in enumerate(cells):
            *first, last = (cell.text for cell in row)
            texts = [
                text + " " * (w - _width(text)) for text, w in zip(first, widths, strict=False)
            ]
            texts.append(_cut(last, room) if room else last)
            colours = ["bold" if number == 0 else cell.colour for cell in row]
            painted = map(self._paint, texts, colours)
            self.say(indent + _GAP.join(painted).rstrip())

    def _room(self, taken: int) -> int:
        """The columns that are left for a last cell; 0 if there is no limit."""
        return max(10, shutil.get_terminal_size().columns - taken) if self._stdout.isatty() else 0

    def _paint(self, text: str, colour: str) -> str:
        if not self._coloured or not colour:
            return text
        if colour == "bold":
            return colorize(text, opts=("bold",))
        return colorize(text, fg=colour)


def silence(stream: TextIO | OutputWrapper) -> None:
    """Let all that is still written vanish, where its reader has gone."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def state(value: str) -> Cell:
    """A state as people read it."""
    return Cell(value.replace("_", " "), COLOURS.get(value, ""))


def lasting(delta: timedelta | None) -> str:
    """``40 ms``, ``12 s``, ``2 min 5 s``, ``1 h 2 min``, ``3 days 4 h``."""
    if delta is None:
        return "-"
    seconds = max(0.0, delta.total_seconds())
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    left, parts = round(seconds), list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if parts and not count:
            break
        if count:
            parts.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
    return " ".join(parts[:2])


def ago(moment: datetime | None, now: datetime) -> str:
    """``just now``, ``12 s ago``, ``in 3 min``: the biggest unit only."""
    if moment is None:
        return "-"
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    size, unit = next((size, unit) for size, unit in _UNITS if abs(seconds) >= size)
    count = int(abs(seconds) // size)
    shown = f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{shown} ago" if seconds > 0 else f"in {shown}"


def _harmless(text: str) -> str:
    lines = _SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def _width(text: str) -> int:
    """The columns that text takes on a terminal."""
    return len(text) if text.isascii() else sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    taken = 0
    for end, char in enumerate(text):
        taken += _columns(char)
        if taken > width - 1:
            return text[:end] + "…"
    return text
