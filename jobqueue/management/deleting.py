"""How commands delete rows that people know by name: what else would go is named before."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Sequence

from django.db.models import Model, ProtectedError, RestrictedError

from .. import related
from ..commandline import printable
from . import named
from .base import confirm, refuse
from .console import Console
from .named import Named


def add_arguments(parser: ArgumentParser) -> None:
    """Which rows, and how much somebody is sure of."""
    parser.add_argument("names", metavar="NAME", nargs="+")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--cascade", action="store_true", help="and what can't be without them")


def delete(model: type[Named], options: Namespace, console: Console) -> None:
    """Delete them all, or none if a name is wrong.

    Raises:
        CommandError: something else can't be without them, and nobody says that it is to go, too.
    """
    rows = [named.find(model, name) for name in options.names]
    names, is_one = ", ".join(printable(str(row)) for row in rows), len(rows) == 1
    others = _others(rows, names)
    is_asked = sys.stdin.isatty() and not options.yes
    if others and not (options.cascade or is_asked):
        verb = "is" if is_one else "are"
        refuse(f"{names} {verb} used by {others}: --cascade deletes all of it. Nothing was done.")
    also = f" and with {'it' if is_one else 'them'} {others}" if others else ""
    confirm(f"Delete {names}{also}?", options.yes)
    model._default_manager.filter(pk__in=[row.pk for row in rows]).delete()
    console.say(f"Deleted: {names}{also}")


def _others(rows: Sequence[Model], names: str) -> str:
    """What goes with these rows, in words; "" if nothing does."""
    try:
        found = related.going_with(rows)
    except ProtectedError as error:
        refuse(_kept(names, error.protected_objects))
    except RestrictedError as error:
        refuse(_kept(names, error.restricted_objects))
    return " and ".join(_in_words(model, objs) for model, objs in found.items())


def _kept(names: str, by: Collection[Model]) -> str:
    found: related.Rows = {}
    for row in sorted(by, key=str):
        found.setdefault(type(row), []).append(row)
    needed = " and ".join(_in_words(model, objs) for model, objs in found.items())
    return f"{names} can't be deleted: {needed} must go first."


def _in_words(model: type[Model], rows: Sequence[Model]) -> str:
    """``the schedules Daily, Weekly``."""
    opts = model._meta
    kind = opts.verbose_name if len(rows) == 1 else opts.verbose_name_plural
    return f"the {kind} {named.listed(map(str, rows))}"
