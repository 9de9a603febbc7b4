"""Counts a process's SQLite transactions, in a file that grows by one byte with each.

SQLite has no server that could count. Its trace tells each statement: one outside of BEGIN and
COMMIT is a transaction.
"""

from __future__ import annotations

import os
from typing import Any

#: Names the file.
VARIABLE = "BENCHMARK_TRANSACTIONS"


def start() -> None:
    """Count in every connection that is made from now on, if the environment says where."""
    if os.environ.get(VARIABLE):
        from django.db.backends.signals import connection_created

        connection_created.connect(_watch, dispatch_uid="benchmarks.counting")


def _watch(connection: Any, **_: object) -> None:
    if connection.vendor == "sqlite":
        file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        connection.connection.set_trace_callback(_Counter(file))


class _Counter:
    def __init__(self, file: int) -> None:
        self._file = file
        self._is_open = False

    def __call__(self, statement: str) -> None:
        word = statement.split(None, 1)[0].upper()
        if word == "BEGIN":
            self._is_open = True
        elif word in ("COMMIT", "ROLLBACK"):
            self._is_open = False
        if not self._is_open and word != "PRAGMA":
            os.write(self._file, b".")
