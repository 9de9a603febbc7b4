"""The sub-commands that change rows which people know by name, the same for each kind of them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from . import deleting
from .base import subcommand


class Describing(Protocol):
    """What a command with these sub-commands has for each."""

    def create(self, options: Namespace) -> None:
        """Make one."""

    def edit(self, options: Namespace) -> None:
        """Change what is given of one."""

    def delete(self, options: Namespace) -> None:
        """Delete some."""

    def enable(self, options: Namespace, *, enabled: bool) -> None:
        """Switch some on or off."""


def add_subcommands(
    parsers: Any,
    command: Describing,
    add_arguments: Callable[[ArgumentParser], None],
    *,
    about: tuple[str, str, str, str],
    examples: str,
    rename: tuple[str, ...] = ("--rename",),
) -> None:
    """Add ``create``, ``edit``, ``delete``, ``enable`` and ``disable``.

    Args:
        parsers: what sub-commands are added to.
        command: its methods are the actions.
        add_arguments: adds the options that describe one.
        about: what create, delete, enable and disable do, in a line each.
        examples: of create and edit.
        rename: how the option for another name is spelt.
    """
    creates, deletes, enables, disables = about
    sub = subcommand(parsers, "create", creates, examples)
    add_arguments(sub)
    sub.set_defaults(action=command.create)
    sub = subcommand(parsers, "edit", "change what is given, and only that", examples)
    add_arguments(sub)
    sub.add_argument(*rename, metavar="NAME", help="give it another name")
    sub.set_defaults(action=command.edit)
    sub = subcommand(parsers, "delete", deletes)
    deleting.add_arguments(sub)
    sub.set_defaults(action=command.delete)
    for name, line, enabled in (("enable", enables, True), ("disable", disables, False)):
        sub = subcommand(parsers, name, line)
        sub.add_argument("names", metavar="NAME", nargs="+")
        sub.set_defaults(action=partial(command.enable, enabled=enabled))
