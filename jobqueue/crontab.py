"""Crontabs, as crontab(5) describes them: read into definitions, and written. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePath

from . import commandline, recurrence
from .definitions import NAME_LIMIT, Contents, Definition, canonical, lines

SHELL = "/bin/sh"
#: What makes cron send mail or wait, and has nothing to do with the command.
_CRON_S_OWN = (
    *("MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING", "RANDOM_DELAY"),
    *("START_HOURS_RANGE", "CRON_TZ"),
)
_ASSIGNMENT = re.compile(
    r"""(?:"(?P<name1>[^"]+)"|'(?P<name2>[^']+)'|(?P<name3>[^\s="'@*][^\s=]*))\s*=\s*"""
    r"""(?:"(?P<value1>[^"]*)"|'(?P<value2>[^']*)'|(?P<value3>[^"'\s].*)?)""",
    re.ASCII,
)
_ENTRY = re.compile(r"(?P<times>@\S+|\S+(?:\s+\S+){4})(?:\s+(?P<rest>\S.*))?", re.ASCII)
_SYSTEM_REST = re.compile(r"(?P<user>\S+)(?:\s+(?P<command>\S.*))?", re.ASCII)
_LOOKS_LIKE_TIMES = re.compile(r"(?:@[a-z]+|[-0-9*/,]+(?:\s+\S+){4})\s")

# Commands. A part that means the same with and without a shell, and what doesn't in the rest.
_LITERAL = re.compile(r"""\\.|'[^']*'|"(?:[^"\\$`]|\\[^$`])*\"""")
_SHELL_S = re.compile(r"""[|&;<>()$`*?\["']|\{(?!\})|(?:^|[\s=:])~|(?:^|\s)[#!]|^\w+=""")
_BUILT_IN = frozenset(
    [
        *(".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "eval", "exec"),
        *("exit", "export", "fg", "for", "function", "getopts", "hash", "if", "jobs", "local"),
        *("read", "readonly", "return", "select", "set", "shift", "source", "times", "trap"),
        *("type", "ulimit", "umask", "unalias", "unset", "until", "wait", "while"),
    ]
)
_UNESCAPED = re.compile(r"(?:[^\\%]|\\.|\\$)*")

# Names.
_INTERPRETER = re.compile(r"(?:python|perl|ruby|php|node|bash|dash|ksh|zsh|sh)[0-9.]*")
_BEFORE_PROGRAM = re.compile(r"\s*(?:cd\s+\S+\s*(?:&&|;)|\w+=\S*\s|[({!]\s*)\s*")
_MOST_COMMENT_LINES = 3
#: Asks a queue to run something else.
_CLIENT = re.compile(r"(?:.*[\s/])?(?:bots-)?job2queue(?:\.py)?(?:\s|$)")
_HEADER = re.compile(r"\bdom\b.*\bdow\b|^-+|^\W*$", re.IGNORECASE)


def read(data: bytes, *, system: bool, zone: str, directory: str = "") -> Contents:
    """What a crontab says; `system`: with a column for the user, as in ``/etc/crontab``.

    `zone` is the IANA name of the zone in which its times are meant, as long as it has no
    ``CRON_TZ``, and `directory` is where its commands run, as long as it has no ``HOME``.
    """
    reader = _Reader(system, zone, directory)
    for number, text in lines(data, reader.contents):
        reader.read(number, text.strip())
    return reader.contents


def looks_like_system(data: bytes, is_user: Callable[[str], bool]) -> bool:
    """Whether each entry has the name of a user before its command."""
    entries = [_entry(text) for _, text in lines(data, Contents())]
    rests = [_SYSTEM_REST.fullmatch(found["rest"] or "") for found in entries if found]
    return bool(rests) and all(rest and rest["command"] and is_user(rest["user"]) for rest in rests)


def command(text: str, shell: str = SHELL) -> list[str]:
    """The argv of a command: its words, or a shell that reads it if it needs one.

    Raises:
        ValueError: a quote isn't closed.
    """
    words = commandline.split(text)
    rest = _LITERAL.sub("_", text)
    if _SHELL_S.search(rest) or rest.split()[0] in _BUILT_IN:
        return [shell or SHELL, "-c", text]
    return words


def unescaped(text: str) -> str:
    r"""A command without the backslashes of ``\%``.

    Raises:
        ValueError: it has a ``%`` without one, which stands for input.
    """
    if not _UNESCAPED.fullmatch(text):
        raise ValueError(
            r"After a % cron hands the rest to the command as input, and a Job has none;"
            r" if the character is meant, write \%."
        )
    return re.sub(r"\\(.)", lambda found: "%" if found[1] == "%" else found[0], text)


class _Reader:
    """Goes through the lines, and remembers what holds for those that follow."""

    def __init__(self, system: bool, zone: str, directory: str) -> None:
        self.contents = Contents()
        self._system, self._default_zone, self._directory = system, zone, directory
        self._zone = zone
        self._env: dict[str, str] = {}
        self._comment: list[str] = []

    def read(self, number: int, text: str) -> None:
        """A line."""
        if text.startswith("#"):
            self._comment.append(text.lstrip("#").strip())
            return
        try:
            if assigned := _ASSIGNMENT.fullmatch(text):
                self._assign(number, *_pair(assigned))
            elif text:
                self.contents.add(self._definition(number, text))
        except ValueError as error:
            self.contents.refuse(number, str(error))
        self._comment = []

    def _assign(self, number: int, name: str, value: str) -> None:
        if name == "CRON_TZ":
            self._zone = value or self._default_zone
            recurrence.zone_info(self._zone)
        elif name in _CRON_S_OWN:
            if value:
                self.contents.note(number, f"{name} is not taken over: it is cron's own.")
        else:
            self._env[name] = value
            if name == "TZ":
                self.contents.note(number, "TZ is handed to the commands; it moves no times.")

    def _definition(self, number: int, text: str) -> Definition:
        found = _entry(text)
        if found is None:
            raise ValueError("This is no entry: five fields and a command, or NAME=VALUE.")
        if found["times"].lower() == "@reboot":
            raise ValueError("@reboot is no time: let a service manager start it with the machine.")
        rest, notes = found["rest"] or "", []
        if self._system:
            rest, note = _without_user(rest)
            notes.append(note)
        if not rest:
            raise ValueError("It has no command.")
        recurrence.Cron(found["times"], self._zone)  # refused here if they can't be used
        rest = unescaped(rest)
        argv = command(rest, self._env.get("SHELL", ""))
        needs_shell = argv[1:] == ["-c", rest]
        if needs_shell:
            notes.append(f"It needs a shell: {argv[0]} -c runs it as it stands.")
        if _CLIENT.match(rest):
            notes.append(
                "It asks a queue itself: better let the Job be the command that it asks for."
            )
        return Definition(
            line=number,
            name=_title(self._comment) or _program(rest if needs_shell else argv) or "cron job",
            argv=argv,
            expression=" ".join(found["times"].split()),
            zone=self._zone,
            env=dict(self._env),
            working_directory=self._env.get("HOME", self._directory),
            notes=tuple(notes),
        )


def _pair(assigned: re.Match[str]) -> tuple[str, str]:
    groups = assigned.groupdict()
    name = groups["name1"] or groups["name2"] or groups["name3"] or ""
    return name, groups["value1"] or groups["value2"] or groups["value3"] or ""


def _entry(text: str) -> re.Match[str] | None:
    text = text.strip()
    if not text or text.startswith("#") or _ASSIGNMENT.fullmatch(text):
        return None
    return _ENTRY.fullmatch(text)


def _without_user(rest: str) -> tuple[str, str]:
    found = _SYSTEM_REST.fullmatch(rest)
    if found is None:
        raise ValueError("It has no user.")
    note = f"Cron runs it as {found['user']}; the service will as its own user."
    return found["command"] or "", note


# Names


def _title(comment: list[str]) -> str:
    """The first line of a short comment, unless it is an entry that was switched off."""
    if not 0 < len(comment) <= _MOST_COMMENT_LINES:
        return ""
    title = comment[0].rstrip(":.,; ")
    if len(title) > NAME_LIMIT or not title.isprintable():
        return ""
    is_other = any(_LOOKS_LIKE_TIMES.match(line) or _HEADER.search(line[:200]) for line in comment)
    return "" if is_other else title


def _program(command: str | list[str]) -> str:
    """The name of the program, or of the script if it is an interpreter's."""
    words = _words_of_shell(command) if isinstance(command, str) else command
    names = [PurePath(word).name for word in words if not word.startswith("-")]
    if len(names) > 1 and _INTERPRETER.fullmatch(names[0]) and words[1] != "-c":
        del names[0]
    name = names[0] if names else ""
    return name[:NAME_LIMIT] if name.isprintable() else ""


def _words_of_shell(text: str) -> list[str]:
    """The words of the first command that isn't only there for the next."""
    while before := _BEFORE_PROGRAM.match(text):
        text = text[before.end() :]
    return re.split(r"[|&;<>()]", text)[0].replace('"', "").replace("'", "").split()


# Writing


def line(definition: Definition, user: str = "") -> str:
    """The line of a crontab for a definition, which is read as the same one.

    Its zone and its variables are for other lines to say.

    Raises:
        ValueError: cron can't express it; the message says what.
    """
    times = _five_fields(definition)
    shell = definition.env.get("SHELL") or SHELL
    candidates = [commandline.join(definition.argv)]
    if len(definition.argv) == 3 and definition.argv[:2] == [shell, "-c"]:
        candidates.insert(0, definition.argv[2].strip())
    for candidate in candidates:
        if "\n" not in candidate and _reads_back(candidate, definition.argv, shell):
            escaped = candidate.replace("%", r"\%")
            return " ".join(word for word in (times, user, escaped) if word)
    raise ValueError("the command can't be written as a line that cron understands")


def assignments(env: dict[str, str]) -> Iterable[str]:
    """The lines that give variables to the entries that follow.

    Raises:
        ValueError: cron can't express one.
    """
    for name, value in env.items():
        text = f'{name}="{value}"' if '"' not in value else f"{name}='{value}'"
        found = _ASSIGNMENT.fullmatch(text) if text.isprintable() else None
        if name in (*_CRON_S_OWN, "HOME") or found is None or _pair(found) != (name, value):
            raise ValueError(f"the variable {name} can't be set in a crontab")
        yield text


def _reads_back(candidate: str, argv: list[str], shell: str) -> bool:
    try:
        return command(unescaped(candidate.replace("%", r"\%")), shell) == argv
    except ValueError:
        return False


def _five_fields(definition: Definition) -> str:
    """Times as cron understands them, which has no seconds and none of our letters."""
    times = canonical(definition.expression)
    fields = times.split()
    if times.startswith("@"):
        return times.lower()
    if len(fields) == 6:
        raise ValueError("cron has no seconds")
    if re.search("[L#]", times):
        raise ValueError("cron has no L and no #")
    if definition.both_days and not (fields[2].startswith("*") or fields[4].startswith("*")):
        raise ValueError("in cron either day or weekday is enough")
    return times
