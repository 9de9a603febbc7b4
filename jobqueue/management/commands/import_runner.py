"""``manage.py import_runner``: rows of runner's schedule.tsv become Jobs and schedules."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from django.core.management.base import CommandParser

from ... import conf, runner
from ...definitions import Contents
from .. import json_rows
from ..base import one_line
from ..import_command import ImportCommand
from ..moving_in import Plan

_EXAMPLES = """examples:
  manage.py import_runner schedule.tsv                        show what would be done
  manage.py import_runner schedule.tsv --config config.ini    with what its environments run
  manage.py import_runner schedule.tsv --apply                do it

FILE with PARAMETERS is the command of a Job, NAME and DESCRIPTION are its own. A row with STATUS N
makes a disabled schedule. Where MONTH_DAY and WEEK_DAY are both given, both must match.

ENVIRONMENT becomes one of JOBQUEUE["ENVIRONMENTS"]. Those that the settings lack are shown, ready
to be pasted; until they are there, the rows that name them are refused. Without --config,
config.ini beside FILE is read if there is one.

Without --apply nothing is changed. With it, all is done or nothing; rows that are refused prevent
it, but with --skip-refused they are left out. A second run finds what the first one made.
"""


class Command(ImportCommand):
    """Reads runner's schedule, and from its configuration what the environments run."""

    help = "Take over the schedule.tsv of runner as Jobs and schedules."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """The configuration, beside what all have."""
        super().add_arguments(parser)
        parser.add_argument("--config", metavar="FILE", help="runner's config.ini")

    def parse(self, data: bytes, zone: str, options: Namespace) -> Contents:
        """The rows."""
        return runner.read(data, zone=zone)

    def extra(self, options: Namespace, contents: Contents, plan: Plan) -> json_rows.Row:
        """The environments that the settings lack."""
        known = conf.current().ENVIRONMENTS
        names = {definition.environment for definition in contents.definitions} - known.keys()
        found = self._prefixes(options, names)
        if found and not options.json:
            self.console.say("Add to the settings:\n\nJOBQUEUE = {\n    ...")
            self.console.say('    "ENVIRONMENTS": {\n        ...')
            for name, words in found.items():
                self.console.say(f'        {json.dumps(name)}: {{"prefix": {json.dumps(words)}}},')
            self.console.say("    },\n}\n")
        return {"environments": {name: {"prefix": words} for name, words in found.items()}}

    def _prefixes(self, options: Namespace, names: set[str]) -> dict[str, list[str]]:
        if not names:
            return {}
        beside = Path(options.file).parent / "config.ini"
        path = Path(options.config) if options.config is not None else beside
        if options.config is None and (options.file == "-" or not path.is_file()):
            return runner.environments(names, None)
        with one_line(f"{path}: "):
            return runner.environments(names, path.read_text(encoding="utf-8-sig"))
