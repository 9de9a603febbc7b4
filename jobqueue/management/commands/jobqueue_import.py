"""``manage.py jobqueue_import``: what another system has written becomes the set-up here."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from django.core.management.base import CommandParser

from ... import documents
from ...commandline import join, printable
from ...documents import Sections
from .. import json_rows, needed_settings, settings_values, transfer
from ..base import QueueCommand, confirm, one_line, refuse
from ..console import Cell
from ..import_command import read, shown
from ..needed_settings import Found
from ..transfer import CHANGED, DONE, HERE, NEW, REMOVED, UNCHANGED, Plan, Step

_COLOURS = {NEW: "green", CHANGED: "yellow", REMOVED: "red"}
_EXAMPLES = """examples:
  manage.py jobqueue_import setup.yaml                      show what would be done
  manage.py jobqueue_import setup.yaml --apply              do it
  manage.py jobqueue_import setup.yaml --apply --prune      and remove what the file lacks

Rows are known by their names. What the file says holds for all fields: one that isn't given gets
its default. What is here and not in the file stays, unless --prune is given; a section that the
file doesn't have (jobs, schedules, monitors) stays as it is in any case.

Without --apply nothing is changed. With it, all is done or nothing; a second run has nothing to do.
"""


class Command(QueueCommand):
    """Shows the difference, and makes it none."""

    help = "Take over a set-up that jobqueue_export has written."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, and how far to go."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help=".yaml, .yml or .json; - is stdin")
        parser.add_argument("--apply", action="store_true", help="do it; otherwise only show it")
        parser.add_argument("--prune", action="store_true", help="remove what the file lacks")
        parser.add_argument("--yes", action="store_true", help="don't ask before removing")
        parser.add_argument("--json", action="store_true", help="one object")

    def run(self, options: Namespace) -> None:
        """Read, compare, and show it or do it."""
        sections = _sections(options.file)
        with one_line(f"{shown(options.file)}: "):
            listed = needed_settings.take(sections)
        lacking = needed_settings.lacking(sections, listed)
        if lacking and not options.json:
            self._show_lacking(lacking)
        plan = transfer.plan(sections, prune=options.prune)
        self._refuse_problems(plan, shown(options.file))
        if not options.json:
            self._show(plan)
        if lacking and options.apply:
            refuse(f"Nothing was done: the settings here lack {_named(lacking)}. Add that first.")
        is_applied = options.apply and bool(plan.having(*DONE))
        if is_applied:
            if removed := plan.having(REMOVED):
                confirm(f"Remove {_counted(removed)} that the file lacks?", options.yes)
            transfer.apply(sections, plan, prune=options.prune)
        if options.json:
            rows = [_object(step) for step in plan.steps]
            names = needed_settings.names(lacking)
            self.console.say(
                json_rows.dumps({"applied": is_applied, "lacking": names, "objects": rows})
            )
        else:
            self._sum_up(plan, options)

    def _refuse_problems(self, plan: Plan, file: str) -> None:
        if len(plan.problems) == 1:
            refuse(f"{file}: {plan.problems[0]}")
        if plan.problems:
            told = plan.problems[: transfer.MOST_PROBLEMS]
            for problem in told:
                self.console.note(f"{file}: {problem}")
            more = " or more" if len(told) == transfer.MOST_PROBLEMS else ""
            refuse(f"Nothing was done: there are {len(told)} mistakes{more} in {file}.")

    def _show_lacking(self, lacking: Found) -> None:
        self.console.say(f"The settings here lack {_named(lacking)}. Add to them, or change:")
        for line in ["", *settings_values.stub(lacking), ""]:
            self.console.say(line)

    def _show(self, plan: Plan) -> None:
        rows = [row for step in plan.steps if step.action != UNCHANGED for row in _rows(step)]
        if rows:
            self.console.table([["", "KIND", "NAME", "WHAT"], *rows])
        for step in plan.steps:
            for note in step.notes:
                self.console.say(printable(f"{step}: {note}"))

    def _sum_up(self, plan: Plan, options: Namespace) -> None:
        actions = [NEW, CHANGED, REMOVED if options.prune else HERE, UNCHANGED]
        counts = ", ".join(f"{len(plan.having(action))} {action}" for action in actions)
        if not plan.having(*DONE):
            self.console.say(f"Nothing to do: {counts}.")
        elif options.apply:
            self.console.say(f"Done: {counts}.")
        else:
            self.console.say(f"To do: {counts}. Nothing was done yet.")
            self.console.note("Note: this shows what would be done; --apply does it.")


def _sections(file: str) -> Sections:
    with one_line(f"{shown(file)}: "):
        form = None if file == "-" else documents.form_of(file)
    data = read(file, documents.MOST_BYTES)
    with one_line(f"{shown(file)}: "):
        return documents.read(data, form or documents.form_of_text(data))


def _named(lacking: Found) -> str:
    """``RECIPIENTS 'night', 'ops'; CHANNELS 'webhook:ops'``."""
    return "; ".join(f"{key} {', '.join(map(ascii, names))}" for key, names in lacking.items())


def _counted(steps: list[Step]) -> str:
    """``2 Jobs, 1 schedule``, with no more grammar than that."""
    kinds = [step.portable for step in steps]
    return ", ".join(
        f"{count} {portable.kind}{'' if count == 1 else 's'}"
        for portable in dict.fromkeys(kinds)
        if (count := kinds.count(portable))
    )


def _rows(step: Step) -> Iterator[list[str | Cell]]:
    """A line for each field that changes; one for all of a new row."""
    changes = [f"{name}: {_words(old)} -> {_words(new)}" for name, (old, new) in _told(step)]
    if step.action == NEW:
        changes = ["; ".join(f"{name}: {_words(new)}" for name, (_, new) in _told(step))]
    first: list[str | Cell] = [
        Cell(step.action, _COLOURS.get(step.action, "")),
        step.portable.kind,
        printable(step.name),
    ]
    for change in changes or [""]:
        yield [*first, printable(change)]
        first = ["", "", ""]


def _told(step: Step) -> list[tuple[str, tuple[object, object]]]:
    """What changes; a value that isn't shown is said to be another one."""
    return [
        (name, (old, new) if old != new else ("a secret", "another one"))
        for name, (old, new) in step.changes.items()
    ]


def _words(value: object) -> str:
    if value in (None, [], {}):
        return "none"
    if isinstance(value, dict):
        return join(f"{key}={'(secret)' if text is None else text}" for key, text in value.items())
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "''"


def _object(step: Step) -> json_rows.Row:
    return {
        "section": step.portable.section,
        "name": step.name,
        "action": step.action,
        "changes": {name: {"old": old, "new": new} for name, (old, new) in step.changes.items()},
        "notes": step.notes,
    }
