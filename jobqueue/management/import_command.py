"""What ``import_crontab`` and ``import_runner`` share: they show what they would do, or do it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from .. import recurrence
from ..commandline import join, printable
from ..definitions import MOST_BYTES, Contents
from . import json_rows, moving_in
from .base import QueueCommand, one_line, refuse
from .console import Cell
from .moving_in import CHANGED, NEW, UNCHANGED, Plan, Step

_COLOURS = {NEW: "green", CHANGED: "yellow"}


class ImportCommand(QueueCommand):
    """A command that reads a file; how it is understood is its own matter."""

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, and whether to do it."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="- is stdin")
        parser.add_argument("--zone", help="in which its times are meant; by default the site's")
        parser.add_argument("--apply", action="store_true", help="do it; otherwise only show it")
        parser.add_argument(
            "--skip-refused", action="store_true", help="do the rest if lines are refused"
        )
        parser.add_argument("--json", action="store_true", help="one object")

    def parse(self, data: bytes, zone: str, options: Namespace) -> Contents:
        """What the file says.

        Raises:
            ValueError: nothing of it can be understood.
        """
        raise NotImplementedError

    def extra(self, options: Namespace, contents: Contents, plan: Plan) -> json_rows.Row:
        """What else is told of the file; for people it is told here."""
        return {}

    def run(self, options: Namespace) -> None:
        """Read, compare, and show it or do it."""
        contents = self._contents(options)
        plan = moving_in.plan(contents, self._progress)
        is_blocked = bool(plan.refused) and not options.skip_refused
        is_applied = options.apply and not is_blocked
        if is_applied:
            moving_in.apply(plan.steps, timezone.now(), self._progress)
        self.console.end_progress()
        if options.json:
            row = _object(contents, plan, is_applied) | self.extra(options, contents, plan)
            self.console.say(json_rows.dumps(row))
        else:
            self._show(contents, plan)
            self.extra(options, contents, plan)
            self._sum_up(plan, is_applied)
        if options.apply and is_blocked:
            refuse(f"Nothing was done: {_refused(plan)}; --skip-refused leaves them out.")

    def _contents(self, options: Namespace) -> Contents:
        zone = str(settings.TIME_ZONE) if options.zone is None else options.zone
        with one_line("--zone: "):
            recurrence.zone_info(zone)
        data = read(options.file, MOST_BYTES)
        with one_line(f"{shown(options.file)}: "):
            contents = self.parse(data, zone, options)
        if not (contents.definitions or contents.refused):
            refuse(f"{shown(options.file)}: it has no line that says what to run and when.")
        if options.zone is None:
            self.console.note(f"Note: times are in {zone}, the site's, unless --zone is given.")
        return contents

    def _progress(self, done: str, count: int, total: int) -> None:
        if self.console.is_terminal():
            self.console.progress(f"{count} of {total} {done}")

    def _show(self, contents: Contents, plan: Plan) -> None:
        rows = [_row(step) for step in plan.steps if step.action != UNCHANGED]
        if rows:
            titles = ["LINE", "", "SCHEDULE", "TIMES", "JOB", "COMMAND"]
            self.console.table([titles, *rows])
        for line, text in sorted(_remarks(contents, plan)):
            self.console.say(f"line {line}: {printable(text)}")

    def _sum_up(self, plan: Plan, is_applied: bool) -> None:
        counts = ", ".join(f"{plan.count(action)} {action}" for action in (NEW, CHANGED, UNCHANGED))
        refused = f"; {_refused(plan)}" if plan.refused else ""
        todo = plan.count(NEW) + plan.count(CHANGED)
        if not todo:
            self.console.say(f"Nothing to do: {plan.count(UNCHANGED)} unchanged{refused}.")
        elif is_applied:
            self.console.say(f"Done: {counts}{refused}.")
        else:
            self.console.say(f"To do: {counts}{refused}. Nothing was done yet.")
            skip = " --skip-refused" if plan.refused else ""
            self.console.note(f"Note: this shows what would be done; --apply{skip} does it.")


def read(file: str, most: int) -> bytes:
    """What a file or stdin (``-``) has, so many bytes at most."""
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
        data = source.read(most + 1)
    if len(data) > most:
        refuse(f"{shown(file)}: it has more than {most // 1024**2} MiB.")
    return data


def shown(file: str) -> str:
    """The name of a file for people."""
    return "stdin" if file == "-" else file


def _remarks(contents: Contents, plan: Plan) -> Iterator[tuple[int, str]]:
    """What there is to say of lines, beside what becomes of them."""
    for step in plan.steps:
        if step.action != UNCHANGED:
            for text in (*step.changes, *step.definition.notes):
                yield step.definition.line, text
    for note in contents.notes:
        yield note.line, note.text
    for refusal in plan.refused:
        yield refusal.line, f"refused: {refusal.text}"


def _row(step: Step) -> list[str | Cell]:
    definition = step.definition
    return [
        str(definition.line),
        Cell(step.action, _COLOURS.get(step.action, "")),
        printable(step.schedule.name) + ("" if step.schedule.enabled else " (disabled)"),
        printable(definition.expression),
        printable(step.job.name),
        printable(join(definition.argv)),
    ]


def _object(contents: Contents, plan: Plan, is_applied: bool) -> json_rows.Row:
    return {
        "applied": is_applied,
        "schedules": [_step_object(step) for step in plan.steps],
        "refused": [{"line": refusal.line, "reason": refusal.text} for refusal in plan.refused],
        "notes": [{"line": note.line, "text": note.text} for note in contents.notes],
    }


def _step_object(step: Step) -> json_rows.Row:
    definition = step.definition
    return {
        "line": definition.line,
        "action": step.action,
        "name": step.schedule.name,
        "job": step.job.name,
        "job_action": step.job_action,
        "argv": definition.argv,
        "env": definition.env,
        "environment": definition.environment,
        "working_directory": definition.working_directory,
        "expression": definition.expression,
        "timezone": definition.zone,
        "both_days": definition.both_days,
        "enabled": step.schedule.enabled,
        "changes": step.changes,
        "notes": list(definition.notes),
    }


def _refused(plan: Plan) -> str:
    count = len(plan.refused)
    return f"{count} line{'' if count == 1 else 's'} refused"
