"""``manage.py jobqueue_export``: the set-up as a file that another system takes."""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import CommandParser
from django.db.models import Model

from ... import documents
from ...commandline import printable
from ...documents import Sections
from ...portable import Portable, portables
from .. import needed_settings, settings_values
from ..base import QueueCommand, one_line, refuse
from ..needed_settings import Found

_EXAMPLES = """examples:
  manage.py jobqueue_export setup.yaml         Jobs, schedules and what else moves
  manage.py jobqueue_export --json | jq .jobs

The file is in the same order each time, names instead of ids, and says only what isn't the default,
so that it can be kept in git. jobqueue_import takes it on another system.

Variables that look like secrets (API_TOKEN, MYSQL_PWD, an address with a user in it) have null for
a value, and the other system keeps its own; notes name the others, whose values are in the file.
What a command line says is written as it is; a note names words of it that look like secrets.
"""


class Command(QueueCommand):
    """Writes all that is registered, a section for each model."""

    help = "Write the set-up (Jobs, schedules, monitors) into a file."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and what."""
        super().add_arguments(parser)
        parser.add_argument(
            "file", metavar="FILE", nargs="?", help=".yaml, .yml or .json; stdout if none is given"
        )
        parser.add_argument("--json", action="store_true", help="JSON to stdout, not YAML")
        parser.add_argument(
            "--with-secrets", action="store_true", help="write values that look secret, too"
        )

    def run(self, options: Namespace) -> None:
        """Write it, all or nothing."""
        form = self._form(options)
        sections = Sections()
        notes = list[str]()
        for portable in portables():
            rows = portable.rows()
            written = [portable.write(row, with_secrets=options.with_secrets) for row in rows]
            sections[portable.section] = written
            notes += (note for row in rows for note in _notes(portable, row))
        needed, lacking = needed_settings.of(sections)
        section = {needed_settings.SECTION: needed_settings.written(needed)} if needed else {}
        text = documents.write({**section, **sections}, form)
        if options.file is None:
            self.console.file(text)
        else:
            _replace(Path(options.file), text, is_secret=options.with_secrets)
            counts = ", ".join(f"{len(rows)} {section}" for section, rows in sections.items())
            self.console.say(f"Written: {printable(options.file)} with {counts}.")
        told = [*_lacking(lacking), *([] if options.with_secrets else [*notes, *_of(needed)])]
        for note in told:
            self.console.note(printable(f"Note: {note}"))

    def _form(self, options: Namespace) -> str:
        if options.file is None:
            return documents.YAML if documents.has_yaml() and not options.json else documents.JSON
        if options.json:
            refuse("--json is for stdout: a FILE says by its name what it is.")
        with one_line(f"{options.file}: "):
            return documents.form_of(options.file)


def _notes(portable: Portable, row: Model) -> Iterator[str]:
    """What whoever keeps the file should know of its secrets."""
    whose = f"{portable.kind} {portable.name(row)}"
    if left_out := portable.secrets(row):
        yield f"without the values of {whose}: {', '.join(left_out)}."
    if exposed := portable.exposed(row):
        words = ", ".join(exposed)
        yield f"{whose}: in the file is what looks like a secret ({words}). Use a variable instead."
    if shown := portable.shown(row):
        yield f"{whose}: in the file are the values of {', '.join(shown)}."


def _lacking(lacking: Found) -> Iterator[str]:
    """What isn't in the file since it isn't in the settings."""
    for key, names in needed_settings.names(lacking).items():
        yield f"what these rows need isn't in the settings here: {key} {', '.join(names)}."


def _of(needed: Found) -> Iterator[str]:
    for key, named in needed.items():
        for name, value in named.items():
            yield from settings_values.notes(key, name, value)


def _replace(path: Path, text: str, *, is_secret: bool) -> None:
    """Put a file there as a whole, so that nobody ever finds half of one."""
    path = path.resolve()  # where a symbolic link leads, it stays
    new, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(new, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if not is_secret:
            Path(name).chmod(_mode(path))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """That of the file which is there; else of any new one."""
    if path.exists():
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
