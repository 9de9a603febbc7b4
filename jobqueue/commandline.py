"""Command lines: what people type, and the list of strings (argv) that is run. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from .refusals import Phrase, Refusal
from .refusals import gettext_noop as _

#: Linux takes no longer single argument (execve(2), MAX_ARG_STRLEN, less its ending NUL).
ARGUMENT_LIMIT = 128 * 1024 - 1
#: What all arguments together may take; execve(2) allows a quarter of the stack, mostly 2 MiB.
ARGV_LIMIT = 1024 * 1024
#: Characters that the path of a working directory may have; the tables have room for so many.
DIRECTORY_LIMIT = 1024
#: What shlex finds wrong; here for translators.
_WRONG_LINES = (_("no closing quotation"), _("no escaped character"))
#: What has an escape of its own between ANSI-C quotes.
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e"}


def split(line: str) -> list[str]:
    """The argv of a command line as a POSIX shell would quote it; nothing is expanded.

    Raises:
        ValueError: a quote isn't closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        why = Phrase(str(error).lower())
        raise Refusal(_("The command line can't be read: %(why)s."), why=why) from None


def join(argv: Iterable[str]) -> str:
    """An argv as a command line that a POSIX shell reads back the same."""
    return shlex.join(argv)


def bash_line(argv: Iterable[str]) -> str:
    """An argv as one line to be shown, which bash in any locale reads back the same.

    It has printable characters only; a word with others is quoted as ``$'…'``, which
    :func:`split` doesn't read.
    """
    return " ".join(shlex.quote(word) if word.isprintable() else _ansi_c(word) for word in argv)


def validate(argv: object) -> list[str]:
    """The argv as a list if it can be run.

    Raises:
        ValueError: it isn't a list of strings, has no program, or a word that no process can get.
    """
    if isinstance(argv, str) or not isinstance(argv, list | tuple):
        raise Refusal(_("A command is a list of strings: the program and its arguments."))
    if not argv:
        raise Refusal(_("No command: name the program to run."))
    for position, word in enumerate(argv):
        what = _("Argument %(number)s") if position else _("The program")
        _validate_word(word, what, number=position)
    if not argv[0].strip():
        raise Refusal(_("The program is empty: name the program to run."))
    if sum(len(word.encode()) + 9 for word in argv) > ARGV_LIMIT:
        text = _("The command is over %(most)s bytes; pass long input by a file.")
        raise Refusal(text, most=ARGV_LIMIT)
    return list(argv)


def validate_env(env: object) -> dict[str, str]:
    """Environment variables if a process can get them.

    Raises:
        ValueError: a name or value isn't a string, or can't be passed to a process.
    """
    if not isinstance(env, Mapping):
        raise Refusal(_('Environment variables are a dict, such as {"LANG": "C.UTF-8"}.'))
    for name, value in env.items():
        _validate_word(name, _("The name of a variable"))
        _validate_word(value, _("The value of the variable %(name)s"), name=repr(name))
        if not name or "=" in name:
            text = _("%(name)s can't be the name of an environment variable.")
            raise Refusal(text, name=repr(name))
    return dict(env)


def validate_directory(path: object) -> str:
    """A working directory (``""``: none) if it can be stored, and given to a process.

    Raises:
        ValueError: it isn't a string, too long, or no path at all.
    """
    _validate_word(path, _("The working directory"))
    if len(str(path)) > DIRECTORY_LIMIT:
        text = _("The working directory is longer than %(most)s characters.")
        raise Refusal(text, most=DIRECTORY_LIMIT)
    return str(path)


def _validate_word(word: object, what: str, **values: object) -> None:
    """Refuse what no process can be given; what it is, with values, is said only then."""
    if wrong := _wrong_word(word):
        named = Phrase(what, values)
        raise Refusal(wrong, what=named, word=repr(word), most=ARGUMENT_LIMIT)


def _wrong_word(word: object) -> str:
    """What is wrong with it; "" if nothing is."""
    if not isinstance(word, str):
        return _("%(what)s isn't a string: %(word)s.")
    if "\0" in word:
        return _("%(what)s has a NUL character, which no process can be given.")
    try:
        size = len(word.encode())
    except UnicodeEncodeError:
        return _("%(what)s isn't valid UTF-8.")
    if size > ARGUMENT_LIMIT:
        return _("%(what)s is over %(most)s bytes, the most that Linux takes.")
    return ""


def _ansi_c(word: str) -> str:
    """A word in the ANSI-C quotes of bash; others than UTF-8 locales would not know ``\\uHHHH``."""
    return "$'" + "".join(_ESCAPES.get(c) or _escaped(c) for c in word) + "'"


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def printable(text: str) -> str:
    """Text as one line of a log: line ends and other control characters are shown escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
