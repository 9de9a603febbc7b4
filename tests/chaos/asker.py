"""A process that asks the queue for something: a line of JSON for each order and each answer.

Each start of Python and Django takes half a second, so one process asks many times. An order to
the command line goes through all of ``manage.py`` but that start, with a connection to the database
of its own.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import execute_from_command_line  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from jobqueue import api  # noqa: E402

Answer = dict[str, Any]


def command(argv: list[str]) -> Answer:
    """``manage.py`` with these arguments: exit code and output."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            execute_from_command_line(["manage.py", *argv])
        except SystemExit as end:
            code = int(end.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def enqueue(order: dict[str, Any]) -> Answer:
    """Outcome and execution of a request."""
    answer = api.enqueue(**order)
    return {"outcome": answer.outcome, "execution": answer.execution.pk}


def cancel(pk: int) -> Answer:
    """Whether it was cancelled."""
    return {"done": any(api.cancel(row, "chaos") for row in api.Execution.objects.filter(pk=pk))}


def stop(pk: int) -> Answer:
    """Whether it will be stopped."""
    rows = api.Execution.objects.filter(pk=pk)
    return {"done": any(api.request_stop(row, "chaos") for row in rows)}


def pause(order: dict[str, Any]) -> Answer:
    """Pause a queue for so many seconds."""
    until = timezone.now() + timedelta(seconds=order["seconds"])
    api.pause(order["queue"], "chaos", "to see what happens", until)
    return {"done": True}


def count(_: object) -> Answer:
    """How many wait and run; which run."""
    rows = api.Execution.objects
    return {
        "waiting": rows.waiting().count(),
        "running": list(rows.running().values_list("pk", flat=True)),
    }


def make_user(order: dict[str, str]) -> Answer:
    """Who may do everything in the admin."""
    get_user_model().objects.create_superuser(order["name"], password=order["password"])
    return {}


def make_jobs(jobs: list[dict[str, Any]]) -> Answer:
    """Jobs for the admin; their ids in the same order."""
    return {"ids": [_make_job(**job).pk for job in jobs]}


def _make_job(kill_after: float | None = None, **values: Any) -> api.Job:
    limit = None if kill_after is None else timedelta(seconds=kill_after)
    return api.Job.objects.create(kill_after=limit, **values)


ORDERS: dict[str, Callable[[Any], Answer]] = {
    "command": command,
    "enqueue": enqueue,
    "cancel": cancel,
    "stop": stop,
    "pause": pause,
    "count": count,
    "make_user": make_user,
    "make_jobs": make_jobs,
}


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints
    answers.write("{}\n")
    for line in sys.stdin:
        ((name, order),) = json.loads(line).items()
        try:
            answer = ORDERS[name](order)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
            connections.close_all()
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
