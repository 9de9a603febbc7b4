"""Whether a Job could be run from here, found out without running it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from .. import conf, environments
from ..commandline import printable
from ..environments import Resolved
from ..languages import translated
from ..models import Job


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    is_good: bool
    text: str


def host() -> str:
    """Whose files were looked at."""
    return printable(conf.current().HOST)


def findings(job: Job) -> Iterator[Finding]:
    """What the service needs to start it, as this process sees it."""
    if not job.enabled:
        yield Finding(False, _("The Job is disabled: it accepts no request."))
    try:
        command = environments.resolve(job.environment, job.argv, job.env, job.working_directory)
    except ValueError as error:
        yield Finding(False, printable(translated(error)))
        return
    if job.environment:
        yield Finding(True, _("The environment %s is known.") % printable(job.environment))
    yield _directory(command)
    yield from _program(command)


def _directory(command: Resolved) -> Finding:
    path = command.working_directory
    if path is None:
        return Finding(True, _("It runs in the service's directory."))
    shown = printable(path)
    if not os.path.isdir(path):
        return Finding(False, _("The working directory %s isn't there.") % shown)
    if not os.access(path, os.X_OK):
        return Finding(False, _("The working directory %s may not be entered.") % shown)
    return Finding(True, _("The working directory %s is there.") % shown)


def _program(command: Resolved) -> Iterator[Finding]:
    path = command.find_program()
    shown = printable(command.argv[0])
    if path is None:
        yield Finding(False, _("The program %s isn't found, or may not be executed.") % shown)
        return
    yield Finding(True, _("The program is found: %s") % printable(path))
    if interpreter := _interpreter(path):
        text = _("Its interpreter is found: %s"), _("Its interpreter isn't found: %s")
        is_found = shutil.which(interpreter) is not None
        yield Finding(is_found, text[not is_found] % printable(interpreter))


def _interpreter(path: str) -> str:
    """What the first line of a script names; "" for anything else."""
    try:
        with Path(path).open("rb") as file:
            line = file.readline(256)
    except OSError:
        return ""
    words = line[2:].split() if line.startswith(b"#!") else []
    if len(words) > 1 and words[0].endswith(b"/env") and not words[1].startswith(b"-"):
        words = words[1:]
    return os.fsdecode(words[0]) if words else ""
