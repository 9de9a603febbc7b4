"""Command lines: what people type, and the list of strings (argv) that is run. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

#: Linux takes no longer single argument (execve(2), MAX_ARG_STRLEN, less its ending NUL).
ARGUMENT_LIMIT = 128 * 1024 - 1
#: What all arguments together may take; execve(2) allows a quarter of the stack, mostly 2 MiB.
ARGV_LIMIT = 1024 * 1024
#: Characters that the path of a working directory may have; the tables have room for so many.
DIRECTORY_LIMIT = 1024


def split(line: str) -> list[str]:
    """The argv of a command line as a POSIX shell would quote it; nothing is expanded.

    Raises:
        ValueError: a quote isn't closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise ValueError(f"The command line can't be read: {str(error).lower()}.") from None


def join(argv: Iterable[str]) -> str:
    """An argv as a command line that a POSIX shell reads back the same."""
    return shlex.join(argv)


def validate(argv: object) -> list[str]:
    """The argv as a list if it can be run.

    Raises:
        ValueError: it isn't a list of strings, has no program, or a word that no process can get.
    """
    if isinstance(argv, str) or not isinstance(argv, list | tuple):
        raise ValueError("A command is a list of strings: the program and its arguments.")
    if not argv:
        raise ValueError("No command: name the program to run.")
    for position, word in enumerate(argv):
        _validate_word(word, f"Argument {position}" if position else "The program")
    if not argv[0].strip():
        raise ValueError("The program is empty: name the program to run.")
    if sum(len(word.encode()) + 9 for word in argv) > ARGV_LIMIT:
        raise ValueError(f"The command is over {ARGV_LIMIT} bytes; pass long input by a file.")
    return list(argv)


def validate_env(env: object) -> dict[str, str]:
    """Environment variables if a process can get them.

    Raises:
        ValueError: a name or value isn't a string, or can't be passed to a process.
    """
    if not isinstance(env, Mapping):
        raise ValueError('Environment variables are a dict, such as {"LANG": "C.UTF-8"}.')
    for name, value in env.items():
        _validate_word(name, "The name of a variable")
        _validate_word(value, f"The value of the variable {name!r}")
        if not name or "=" in name:
            raise ValueError(f"{name!r} can't be the name of an environment variable.")
    return dict(env)


def validate_directory(path: object) -> str:
    """A working directory (``""``: none) if it can be stored, and given to a process.

    Raises:
        ValueError: it isn't a string, too long, or no path at all.
    """
    _validate_word(path, "The working directory")
    if len(str(path)) > DIRECTORY_LIMIT:
        raise ValueError(f"The working directory is longer than {DIRECTORY_LIMIT} characters.")
    return str(path)


def _validate_word(word: object, what: str) -> None:
    if not isinstance(word, str):
        raise ValueError(f"{what} isn't a string: {word!r}.")
    if "\0" in word:
        raise ValueError(f"{what} has a NUL character, which no process can be given.")
    try:
        size = len(word.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what} isn't valid UTF-8.") from None
    if size > ARGUMENT_LIMIT:
        raise ValueError(f"{what} is over {ARGUMENT_LIMIT} bytes, the most that Linux takes.")


def printable(text: str) -> str:
    """Text as one line of a log: line ends and other control characters are shown escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
