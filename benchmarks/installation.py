"""One installation of the example site, with a database and a data directory of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.agent import Agent
from benchmarks.databases import Database

CHECKOUT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(CHECKOUT / "manage.py")]
#: What a shell may have set, and an installation of ours must not see.
_NOT_INHERITED = {
    *("ALLOWED_HOSTS", "DATABASE_URL", "DATA_DIR", "DEBUG", "DJANGO_SETTINGS_MODULE"),
    *("EMAIL_URL", "HTTPS", "JOBQUEUE_HOST", "JOBQUEUE_LOG_COUNT", "JOBQUEUE_LOG_SIZE"),
    *("Q_CLUSTER_NAME", "REDIS_URL", "SECRET_KEY", "TIME_ZONE"),
}
#: A change of the environment: django-q2 without our app.
BARE = {"DJANGO_SETTINGS_MODULE": "benchmarks.bare_settings"}


class Cluster:
    """A ``manage.py qcluster`` that runs."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def cpu_seconds(self) -> float:
        """What all of its processes have used so far."""
        return processes.cpu_seconds(processes.marked(self._mark))

    def size(self) -> int:
        """How many processes it has."""
        return len(list(processes.marked(self._mark)))


class Installation:
    """What is measured: commands, clusters and a Python process of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.title = database.title
        self.directory = database.directory
        #: Apart from all other clusters that use the same Redis.
        self.cluster_name = database.name
        self.environ = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED} | {
            "DATABASE_URL": database.url,
            "DATA_DIR": str(self.directory),
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "LC_ALL": "C",
            "BENCHMARK_CLUSTER": self.cluster_name,
        }

    def migrate(self) -> None:
        """Make the tables."""
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end.

        Raises:
            RuntimeError: with ``check``, it failed.
        """
        done = subprocess.run(
            [*MANAGE, *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"manage.py {' '.join(words)}: {done.stderr.strip()}")
        return done

    @contextmanager
    def another(self) -> Iterator[Installation]:
        """One beside this, on a database of the same kind, until the context ends."""
        (directory := self.directory / "another").mkdir()
        database = type(self.database)(directory)
        database.create()
        try:
            other = Installation(database)
            other.migrate()
            yield other
        finally:
            database.drop()

    @contextmanager
    def agent(self, changes: Mapping[str, str] | None = None) -> Iterator[Any]:
        """A process with Django set up; its environment has these changes."""
        with Agent(self.environ | dict(changes or {})) as agent:
            yield agent

    @contextmanager
    def cluster(self, changes: Mapping[str, str] | None = None) -> Iterator[Cluster]:
        """The service, from its start to its end; its environment has these changes."""
        mark = secrets.token_hex(8)
        output = self.directory / "qcluster.out"
        with output.open("ab") as file:
            main = subprocess.Popen(
                [*MANAGE, "qcluster"],
                cwd=CHECKOUT,
                env=self.environ | dict(changes or {}) | {processes.MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the benchmark, which ends it
            )
        cluster = Cluster(mark)
        try:
            # main, sentinel, worker, monitor, pusher
            processes.wait_until(lambda: cluster.size() >= 5 or main.poll(), 60, "the cluster")
            if main.poll() is not None:
                raise RuntimeError(f"qcluster ended at once: {output.read_text()[-2000:]}")
            yield cluster
        finally:
            processes.end(main, mark)
