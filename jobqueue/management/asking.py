"""Asking for runs from a command line: what came of a request, in one line and an exit code."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.db import DatabaseError

from ..api import ADDED, DUPLICATE, PROMOTED, Enqueued, Execution
from ..requests import priority_number
from . import situation
from .console import Console

#: Exit code of a request by its outcome.
CODES = {ADDED: 0, PROMOTED: 0, DUPLICATE: 4}


def priority(text: str) -> int:
    """The priority that was typed.

    Raises:
        NotQueued: it isn't one.
    """
    return priority_number(int(text) if re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text) else text)


def tell(answer: Enqueued, say: Callable[[str], None], *, with_place: bool = True) -> int:
    """Say in a line what came of a request; its exit code."""
    execution = answer.execution
    pk, priority = execution.pk, execution.priority
    where = (_place(execution) if with_place else "") + f"queue {execution.queue}"
    if answer.outcome is ADDED:
        say(f"Added: execution {pk}, priority {priority}, {where}.")
    elif answer.outcome is PROMOTED:
        say(f"Moved forward: execution {pk}, which waits already, to priority {priority}, {where}.")
    else:
        same = "the same request already waits"
        say(f"Duplicate: {same} as execution {pk} (priority {priority}, {where}).")
    return CODES[answer.outcome]


def warn(queue: str, console: Console) -> None:
    """Say why nothing will start for now."""
    try:
        for obstacle in situation.obstacles(queue):
            console.note(f"Note: {obstacle}")
    except DatabaseError:
        pass  # what was asked for is queued: nothing that only informs may look like a failure


def _place(execution: Execution) -> str:
    try:
        place = situation.place(execution)
    except DatabaseError:
        place = None
    return f"place {place} in " if place else ""
