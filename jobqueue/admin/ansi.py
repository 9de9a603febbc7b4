"""Output with the colours of a terminal, as pieces of text that can only be read.

The codes are those of ECMA-48, 8.3.117 (SGR); all other sequences are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..output import readable

_SEQUENCE = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])")
#: SGR codes that a page shows, and the names of their styles.
_STYLES = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse"}
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_ENDS = {22: {"bold", "faint"}, 23: {"italic"}, 24: {"underline"}, 27: {"inverse"}}
#: Longer texts get no colours: a hostile one would be all sequences.
MOST = 200

Piece = tuple[str, str]


def pieces(line: str) -> list[Piece]:
    """A line as its pieces: the names of their styles, in one string, and their text."""
    return [piece for piece in _pieces(line) if piece[1]]


def _pieces(line: str) -> Iterator[Piece]:
    at, styles = 0, set[str]()
    for number, found in enumerate(_SEQUENCE.finditer(line)):
        if number == MOST:
            styles = set()
            break
        yield _name(styles), readable(line[at : found.start()])
        at = found.end()
        if found[2] == "m":
            styles = _changed(styles, found[1])
    yield _name(styles), readable(line[at:])


def _name(styles: set[str]) -> str:
    return " ".join(f"jobqueue-ansi-{style}" for style in sorted(styles))


def _changed(styles: set[str], parameters: str) -> set[str]:
    """The styles after a sequence; codes that aren't known change nothing."""
    codes = [int(code) if code.isdecimal() and code.isascii() else 0 for code in _split(parameters)]
    while codes:
        code = codes.pop(0)
        if code in (38, 48):  # colours of 256, or of 24 bits: none that a page has
            del codes[: 2 if codes[:1] == [5] else 4]
        elif code == 0:
            styles = set()
        elif code in _STYLES:
            styles = styles | {_STYLES[code]}
        elif code in _ENDS:
            styles = styles - _ENDS[code]
        elif 30 <= code <= 39 or 90 <= code <= 97:
            styles = styles - set(_COLOURS)
            if code != 39:
                styles = styles | {_COLOURS[code % 10]}
    return styles


def _split(parameters: str) -> list[str]:
    return parameters.replace(":", ";").split(";")[:20]
