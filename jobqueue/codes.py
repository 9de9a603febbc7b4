"""What a return code means. Pure: no Django, no clock.

*exit-status* is the rule of POSIX shells: 0 or not. *bots-engine* is the list on Bots' page
"Running Bots-Engine": 0 fine, 1 system error, 2 errors in the run, 3 another engine was running.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import Final, NamedTuple

EXIT_STATUS: Final = "exit-status"
BOTS_ENGINE: Final = "bots-engine"

_ENGINES = ("bots-engine", "bots-engine.py")
_PYTHON = re.compile(r"python[0-9.]*(\.exe)?$")
_CODE_OR_MODULE = re.compile(r"-[bBdEiIOPqsSuvx]*[cm]")
_BOTS = {
    1: ("failed", "bots-engine: system error (return code 1); see its output"),
    2: ("warned", "bots-engine: errors in the run (return code 2); see the reports in Bots"),
    3: ("failed", "bots-engine: another engine was running, so nothing was done (return code 3)"),
}


class Reading(NamedTuple):
    """A return code in words."""

    #: ``succeeded``, ``warned`` or ``failed``.
    state: str
    #: Never empty unless the state is ``succeeded``.
    reason: str
    #: Nothing was done because another engine was running: worth another try.
    busy: bool = False


def read(scheme: str, return_code: int, signal_number: int | None = None) -> Reading:
    """Read a return code, 128+n after a death by signal n, by one of the two schemes."""
    if signal_number is not None:
        name = signal_name(signal_number)
        return Reading("failed", f"ended by {name} (return code {return_code})")
    if return_code == 0:
        return Reading("succeeded", "")
    if scheme == BOTS_ENGINE and return_code in _BOTS:
        return Reading(*_BOTS[return_code], busy=return_code == 3)
    return Reading("failed", f"return code {return_code}")


def died(scheme: str, return_code: int | None, signal_number: int | None = None) -> bool:
    """Whether the program was cut off, rather than that it came to an end of its own.

    The engine itself ends with 0 to 3 only: a wrapper may tell of its death by another code.
    """
    if return_code is None or signal_number is not None:
        return True
    return scheme == BOTS_ENGINE and return_code not in (0, *_BOTS)


def recovery(scheme: str, argv: Sequence[str]) -> list[str]:
    """The command that must come next when a command with this argv died; [] if none must.

    An engine that is started after one that died takes up its files, but only those of the routes
    that it is told to run: so that none is lost, ``--cleanup`` comes first, for all routes.
    """
    if scheme != BOTS_ENGINE:
        return []
    names = [PurePath(word).name for word in argv]
    engine = next((i for i, name in enumerate(names) if name in _ENGINES), None)
    if engine is None:  # it is in the prefix of a named environment, or called by a wrapper
        engine = -1 if argv[0].startswith("-") else 0
    program, arguments = argv[: engine + 1], argv[engine + 1 :]
    configuration = [word for word in arguments if word.startswith("-c")][:1]
    return [*program, *configuration, "--cleanup"]


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9, ``signal 99`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def recognise(argv: Sequence[str]) -> str:
    """The reading for a bare command: *bots-engine* if its program or script is Bots' engine."""
    program = _program(argv[0]) if argv else ""
    if _PYTHON.match(program):
        program = PurePath(_script(argv[1:])).name
    return BOTS_ENGINE if program in _ENGINES else EXIT_STATUS


@lru_cache
def _program(path: str) -> str:
    return PurePath(path).name


def _script(arguments: Sequence[str]) -> str:
    """The script that a Python with these arguments runs; ``""`` if it is none."""
    words = iter(arguments)
    for word in words:
        if word in ("-W", "-X"):
            next(words, None)
        elif word == "--":
            return next(words, "")
        elif _CODE_OR_MODULE.match(word):
            return ""
        elif not word.startswith("-"):
            return word
    return ""
