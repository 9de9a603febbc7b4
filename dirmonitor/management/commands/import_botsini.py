"""``manage.py import_botsini``: a bots.ini becomes monitors, and the Jobs of Bots' Run menu."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path

from django.core.management.base import CommandParser

from jobqueue.api import printable
from jobqueue.commands import QueueCommand, one_line, read, refuse, shown

from ...bots import engine as engines
from ...bots import ini, moving_in
from ...bots import routes as bots_routes
from ...bots.engine import Engine
from ...bots.ini import Contents
from ...bots.routes import Route
from .. import showing

_EXAMPLES = """examples:
  manage.py import_botsini /opt/bots/prod/bots.ini            show what would be done
  manage.py import_botsini /opt/bots/prod/bots.ini --apply    do it
  manage.py import_botsini bots.ini --configuration prod --engine "python2.7 /opt/bots-engine.py"

What becomes of what:
  [dirmonitorN] path, filemask, recursive   a directory monitor
  [dirmonitorN] route                       the Job that it queues; without one, that of new files
  [settings] maxruntime                     max_runtime of the Jobs
  [jobqueue] enabled                        if it is off, new monitors are disabled
  Bots' Run menu                            Jobs: new, rereceive, resend, retry communication,
                                            cleanup, and each active route of Bots' database

Where the engine is, and which configuration it is given, is guessed from where FILE lies, and told.
Routes are read if Bots has them in SQLite; its settings.py is looked at, not run.

Without --apply nothing is changed. With it, all is done or nothing; what is refused prevents it,
but with --skip-refused it is left out. A second run finds what the first one made. Then stop Bots'
own bots-dirmonitor and bots-jobqueueserver: until you do, both watch.
"""


class Command(QueueCommand):
    """Shows what it would do, or does it."""

    help = "Take over a bots.ini: its directory monitors, and Bots' Run menu as Jobs."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, what it doesn't say, and whether to do it."""
        super().add_arguments(parser)
        add = parser.add_argument
        add("file", metavar="FILE", help="the bots.ini; - is stdin")
        add("--engine", metavar="COMMAND", help="what starts bots-engine; quoted as for a shell")
        add("--configuration", metavar="NAME", help="what the engine is given as -c")
        add("--database", metavar="FILE", help="Bots' SQLite database, to read the routes from")
        add("--apply", action="store_true", help="do it; otherwise only show it")
        add("--skip-refused", action="store_true", help="do the rest if something is refused")
        add("--json", action="store_true", help="one object")

    def run(self, options: Namespace) -> None:
        """Read, compare, and show it or do it."""
        data = read(options.file, ini.MOST_BYTES)
        with one_line(f"{shown(options.file)}: "):
            contents = ini.read(data)
        path = None if options.file == "-" else Path(options.file).absolute()
        engine = self._engine(path, options.engine, options.configuration)
        routes = self._routes(path, engine, contents, options.database)
        plan = moving_in.plan(contents, engine, routes)
        is_blocked = bool(plan.refused) and not options.skip_refused
        is_applied = options.apply and not is_blocked
        if is_applied:
            moving_in.apply(plan)
        if options.json:
            self.console.say(showing.as_json(plan, engine, is_applied))
        else:
            for line in showing.lines(plan, is_applied):
                self.console.say(line)
            if not (options.apply or plan.is_done()):
                skip = " --skip-refused" if is_blocked else ""
                self._note(f"this shows what would be done; --apply{skip} does it.")
        if options.apply and is_blocked:
            count = len(plan.refused)
            refuse(f"Nothing was done: {count} refused; --skip-refused leaves them out.")

    def _engine(self, path: Path | None, command: str | None, configuration: str | None) -> Engine:
        if configuration is None:
            if path is None:
                refuse("stdin doesn't say of what it is: --configuration NAME does.")
            configuration = engines.configuration(path.parent)
            if not (path.parent / "settings.py").exists():
                why = "beside it is no settings.py, as in a configuration of Bots"
                self._note(f"{why}; --configuration says what the engine is given as -c.")
        if command is not None:
            return Engine(_words(command), configuration)
        found = None if path is None else engines.find(path)
        engine = Engine((str(found or "bots-engine"),), configuration)
        where = "" if found else ", looked for in the service's PATH"
        started = shlex.join(engine.argv())
        self._note(f"the engine is started by {started}{where}; --engine names another.")
        return engine

    def _routes(
        self, path: Path | None, engine: Engine, contents: Contents, database: str | None
    ) -> list[Route] | None:
        """Those of Bots' database; None, and a word on it, if it can't be read."""
        try:
            if database is not None:
                return bots_routes.read(Path(database))
            found = _database(path, engine, contents)
            routes = bots_routes.read(found)
        except ValueError as error:
            if database is not None:
                raise
            self._note(f"Bots' routes weren't read, {error}; --database FILE reads others.")
            add = ("jobs", "create", f"{engine.title}: route ROUTE", "--menu", "--")
            self._note(f"this adds one: manage.py {shlex.join([*add, *engine.argv('ROUTE')])}")
            return None
        self._note(f"Bots' routes are those of {found}.")
        return routes

    def _note(self, text: str) -> None:
        self.console.note(f"Note: {_line(text)}")


def _words(command: str) -> tuple[str, ...]:
    with one_line("--engine: it can't be read: "):
        words = tuple(shlex.split(command))
    if not words:
        refuse("--engine: it names no program.")
    return words


def _database(path: Path | None, engine: Engine, contents: Contents) -> Path:
    if path is None:
        raise ValueError("stdin doesn't say where its database is")
    package = engines.package(path.parent, Path(engine.words[-1]))
    return bots_routes.database(path.parent, contents.botssys, package)


def _line(text: object) -> str:
    return printable(" ".join(str(text).split()))
