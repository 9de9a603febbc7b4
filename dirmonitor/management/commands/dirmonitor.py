"""``manage.py dirmonitor``: the service that queues Jobs when files arrive."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace

from django.core.management.base import CommandParser

from jobqueue.commands import QueueCommand, check_database, dumps, refuse

from ...models import DirMonitor, Service
from .. import ending, monitor_rows

_EXAMPLES = """examples:
  manage.py dirmonitor                     the service: runs until SIGTERM or Ctrl-C
  manage.py dirmonitor --once              for a line of cron
  manage.py dirmonitor --once --dry-run    what would be queued
  manage.py dirmonitor --status

exit codes:
  0  it was asked to end; --once: all that was ready is queued
  1  the database can't be used; --once: a Job was refused, or a path is missing or unreachable;
     a line says which, and the files stay pending
"""


class Command(QueueCommand):
    """Runs until SIGTERM or SIGINT, unless it is asked for less."""

    help = "Watch the directories of all monitors, and queue their Jobs when files are ready."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """What else than to run as a service."""
        super().add_arguments(parser)
        one_of = parser.add_mutually_exclusive_group()
        one_of.add_argument(
            "--once", action="store_true", help="look, let files settle, queue, and end"
        )
        one_of.add_argument(
            "--status", action="store_true", help="show how each monitor stands, and end"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="queue nothing, say what would be queued"
        )
        parser.add_argument("--json", action="store_true", help="with --status: one array")

    def run(self, options: Namespace) -> int:
        """Run, or show the status; the exit code."""
        if options.json and not options.status:
            refuse("--json goes with --status.")
        if options.status:
            self._show(as_json=options.json)
            return 0
        if sys.platform != "linux":
            refuse("The directory monitor runs on Linux.")
        check_database("dirmonitor")
        return self._serve(once=options.once, dry_run=options.dry_run)

    def _serve(self, *, once: bool, dry_run: bool) -> int:
        from ...service import DirMonitorService  # inotify is Linux's

        service = DirMonitorService(once=once, say=self._say if dry_run else None)
        # It comes when somebody opens a file that is looked at, and would end the process.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        ending.on_signal(service.stop)
        service.run()
        problems = service.problems() if once else []
        for problem in problems:
            self.console.note(problem)
        return 1 if problems else 0

    def _say(self, line: str) -> None:
        """At once: whoever reads it through a pipe waits for it."""
        self.console.say(line)
        self.stdout.flush()

    def _show(self, *, as_json: bool) -> None:
        monitors = list(DirMonitor.objects.select_related("job").order_by("name"))
        if as_json:
            alive = {"service_alive": Service.objects.alive().exists()}
            self.console.say(dumps([monitor_rows.row(monitor) | alive for monitor in monitors]))
            return
        if not monitors:
            self.console.note("There are no directory monitors yet: see `manage.py monitors`.")
        for monitor in monitors:
            self.console.say(monitor_rows.line(monitor))
        if monitor_rows.lacks_service(monitors):
            self.console.note(monitor_rows.NO_SERVICE)
