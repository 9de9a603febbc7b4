"""For commands of other apps that are to behave and print as those of the queue do.

Errors are one line and exit code 1, ``--traceback`` shows more; rows go by their names.
"""

from __future__ import annotations

from .management import deleting, describing
from .management.asking import priority
from .management.base import QueueCommand, one_line, refuse, subcommand
from .management.console import Cell, Console, ago
from .management.import_command import read, shown
from .management.json_rows import dumps
from .management.named import find, listed, save
from .management.service_database import check as check_database

__all__ = [
    "Cell",
    "Console",
    "QueueCommand",
    "ago",
    "check_database",
    "deleting",
    "describing",
    "dumps",
    "find",
    "listed",
    "one_line",
    "priority",
    "read",
    "refuse",
    "save",
    "shown",
    "subcommand",
]
