"""``manage.py queue``: look at queues and steer them."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ... import api, conf
from ...models import Execution, Source, State
from ...models.fields import DEFAULT_QUEUE
from ...requests import queue_name
from .. import asking, examination, json_rows, overview, pruning, situation, steering, times
from ..base import QueueCommand, confirm, login_name, one_line, subcommand, whole_number
from ..console import Cell, ago, lasting, state

#: What `list --limit` takes at most: more than anybody keeps.
MOST_ROWS = 999_999_999
_EXAMPLES = """examples:
  manage.py queue status                      what runs, what waits, who paused it
  manage.py queue list --state failed         the last failed runs
  manage.py queue pause --until 14:30 --reason "the partner's server is down"
  manage.py queue priority 12 1               let execution 12 be the next
  manage.py queue stop 12                     end a run
"""
_PAUSE = """examples:
  queue pause                       until somebody resumes it
  queue pause --until 30m           for half an hour
  queue pause -q reports --until 2026-02-01T06:00 --reason maintenance

What runs goes on to its end, and requests are still accepted.
"""
_PRUNE = """examples:
  queue prune --dry-run             how much the service would delete by now
  queue prune                       do that at once
  queue prune --days 7              the disk is full: a week is enough

The service does the same by itself, once an hour and a little at a time.
"""
_DOCTOR = """exit codes: 0 all is well, 1 warnings, 2 errors

Run it as the service's user, on each host.
"""
_ACK = """examples:
  queue ack 12 --note "the partner's server is down, ticket 4711"
  queue ack 12 --withdraw
"""
_FORCE = "also recovery runs, which mend what a run that was cut off has left"


class Command(QueueCommand):
    """Sub-commands are methods; each returns its exit code."""

    help = "Look at the queues and steer them."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """A parser for each sub-command."""
        super().add_arguments(parser)
        parsers = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        self._add_looking(parsers)
        self._add_queues(parsers)
        self._add_executions(parsers)

    def _add_looking(self, parsers: Any) -> None:
        sub = subcommand(parsers, "status", "show what runs, what waits and what is paused")
        _add_queue(sub, None)
        sub.add_argument("--json", action="store_true", help="one array, an object per queue")
        sub.set_defaults(action=self.status)
        sub = subcommand(parsers, "list", "list executions, the newest first")
        _add_queue(sub, None)
        sub.add_argument("--state", choices=State.values, help="only those in this state")
        sub.add_argument("--job", metavar="NAME", help="only those of this Job")
        number = whole_number(1, MOST_ROWS)
        most = "at most so many, 1 or more; by default 50"
        sub.add_argument("--limit", metavar="N", type=number, default=50, help=most)
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=self.list_executions)

        sub = subcommand(parsers, "doctor", "check what goes wrong in real life", _DOCTOR)
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=lambda o: examination.examine(self.console, o.json))

    def _add_queues(self, parsers: Any) -> None:
        sub = subcommand(parsers, "pause", "let a queue start nothing", _PAUSE)
        _add_queue(sub)
        sub.add_argument("--reason", metavar="TEXT", default="", help="shown to all who ask")
        until = "14:30, 2026-01-31T14:30 or 30m: then it goes on by itself"
        sub.add_argument("--until", metavar="TIME", help=until)
        sub.set_defaults(action=self.pause)
        sub = subcommand(parsers, "resume", "let a paused queue go on")
        _add_queue(sub)
        sub.set_defaults(action=self.resume)
        sub = subcommand(parsers, "clear", "cancel all that waits in a queue")
        _add_queue(sub)
        sub.add_argument("--yes", action="store_true", help="don't ask")
        sub.set_defaults(action=self.clear)

    def _add_executions(self, parsers: Any) -> None:
        sub = subcommand(parsers, "cancel", "take waiting executions off their queues")
        sub.add_argument("ids", metavar="ID", nargs="+")
        sub.add_argument("--force", action="store_true", help=_FORCE)
        sub.set_defaults(action=lambda o: steering.cancel(o.ids, self.console, o.force))
        sub = subcommand(parsers, "stop", "end running executions: SIGTERM, SIGKILL 10 s later")
        sub.add_argument("ids", metavar="ID", nargs="+")
        sub.add_argument("--no-wait", action="store_true", help="don't wait for their end")
        sub.add_argument("--force", action="store_true", help=_FORCE)
        sub.set_defaults(
            action=lambda o: steering.stop(o.ids, self.console, not o.no_wait, o.force)
        )
        sub = subcommand(parsers, "ack", "say that somebody is on runs that went wrong", _ACK)
        sub.add_argument("ids", metavar="ID", nargs="+")
        sub.add_argument("--note", metavar="TEXT", default="", help="what is done about it")
        sub.add_argument("--withdraw", action="store_true", help="take that back")
        sub.set_defaults(action=self.acknowledge)
        sub = subcommand(parsers, "priority", "give a waiting execution another priority")
        sub.add_argument("id", metavar="ID")
        sub.add_argument("priority", metavar="N", help="1 (first) to 9 (last)")
        sub.set_defaults(action=self.priority)
        sub = subcommand(parsers, "prune", "delete now what is kept no longer", _PRUNE)
        days = "all that ended more than so many days ago, whatever the settings and the Jobs keep"
        number = whole_number(0, conf.KEEP_MOST)
        sub.add_argument("--days", metavar="N", type=number, help=days)
        sub.add_argument("--dry-run", action="store_true", help="only say how much that is")
        sub.set_defaults(action=lambda o: pruning.prune(o.days, self.console, o.dry_run))

    def status(self, options: Namespace) -> None:
        """All queues, or one."""
        names = situation.queue_names() if options.queue is None else [queue_name(options.queue)]
        if options.json:
            self.console.say(json_rows.dumps(overview.as_rows(names, timezone.now())))
        else:
            overview.show(names, timezone.now(), self.console)

    def list_executions(self, options: Namespace) -> None:
        """The record and what is open."""
        rows = Execution.objects.order_by("-id")
        wanted = {"state": options.state, "job_name": options.job, "queue": options.queue}
        rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
        rows = rows[: options.limit]
        if options.json:
            self.console.say(json_rows.dumps(json_rows.executions(rows)))
        elif listed := list(map(_cells, rows.defer("log_tail").select_related("acknowledgement"))):
            titles = ["ID", "STATE", "CODE", "QUEUED", "TOOK", "PRIORITY", "QUEUE", "ASKED BY"]
            self.console.table([[*titles, "WHAT"], *listed])
        else:
            self.console.note("There are no such executions.")

    def pause(self, options: Namespace) -> None:
        """What runs goes on."""
        now = timezone.now()
        with one_line("--until: "):
            until = None if options.until is None else times.until(options.until, now)
        row = api.pause(options.queue, login_name(), options.reason, until)
        self.console.say(f"Queue {row.name} is {situation.pause_in_words(row, now)}.")
        if (running := situation.running(row.name)) is not None:
            self.console.note(f"Note: {situation.running_in_words(running, now)}, goes on.")

    def resume(self, options: Namespace) -> None:
        """Nothing happens to one that isn't paused."""
        done = api.resume(options.queue, login_name())
        self.console.say(f"Queue {options.queue} {'goes on' if done else 'was not paused'}.")
        for obstacle in situation.unserved() if done else ():
            self.console.note(f"Note: {obstacle}")

    def clear(self, options: Namespace) -> None:
        """What runs goes on."""
        waiting = Execution.objects.filter(queue=queue_name(options.queue)).waiting()
        count = waiting.count()
        if count:
            recovers = waiting.filter(source=Source.RECOVERY).exists()
            also = " (a recovery run, too: files may be lost)" if recovers else ""
            confirm(f"Cancel all {count} that wait in queue {options.queue}{also}?", options.yes)
            count = api.clear(options.queue, login_name())
        self.console.say(f"Cancelled {count} in queue {options.queue}.")

    def acknowledge(self, options: Namespace) -> int:
        """Colleagues see who is on it."""
        if options.withdraw:
            return steering.withdraw(options.ids, self.console)
        with one_line("--note: "):
            return steering.acknowledge(options.ids, options.note, self.console)

    def priority(self, options: Namespace) -> int:
        """The priority is checked before the execution is looked for."""
        return steering.set_priority(options.id, asking.priority(options.priority), self.console)


def _add_queue(parser: CommandParser, default: str | None = DEFAULT_QUEUE) -> None:
    about = f"by default {default!r}" if default else "only this one"
    parser.add_argument("-q", "--queue", default=default, help=about)


def _cells(execution: Execution) -> list[str | Cell]:
    now = timezone.now()
    return [
        str(execution.pk),
        state(execution.state),
        "-" if execution.return_code is None else str(execution.return_code),
        ago(execution.queued_at, now),
        lasting(execution.elapsed(now)),
        str(execution.priority),
        execution.queue,
        overview.asked_by(execution),
        "; ".join(filter(None, [situation.label(execution, now), situation.on_it(execution)])),
    ]
