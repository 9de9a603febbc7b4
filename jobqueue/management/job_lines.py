"""The lines of ``jobs run --file``: each is ``NAME [TRIGGER]``, the trigger its last word.

All of them are queued in one transaction, during which nothing else can be queued on SQLite, so
there is a limit to them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from ..models import Job
from . import times
from .base import refuse
from .named import unknown

#: What a file may have.
MOST_LINES, MOST_BYTES = 10_000, 16 * 1024 * 1024


def read(file: str) -> list[tuple[str, Job, datetime | None]]:
    """Where each line stands, its Job and its trigger; ``-`` is stdin.

    Raises:
        CommandError: a line is wrong; it says which one.
        OSError: the file can't be read.
    """
    shown, data = "stdin" if file == "-" else file, _read(file)
    if len(data) > MOST_BYTES:
        refuse(f"{shown}: it has more than {MOST_BYTES // 1024**2} MiB: split it.")
    known = Job.objects.in_bulk(field_name="name")
    found = [(where, *_parse(where, line, known)) for where, line in _lines(shown, data, known)]
    if not found:
        refuse(f"{shown}: it has no line NAME [TRIGGER].")
    if len(found) > MOST_LINES:
        refuse(f"{shown}: it has {len(found)} runs: split it, {MOST_LINES} are the most.")
    return found


def _read(file: str) -> bytes:
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
        return source.read(MOST_BYTES + 1)


def _lines(shown: str, data: bytes, known: Mapping[str, Job]) -> Iterator[tuple[str, str]]:
    for number, raw in enumerate(data.splitlines(), start=1):
        where = f"{shown}, line {number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            refuse(f"{where}: it isn't valid UTF-8.")
        if line and not _is_comment(line, known):
            yield where, line


def _is_comment(line: str, known: Mapping[str, Job]) -> bool:
    """Whether a line begins with ``#`` and isn't meant for a Job whose name does as well."""
    return line.startswith("#") and _split(line)[0] not in known


def _parse(where: str, line: str, known: Mapping[str, Job]) -> tuple[Job, datetime | None]:
    name, typed = _split(line)
    try:
        trigger = times.trigger(typed) if typed else None
    except ValueError as error:
        refuse(f"{where}: {error}")
    if name not in known:
        refuse(f"{where}: {unknown(Job, name, list(known))}")
    return known[name], trigger


def _split(line: str) -> tuple[str, str]:
    """The name, and the last word if it is meant as a trigger, else ""."""
    name, *last = line.rsplit(maxsplit=1)
    return (name, last[0]) if last and times.looks_like_trigger(last[0]) else (line, "")
