"""``manage.py import_crontab``: entries of a crontab become Jobs and schedules."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from django.core.management.base import CommandParser

from ... import crontab
from ...definitions import Contents
from ..import_command import ImportCommand

_EXAMPLES = """examples:
  crontab -l | manage.py import_crontab -                    show what would be done
  crontab -l | manage.py import_crontab - --apply            do it
  manage.py import_crontab /etc/cron.d/orders --zone Europe/Amsterdam

What becomes of a line:
  MIN HOUR DAY MONTH WEEKDAY COMMAND   a schedule, and a Job unless one runs the same already
  @daily COMMAND                       likewise; @reboot is refused
  CRON_TZ=ZONE                         the zone of the schedules that follow
  PATH=..., SHELL=..., LANG=...        variables of the Jobs that follow; HOME is where they run
  MAILTO=...                           not taken over
  # a comment right above              the name; without one it is that of the program

A command that needs a shell (for a pipe, a redirection, $HOME ...) gets one: /bin/sh -c, or that of
SHELL=. With a % that isn't escaped as \\% it is refused, since a Job has no input.

Without --apply nothing is changed. With it, all is done or nothing; lines that are refused prevent
it, but with --skip-refused they are left out. A second run finds what the first one made. Cron goes
on by itself: take out of the crontab what was taken over.
"""


class Command(ImportCommand):
    """Reads crontabs of users and of the system."""

    help = "Take over the entries of a crontab as Jobs and schedules."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """Which sort of crontab it is, beside what all have."""
        super().add_arguments(parser)
        sort = parser.add_mutually_exclusive_group()
        sort.add_argument(
            "--system", action="store_true", default=None, help="it has a column for the user"
        )
        sort.add_argument(
            "--user", action="store_false", dest="system", help="it has none; else it is guessed"
        )
        parser.add_argument(
            "--working-directory",
            metavar="DIR",
            default="",
            help="where the Jobs run; cron's is the home of the user, the service has its own",
        )

    def parse(self, data: bytes, zone: str, options: Namespace) -> Contents:
        """The entries, with a guess at the sort of crontab that is told."""
        system: bool | None = options.system
        if system is None:
            system = _is_system(options.file, data)
            sort = "the system (--system)" if system else "a user (--user)"
            self.console.note(f"Note: read as a crontab of {sort}, as it looks like one.")
        return crontab.read(data, system=system, zone=zone, directory=options.working_directory)


def _is_system(file: str, data: bytes) -> bool:
    path = Path(file).resolve()
    if path == Path("/etc/crontab") or path.parent == Path("/etc/cron.d"):
        return True
    return crontab.looks_like_system(data, _is_user)


def _is_user(name: str) -> bool:
    try:
        import pwd

        pwd.getpwnam(name)
    except (ImportError, KeyError):  # not Unix; or there is none here
        return name == "root"
    return True
