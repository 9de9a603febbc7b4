"""``manage.py dirmonitor``: the service that queues Jobs when files arrive."""

from __future__ import annotations

import json
import signal
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from jobqueue.api import printable

from ...models import DirMonitor, Service

_STATUS = (
    *("id", "name", "path", "enabled", "status", "status_since", "status_note"),
    *("files_pending", "pending_note", "last_trigger_at"),
)


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, unless it is asked for less."""

    help = "Watch the directories of all monitors, and queue their Jobs when files are ready."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What else than to run as a service."""
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

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, or show the status; an error is one line."""
        try:
            if options["status"]:
                self._show(as_json=options["json"])
            elif sys.platform == "linux":
                self._run(**options)
            else:
                raise CommandError("The directory monitor runs on Linux.")
        except Error as error:
            raise CommandError(f"The database can't be used: {printable(str(error))}") from error

    def _run(self, *, once: bool, dry_run: bool, **_: Any) -> None:
        from ...service import DirMonitorService  # inotify is Linux's

        DirMonitor.objects.first(), Service.objects.first()  # fails now rather than for ever
        service = DirMonitorService(once=once, say=self.stdout.write if dry_run else None)
        # It comes when somebody opens a file that is looked at, and would end the process.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stop())
        service.run()

    def _show(self, *, as_json: bool) -> None:
        rows = list(DirMonitor.objects.select_related("job").order_by("name"))
        if as_json:
            self.stdout.write(json.dumps([_row(row) for row in rows], default=_plain, indent=2))
            return
        for row in rows:
            self.stdout.write(_line(row))
        if not Service.objects.alive().exists() and any(row.enabled for row in rows):
            self.stderr.write("No directory monitor runs: start `manage.py dirmonitor`.")


def _row(row: DirMonitor) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in _STATUS}
    return shown | {"job": row.job.name, "last_execution": row.last_execution_id}


def _plain(value: datetime) -> str:
    return value.isoformat()


def _line(row: DirMonitor) -> str:
    """``In: watching /in; 2 files pending (2 settling)``."""
    status = str(row.get_status_display()) or "not seen yet"
    parts = [f"{row.name}: {status if row.enabled else 'disabled'} {row.path}"]
    if row.files_pending:
        parts.append(f"{row.files_pending} pending ({row.pending_note})")
    if row.last_trigger_at:
        local = timezone.localtime(row.last_trigger_at)
        parts.append(f"last trigger {local:%Y-%m-%d %H:%M:%S}, execution {row.last_execution_id}")
    parts += [row.status_note] if row.status_note else []
    return printable("; ".join(parts))
