"""``manage.py monitors``: which files queue which Jobs."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from jobqueue.api import printable
from jobqueue.commands import QueueCommand, deleting, describing, dumps, find, save, subcommand

from ...models import DirMonitor
from .. import monitor_options, monitor_rows

_EXAMPLES = """examples:
  manage.py monitors create Orders --path /in/orders --filemask "*.edi" --job "New files"
  manage.py monitors list
  manage.py monitors disable Orders

`manage.py dirmonitor` is the service that watches.
"""
_CREATE = """examples:
  monitors create Orders --path /in/orders --filemask "*.edi;*.xml" --job "New files" -p2
  monitors create Partners --path "/in/*/out" --recursive --job "New files" --settle 10
  monitors edit Orders --filemask "*"

Put quotes around masks and paths with wildcards, else the shell takes them for itself.
"""
_NO_MONITORS = "There are no monitors yet; `monitors create --help` shows how to make one."


class Command(QueueCommand):
    """Sub-commands are methods; each returns its exit code."""

    help = "List and describe directory monitors, which queue Jobs when files arrive."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """A parser for each sub-command."""
        super().add_arguments(parser)
        parsers = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        sub = subcommand(parsers, "list", "list all monitors, and how each stands")
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=self.list_monitors)
        sub = subcommand(parsers, "show", "show a monitor, and how it stands")
        sub.add_argument("name", metavar="NAME")
        sub.add_argument("--json", action="store_true", help="one object")
        sub.set_defaults(action=self.show)
        self._add_describing(parsers)

    def _add_describing(self, parsers: Any) -> None:
        describing.add_subcommands(
            parsers,
            self,
            monitor_options.add_arguments,
            about=(
                "create a monitor",
                "delete monitors; their Jobs and all files are kept",
                "let monitors queue Jobs",
                "let monitors queue no Jobs",
            ),
            examples=_CREATE,
        )

    def list_monitors(self, options: Namespace) -> None:
        """All monitors, as the service said last how they stand."""
        monitors = list(DirMonitor.objects.select_related("job").order_by("name"))
        if options.json:
            self.console.say(dumps([monitor_rows.row(monitor) for monitor in monitors]))
            return
        if not monitors:
            self.console.note(_NO_MONITORS)
            return
        now = timezone.now()
        rows = (monitor_rows.cells(monitor, now) for monitor in monitors)
        self.console.table([monitor_rows.TITLES, *rows])
        self._note_obstacles(monitors)

    def show(self, options: Namespace) -> None:
        """All that a monitor says, and what is said of it."""
        monitor = find(DirMonitor, options.name)
        row = monitor_rows.row(monitor)
        if options.json:
            self.console.say(dumps(row))
            return
        row |= {"queue": monitor.queue or "the Job's"}
        row |= {"status": monitor_rows.status_in_words(monitor)}
        for name, value in row.items():
            self.console.say(f"{name + ':':<17}{printable(_in_words(value))}".rstrip())
        self._note_obstacles([monitor])

    def create(self, options: Namespace) -> None:
        """Store a new monitor."""
        monitor_options.refuse_without(options)
        self._store(options, DirMonitor(name=options.name), "Created")

    def edit(self, options: Namespace) -> None:
        """Store what changes."""
        monitor = find(DirMonitor, options.name)
        monitor.name = monitor.name if options.rename is None else options.rename
        self._store(options, monitor, "Changed")

    def _store(self, options: Namespace, monitor: DirMonitor, done: str) -> None:
        monitor_options.apply(options, monitor)
        save(monitor)
        what = f"queues {printable(monitor.job.name)} for {monitor_rows.files(monitor)}"
        off = "" if monitor.enabled else "; disabled"
        self.console.say(f"{done}: {printable(monitor.name)} {what}{off}")
        self._note_obstacles([monitor])

    def delete(self, options: Namespace) -> None:
        """Delete them all, or none; their Jobs are kept."""
        deleting.delete(DirMonitor, options, self.console)

    def enable(self, options: Namespace, *, enabled: bool) -> None:
        """Enable or disable them all, or none if a name is wrong."""
        monitors = [find(DirMonitor, name) for name in options.names]
        DirMonitor.objects.filter(pk__in=[row.pk for row in monitors]).update(enabled=enabled)
        for monitor in monitors:
            monitor.enabled = enabled
        names = ", ".join(printable(monitor.name) for monitor in monitors)
        self.console.say(f"{'Enabled' if enabled else 'Disabled'}: {names}")
        self._note_obstacles(monitors)

    def _note_obstacles(self, monitors: list[DirMonitor]) -> None:
        """Why files of enabled monitors will wait."""
        jobs = {row.job.name for row in monitors if row.enabled and not row.job.enabled}
        for name in sorted(jobs):
            self.console.note(f"Note: the Job {printable(name)} is disabled: its files wait.")
        if monitor_rows.lacks_service(monitors):
            self.console.note(monitor_rows.NO_SERVICE)


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
