"""Management commands as people run them: what they print, and the code that they exit with."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO

from django.core.management import CommandError, call_command

from tests.service import CHECKOUT
from tests.site import environment


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    code: int
    out: str
    err: str


def call(*words: str) -> Done:
    """Run a command in this process, on the connection of the test."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as end:
        code = int(end.code or 0)
    except CommandError as error:
        code = error.returncode
        err.write(f"{words[0]}: {error}\n")
    return Done(code, out.getvalue(), err.getvalue())


def start(*words: str | bytes, script: bool = False, **variables: str) -> subprocess.Popen[str]:
    """Start ``manage.py`` with these words, or the script ``job2queue``, as a process.

    The test must be marked with ``django_db(transaction=True)``.
    """
    entry = "from jobqueue.scripts import job2queue; job2queue()"
    program = ["-c", entry] if script else [str(CHECKOUT / "manage.py")]
    return subprocess.Popen(
        [sys.executable, *program, *words],
        cwd=CHECKOUT,
        env=os.environ | environment() | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: str | bytes, script: bool = False, **variables: str) -> Done:
    """Start it, and wait for its end."""
    with start(*words, script=script, **variables) as process:
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
    return Done(process.returncode, out, err)


def run_on_terminal(
    *words: str,
    answer: str = "",
    shown: str = "",
    then: Callable[[], object] = lambda: None,
    **variables: str,
) -> Done:
    """Run it on a terminal, where somebody has typed this answer; all that it shows is `out`.

    When it has shown those words, `then` is called.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), *words],
        cwd=CHECKOUT,
        env=os.environ | environment() | {"TERM": "xterm", **variables},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        said = b""
        for part in _read(ours):
            was_shown, said = shown.encode() in said, said + part
            if shown.encode() in said and not was_shown:
                then()
        code = process.wait(300)
    os.close(ours)
    return Done(code, said.decode(), "")


def _read(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # EIO: nobody has its other side open any more
        while True:
            yield os.read(terminal, 65536)


def lines(text: str) -> Sequence[str]:
    """The lines of an output, without its last line end."""
    return text.rstrip("\n").split("\n")
