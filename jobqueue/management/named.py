"""Rows that people know by name, Jobs and Schedules: found, checked and stored."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from django.core.exceptions import ValidationError

from ..commandline import printable
from ..models import Job, Schedule
from .base import refuse

Named = TypeVar("Named", Job, Schedule)

#: What each kind is called, and the command that lists them.
_KINDS = {Job: ("Job", "jobs"), Schedule: ("schedule", "schedules")}
#: So many are named one by one.
_FEW = 10


def find(model: type[Named], name: str) -> Named:
    """A row by its name.

    Raises:
        CommandError: there is none; it names those that are spelt alike.
    """
    row = model.objects.filter(name=name).first()
    if row is None or row.name != name:  # MariaDB takes a for A
        refuse(unknown(model, name, list(model.objects.values_list("name", flat=True))))
    return row


def unknown(model: type[Job | Schedule], name: str, names: Sequence[str]) -> str:
    """That there is no row of this name."""
    kind, command = _KINDS[model]
    near = difflib.get_close_matches(name, names, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"see `manage.py {command} list`."
    )
    return f"There is no {kind} {name!r}; {hint}"


def save(row: Job | Schedule) -> None:
    """Check and store a row.

    Raises:
        CommandError: something about it is wrong.
    """
    try:
        row.full_clean()
    except ValidationError as error:
        refuse(" ".join(_problems(error)))
    row.save()


def listed(names: Iterable[str]) -> str:
    """Names in a line, the first ten of them."""
    shown = [printable(name) for name in names]
    more = len(shown) - _FEW
    return ", ".join(shown[:_FEW]) + (f" and {more} more" if more > 0 else "")


def _problems(error: ValidationError) -> list[str]:
    if not hasattr(error, "error_dict"):
        return list(error.messages)
    return [
        f"{name}: {message}" if name != "__all__" else message
        for name, messages in error.message_dict.items()
        for message in messages
    ]
