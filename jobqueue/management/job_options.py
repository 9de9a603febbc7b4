"""The options that describe a Job, for ``jobs create`` and ``jobs edit``."""

from __future__ import annotations

import argparse
from argparse import Namespace
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from .. import codes
from ..models import Codes, Job
from . import times
from .base import one_line, refuse

#: Options that go into a field of the same name as they are.
_PLAIN = (
    *("description", "environment", "working_directory", "queue", "codes", "in_run_menu"),
    *("enabled", "rerun_if_lost"),
)
_LIMITS = ("max_runtime", "kill_after")
_SITE_S = "default"


class CommandLineParser(CommandParser):
    """Leaves what follows the first ``--`` alone: it is the Job's command."""

    def parse_known_args(  # type: ignore[override]
        self, args: list[str], namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """All but the command, which becomes the option `command`; None without a ``--``."""
        own, command = list(args), None
        if "--" in own:
            at = own.index("--")
            own, command = own[:at], own[at + 1 :]
        options, unknown = super().parse_known_args(own, namespace)
        options.command = command
        return options, unknown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for each field; one that isn't given is None."""
    parser.usage = f"{parser.prog} NAME [options] -- PROGRAM [ARG ...]"
    add = parser.add_argument
    add("name", metavar="NAME")
    add("--description", metavar="TEXT")
    add("--environment", metavar="NAME", help="a name from JOBQUEUE['ENVIRONMENTS']")
    add("--working-directory", metavar="DIR")
    add("--env", action="append", metavar="K=V", help="a variable for the job; may be repeated")
    add("--unset-env", action="append", metavar="K", help="take a variable out")
    add("-q", "--queue", help="by default the queue 'default'")
    add("--codes", choices=Codes.values, help="how return codes are read")
    limit = 'such as 90 (seconds), 15m, 1h30m or HH:MM:SS; 0: none; "default": the site\'s'
    add("--max-runtime", metavar="TIME", help=f"alert after {limit}")
    add("--kill-after", metavar="TIME", help=f"end it after {limit}")
    toggle: Any = argparse.BooleanOptionalAction
    add("--menu", action=toggle, dest="in_run_menu", help="whether it is in the Run menu")
    add("--disabled", action="store_false", dest="enabled", default=None)
    add("--enabled", action="store_true", dest="enabled", default=None)
    add("--rerun-if-lost", action=toggle, help="whether to queue it again when a run is lost")


def apply(options: Namespace, job: Job) -> None:
    """Give a Job what the options say.

    Raises:
        CommandError: a value can't be read.
    """
    for name in _PLAIN:
        if (value := getattr(options, name)) is not None:
            setattr(job, name, value)
    for name in _LIMITS:
        if (text := getattr(options, name)) is not None:
            setattr(job, name, _limit(text, f"--{name.replace('_', '-')}: "))
    job.env = {**job.env, **dict(_variable(text) for text in options.env or ())}
    for name in options.unset_env or ():
        job.env.pop(name, None)
    if options.command is not None:
        _set_command(job, options.command, options.codes)


def _set_command(job: Job, argv: list[str], asked_codes: str | None) -> None:
    if asked_codes is None and job.codes == codes.recognise(job.argv or []):
        job.codes = ""  # nobody chose this reading: find it again from the new program
    job.argv = argv


def _limit(text: str, option: str) -> timedelta | None:
    with one_line(option):
        return None if text in ("", _SITE_S) else times.duration(text)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        refuse(f"--env takes NAME=VALUE, not {text!r}.")
    return name, value
