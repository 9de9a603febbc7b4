"""The options that describe a Job, for ``jobs create`` and ``jobs edit``."""

from __future__ import annotations

import argparse
from argparse import Namespace
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from .. import codes, retrying
from ..conf import KEEP_MOST
from ..models import Backoff, Codes, Job, Notify
from . import times
from .base import one_line, refuse, whole_number

#: Options that go into a field of the same name as they are.
_PLAIN = (
    *("description", "environment", "working_directory", "queue", "codes", "in_run_menu"),
    "ask_first",
    *("enabled", "rerun_if_lost", "notify", "alarm_after", "recipients"),
    *("max_retries", "retry_backoff", "retry_on", "alarm_at_first_failure"),
    "ping_url",
)
_LIMITS = ("max_runtime", "kill_after")
_DELAYS = ("retry_delay", "retry_max_delay")
_KEEP = {
    "keep_runs": "keep so many of the last runs, however old",
    "keep_days": "keep runs for so many days",
    "keep_failed_days": "keep runs that failed in any way for so many days, if that is longer",
    "keep_output_days": "keep their output for so many days",
}
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
    for name, about in _KEEP.items():
        add(_option(name), metavar="N", type=_to_keep, help=f'{about}; "{_SITE_S}": the site\'s')
    _add_retries(parser)
    add("--notify", choices=Notify.values, help="of which runs people are told by mail")
    after = "so many runs in a row must go wrong before that"
    add("--alarm-after", type=whole_number(1, 1000), metavar="N", help=after)
    add("--recipients", metavar="WHO", help="addresses, groups and channels, separated by commas")
    add("--ping-url", metavar="URL", help="told of each run as healthchecks.io has it; '': none")
    toggle: Any = argparse.BooleanOptionalAction
    first = "whether an attempt that is tried again counts as gone wrong"
    add("--alarm-at-first-failure", action=toggle, help=first)
    asks = "whether a page asks before it queues it"
    add("--ask-first", action=toggle, help=asks)
    add("--menu", action=toggle, dest="in_run_menu", help="whether it is in the Run menu")
    add("--disabled", action="store_false", dest="enabled", default=None)
    add("--enabled", action="store_true", dest="enabled", default=None)
    add("--rerun-if-lost", action=toggle, help="whether to queue it again when a run is lost")


def _add_retries(parser: argparse.ArgumentParser) -> None:
    number, add = whole_number(0, retrying.MOST), parser.add_argument
    often = "try it again so often when a run goes wrong; 0: never"
    add("--max-retries", type=number, metavar="N", help=often)
    on = f"outcomes that are tried again, such as '{retrying.DEFAULT_ON}' or '1, 75-78'"
    add("--retry-on", metavar="OUTCOMES", help=on)
    add("--retry-delay", metavar="TIME", help="before the first retry, such as 90 (seconds) or 5m")
    add("--retry-backoff", choices=Backoff.values, help="whether the delay is doubled each time")
    add("--retry-max-delay", metavar="TIME", help="exponential delays grow no further")


def apply(options: Namespace, job: Job) -> None:
    """Give a Job what the options say.

    Raises:
        CommandError: a value can't be read.
    """
    for name in _PLAIN:
        if (value := getattr(options, name)) is not None:
            setattr(job, name, value)
    for name in (*_LIMITS, *_DELAYS):
        if (text := getattr(options, name)) is not None:
            setattr(job, name, _length(name, text))
    for name in _KEEP:
        if (number := getattr(options, name)) is not None:
            setattr(job, name, None if number == _SITE_S else number)
    job.env = {**job.env, **dict(_variable(text) for text in options.env or ())}
    for name in options.unset_env or ():
        job.env.pop(name, None)
    if options.command is not None:
        _set_command(job, options.command, options.codes)


def _set_command(job: Job, argv: list[str], asked_codes: str | None) -> None:
    if asked_codes is None and job.codes == codes.recognise(job.argv or []):
        job.codes = ""  # nobody chose this reading: find it again from the new program
    job.argv = argv


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _to_keep(text: str) -> int | str:
    return _SITE_S if text in ("", _SITE_S) else whole_number(0, KEEP_MOST)(text)


def _length(name: str, text: str) -> timedelta | None:
    with one_line(f"{_option(name)}: "):
        is_site_s = name in _LIMITS and text in ("", _SITE_S)
        return None if is_site_s else times.duration(text)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        refuse(f"--env takes NAME=VALUE, not {text!r}.")
    return name, value
