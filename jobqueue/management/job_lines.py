"""The lines of ``jobs run --file``: each is ``NAME [TRIGGER]``, the trigger its last word."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ..models import Job
from . import times
from .base import refuse


def read(file: str) -> list[tuple[str, Job, datetime | None]]:
    """Where each line stands, its Job and its trigger; ``-`` is stdin.

    Raises:
        CommandError: a line is wrong; it says which one.
        OSError: the file can't be read.
    """
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    known = Job.objects.in_bulk(field_name="name")
    return [(where, *_parse(where, line, known)) for where, line in _lines(file, data)]


def find(name: str) -> Job:
    """A Job by its name.

    Raises:
        CommandError: there is none; it names those that are spelt alike.
    """
    job = Job.objects.filter(name=name).first()
    if job is None or job.name != name:  # MariaDB takes a for A
        refuse(unknown(name, list(Job.objects.values_list("name", flat=True))))
    return job


def unknown(name: str, names: Sequence[str]) -> str:
    """That there is no Job of this name."""
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see `manage.py jobs list`."
    return f"There is no Job {name!r}; {hint}"


def _lines(file: str, data: bytes) -> Iterator[tuple[str, str]]:
    for number, raw in enumerate(data.splitlines(), start=1):
        where = f"{'stdin' if file == '-' else file}, line {number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            refuse(f"{where}: it isn't valid UTF-8.")
        if line and not line.startswith("#"):
            yield where, line


def _parse(where: str, line: str, known: dict[str, Job]) -> tuple[Job, datetime | None]:
    name, _, last = line.rpartition(" ")
    trigger: datetime | None = None
    if name and times.looks_like_trigger(last):
        try:
            trigger = times.trigger(last)
        except ValueError as error:
            refuse(f"{where}: {error}")
        line = name.rstrip()
    if line not in known:
        refuse(f"{where}: {unknown(line, list(known))}")
    return known[line], trigger
