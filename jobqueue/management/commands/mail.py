"""``manage.py mail``: what is to be sent, what couldn't be, and whether it arrives at all."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ... import recipients
from ...alarms import channels, outbox, profiles, sending
from ...alarms.channels import NotSent
from ...commandline import printable
from ...models import Job, Message
from ...models.message import PING
from ...recipients import Audience
from .. import json_rows
from ..base import QueueCommand, login_name, one_line, refuse, subcommand, whole_number
from ..console import Cell, ago
from ..named import find

_EXAMPLES = """examples:
  manage.py mail list                          what waits, and what was given up
  manage.py mail send 12 13                    try these once more, now
  manage.py mail test                          by Django's own settings, to the managers
  manage.py mail test partners --to a@example.com
  manage.py mail test webhook:ops              by a channel of the settings

exit codes of `mail test`: 0 the receiver took it, 1 it didn't
"""


class Command(QueueCommand):
    """Sub-commands are methods; each returns its exit code."""

    help = "Show, send and drop mails and other messages, and test the ways that they go."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """A parser for each sub-command."""
        super().add_arguments(parser)
        parsers: Any = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        sub = subcommand(parsers, "list", "list unsent messages, the newest first")
        sub.add_argument("--all", action="store_true", help="also what was sent or dropped")
        sub.add_argument("--limit", type=whole_number(1, 100_000), default=50, metavar="N")
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=self.list_mails)
        for name, about in (
            ("send", "send messages now, also those that were given up or dropped"),
            ("drop", "never send them"),
        ):
            sub = subcommand(parsers, name, about)
            sub.add_argument("ids", metavar="ID", nargs="+", type=whole_number(1, 2**63 - 1))
            sub.set_defaults(action=partial(self.change, change=getattr(outbox, _CHANGES[name])))
        sub = subcommand(parsers, "test", "send a test and say what the receiver answered")
        about = "an SMTP profile, a channel such as webhook:ops, or ping:JOB"
        sub.add_argument("way", metavar="WAY", nargs="?", default="", help=about)
        sub.add_argument("--to", metavar="ADDRESS", help="by default the site's managers")
        sub.set_defaults(action=self.test)

    def list_mails(self, options: Namespace) -> None:
        """What waits, or was given up."""
        rows = Message.objects.all() if options.all else Message.objects.unsent()
        rows = rows.order_by("-pk")[: options.limit]
        if options.json:
            self.console.say(json_rows.dumps(json_rows.messages(rows)))
        elif not rows:
            self.console.note("There is no mail." if options.all else "All mail was sent.")
        else:
            titles = ["ID", "CREATED", "STATE", "TRIES", "TO", "SUBJECT", "PROBLEM"]
            self.console.table([titles, *map(_row, rows)])

    def change(self, options: Namespace, *, change: Any) -> int:
        """Send or drop each, and say which one couldn't be."""
        late = []
        for pk in options.ids:
            message = Message.objects.filter(pk=pk).first()
            if message is None or not change(message, login_name()):
                late.append(str(pk))
        if late:
            refuse(f"Not there, or sent or dropped already: {', '.join(late)}.")
        return 0

    def test(self, options: Namespace) -> None:
        """Send one message past the outbox."""
        shown, test = _test(options.way, options.to)
        try:
            answer = test()
        except NotSent as error:
            refuse(f"Not sent to {shown}: {error}")
        said = f"; the server answered: {printable(answer)}" if answer else ""
        self.console.say(f"Sent to {shown}{said}")


#: What stands before the name of a Job.
_PING = f"{PING}:"
_CHANGES = {"send": "send_now", "drop": "drop"}


def _test(way: str, to: str | None) -> tuple[str, Callable[[], str]]:
    """To whom it goes, in words, and what sends it."""
    if to and way not in profiles.names():
        refuse("--to is for mail: a channel has its receiver in the settings.")
    if way.startswith(_PING):
        job = find(Job, way.removeprefix(_PING))
        return f"the ping address of {job}", partial(sending.test_ping, job)
    audience = _audience(way, to)
    return _listed(list(audience.addresses)), partial(sending.test, audience)


def _audience(way: str, to: str | None) -> Audience:
    if way in channels.names():
        return recipients.of_channel(way)
    if way not in profiles.names():
        known = ", ".join(map(repr, [*profiles.names()[1:], *channels.names()])) or "none"
        refuse(f"There is no SMTP profile or channel {way!r}; known: {known}.")
    with one_line():
        return Audience(way, (recipients.address(to),) if to else _managers())


def _managers() -> tuple[str, ...]:
    people = recipients.audiences([])
    if not people:
        refuse("The site has no MANAGERS: name somebody by --to.")
    return people[0].addresses


def _row(message: Message) -> list[str | Cell]:
    return [
        str(message.pk),
        ago(message.created_at, timezone.now()),
        _state(message),
        str(message.attempts),
        _listed(message.recipients),
        printable(message.subject),
        printable(message.problem),
    ]


def _state(message: Message) -> str | Cell:
    if message.sent_at is not None:
        return "sent"
    if message.dropped_by:
        return "dropped"
    return "waits" if message.due_at is not None else Cell("given up", "red")


def _listed(people: list[str]) -> str:
    return people[0] if len(people) == 1 else f"{people[0]} and {len(people) - 1} more"
