"""Entry points of installed scripts."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def job2queue() -> None:
    """``manage.py job2queue`` without ``manage.py``, for the site in ``DJANGO_SETTINGS_MODULE``.

    Only what stands before PROGRAM is read here, so that the job may have a ``--settings`` of its
    own.
    """
    argv = ["", "job2queue", *sys.argv[1:]]
    _set_up(argv)

    from .management.commands.job2queue import Command  # needs the models

    Command().run_from_argv(argv)


def _set_up(argv: list[str]) -> None:
    """Set Django up, or exit with one line on why that can't be done."""
    from django.core.management.base import CommandError, handle_default_options

    from .management.job2queue_options import Job2QueueOptions

    try:
        handle_default_options(Job2QueueOptions().create_parser(*argv[:2]).parse_args(argv[2:]))
        if not os.environ.get("DJANGO_SETTINGS_MODULE"):
            _refuse("DJANGO_SETTINGS_MODULE isn't set; it names the settings of the site")
        import django

        django.setup()
    except CommandError as error:
        _refuse(str(error).removeprefix("Error: "))
    except Exception as error:  # settings are code, and may fail in any way
        module = os.environ["DJANGO_SETTINGS_MODULE"]
        _refuse(f"the settings {module!r} can't be used: {type(error).__name__}: {error}")


def _refuse(text: str) -> NoReturn:
    line = " ".join(text.split()).encode(errors="backslashreplace").decode()
    sys.exit(f"job2queue: not queued: {line}")
