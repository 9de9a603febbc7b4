"""The database is away for a while: restarted, silent, read-only, full or locked.

The run at hand goes on to its end, and its outcome is kept until it can be written; requests fail
with one clear line and exit 1, never with success; everything goes on by itself afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import psycopg
import pytest

from tests import addresses, servers
from tests.commands import program
from tests.crashes.conftest import Databases
from tests.crashes.scene import BUSY, PATIENCE, Scene, environment, until_outcome_noted
from tests.forwarder import Forwarder
from tests.service import CLUSTER, Role, Service
from tests.stamps import Run, now
from tests.waiting import wait_until

#: Seconds that the database is away: longer than anything here tries in one go.
AWAY = 6


def until(moment: float) -> None:
    """Wait for a moment of the clock of the stamps."""
    wait_until(lambda: now() >= moment, PATIENCE, "time to pass")


def refused(service: Service, *words: str) -> None:
    """A request fails now: exit 1, and one line that says so, and why."""
    done = service.manage("job2queue", *program("succeed"))
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert re.fullmatch(r"job2queue: not queued: .+\n", done.stderr), done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def a_run_and_the_next(scene: Scene) -> Run:
    """One that goes on until it's released, and one that waits behind it."""
    run = scene.start_held("first", code=7)
    scene.ask("second")
    return run


def all_goes_on(scene: Scene, since: float) -> None:
    """The database is back: what ended meanwhile is recorded, what waits is run, SIGTERM obeyed."""
    scene.went_on("second", since, BUSY)
    scene.ask("third")
    scene.went_on("third", now(), BUSY)
    scene.finish()


@contextmanager
def a_scene(
    directory: Path, url: str, console_url: str | None = None, redis_url: str = ""
) -> Iterator[Scene]:
    """An installation whose service runs on this database."""
    name = f"away-{os.getpid()}-{directory.name}"
    with Scene(directory, environment(name, url, redis_url), console_url) as scene:
        yield scene


Block = Callable[[Forwarder], None]


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
class TestServerAway:
    """As seen from a host whose way to the server is blocked, or whose server doesn't answer."""

    @pytest.mark.parametrize("block", [Forwarder.cut, Forwarder.fall_silent])
    def test_a_run_ends_meanwhile(
        self, tmp_path: Path, databases: Databases, kind: str, block: Block
    ) -> None:
        url = databases.url(kind)
        with Forwarder(url) as way, a_scene(tmp_path, way.url, url) as scene:
            a_run_and_the_next(scene)
            blocked = now()
            block(way)
            scene.release("first")
            scene.until_ended("first")
            until(blocked + AWAY)
            way.restore()
            all_goes_on(scene, now())

    def test_a_run_goes_on_all_the_while(
        self, tmp_path: Path, databases: Databases, kind: str
    ) -> None:
        url = databases.url(kind)
        with Forwarder(url) as way, a_scene(tmp_path, way.url, url) as scene:
            a_run_and_the_next(scene)
            blocked = now()
            way.cut()
            until(blocked + AWAY)
            way.restore()
            scene.release("first")
            scene.until_ended("first")
            all_goes_on(scene, now())

    def test_requests(self, tmp_path: Path, databases: Databases, kind: str) -> None:
        url = databases.url(kind)
        with Forwarder(url) as way, a_scene(tmp_path, way.url, url) as scene:
            way.cut()
            refused(scene.service)
            way.restore()
            way.fall_silent()
            answers: list[int] = []

            def ask() -> None:
                answers.append(scene.service.manage("job2queue", *program("succeed")).returncode)

            asker = Thread(target=ask)
            asker.start()
            until(now() + 3)
            assert answers == []
            way.restore()
            asker.join(2 * PATIENCE)
            assert answers == [0]
            wait_until(
                lambda: [row["state"] for row in scene.rows()] == ["succeeded"],
                PATIENCE,
                "the request that got through to be run, and no other",
            )
            assert scene.service.stop() == 0

    def test_everything_is_killed_meanwhile(
        self, tmp_path: Path, databases: Databases, kind: str
    ) -> None:
        url = databases.url(kind)
        with Forwarder(url) as way, a_scene(tmp_path, way.url, url) as scene:
            run = a_run_and_the_next(scene)
            way.cut()
            scene.release("first")
            until_outcome_noted(scene.service, run)
            scene.kill(*CLUSTER, Role.LAUNCHER)
            way.restore()
            scene.restart()
            all_goes_on(scene, now())


def test_the_broker_is_away(tmp_path: Path, databases: Databases) -> None:
    """Requests are accepted all the same, and run when it's back."""
    servers.need("redis")
    url = databases.url("postgres")
    with Forwarder(addresses.REDIS_URL) as way, a_scene(tmp_path, url, None, way.url) as scene:
        a_run_and_the_next(scene)
        blocked = now()
        way.cut()
        done = scene.service.manage("job2queue", *scene.told("asked", 0.1))
        assert done.returncode == 0, done
        scene.release("first")
        scene.until_ended("first")
        until(blocked + AWAY)
        way.restore()
        back = now()
        scene.went_on("asked", back, BUSY)
        all_goes_on(scene, back)


class OwnPostgres:
    """A PostgreSQL server of the test's own, to be stopped and started."""

    def __init__(self, bin_dir: Path, directory: Path, under: list[str], port: int) -> None:
        self._bin_dir = bin_dir
        self._directory = directory
        self._under = under
        self._port = port
        self.url = f"postgres://jobqueue@127.0.0.1:{self._port}/postgres"
        self._run("initdb", "--auth=trust", "--username=jobqueue", "--no-sync", "-D", self._data)

    def start(self) -> None:
        options = f"-p {self._port} -k {self._directory} -c fsync=off -c listen_addresses=127.0.0.1"
        log = str(self._directory / "log")
        self._run("pg_ctl", "start", "-w", "-t", "180", "-D", self._data, "-l", log, "-o", options)

    def stop(self, mode: str) -> None:
        """``fast`` ends sessions in good order, ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-t", "180", "-D", self._data, "-m", mode)

    def execute(self, statement: str) -> None:
        writable = "-c default_transaction_read_only=off"
        with psycopg.connect(self.url, autocommit=True, options=writable) as connection:
            connection.execute(statement.encode())

    @property
    def _data(self) -> str:
        return str(self._directory / "data")

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [*self._under, str(self._bin_dir / name), *arguments],
            check=True,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


def find_postgres_programs() -> Path:
    """The directory with initdb and pg_ctl; skips the test if there is none."""
    if path := shutil.which("initdb"):
        return Path(path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("initdb and pg_ctl are not installed")
    return found[-1].parent


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    """It runs; not as root, which it refuses to."""
    bin_dir = find_postgres_programs()
    under: list[str] = []
    # Not below pytest's own directories, which another user can't enter.
    with tempfile.TemporaryDirectory(prefix="jobqueue-postgres-") as directory:
        if os.getuid() == 0:
            try:
                shutil.chown(directory, "postgres", "postgres")
            except LookupError:
                pytest.skip("there is no user postgres, and as root its server doesn't run")
            under = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        with addresses.kept_port() as port:
            server = OwnPostgres(bin_dir, Path(directory), under, port)
            server.start()
            try:
                yield server
            finally:
                server.stop("immediate")


@pytest.fixture
def own_scene(tmp_path: Path, own_postgres: OwnPostgres) -> Iterator[Scene]:
    """An installation on that server."""
    variables = environment("migrate", own_postgres.url)
    Service(tmp_path / "var", variables).manage("migrate", check=True)
    with a_scene(tmp_path, own_postgres.url) as scene:
        yield scene


class TestPostgres:
    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_restarted(self, own_scene: Scene, own_postgres: OwnPostgres, mode: str) -> None:
        a_run_and_the_next(own_scene)
        stopped = now()
        own_postgres.stop(mode)
        own_scene.release("first")
        own_scene.until_ended("first")
        refused(own_scene.service)
        until(stopped + AWAY)
        own_postgres.start()
        all_goes_on(own_scene, now())

    def test_restarted_while_nothing_runs(
        self, own_scene: Scene, own_postgres: OwnPostgres
    ) -> None:
        stopped = now()
        own_postgres.stop("fast")
        until(stopped + AWAY)
        own_postgres.start()
        own_scene.ask("second")
        all_goes_on(own_scene, now())

    def test_read_only_for_a_while(self, own_scene: Scene, own_postgres: OwnPostgres) -> None:
        a_run_and_the_next(own_scene)
        since = now()
        own_postgres.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        own_postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        own_scene.release("first")
        own_scene.until_ended("first")
        refused(own_scene.service, "read-only")
        until(since + AWAY)
        # Sessions that began meanwhile stay read-only: they must be left for new ones.
        own_postgres.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        all_goes_on(own_scene, now())


def path_of(url: str) -> Path:
    """The file of a SQLite database."""
    return Path(urlsplit(url).path.removeprefix("/"))


def mount(*arguments: str) -> None:
    """Skips the test where nothing may be mounted."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted: {done.stderr.strip()}")


@contextmanager
def mounted(directory: Path, *arguments: str) -> Iterator[None]:
    """Something is mounted there."""
    mount(*arguments, str(directory))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def a_sqlite(directory: Path, name: str = "db.sqlite3") -> str:
    """The URL of a migrated database in this directory."""
    url = f"sqlite:///{directory / name}"
    Service(directory / "var", environment("migrate", url)).manage("migrate", check=True)
    return url


class TestSqlite:
    def test_locked_by_another(self, tmp_path: Path) -> None:
        """For less time than anybody waits for a lock: nobody notices."""
        url = a_sqlite(tmp_path)
        with a_scene(tmp_path, url) as scene:
            a_run_and_the_next(scene)
            with locked(path_of(url)) as since:
                scene.release("first")
                scene.until_ended("first")
                until(since + AWAY)
            all_goes_on(scene, now())

    def test_locked_for_longer_than_anybody_waits(self, tmp_path: Path) -> None:
        url = a_sqlite(tmp_path)
        with a_scene(tmp_path, f"{url}?timeout=2", url) as scene:
            a_run_and_the_next(scene)
            with locked(path_of(url)) as since:
                scene.release("first")
                scene.until_ended("first")
                refused(scene.service, "locked")
                until(since + AWAY)
            all_goes_on(scene, now())

    def test_read_only_for_a_while(self, tmp_path: Path) -> None:
        """A worker has the file open already, so it's killed: the next one finds it read-only."""
        directory = tmp_path / "database"
        directory.mkdir()
        url = a_sqlite(directory)
        with a_scene(tmp_path, url) as scene:
            a_run_and_the_next(scene)
            since = now()
            with mounted(directory, "--bind", str(directory)):
                mount("-o", "remount,bind,ro", str(directory))
                scene.kill(Role.WORKER)
                scene.release("first")
                scene.until_ended("first")
                refused(scene.service, "readonly")
                until(since + AWAY)
            all_goes_on(scene, now())

    def test_its_disk_is_full_for_a_while(self, tmp_path: Path) -> None:
        directory = tmp_path / "database"
        directory.mkdir()
        with mounted(directory, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
            url = a_sqlite(directory)
            with a_scene(tmp_path, url) as scene:
                a_run_and_the_next(scene)
                since = now()
                fill(directory / "filler")
                scene.release("first")
                scene.until_ended("first")
                refused(scene.service, "full")
                until(since + AWAY)
                (directory / "filler").unlink()
                all_goes_on(scene, now())

    @pytest.mark.parametrize(
        ("offset", "words"), [(0, "file is not a database"), (4096, "malformed")]
    )
    def test_a_corrupted_file_is_named_as_that(
        self, tmp_path: Path, offset: int, words: str
    ) -> None:
        url = a_sqlite(tmp_path)
        file = path_of(url)
        with file.open("r+b") as database:
            database.seek(offset)
            database.write(b"\x5a" * (file.stat().st_size - offset))
        service = Service(tmp_path / "var", environment("corrupted", url))
        refused(service, words, str(file))
        done = service.manage("qcluster", timeout=PATIENCE)
        assert done.returncode not in (0, None)
        assert str(file) in done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@contextmanager
def locked(file: Path) -> Iterator[float]:
    """Another connection holds the write lock; since when."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=PATIENCE)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield now()
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def fill(file: Path) -> None:
    """Take all the room that its disk has, to the last byte."""
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                continue
