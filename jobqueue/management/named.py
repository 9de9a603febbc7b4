"""Rows that people know by name, of any portable model: found, checked and stored."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model

from ..commandline import printable
from ..portable import portable_of
from .base import refuse

Named = TypeVar("Named", bound=Model)

#: So many are named one by one.
_FEW = 10


def find(model: type[Named], name: str) -> Named:
    """A row by its name.

    Raises:
        CommandError: there is none; it names those that are spelt alike.
    """
    key, rows = portable_of(model).key, model._default_manager.all()
    row = rows.filter(**{key: name}).first()
    if row is None or getattr(row, key) != name:  # MariaDB takes a for A
        refuse(unknown(model, name, list(rows.values_list(key, flat=True))))
    return row


def unknown(model: type[Model], name: str, names: Sequence[str]) -> str:
    """That there is no row of this name; its command is called as its section of a set-up."""
    portable = portable_of(model)
    near = difflib.get_close_matches(name, names, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"see `manage.py {portable.section} list`."
    )
    return f"There is no {portable.kind} {name!r}; {hint}"


def save(row: Model) -> None:
    """Check and store a row; of one that is there, what people edit and nothing else.

    Raises:
        CommandError: something about it is wrong.
    """
    try:
        row.full_clean()
    except ValidationError as error:
        refuse(" ".join(_problems(error)))
    is_new = row._state.adding
    row.save(update_fields=None if is_new else list(portable_of(type(row)).fields))


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
