"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest
from pytest_django import Settings

from jobqueue.models import Execution
from tests import addresses, servers
from tests.builders import a_run
from tests.commands import Notes
from tests.crashes import disk


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of what `make test` runs again; have the programs of tests hear Ctrl-C."""
    config.addinivalue_line("markers", "database: a rule that each kind of database has to hold")
    # How fast examples are made and tried says something of the machine, and nothing of the rule.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("any machine")
    # A shell without job control has what it starts in the background ignore Ctrl-C, children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """An empty ``JOBQUEUE["DATA_DIR"]`` for one test."""
    settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": tmp_path}
    return tmp_path


@pytest.fixture
def run(data_dir: Path) -> Execution:
    """A running Execution, the only one with its files in an empty ``DATA_DIR``."""
    return a_run()


@pytest.fixture
def at_noon(settings: Settings) -> None:
    """The site is in a zone where it's between twelve and one: no day ends meanwhile."""
    hours = 12 - datetime.now(UTC).hour
    settings.TIME_ZONE = f"Etc/GMT{-hours:+d}" if hours else "UTC"


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """A file in which jobs write down when they ran."""
    return Notes(tmp_path / "notes")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """``DATABASE_URL`` of an empty PostgreSQL database; skips the test if there is no server."""
    servers.need("postgres")
    with servers.new_postgres_database() as url:
        yield url


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """``DATABASE_URL`` of an empty MariaDB database; skips the test if there is no server."""
    servers.need("mariadb")
    with servers.new_mariadb_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """``DATABASE_URL`` of an empty database on each kind of server in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'db.sqlite3'}"
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def redis_url() -> str:
    """``REDIS_URL`` of a server; skips the test if there is none.

    Others may use it too: give the cluster a name of its own, as ``tests.settings`` does.
    """
    servers.need("redis")
    return addresses.REDIS_URL


@pytest.fixture
def chromium() -> str:
    """The path of a Chromium; skips the test if there is none."""
    servers.need("chromium")
    return servers.find_browser()


@pytest.fixture(scope="session")
def disk_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is laid under programs whose power can be cut; skips without a C compiler."""
    return disk.build(tmp_path_factory.mktemp("disk"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be tested here, and why."""
    for name in servers.NAMES:
        if reason := servers.why_missing(name):
            verdict = "MISSING" if servers.is_required(name) else "not tested on this machine"
            terminalreporter.write_line(f"{name}: {verdict}: {reason}", yellow=True)
