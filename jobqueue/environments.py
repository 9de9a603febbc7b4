"""Named environments: how a Job's argv becomes the command that is started.

``JOBQUEUE["ENVIRONMENTS"]`` maps a name to a dict with any of these keys:

``prefix``
    words before the Job's argv, such as ``["java", "-jar"]``;
``virtualenv``
    directory of a Python virtual environment: its ``bin`` comes first in ``PATH``, and without
    a ``prefix`` its Python runs the Job's argv;
``env``
    environment variables, under those of the Job;
``working_directory``
    for Jobs that name none;
``recovery``
    the argv of a command (with this environment) that is run first after one of its runs died.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import commandline, conf
from .refusals import Phrase, Refusal
from .refusals import gettext_noop as _

KEYS = ("prefix", "virtualenv", "env", "working_directory", "recovery")


@dataclass(frozen=True)
class Resolved:
    """What is started in the end."""

    argv: list[str]
    env: dict[str, str]
    working_directory: str | None

    def find_program(self, directory: str = "", path: str | None = None) -> str | None:
        """The file that would be started on this host; None if there's none to be executed.

        Args:
            directory: where it is started, unless it says so itself.
            path: the PATH that it is started with, likewise; None: this process's.
        """
        program = self.argv[0]
        if "/" not in program:
            return shutil.which(program, path=self.env.get("PATH", path))
        file = os.path.join(self.working_directory or directory, program)
        return file if os.path.isfile(file) and os.access(file, os.X_OK) else None


def resolve(
    name: str, argv: Sequence[str], env: Mapping[str, str], working_directory: str
) -> Resolved:
    """The command with its named environment (``""``: none) applied.

    Raises:
        ValueError: the environment is unknown or broken, or the program isn't allowed.
    """
    environment = _find(name) if name else {}
    command = [*_prefix(environment), *argv]
    check_allowed(command[0])
    return Resolved(
        argv=command,
        env={**_variables(environment), **env},
        working_directory=str(working_directory or environment.get("working_directory") or "")
        or None,
    )


def recovery(name: str) -> list[str]:
    """What is run first after a run in this environment died; [] if nothing is."""
    return list(conf.current().ENVIRONMENTS.get(name, {}).get("recovery", ()))


def check_allowed(program: str) -> None:
    """Raise a ValueError if ``JOBQUEUE["ALLOWED_PROGRAMS"]`` doesn't allow this program.

    A pattern with a slash is held against an absolute path with its ``..`` taken out, one without
    against a bare word; a relative path is never allowed, since it depends on the directory.
    """
    patterns = conf.current().ALLOWED_PROGRAMS
    if patterns is None:
        return
    path = os.path.normpath(program) if program.startswith("/") else program
    if "/" in path and not path.startswith("/"):
        path = ""
    if not any(("/" in p) == ("/" in path) and fnmatch.fnmatchcase(path, p) for p in patterns):
        text = _("The program %(program)s isn't allowed here: %(setting)s lists %(patterns)s.")
        setting = "JOBQUEUE['ALLOWED_PROGRAMS']"
        raise Refusal(text, program=repr(program), setting=setting, patterns=_listed(patterns))


def problems(environment: object) -> Iterator[str]:
    """What is wrong with one entry of ``ENVIRONMENTS``, in words."""
    if not isinstance(environment, Mapping):
        yield "it is not a dict"
        return
    for key in environment:
        if key not in KEYS:
            yield f"unknown key {key!r} (known: {', '.join(KEYS)})"
    checks = {"prefix": commandline.validate, "env": commandline.validate_env}
    for key, check in {**checks, "recovery": commandline.validate}.items():
        try:
            if environment.get(key, ()) not in ((), [], {}):
                check(environment[key])
        except ValueError as error:
            yield f"{key!r}: {error}"
    for key in ("virtualenv", "working_directory"):
        if not isinstance(environment.get(key, ""), str | os.PathLike):
            yield f"{key!r} is not a path"
    directory = environment.get("virtualenv")
    if isinstance(directory, str | os.PathLike) and not Path(directory, "bin", "python").exists():
        yield f"there is no bin/python in the virtual environment {str(directory)!r}"


def _find(name: str) -> Mapping[str, Any]:
    known = conf.current().ENVIRONMENTS
    if name not in known:
        text = _("There is no environment %(name)s in %(setting)s (known: %(known)s).")
        setting = "JOBQUEUE['ENVIRONMENTS']"
        raise Refusal(text, name=repr(name), setting=setting, known=_listed(sorted(known)))
    for problem in problems(known[name]):
        text = _("The environment %(name)s is broken: %(problem)s.")
        raise Refusal(text, name=repr(name), problem=problem)
    return known[name]


def _listed(names: Iterable[str]) -> object:
    return tuple(names) or Phrase(_("none"))


def _prefix(environment: Mapping[str, Any]) -> list[str]:
    if "prefix" in environment:
        return list(environment["prefix"])
    if "virtualenv" in environment:
        return [str(Path(environment["virtualenv"], "bin", "python"))]
    return []


def _variables(environment: Mapping[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = {}
    if directory := environment.get("virtualenv"):
        variables["VIRTUAL_ENV"] = str(directory)
        path = os.environ.get("PATH", os.defpath)
        variables["PATH"] = f"{Path(directory, 'bin')}{os.pathsep}{path}"
    return {**variables, **environment.get("env", {})}
