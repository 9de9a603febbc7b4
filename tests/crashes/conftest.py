"""Places for accidents: a database, a broker, and a service that is going to be killed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import addresses, servers
from tests.crashes.scene import Scene, environment
from tests.service import Service

#: Sessions share a Redis; this is what keeps their messages apart.
_SESSION = secrets.token_hex(4)


class Databases:
    """Migrated databases, one of each kind, made when first wanted and kept for the next test."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._urls: dict[str, str] = {}

    def url(self, kind: str) -> str:
        """``DATABASE_URL``; skips the test if there is no such server."""
        if kind not in self._urls:
            self._urls[kind] = self.new(kind)
        return self._urls[kind]

    def new(self, kind: str) -> str:
        """``DATABASE_URL`` of a database of its own."""
        url = self._empty(kind)
        variables = environment("migrate", url)
        Service(self._directory / "var", variables).manage("migrate", check=True)
        return url

    def forget(self, url: str) -> None:
        """A test that failed may have left anything behind: the next one gets another."""
        self._urls = {kind: known for kind, known in self._urls.items() if known != url}

    def _empty(self, kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{self._directory / secrets.token_hex(4)}.sqlite3"
        servers.need(kind)
        new = {"postgres": servers.new_postgres_database, "mariadb": servers.new_mariadb_database}
        return self._stack.enter_context(new[kind]())


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """For all tests of one process."""
    with ExitStack() as stack:
        yield Databases(tmp_path_factory.mktemp("databases"), stack)


@pytest.fixture
def place() -> str:
    """Database and broker; most tests name several."""
    return "sqlite-orm"


NewScene = Callable[..., Scene]


@pytest.fixture
def new_scene(tmp_path: Path, databases: Databases, place: str) -> Iterator[NewScene]:
    """Makes the installation in which the accident happens, with settings of its own."""
    kind, broker = place.split("-")
    if broker == "redis":
        servers.need("redis")
    url = databases.url(kind)
    made: list[Scene] = []

    def new(**settings: dict[str, object]) -> Scene:
        redis_url = addresses.REDIS_URL if broker == "redis" else ""
        name = f"crashes-{_SESSION}-{tmp_path.name}"
        made.append(Scene(tmp_path, environment(name, url, redis_url, **settings)))
        return made[-1]

    yield new
    if not all(scene.passed for scene in made):
        databases.forget(url)


@pytest.fixture
def scene(new_scene: NewScene) -> Iterator[Scene]:
    """An installation whose service runs."""
    with new_scene() as scene:
        yield scene
