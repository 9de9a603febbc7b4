"""What a ``bots.ini`` says of directory monitors and the job queue. Pure.

Sections, keys and defaults are those that Bots' own ``dirmonitor.py`` and ``jobqueueserver.py``
read, with Python's :mod:`configparser` and no interpolation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import (
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
    RawConfigParser,
)
from dataclasses import dataclass, field
from datetime import timedelta

#: Bytes that a file may have.
MOST_BYTES = 16 * 1024 * 1024
#: What Bots takes where ``maxruntime`` isn't given.
MAX_RUNTIME = timedelta(minutes=60)
_YEAR = 366 * 24 * 60

_KEYS = ("path", "filemask", "recursive", "route")
_NOT_TAKEN = {
    "port": "requests go to the database, no port is open",
    "lauchfrequency": "nothing waits between runs; a monitor has a settle time of its own",
    "log_console": "logging is set up in this site's settings",
    "log_console_level": "logging is set up in this site's settings",
    "log_file_level": "logging is set up in this site's settings",
}
_NO_KEY = "it is none that Bots reads there"
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_COMMENT = re.compile(r"\s[#;].*")
#: Bots' engine takes them for something else than a route.
_NO_ROUTES = ("?", "/?")


@dataclass(frozen=True)
class Remark:
    """Something about a line: why it is refused, or what to know of it. None: about the whole."""

    line: int | None
    text: str


@dataclass(frozen=True)
class Monitor:
    """A section ``[dirmonitorN]``."""

    #: In the file, from 1 on.
    line: int
    section: str
    path: str
    filemask: str
    recursive: bool
    #: "" is a run without a route.
    route: str
    #: What is otherwise than it was.
    notes: tuple[str, ...] = ()
    #: No file fits, so that it does nothing in Bots.
    is_idle: bool = False

    def key(self) -> tuple[object, ...]:
        """The same for two that do the same."""
        return (self.path, self.filemask, self.recursive, self.route, self.is_idle)


@dataclass
class Contents:
    """What a file says."""

    monitors: list[Monitor] = field(default_factory=list)
    #: None if the file doesn't say, or nothing that can be understood.
    max_runtime: timedelta | None = None
    #: Whether Bots starts its monitors.
    are_monitors_on: bool = True
    #: Bots' directory for its data, by default relative to its package.
    botssys: str = "botssys"
    refused: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)

    def add(self, monitor: Monitor) -> None:
        """Take a monitor over, unless it says the same as one before."""
        first = self._first.setdefault(monitor.key(), monitor)
        if first is monitor:
            self.monitors.append(monitor)
        else:
            text = f"[{monitor.section}] says the same as [{first.section}]: taken once."
            self.notes.append(Remark(monitor.line, text))

    _first: dict[object, Monitor] = field(default_factory=dict)


def read(data: bytes) -> Contents:
    """What a ``bots.ini`` says.

    Raises:
        ValueError: it isn't an ini file, or one that Bots can't read either; says which line.
    """
    text = _text(data)
    ini, lines = _parse(text), _Lines(text)
    if not any(_is_bots(section) for section in ini.sections()):
        raise ValueError("It has no section of a bots.ini, such as [settings] or [dirmonitor1].")
    contents = Contents(botssys=ini.get("directories", "botssys", fallback="") or "botssys")
    for section in ini.sections():
        if _is_monitor(section):
            _read_monitor(ini, section, lines, contents)
        elif section in ("jobqueue", "dirmonitor"):
            _name_not_taken(ini, section, lines, contents)
    _read_enabled(ini, lines, contents)
    _read_max_runtime(ini, lines, contents)
    return contents


def _is_monitor(section: str) -> bool:
    return section.startswith("dirmonitor") and section != "dirmonitor"


def _is_bots(section: str) -> bool:
    return section.startswith("dirmonitor") or section in ("settings", "jobqueue", "directories")


def quoted(text: str) -> str:
    """As it stands in the file; who shows it to people escapes what can't be printed."""
    return f"'{text[:80]}'"


def wrong_route(route: str) -> str:
    """Why the engine can't be told to run a route of this name; "" if it can."""
    if route.startswith("-") or route in _NO_ROUTES:
        return f"{quoted(route)} is no name of a route: the engine takes it for an option."
    if not route.isprintable():
        return f"{quoted(route)} is no name of a route: it has control characters."
    return ""


def _text(data: bytes) -> str:
    """The file as text; comments may be in any encoding."""
    if b"\0" in data:
        raise ValueError("It has a NUL character: this is no text, or UTF-16.")
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
    return "\n".join(_line(number, raw) for number, raw in enumerate(lines, start=1))


def _line(number: int, raw: bytes) -> str:
    if raw.lstrip().startswith((b"#", b";")):
        return "#"
    try:
        return raw.decode()
    except UnicodeDecodeError:
        convert = "if it is Latin-1, convert the file: iconv -f LATIN1 -t UTF-8"
        raise ValueError(f"Line {number} isn't valid UTF-8; {convert}.") from None


def _parse(text: str) -> RawConfigParser:
    ini = RawConfigParser()
    try:
        ini.read_string(text)
    except DuplicateSectionError as error:
        raise ValueError(f"Line {error.lineno}: [{error.section}] is there twice.") from None
    except DuplicateOptionError as error:
        where = f"[{error.section}] {error.option}"
        raise ValueError(f"Line {error.lineno}: {where} is there twice.") from None
    except MissingSectionHeaderError as error:
        why = "a bots.ini begins with a [section]"
        raise ValueError(
            f"Line {error.lineno}: {why}, not with {quoted(error.line.strip())}."
        ) from None
    except ParsingError as error:
        line = error.errors[0][0]
        raise ValueError(f"Line {line} is no [section], no key = value, no comment.") from None
    return ini


class _Lines:
    """Where sections and keys stand, which a parser doesn't tell."""

    def __init__(self, text: str) -> None:
        self._found: dict[tuple[str, str], int] = {}
        section, key, margin = "", "", 0
        for number, line in enumerate(text.split("\n"), start=1):
            indent = len(line) - len(line.lstrip())
            if line.strip() in ("", "#") or (key and indent > margin):  # a value goes on
                continue
            key, margin = "", indent
            if header := RawConfigParser.SECTCRE.match(line.strip()):
                section = header["header"]
                self._found.setdefault((section, ""), number)
            elif entry := RawConfigParser.OPTCRE.match(line.strip()):
                key = entry["option"].rstrip().lower()
                self._found.setdefault((section, key), number)

    def of(self, section: str, key: str = "") -> int:
        """The line of a key, else that of its section."""
        found = self._found.get((section, key))
        return found or self._found.get((section, ""), 1)


def _read_monitor(ini: RawConfigParser, section: str, lines: _Lines, contents: Contents) -> None:
    for key in _own_keys(ini, section):
        if key not in _KEYS:
            _not_taken(section, key, _NO_KEY, lines, contents)
    try:
        contents.add(_monitor(ini, section, lines))
    except _WrongKeyError as error:
        where = f"[{section}] {error.key}"
        contents.refused.append(Remark(lines.of(section, error.key), f"{where}: {error}"))


class _WrongKeyError(ValueError):
    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def _monitor(ini: RawConfigParser, section: str, lines: _Lines) -> Monitor:
    for key in _KEYS:
        if "\n" in ini.get(section, key, fallback=""):
            raise _WrongKeyError(key, "it goes on over several lines: write one.")
    route = ini.get(section, "route", fallback="")
    if why := wrong_route(route):
        raise _WrongKeyError("route", why)
    filemask = ini.get(section, "filemask", fallback="*")
    return Monitor(
        line=lines.of(section),
        section=section,
        path=_path(ini.get(section, "path", fallback="")),
        filemask=filemask or "*",
        recursive=_recursive(ini, section),
        route=route,
        notes=(*_about_masks(filemask), *_about_comments(ini, section)),
        is_idle=not filemask,
    )


def _path(path: str) -> str:
    if not path:
        raise _WrongKeyError("path", "it is missing, and has no default.")
    if _WINDOWS.match(path):
        why = "is one of Windows: write the one it has here."
        raise _WrongKeyError("path", f"{quoted(path)} {why}")
    if not path.startswith("/"):
        where = "relative to where bots-dirmonitor was started"
        raise _WrongKeyError("path", f"{quoted(path)} is {where}: write it from / on.")
    return path.rstrip("/") or "/"


def _recursive(ini: RawConfigParser, section: str) -> bool:
    try:
        return ini.getboolean(section, "recursive", fallback=False)
    except ValueError:
        given = ini.get(section, "recursive")
        raise _WrongKeyError("recursive", f"it is True or False, not {quoted(given)}.") from None


def _about_masks(filemask: str) -> Iterator[str]:
    if not filemask:
        yield "The empty filemask fits nothing in Bots: it is * here, a new monitor is disabled."
    if ";" in filemask:
        yield "; separates masks here; in Bots it is a part of the name."


def _about_comments(ini: RawConfigParser, section: str) -> Iterator[str]:
    """Of values with what looks like a comment: Bots takes it for a part of them, unless it runs
    on Python 2 and the comment begins with a semicolon.
    """
    for key in _KEYS:
        if found := _COMMENT.search(ini.get(section, key, fallback="")):
            what = f"{quoted(found[0].strip())} is taken for a part of the {key}"
            yield f"{what}, as Bots on Python 3 does: a comment needs a line of its own."


def _name_not_taken(ini: RawConfigParser, section: str, lines: _Lines, contents: Contents) -> None:
    for key in _own_keys(ini, section):
        if (section, key) != ("jobqueue", "enabled"):
            _not_taken(section, key, _NOT_TAKEN.get(key, _NO_KEY), lines, contents)


def _not_taken(section: str, key: str, why: str, lines: _Lines, contents: Contents) -> None:
    text = f"[{section}] {key} is not taken over: {why}."
    contents.notes.append(Remark(lines.of(section, key), text))


def _own_keys(ini: RawConfigParser, section: str) -> list[str]:
    """Those that don't come from ``[DEFAULT]`` alone."""
    return [key for key in ini.options(section) if key not in ini.defaults()]


def _read_enabled(ini: RawConfigParser, lines: _Lines, contents: Contents) -> None:
    where = lines.of("jobqueue", "enabled")
    try:
        contents.are_monitors_on = ini.getboolean("jobqueue", "enabled", fallback=True)
    except ValueError:
        contents.refused.append(Remark(where, "[jobqueue] enabled: it is True or False."))
    if not contents.are_monitors_on:
        off = "so Bots runs no monitors: new ones are disabled here as well"
        contents.notes.append(Remark(where, f"[jobqueue] enabled is off, {off}."))


def _read_max_runtime(ini: RawConfigParser, lines: _Lines, contents: Contents) -> None:
    text = ini.get("settings", "maxruntime", fallback=None)
    if text is None:
        return
    if re.fullmatch("[0-9]{1,6}", text) and 1 <= int(text) <= _YEAR:
        contents.max_runtime = timedelta(minutes=int(text))
        return
    why = f"it takes minutes from 1 to {_YEAR} (a year), not {quoted(text)}."
    where = lines.of("settings", "maxruntime")
    contents.refused.append(Remark(where, f"[settings] maxruntime: {why}"))
