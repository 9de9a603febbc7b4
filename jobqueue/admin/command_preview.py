"""What a command line will become: the list of words that is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from .. import commandline, environments
from ..languages import translated

_FOR_A_SHELL = {"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1", "&>"}


@dataclass
class Preview:
    """Words that can be shown, with what is wrong or unusual about them."""

    #: Words that the named environment puts before the command.
    prefix: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    error: str = ""
    note: str = ""


def of_line(line: str, environment: str) -> Preview:
    """The preview of a command line that somebody types."""
    try:
        argv = commandline.split(line)
    except ValueError as error:
        return Preview(error=translated(error))
    return of_argv(argv, environment) if argv else Preview()


def of_argv(argv: Sequence[str], environment: str) -> Preview:
    """The preview of a command."""
    found = Preview(words=[commandline.printable(word) for word in argv], note=_note(argv))
    try:
        command = commandline.validate(argv)
        resolved = environments.resolve(environment, command, {}, "").argv
    except ValueError as error:
        found.error = commandline.printable(translated(error))
    else:
        before = resolved[: len(resolved) - len(command)]
        found.prefix = [commandline.printable(word) for word in before]
    return found


def _note(argv: Sequence[str]) -> str:
    shell_words = [word for word in argv[1:] if word in _FOR_A_SHELL]
    if not shell_words:
        return ""
    text = _("No shell reads this: %s is passed on as it is. For a shell, write: bash -c '…'")
    return text % " ".join(dict.fromkeys(shell_words))
