"""The options that describe a monitor, for ``monitors create`` and ``monitors edit``."""

from __future__ import annotations

import argparse
from argparse import Namespace
from typing import Any

from jobqueue.api import Job
from jobqueue.commands import find, one_line, priority, refuse

from ..models import DirMonitor, Mode

#: Options that go into a field of the same name as they are.
_PLAIN = (
    *("path", "filemask", "recursive", "queue", "settle", "poll_interval", "mode", "enabled"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for each field; one that isn't given is None."""
    parser.usage = f"{parser.prog} NAME [options]"
    add, toggle = parser.add_argument, argparse.BooleanOptionalAction
    seconds: Any = {"type": _seconds, "metavar": "SECONDS"}
    add("name", metavar="NAME")
    add("--path", help="a directory or one file, absolute; * ? [a-z] stand for several")
    add("--job", metavar="JOB", help="the name of the Job that is queued")
    add("--filemask", metavar="MASKS", help='such as "*.edi;*.xml"; all files if not given')
    add("--recursive", action=toggle, help="whether files in subdirectories count, too")
    add("-p", "--priority", metavar="N", help="1 (first) to 9 (last), by default 5")
    add("-q", "--queue", help='by default the Job\'s queue; "" goes back to that')
    add("--settle", help="without a change for so long, a file is ready; by default 2", **seconds)
    add("--poll-interval", help="from look to look where that is needed; by default 2", **seconds)
    add("--mode", choices=Mode.values, help="how changes are noticed")
    add("--disabled", action="store_false", dest="enabled", default=None)
    add("--enabled", action="store_true", dest="enabled", default=None)


def apply(options: Namespace, monitor: DirMonitor) -> None:
    """Give a monitor what the options say.

    Raises:
        CommandError: a value can't be read.
    """
    for name in _PLAIN:
        if (value := getattr(options, name)) is not None:
            setattr(monitor, name, value)
    if options.job is not None:
        monitor.job = find(Job, options.job)
    if options.priority is not None:
        with one_line("--priority: "):
            monitor.priority = priority(options.priority)


def refuse_without(options: Namespace) -> None:
    """Refuse a new monitor without a path, or without a Job."""
    if options.path is None:
        refuse("No path: say --path DIRECTORY.")
    if options.job is None:
        refuse("No Job: say --job NAME; `manage.py jobs list` shows them.")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"it takes a number of seconds, such as 2 or 0.5, not {text!r:.80}."
        ) from None
