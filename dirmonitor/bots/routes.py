"""The routes of a Bots, read from its SQLite database without changing it, or being waited for.

Where the database is, stands in Bots' ``settings.py``. That is Python, and it isn't run: only what
is written there as plain text counts.
"""

from __future__ import annotations

import ast
import os
import sqlite3
import time
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: Routes that are read at most; seconds that it may take; bytes of a settings.py.
MOST, PATIENCE, MOST_BYTES = 10_000, 5, 1024 * 1024
_SQLITE = "django.db.backends.sqlite3"


@dataclass(frozen=True)
class Route:
    """A route; one that isn't active does nothing when it is run."""

    name: str
    is_active: bool


def database(directory: Path, botssys: str, package: Path | None) -> Path:
    """Where the database of the configuration in a directory is.

    Args:
        directory: has the ``settings.py``.
        botssys: Bots' directory for data, as ``bots.ini`` says; a relative one is of the package.
        package: Bots' own, if it is known.

    Raises:
        ValueError: it can't be known, or is no file of SQLite; says why.
    """
    declared = _declared(directory / "settings.py")
    engine, name = declared.get("ENGINE", _SQLITE), declared.get("NAME")
    if engine != _SQLITE:
        raise ValueError(f"they are in a database of {engine.rpartition('.')[2]:.40}")
    path = Path(botssys, "sqlitedb", "botsdb") if name is None else Path(name)
    if path.is_absolute():
        return path
    if package is None:
        raise ValueError("where its database is can't be seen in Bots' settings.py")
    return package / path


def read(path: Path) -> list[Route]:
    """The routes by name.

    Raises:
        ValueError: they can't be read; says why.
    """
    if not os.path.isfile(path):
        raise ValueError(f"there is no database {path}")
    try:
        with closing(sqlite3.connect(_address(path), uri=True, timeout=PATIENCE)) as connection:
            end = time.monotonic() + PATIENCE
            connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
            rows = connection.execute(
                "SELECT idroute, max(active) FROM routes GROUP BY idroute ORDER BY idroute"
            ).fetchmany(MOST + 1)
    except sqlite3.Error as error:
        raise ValueError(f"the database {path} can't be read: {error}") from None
    if len(rows) > MOST:
        raise ValueError(f"the database {path} has more than {MOST}")
    return [Route(name, bool(active)) for name, active in rows if isinstance(name, str) and name]


def _address(path: Path) -> str:
    """Without any lock if nobody is writing; a journal beside it says that somebody is."""
    is_written = any(os.path.exists(f"{path}{end}") for end in ("-journal", "-wal"))
    return f"file:{quote(os.fsencode(path))}?{'mode=ro' if is_written else 'mode=ro&immutable=1'}"


def _declared(settings: Path) -> dict[str, str]:
    """What is written as plain text of ``DATABASES["default"]``; {} if the default is left."""
    try:
        with settings.open("rb") as file:
            source = file.read(MOST_BYTES)
    except OSError:
        return {}
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError("Bots' settings.py can't be read as Python 3") from None
    found = [node for node in ast.walk(tree) if _is_about_databases(node)]
    if not found:
        return {}
    last = found[-1]
    if len(found) > 1 or not isinstance(last, ast.Assign) or last not in tree.body:
        raise ValueError("Bots' settings.py decides only when it runs which database it is")
    return _plain(_entry(last.value, "default"))


def _is_about_databases(node: ast.AST) -> bool:
    """Whether a name is given, or an entry of it, or something is done with it."""
    targets: list[Any] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        targets = [node.func.value]
    return any(_base(target) == "DATABASES" for target in targets)


def _base(node: ast.AST) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _entry(node: ast.AST | None, key: str) -> ast.AST | None:
    if not isinstance(node, ast.Dict):
        return None
    entries = zip(node.keys, node.values, strict=True)
    return next((v for k, v in entries if isinstance(k, ast.Constant) and k.value == key), None)


def _plain(node: ast.AST | None) -> dict[str, str]:
    values = {name: _entry(node, name) for name in ("ENGINE", "NAME")}
    return {
        name: value.value
        for name, value in values.items()
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
