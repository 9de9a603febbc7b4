"""``manage.py serve``."""

from __future__ import annotations

import errno
import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from botsproject.serve import say, supervise
from jobqueue.api import Execution, State, request_stop


class Command(BaseCommand):
    """The web site and the services together."""

    help = (
        "Runs the web site, qcluster and dirmonitor in the foreground until Ctrl-C. The run that "
        "is going on ends in its own time; a second Ctrl-C stops it. In production let a service "
        "manager start each by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The address."""
        port = os.environ.get("PORT") or "8000"
        parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
        parser.add_argument("--port", default=port, type=int, help="default: $PORT, else 8000")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        """Serve until asked to end."""
        with _listen(host, port) as listener:
            programs = {"web": _web(listener)}
            programs |= {name: _service(name) for name in ("qcluster", "dirmonitor")}
            say(f"The site is at http://{host}:{listener.getsockname()[1]}/ (Ctrl-C ends it)")
            code = supervise(
                programs,
                pass_fds=[listener.fileno()],
                on_stop=_tell_what_runs,
                on_impatience=_stop_what_runs,
            )
        sys.exit(code)


def _listen(host: str, port: int) -> socket.socket:
    """Bound here, so that a port that is taken is known before anything starts."""
    try:
        return socket.create_server((host, port), backlog=100)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {port} is taken. Try another: PORT={port + 1}") from None
        raise CommandError(f"Can't listen on {host}:{port}: {error.strerror}") from None


def _web(listener: socket.socket) -> list[str]:
    module, _, name = settings.WSGI_APPLICATION.rpartition(".")
    options = [
        "--threads=4",
        "--log-level=warning",
        "--no-control-socket",
        f"--pythonpath={settings.BASE_DIR}",
    ]
    bind = f"--bind=fd://{listener.fileno()}"
    return [sys.executable, "-m", "gunicorn", *options, bind, f"{module}:{name}"]


def _service(name: str) -> list[str]:
    return [sys.executable, "-m", "django", name, f"--pythonpath={settings.BASE_DIR}"]


def _running() -> list[Execution]:
    return list(Execution.objects.filter(state=State.RUNNING))


def _title(execution: Execution) -> str:
    return f"run {execution.pk} ({execution.job_name or execution.argv[0]!r})"


def _tell_what_runs() -> None:
    for execution in _running():
        say(f"Waiting for the end of {_title(execution)}; Ctrl-C again stops it.")


def _stop_what_runs() -> None:
    for execution in _running():
        say(f"Stopping {_title(execution)}; Ctrl-C again kills all.")
        request_stop(execution, by="Ctrl-C")
