"""A program of a host that asks for runs and looks at them: what it is told on stdin, line by line.

Each line is JSON: the name of one of the functions below and its keywords. Each answer is a line of
JSON, too: ``{"answer": ...}`` or ``{"error": ...}``. Django is set up once, not for each request.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def enqueue(what: list[str] | str, **options: Any) -> dict[str, Any]:
    """Ask for a command, or for the Job of this name."""
    from jobqueue import api

    argv_or_job = api.Job.objects.get(name=what) if isinstance(what, str) else what
    answer = api.enqueue(argv_or_job, **options)
    return {"outcome": str(answer.outcome), "id": answer.execution.pk}


def create_job(**fields: Any) -> int:
    """Save a Job; limits and delays are seconds."""
    from datetime import timedelta

    from jobqueue.api import Job

    for name in ("max_runtime", "kill_after", "retry_delay", "retry_max_delay"):
        if name in fields:
            fields[name] = timedelta(seconds=fields[name])
    return Job.objects.create(**fields).pk


def stop(id: int) -> None:
    """Ask for the stop of a run."""
    from jobqueue import api

    api.request_stop(api.Execution.objects.get(pk=id), by="ada")


def executions(after: int = 0) -> list[dict[str, Any]]:
    """All fields of the Executions with a higher id, in their order."""
    from jobqueue.api import Execution

    return [dict(row) for row in Execution.objects.filter(pk__gt=after).order_by("pk").values()]


def renewals() -> dict[str, float]:
    """When each place renewed its lease: seconds of the database's clock."""
    from jobqueue.models import Lease

    rows = Lease.objects.values_list("place", "renewed_at")
    return {place: renewed_at.timestamp() for place, renewed_at in rows}


def main() -> None:
    """Answer until the end of stdin."""
    django.setup()
    from django.db import connections

    functions = {f.__name__: f for f in (create_job, enqueue, executions, renewals, stop)}
    for line in sys.stdin:
        name, keywords = json.loads(line)
        try:
            answer: dict[str, Any] = {"answer": functions[name](**keywords)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        connections.close_all()  # the database may be restarted before the next line
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
