"""Where the engine of a Bots is, and how it is told its configuration. Runs nothing.

``bots.ini`` and ``settings.py`` lie in the directory that the engine is given as ``-c``: a name if
it lies in Bots' own package, as Bots' default ``config`` does, else a path.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAMES = ("bots-engine", "bots-engine.py")
_PLACES = ("bin", "venv/bin", ".venv/bin", "env/bin")
_DEFAULT = "config"


@dataclass(frozen=True)
class Engine:
    """What starts the engine with one of its configurations."""

    #: The program, perhaps with an interpreter before it.
    words: tuple[str, ...]
    configuration: str

    @property
    def option(self) -> str:
        """By which a command is known to be of this configuration."""
        return f"-c{self.configuration}"

    @property
    def title(self) -> str:
        """Short, for names: ``bots``, or ``bots prod`` if the configuration isn't Bots' default."""
        name = Path(self.configuration).name
        return "bots" if name in ("", _DEFAULT) else f"bots {name[:60]}"

    def argv(self, *words: str) -> list[str]:
        """The command of a run with these options and routes."""
        return [*self.words, self.option, *words]


def configuration(directory: Path) -> str:
    """What stands behind ``-c`` for the configuration in an absolute directory."""
    return directory.name if _is_package(directory.parent) else str(directory)


def find(file: Path) -> Path | None:
    """The engine above or beside a ``bots.ini``, else that of PATH.

    Not one that somebody has put there who owns neither the file nor this process.
    """
    trusted = {0, os.geteuid(), file.stat().st_uid}
    for path in _candidates(file.parent):
        if os.path.isfile(path) and os.access(path, os.X_OK) and path.stat().st_uid in trusted:
            return path
    return next((Path(found) for name in _NAMES if (found := shutil.which(name))), None)


def package(directory: Path, program: Path) -> Path | None:
    """Bots' Python package: the one with this configuration, else that of the engine."""
    if _is_package(directory.parent):
        return directory.parent
    beside = program.parent.parent.glob("lib/python*/*-packages/bots")
    return next((path for path in sorted(beside) if _is_package(path)), None)


def _candidates(directory: Path) -> Iterator[Path]:
    for base in (directory, *directory.parents):
        for place in _PLACES:
            yield from (base / place / name for name in _NAMES)


def _is_package(directory: Path) -> bool:
    return os.path.isfile(directory / "botsinit.py")
