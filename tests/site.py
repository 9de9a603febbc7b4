"""Other processes on the database of the test that is running: services, and crowds that ask.

The test must be marked with ``django_db(transaction=True)``, or they would see none of its rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from jobqueue.models import Execution
from tests.service import CHECKOUT, Service
from tests.waiting import wait_until

_SCHEMES = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}


def database_url() -> str:
    """The database of the running test."""
    to = connection.settings_dict
    scheme, name = _SCHEMES[connection.vendor], to["NAME"]
    if scheme == "sqlite":
        return f"sqlite:///{name}"
    account = to["USER"] + (f":{to['PASSWORD']}" if to["PASSWORD"] else "")
    return f"{scheme}://{account}@{to['HOST']}:{to['PORT']}/{name}"


def environment(
    q_cluster: Mapping[str, Any] | None = None,
    jobqueue: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The environment of a process on this database, with other settings laid over the tests'."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.service_settings",
        "TEST_DATABASE_URL": database_url(),
        "TEST_Q_CLUSTER": json.dumps(dict(q_cluster or {})),
        "TEST_JOBQUEUE": json.dumps(dict(jobqueue or {})),
    }


def a_service(
    q_cluster: Mapping[str, Any] | None = None,
    jobqueue: Mapping[str, Any] | None = None,
    **variables: str,
) -> Service:
    """A service on this database; to be entered as a context manager."""
    data_dir: Path = settings.JOBQUEUE["DATA_DIR"]
    return Service(data_dir, {**environment(q_cluster, jobqueue), **variables})


def ask_at_once(count: int, argv: list[str], *, different: bool = False, **over: Any) -> list[str]:
    """Have so many processes ask for a command in the same instant; their outcomes.

    With ``different``, each has a number of its own for its last argument.
    """
    order = {"count": count, "argv": argv, "different": different, "over": over}
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.ask_at_once", json.dumps(order)],
        cwd=CHECKOUT,
        env=os.environ | environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[str] = json.loads(done.stdout)
    return outcomes


def wait_for_end(*executions: Execution, timeout: float = 180) -> list[Execution]:
    """These Executions, or all that there are, as they are when none of them is open any more."""
    rows = Execution.objects.order_by("pk")
    if executions:
        rows = rows.filter(pk__in=[execution.pk for execution in executions])
    wait_until(lambda: not rows.open().exists(), timeout, "the end of all runs")
    return list(rows)


def wait_for_start(execution: Execution, timeout: float = 180) -> Execution:
    """This Execution when its process runs."""

    def process() -> int | None:
        execution.refresh_from_db()
        return execution.pid

    wait_until(process, timeout, f"the start of {execution}")
    return execution
