"""What ``manage.py queue doctor`` finds, and its checks: ours, and those that other apps add."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What a check says, each in a sentence."""

    level: Level
    what: str
    #: What comes of it.
    why: str = ""
    #: What to do about it.
    do: str = ""
    #: Of the check, or of Django's system check; the doctor fills it in.
    id: str = ""


def warning(what: str, why: str, do: str) -> Finding:
    """It works, but may not for long, or not as somebody expects."""
    return Finding(Level.WARNING, what, why, do)


def error(what: str, why: str, do: str) -> Finding:
    """Something doesn't work."""
    return Finding(Level.ERROR, what, why, do)


@dataclass(frozen=True)
class Check:
    """One question.

    id     a word that stays
    fine   what is said when nothing was found
    look   yields what is wrong; may take a second, waits for nothing, changes nothing
    """

    id: str
    fine: str
    look: Callable[[], Iterable[Finding]]


_of_apps: dict[str, Check] = {}


def add_check(id: str, fine: str, look: Callable[[], Iterable[Finding]]) -> None:
    """Have the doctor ask one more question; to be called in ``AppConfig.ready``.

    Args:
        id: a word that stays, as monitoring systems know it.
        fine: a sentence that is said when nothing was found.
        look: yields what is wrong; asked only when the database is there.
    """
    _of_apps[id] = Check(id, fine, look)


def of_apps() -> list[Check]:
    """The checks that apps have added."""
    return list(_of_apps.values())
