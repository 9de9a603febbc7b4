"""What the files of other schedulers have in common: each line says what to run, and when. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from .expressions import FIELDS

#: Bytes that a file may have, and a line of it.
MOST_BYTES, MOST_BYTES_OF_LINE = 64 * 1024 * 1024, 128 * 1024
#: Characters that a name made from a file has at most; the tables have room for more.
NAME_LIMIT = 100

_NUMBERS = {
    name: number for field in FIELDS for number, name in enumerate(field.names, start=field.low)
}
_HIGHEST = tuple(field.high for field in FIELDS)
_OPEN_RANGE = re.compile(r"^([0-9]+)(/[0-9]+)$")
_WORD = re.compile(r"[A-Z]{3}|[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A command, and when it runs."""

    #: In the file, from 1 on.
    line: int
    #: Not unique yet.
    name: str
    argv: list[str]
    expression: str
    #: An IANA name.
    zone: str
    both_days: bool = False
    env: dict[str, str] = field(default_factory=dict)
    #: A name from ``JOBQUEUE["ENVIRONMENTS"]``.
    environment: str = ""
    working_directory: str = ""
    description: str = ""
    #: None where the file doesn't say.
    enabled: bool | None = None
    #: What is otherwise than it was.
    notes: tuple[str, ...] = ()

    def job_key(self) -> tuple[object, ...]:
        """The same for two that run the same."""
        return job_key(self.argv, self.env, self.environment, self.working_directory)

    def times_key(self) -> tuple[object, ...]:
        """The same for two that run at the same times."""
        return times_key(self.expression, self.zone, self.both_days)


@dataclass(frozen=True)
class Remark:
    """Something about a line: why it is refused, or what to know of it."""

    line: int
    text: str


@dataclass
class Contents:
    """What a file says."""

    definitions: list[Definition] = field(default_factory=list)
    refused: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)

    def add(self, definition: Definition) -> None:
        """Take a line over, unless it says the same as one before."""
        key = (definition.job_key(), definition.times_key())
        first = self._lines.setdefault(key, definition.line)
        if first == definition.line:
            self.definitions.append(definition)
        else:
            self.notes.append(Remark(definition.line, f"The same as line {first}: taken once."))

    def refuse(self, line: int, reason: str) -> None:
        """Say why a line can't be taken over."""
        self.refused.append(Remark(line, reason))

    def note(self, line: int, text: str) -> None:
        """Say what to know of a line that defines nothing itself."""
        self.notes.append(Remark(line, text))

    _lines: dict[object, int] = field(default_factory=dict)


class UniqueNames:
    """Names for new rows; none is taken twice, whatever a database takes for the same.

    Args:
        taken: the names of the rows that are there.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(map(self.fold, taken))
        self._numbers: Counter[str] = Counter()

    @staticmethod
    def fold(name: str) -> str:
        """The same for names that only differ in case, accents or blanks at their end.

        To a usual collation of MariaDB they are the same.
        """
        letters = unicodedata.normalize("NFKD", name.casefold())
        return "".join(char for char in letters if not unicodedata.combining(char)).rstrip()

    def take(self, name: str) -> str:
        """The name, or with a number behind it if it is taken; it is taken then."""
        found = name
        while self.fold(found) in self._taken:
            self._numbers[name] += 1
            found = f"{name} ({self._numbers[name] + 1})"
        self._taken.add(self.fold(found))
        return found


def job_key(
    argv: list[str], env: dict[str, str], environment: str, directory: str
) -> tuple[object, ...]:
    """The same for two commands that run the same."""
    return (*argv, None, *sorted(env.items()), None, environment, directory)


def times_key(expression: str, zone: str, both_days: bool) -> tuple[object, ...]:
    """The same for two expressions that are the same but for their spelling."""
    return (canonical(expression), zone, both_days)


@lru_cache(maxsize=10_000)
def canonical(expression: str) -> str:
    """An expression with numbers for names, a range where a step begins at a number, and no
    seconds where they are 0."""
    words = expression.upper().split()
    if len(words) == 6 and words[0].strip("0") == "":
        del words[0]
    if len(words) not in (5, 6):  # an alias, or nothing that is understood
        return " ".join(words)
    return " ".join(map(_canonical_field, words, _HIGHEST[-len(words) :]))


def lines(data: bytes, contents: Contents) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers; one that isn't text, or too long, is refused."""
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if len(raw) > MOST_BYTES_OF_LINE:
            contents.refuse(number, f"It is longer than {MOST_BYTES_OF_LINE // 1024} KiB.")
            continue
        if b"\0" in raw:
            contents.refuse(number, "It has a NUL character: this is no text, or UTF-16.")
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            convert = "if it is Latin-1, convert the file: iconv -f LATIN1 -t UTF-8"
            contents.refuse(number, f"It isn't valid UTF-8; {convert}.")
            continue
        yield number, text.removesuffix("\r")


def _canonical_field(field: str, highest: int) -> str:
    items = _WORD.sub(_number, field).split(",")
    return ",".join(_OPEN_RANGE.sub(rf"\g<1>-{highest}\2", item) for item in items)


def _number(found: re.Match[str]) -> str:
    word = found[0]
    return str(int(word)) if word.isdigit() else str(_NUMBERS.get(word, word))
