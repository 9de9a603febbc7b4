"""The command line of ``job2queue``: its own options, and from PROGRAM on the job's, untouched.

It needs no models: the installed script reads it before Django is set up.
"""

from __future__ import annotations

import argparse

from django.core.management.base import CommandParser

from .base import QueueCommand

EXAMPLES = """examples:
  job2queue /opt/bots/bin/bots-engine -cprod --new
      queue a run of Bots' engine at priority 5
  job2queue -p1 -q reports report.py --day today
      before all others of the queue "reports"; --day is report.py's own option
  job2queue --wait make -C /srv/site test
      wait for the end, show the output, exit with make's return code
  job2queue -- manage.py check --settings mysite.settings
      "--" keeps manage.py from taking the job's --settings and --pythonpath for itself

The same request is queued once: what already waits is not added again, but moved forward if the
new priority is better. A command is a program and its arguments; no shell reads it.

exit codes:
  0  added, or an equal request was moved forward
  4  the same request already waits
  1  not queued; one line says why
  --wait: the job's return code; 127 not found, 126 not executable, 124 timed out, else 1
"""


class Job2QueueOptions(QueueCommand):
    """The part of the command that reads its command line."""

    help = "Queue a command for the service to run."
    examples = EXAMPLES
    refusal = "not queued: "

    def add_arguments(self, parser: CommandParser) -> None:
        """The options stop at PROGRAM: all that follows comes as it was typed."""
        super().add_arguments(parser)
        parser.usage = f"{parser.prog} [-p N] [-q QUEUE] [--wait] [--] PROGRAM [ARG ...]"
        add_request_options(parser)
        parser.add_argument("-c", dest="bots_directory", metavar="DIR", help=argparse.SUPPRESS)
        parser.add_argument("--skip-checks", action="store_true", help=argparse.SUPPRESS)
        parser.add_argument(
            "command",
            nargs=argparse.REMAINDER,
            metavar="PROGRAM [ARG ...]",
            help="the command; everything from PROGRAM on belongs to it",
        )


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """What all have that queue something."""
    parser.add_argument(
        "-p", "--priority", default="5", metavar="N", help="1 (first) to 9 (last), by default 5"
    )
    parser.add_argument("-q", "--queue", help="the queue to wait in")
    parser.add_argument(
        "--wait", action="store_true", help="wait for its end, show the output, exit with its code"
    )


def job_s_own(command: list[str]) -> list[str]:
    """The job's command without the ``--`` that may stand before it."""
    return command[1:] if command[:1] == ["--"] else command
