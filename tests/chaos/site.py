"""What all of this happens to: database, clusters, web site, and who starts them again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from tests import servers
from tests.addresses import REDIS_URL
from tests.service import CHECKOUT, Service

DATABASES = ("sqlite", "postgresql", "mariadb")
BROKERS = ("orm", "redis")
#: Seconds between two looks of the supervisor.
LOOK = 0.02
#: More than one, so that queues run side by side.
WORKERS = 3


@contextmanager
def new_database(kind: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database, gone at the end; that of SQLite stays with its directory."""
    if kind == "postgresql":
        with servers.new_postgres_database() as url:
            yield url
    elif kind == "mariadb":
        with servers.new_mariadb_database() as url:
            yield url
    else:
        yield f"sqlite:///{directory / 'main' / 'db.sqlite3'}"


@contextmanager
def new_site(directory: Path, database: str, broker: str) -> Iterator[Site]:
    """An installation with empty tables; nothing of it is left running at the end."""
    with new_database(database, directory) as url:
        site = Site(directory, url, broker)
        try:
            site.services[0].manage("migrate", "--verbosity", "0", check=True)
            yield site
        finally:
            site.close()


class Site:
    """Its parts; two clusters on the same data directory, of which the second runs now and then."""

    def __init__(self, directory: Path, url: str, broker: str) -> None:
        self._key = f"chaos-{secrets.token_hex(4)}"
        self._redis = broker == "redis"
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tests.crash_settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_hex(32),
            "TEST_Q_CLUSTER": json.dumps({"workers": WORKERS, "name": self._key}),
        }
        if self._redis:
            self.environment["REDIS_URL"] = REDIS_URL
        self.services = [Service(directory / "main", self.environment) for _ in range(2)]
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.web = Web(self.listener, self.services[0].environment, directory / "web.out")
        self.supervisor = Supervisor()

    def close(self) -> None:
        """Kill what is left."""
        self.supervisor.end()
        self.web.kill()
        for service in self.services:
            service.kill()
        self.listener.close()
        if self._redis:
            with redis.Redis.from_url(REDIS_URL) as client:
                for key in client.scan_iter(f"*{self._key}*"):
                    client.delete(key)


class Web:
    """The web site; it gets its listening socket from us, so that nobody is turned away."""

    def __init__(self, listener: socket.socket, environment: dict[str, str], output: Path) -> None:
        self._listener = listener
        self._environment = environment
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it."""
        number = self._listener.fileno()
        options = ["--threads=4", "--log-level=warning", "--no-control-socket"]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", *options),
                    *(f"--bind=fd://{number}", "botsproject.wsgi:application"),
                ],
                cwd=CHECKOUT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[number],
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    def processes(self) -> list[int]:
        """The master's number, then those of its workers."""
        if self._process is None or self._process.poll() is not None:
            return []
        master = self._process.pid
        children = Path(f"/proc/{master}/task/{master}/children")
        with suppress(OSError):
            return [master, *map(int, children.read_text().split())]
        return []

    def kill(self, whole: bool = True) -> list[int]:
        """SIGKILL to its workers, and to the master; who was killed."""
        victims = self.processes()[0 if whole else 1 :]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if whole and self._process is not None:
            self._process.wait()
        return victims


class Supervisor(threading.Thread):
    """Starts again at once what has ended, as a service manager does with Restart=always."""

    def __init__(self) -> None:
        super().__init__(name="Supervisor", daemon=True)
        self._kept: dict[Service | Web, Callable[[int], None]] = {}
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self.restarts = 0

    def run(self) -> None:
        """Look after them until it's told to end."""
        while not self._ending.wait(LOOK):
            with self._lock:
                for kept, on_exit in list(self._kept.items()):
                    if (code := kept.poll()) is not None:
                        on_exit(code)
                        kept.launch()
                        self.restarts += 1

    def keep(
        self, program: Service | Web, on_exit: Callable[[int], None] = lambda code: None
    ) -> None:
        """Start it now and, whenever it ended, again; its exit code is told before."""
        with self._lock:
            program.launch()
            self._kept[program] = on_exit

    def release(self, program: Service | Web) -> None:
        """It may end now."""
        with self._lock:
            self._kept.pop(program, None)

    def end(self) -> None:
        """Restart nothing any more."""
        self._ending.set()
        with self._lock:
            self._kept.clear()
