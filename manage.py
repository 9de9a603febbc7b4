#!/usr/bin/env python3
"""Runs Django's commands for the stand-alone site, from any working directory."""

import os
import sys


def main() -> None:
    """Hand the command line to Django; ``DJANGO_SETTINGS_MODULE`` is honoured."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsproject.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            f"manage.py: Django isn't installed for {sys.executable}. "
            "`make run` makes a virtual environment in .venv; or activate your own."
        )
    from django.core.exceptions import ImproperlyConfigured

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, ImportError, OSError) as error:
        if "--traceback" in sys.argv:
            raise
        hint = "A job's own --settings must stand behind a `--`."
        settings = os.environ["DJANGO_SETTINGS_MODULE"]
        sys.exit(f"manage.py: {settings}: {error}. {hint if '--settings' in str(sys.argv) else ''}")


if __name__ == "__main__":
    main()
