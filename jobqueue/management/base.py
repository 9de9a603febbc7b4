"""What the commands of the job queue share: they answer an error with one line and exit code 1.

This module needs no models, so that a command line can be read before Django is set up.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    handle_default_options,
)
from django.db import Error, connections, router

from ..commandline import printable
from ..languages import in_english
from .console import Console, silence

#: As a shell says it of a program that SIGPIPE or SIGINT ended.
BROKEN_PIPE, INTERRUPTED = 141, 130
_NO_SUCH_TABLE = re.compile(r"no such (table|column)|has no column")
_NO_SUCH_TABLE_CODES = {"42P01", "42703", 1146, 1054}  # PostgreSQL's and MariaDB's, for columns too


class Formatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and examples as they are."""


class QueueCommand(BaseCommand):
    """A command whose `run` gets the parsed options and returns the exit code."""

    requires_system_checks = []  # it starts more quickly without
    #: How a line on a refused command line begins.
    refusal = ""
    #: What `--help` ends with.
    examples = ""
    console: Console

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that abbreviates nothing and leaves the line on an error to us."""
        kwargs |= {"epilog": self.examples, "allow_abbrev": False, "formatter_class": Formatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Errors are raised here and in all sub-parsers, where argparse would exit with 2."""
        parser.called_from_command_line = False
        parser.prog = parser.prog.strip()  # an installed script has no name before its own

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a program: prints an error as one line, and exits with its code."""
        _print_anything()
        options: dict[str, Any] = {}
        try:
            with one_line(self.refusal):
                parsed = self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
            options = vars(parsed)
            handle_default_options(parsed)
            self.execute(*options.pop("args", ()), **options)
        except BrokenPipeError:  # who reads our output had enough
            silence(sys.stdout)
            sys.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except Exception as error:
            if options.get("traceback"):
                raise
            self.stderr.write(f"{argv[1]}: {_in_words(error)}", str)
            sys.exit(getattr(error, "returncode", 1))
        finally:
            with suppress(ImproperlyConfigured):
                connections.close_all()

    def execute(self, *args: Any, **options: Any) -> str | None:
        """As any command, but in English, and what can go wrong is a CommandError of one line."""
        options["no_color"] |= bool(os.environ.get("NO_COLOR")) and not options["force_color"]
        with in_english(), one_line():
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, and exit with the code unless it is 0."""
        force, never = options["force_color"], options["no_color"]
        self.console = Console(self.stdout, self.stderr, force=force, never=never)
        code = self.run(Namespace(**options))
        self.stdout.flush()
        if code:
            sys.exit(code)

    def run(self, options: Namespace) -> int | None:
        """By default what the sub-command has set as its `action`."""
        action: int | None = options.action(options)
        return action


def subcommand(parsers: Any, name: str, about: str, examples: str = "") -> CommandParser:
    """Add a sub-command, which takes the options of all commands as well."""
    parser: CommandParser = parsers.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=examples,
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    hidden: dict[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
    for flag in ("--traceback", "--no-color", "--force-color"):
        parser.add_argument(flag, action="store_true", **hidden)
    for option in ("--settings", "--pythonpath"):
        parser.add_argument(option, **hidden)
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), **hidden)
    return parser


def whole_number(first: int, last: int) -> Callable[[str], int]:
    """The type of an option that takes a number in these bounds."""

    def read(text: str) -> int:
        number = int(text) if re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text) else None
        if number is None or not first <= number <= last:
            raise argparse.ArgumentTypeError(
                f"it takes a number from {first} to {last}, not {text!r:.80}."
            )
        return number

    return read


@contextmanager
def one_line(beginning: str = "") -> Iterator[None]:
    """Turn what can go wrong into a CommandError of one line, with this beginning."""
    try:
        yield
    except BrokenPipeError:
        raise
    except CommandError as error:
        text = str(error).removeprefix("Error: ")
        raise CommandError(beginning + _line(text), returncode=error.returncode) from error
    except (Error, ImproperlyConfigured, NotImplementedError, OSError, ValueError) as error:
        raise CommandError(beginning + _in_words(error)) from error


def refuse(text: str, returncode: int = 1) -> NoReturn:
    """End the command with this line on stderr."""
    raise CommandError(text, returncode=returncode)


def lacks_tables(error: Error) -> bool:
    """Whether the database says that it has no such table or column."""
    cause = error.__cause__ or error
    codes = {getattr(cause, "sqlstate", None), *cause.args[:1]}
    return bool(codes & _NO_SUCH_TABLE_CODES) or _NO_SUCH_TABLE.search(str(error)) is not None


def login_name() -> str:
    """The name of the user of the operating system who runs this process."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # not Unix; or an id without a name, as in containers
        return getpass.getuser() if sys.platform == "win32" else f"uid {os.getuid()}"


def confirm(question: str, sure: bool) -> None:
    """Go on only if somebody says yes, now or by an option beforehand."""
    if sure:
        return
    if not sys.stdin.isatty():
        refuse(f"{question} Nothing was done: say --yes where nobody can answer.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        refuse("Nothing was done.")


def _in_words(error: Exception) -> str:
    if isinstance(error, Error):
        return _line(_about_database(error))
    if isinstance(error, UnicodeEncodeError):
        return "An argument isn't valid UTF-8."
    if isinstance(error, OSError) and error.filename:
        return _line(f"{error.filename}: {error.strerror}")
    if isinstance(error, CommandError | ImproperlyConfigured | OSError | ValueError):
        return _line(str(error))
    return _line(f"{type(error).__name__}: {error} (--traceback shows where)")


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _about_database(error: Error) -> str:
    if lacks_tables(error):
        return f"The database lacks tables of the queue: run `manage.py migrate`. ({error})"
    return f"The database{_file()} can't be used: {error}"


def _file() -> str:
    """Of the database, if it's one: which one is meant is half of what is wrong with it."""
    if not apps.ready:
        return ""
    connection = connections[router.db_for_write(apps.get_model("jobqueue.Execution"))]
    is_file = connection.vendor == "sqlite"
    return f" {connection.settings_dict['NAME']}" if is_file else ""


def _print_anything() -> None:
    """Text that a terminal can't show, or that isn't text at all, is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
