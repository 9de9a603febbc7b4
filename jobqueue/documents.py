"""A set-up as a file: YAML or JSON, with nothing but plain values in it. Pure.

Of YAML that is the part that says the same as JSON: no tags, no aliases, each key once, text
unless it looks like a number, true, false or null. The end must be said (``...``), since YAML that
was cut off may be good YAML.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: The key that tells a set-up from other files; its value is the version of the format.
HEADER, VERSION = "jobqueue_export", 1
YAML, JSON = "yaml", "json"
#: Bytes that a file may have, and how deep its values may be nested.
MOST_BYTES, DEEPEST = 4 * 1024 * 1024, 16

#: What is written of one row: the names of its fields and their values.
Entry = dict[str, Any]
Sections = dict[str, list[Entry]]

_SUFFIXES = {".yaml": YAML, ".yml": YAML, ".json": JSON}
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
# Digits of a number; Python refuses one of some thousands in words of its own.
_MOST_DIGITS = 1000
_TOO_LONG = f"a number has more than {_MOST_DIGITS} digits."
_JSON_TEXT_OR_NUMBER = re.compile(r'"(?:\\.|[^"\\])*"|[0-9]+', re.DOTALL)
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?", re.ASCII)
# To YAML 1.1, which folds them; only with double quotes are they written by their numbers.
_OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
# Characters: a list that is as short as this is written in a line.
_SHORT = 80


def form_of(file: str) -> str:
    """``yaml`` or ``json``, by the end of a file's name.

    Raises:
        ValueError: it has another one.
    """
    try:
        return _SUFFIXES[Path(file).suffix.lower()]
    except KeyError:
        raise ValueError("Its name must end in .yaml, .yml or .json.") from None


def form_of_text(data: bytes) -> str:
    """``yaml`` or ``json``, by how a file begins that has no name."""
    return JSON if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" else YAML


def has_yaml() -> bool:
    """Whether YAML can be written and read here."""
    try:
        import yaml  # noqa: F401
    except ImportError:
        return False
    return True


def read(data: bytes, form: str) -> Sections:
    """What a file says, by sections.

    Raises:
        ValueError: it isn't one of ours, or whole; one line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("It isn't valid UTF-8.") from None
    content = _read_json(text) if form == JSON else _read_yaml(text)
    _refuse_unstorable(content)
    return _sections(content)


def write(sections: Mapping[str, list[Entry]], form: str) -> str:
    """The file that says this, always the same for the same.

    Raises:
        ValueError: it would be YAML, and PyYAML isn't installed.
    """
    content = {HEADER: VERSION, **sections}
    if form == JSON:
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    yaml = _yaml()
    return str(
        yaml.dump(
            content,
            Dumper=_dumper(yaml),
            sort_keys=False,
            allow_unicode=True,
            width=math.inf,
            explicit_end=True,
        )
    )


def _sections(content: object) -> Sections:
    if not isinstance(content, dict) or HEADER not in content:
        raise ValueError(f"It is no set-up: that has the key {HEADER}, which says its version.")
    version = content.pop(HEADER)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"{HEADER}: {version!r:.40} is no version; {VERSION} is what is known.")
    if version > VERSION:
        raise ValueError(
            f"It was written by a newer version (format {version}, here {VERSION}): upgrade first."
        )
    for section, entries in content.items():
        if not isinstance(entries, list):
            raise ValueError(f"{section}: a list is needed; an empty one is [].")
        for number, entry in enumerate(entries, start=1):
            if not isinstance(entry, dict):
                raise ValueError(f"{section}, number {number}: no fields but {entry!r:.40}.")
    return content


def _refuse_unstorable(value: object) -> None:
    for text in _texts(value):
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise ValueError(f"{text!r:.60} has a NUL character, or half of a surrogate pair.")


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        raise ValueError("It is nested too deeply.")
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(item, depth + 1)


# JSON


def _read_json(text: str) -> object:
    for found in _JSON_TEXT_OR_NUMBER.finditer(text):
        if found[0][0] != '"' and len(found[0]) > _MOST_DIGITS:
            line = text.count("\n", 0, found.start()) + 1
            raise ValueError(f"Line {line}: {_TOO_LONG}")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ValueError("It is empty.") from None
        raise ValueError(f"It is no JSON, or cut off: line {error.lineno}: {error.msg}.") from None
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None


def _once(pairs: list[tuple[str, Any]]) -> Entry:
    found = dict[str, Any]()
    for key, value in pairs:
        if key in found:
            raise ValueError(f"The key {key!r:.60} is there twice in one object.")
        found[key] = value
    return found


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number.")


# YAML


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise ValueError(
            "YAML needs PyYAML, which isn't installed: pip install PyYAML, or use JSON (.json)."
        ) from None
    return yaml


def _read_yaml(text: str) -> object:
    yaml = _yaml()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Document(yaml, yaml.parse(text, Loader=loader)).read()
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" line {mark.line + 1}:" if mark else ""
        words = " ".join(str(problem or error).split())
        raise ValueError(f"It is no YAML, or cut off:{where} {words}.") from None


class _Document:
    """Makes values of what PyYAML's parser meets; none of its constructors is ever called."""

    def __init__(self, yaml: Any, events: Iterator[Any]) -> None:
        self._yaml, self._events = yaml, events

    def read(self) -> object:
        """The one document.

        Raises:
            ValueError: there is something in it that isn't taken; one line.
            yaml.YAMLError: it is no YAML.
        """
        next(self._events)  # the stream's start
        if isinstance(next(self._events), self._yaml.StreamEndEvent):
            raise ValueError("It is empty.")
        content = self._value(next(self._events), 0)
        if not next(self._events).explicit:
            raise ValueError(
                "It has no end: is it half a file? The last line of a whole one is ..."
            )
        if not isinstance(next(self._events), self._yaml.StreamEndEvent):
            raise ValueError("There is more behind its end (...).")
        return content

    def _value(self, event: Any, depth: int) -> object:
        if isinstance(event, self._yaml.AliasEvent) or event.anchor is not None:
            raise _refused(event, "aliases (& and *) aren't taken: write out what is meant.")
        if event.tag is not None:
            raise _refused(event, f"tags aren't taken: {event.tag!r:.60}.")
        if depth > DEEPEST:
            raise _refused(event, "it is nested too deeply.")
        if isinstance(event, self._yaml.ScalarEvent):
            if event.implicit[0] and _is_too_long(event.value):
                raise _refused(event, _TOO_LONG)
            return _plain(event.value) if event.implicit[0] else event.value
        if isinstance(event, self._yaml.SequenceStartEvent):
            return [self._value(item, depth + 1) for item in self._items()]
        return self._mapping(depth + 1)

    def _mapping(self, depth: int) -> Entry:
        found = dict[str, Any]()
        for event in self._items():
            if not isinstance(event, self._yaml.ScalarEvent):
                raise _refused(event, "a key must be text.")
            self._value(event, depth)  # refuses what no value may have
            if event.value in found:
                raise _refused(event, f"the key {event.value!r:.60} is there twice.")
            found[event.value] = self._value(next(self._events), depth)
        return found

    def _items(self) -> Iterator[Any]:
        """What starts in this list or mapping, up to its end."""
        ends = (self._yaml.SequenceEndEvent, self._yaml.MappingEndEvent)
        while not isinstance(event := next(self._events), ends):
            yield event


def _refused(event: Any, reason: str) -> ValueError:
    return ValueError(f"Line {event.start_mark.line + 1}: {reason}")


def _is_too_long(text: str) -> bool:
    return len(text) > _MOST_DIGITS and _INTEGER.fullmatch(text) is not None


def _plain(text: str) -> object:
    """What a word without quotes means: all of it means the same in YAML 1.1, 1.2 and JSON."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _dumper(yaml: Any) -> Any:
    """PyYAML's own in Python, since that in C breaks lines elsewhere."""

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "|" if _is_block(value) else '"' if _OTHER_LINE_ENDS.search(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def items(dumper: Any, value: list[Any]) -> Any:
        return dumper.represent_sequence(
            "tag:yaml.org,2002:seq", value, flow_style=_is_short(value)
        )

    Dumper.add_representer(str, text)
    Dumper.add_representer(list, items)
    return Dumper


def _is_block(text: str) -> bool:
    """Whether it has lines that look well below each other."""
    lines = text.split("\n")
    if _OTHER_LINE_ENDS.search(text) or text.rstrip() != text:
        return False
    return len(lines) > 1 and lines[0] == lines[0].strip() != ""


def _is_short(items: list[Any]) -> bool:
    return all(isinstance(item, str) and "\n" not in item for item in items) and (
        sum(len(item) + 2 for item in items) <= _SHORT
    )
