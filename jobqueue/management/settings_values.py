"""Values of the settings that move to another system: without secrets, and as Python."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import environments
from ..secret_words import exposed_words, is_secret

#: Of a key, what may be written of each that is under it.
_WRITTEN = {
    "ENVIRONMENTS": environments.KEYS,
    "RECIPIENTS": ("to", "profile"),
    "CHANNELS": (),
    "MAIL_PROFILES": ("host", "port", "tls", "user", "password", "sender"),
}
#: Characters: what is as short as this is one line of Python.
_SHORT = 90


def plain(key: str, value: object) -> Any:
    """What is written of a value: None stands for a secret, and for what isn't known.

    Args:
        key: of ``JOBQUEUE``.
        value: what is under one of its names.
    """
    if key == "QUEUE_RECIPIENTS":
        return _plain(value) if isinstance(value, list | tuple) else None
    if key == "CHANNELS" or not isinstance(value, Mapping):
        return None
    found = {name: _plain(value[name]) for name in _WRITTEN[key] if name in value}
    if found.get("password"):
        found["password"] = None
    if isinstance(env := found.get("env"), dict):
        found["env"] = {name: None if is_secret(name, text) else text for name, text in env.items()}
    return found


def notes(key: str, name: str, value: object) -> Iterator[str]:
    """What whoever keeps the file should know of the secrets in what was written."""
    if key != "ENVIRONMENTS" or not isinstance(value, Mapping):
        return
    whose = f"environment {name}"
    env = value.get("env") or {}
    if left_out := sorted(variable for variable, text in env.items() if text is None):
        yield f"without the values of {whose}: {', '.join(left_out)}."
    for words in ("prefix", "recovery"):
        if numbers := list(exposed_words(list(map(str, value.get(words) or ())))):
            told = ", ".join(f"word {number} of its {words}" for number in numbers)
            yield f"{whose}: in the file is what looks like a secret ({told})."
    if shown := sorted(variable for variable, text in env.items() if text is not None):
        yield f"{whose}: in the file are the values of {', '.join(shown)}."


def stub(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines for the settings, with placeholders for what isn't said and for secrets."""
    yield "JOBQUEUE = {"
    for key, named in found.items():
        yield f'    "{key}": {{'
        for name, value in named.items():
            text = _python(value, name, 8) if value else _placeholder(key, name)
            yield from f"        {name!a}: {text},".split("\n")
        yield "    },"
    yield "}"


def _placeholder(key: str, name: str) -> str:
    kind = name.partition(":")[0] if key == "CHANNELS" else ""
    url = f'"url": {_variable(name, "URL")}'
    return {
        "ENVIRONMENTS": '{"virtualenv": "/path/to/its/venv"}',
        "RECIPIENTS": '{"to": ["somebody@example.com"]}',
        "QUEUE_RECIPIENTS": '["somebody@example.com"]',
        "MAIL_PROFILES": '{"host": "smtp.example.com", "port": 587, "user": "somebody", '
        f'"password": {_variable(name, "PASSWORD")}}}',
        "webhook": f'{{{url}, "key": {_variable(name, "KEY")}}}',
        "apprise": f"{{{url}}}",
    }.get(kind or key, "{}")


def _variable(*words: str) -> str:
    name = "_".join(re.sub(r"\W+", "_", word, flags=re.ASCII) for word in words)
    return f'os.environ["{name.upper()}"]'


def _python(value: object, name: str, indent: int) -> str:
    """A plain value as Python; of None, a variable that is called after the names around it."""
    if isinstance(value, dict):
        parts = [
            f"{key!a}: {_variable(name, key) if item is None else _python(item, name, indent + 4)}"
            for key, item in value.items()
        ]
        return _bracketed("{}", parts, indent)
    if isinstance(value, list):
        return _bracketed("[]", [_python(item, name, indent + 4) for item in value], indent)
    return ascii(value)


def _bracketed(brackets: str, parts: list[str], indent: int) -> str:
    line = f"{brackets[0]}{', '.join(parts)}{brackets[1]}"
    if len(line) <= _SHORT and "\n" not in line:
        return line
    inner = "".join(f"{' ' * (indent + 4)}{part},\n" for part in parts)
    return f"{brackets[0]}\n{inner}{' ' * indent}{brackets[1]}"


def _plain(value: object) -> Any:
    """As a file can have it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
