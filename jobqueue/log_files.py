"""The log files that lie on this host, and which of them nobody needs any more.

A file goes with its execution, or with the output of it. What is left of one that another host has
deleted, or somebody in the database, is found here.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from . import conf, retention
from .models import Execution
from .models.execution import OPEN

_NAME = re.compile(r"([0-9]{1,18})\.log")


@dataclass(frozen=True)
class Directory:
    """The log files of a thousand executions: what of them may go."""

    path: Path
    files: list[Path] = field(default_factory=list)
    #: Bytes that these take.
    size: int = 0
    #: Whether no more of them will come.
    is_full: bool = False

    @property
    def counts(self) -> Counter[str]:
        """How many files, and their size in bytes."""
        return Counter(files=len(self.files), size=self.size)

    def take(self) -> None:
        """Let them go, and the directory if it's empty for good."""
        retention.delete_files(self.files)
        if self.is_full:
            with suppress(OSError):  # there is more in it
                self.path.rmdir()


def unneeded(now: datetime, days: int | None = None) -> Iterator[Directory]:
    """What may go at this moment, one directory after the other.

    What no execution names is kept as long as the output of any. Not less: with a database that was
    restored, or of another installation, files that are dear to somebody seem to be nobody's.

    Args:
        days: instead of what the settings say of output.
    """
    days = conf.current().KEEP_OUTPUT_DAYS if days is None else days
    old = None if days is None else (now - timedelta(days=days)).timestamp()
    for number, path in _directories(conf.current().log_dir):
        yield _look(number, path, old)


def _directories(log_dir: Path) -> list[tuple[int, Path]]:
    """Real ones with their numbers: what is behind a link is not ours."""
    with suppress(OSError), os.scandir(log_dir) as entries:
        found = [e for e in entries if e.name.isdecimal() and e.name.isascii()]
        real = [e for e in found if e.is_dir(follow_symlinks=False)]
        return sorted((int(e.name), Path(e.path)) for e in real)
    return []


def _look(number: int, path: Path, old: float | None) -> Directory:
    files = dict(_files(number, path))  # before the rows, so that each has its row by now
    rows = Execution.objects.filter(pk__range=(number * 1000, number * 1000 + 999))
    known = list(rows.values_list("pk", "state", "log_path"))
    needed = {pk for pk, state, log_path in known if log_path or state in OPEN}
    deleted = set(rows.filter(log_path="", log_tail=retention.DELETED).values_list("pk", flat=True))
    going = {
        pk: stat
        for pk, stat in files.items()
        if pk in deleted or (pk not in needed and old is not None and stat.st_mtime < old)
    }
    return Directory(
        path=path,
        files=[path / f"{pk}.log" for pk in sorted(going)],
        size=sum(stat.st_size for stat in going.values()),
        is_full=_is_full(number) and not any(state in OPEN for _, state, _ in known),
    )


def _files(number: int, path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """The log files in a directory by the number of their execution; nothing else that is there."""
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or entry.name != f"{int(match[1])}.log":
                continue
            if int(match[1]) // 1000 == number and entry.is_file(follow_symlinks=False):
                yield int(match[1]), entry.stat(follow_symlinks=False)


def _is_full(number: int) -> bool:
    """Whether executions of later directories have come."""
    later = Execution.objects.filter(pk__gte=1000 * (number + 1)).order_by("pk")
    return later.values_list("pk").first() is not None
