"""Where the servers are that the tests and the benchmarks use; needs no package but Python's own.

``TEST_POSTGRES_URL``, ``TEST_MARIADB_URL`` and ``TEST_REDIS_URL`` say so; by default on this
machine, without a password.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

POSTGRES_URL = os.environ.get(
    "TEST_POSTGRES_URL", f"postgres://{getpass.getuser()}@127.0.0.1:5432/postgres"
)
MARIADB_URL = os.environ.get("TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def mariadb_login() -> dict[str, Any]:
    """:data:`MARIADB_URL` as ``pymysql.connect`` takes it."""
    url = urlsplit(MARIADB_URL)
    return {
        "host": url.hostname or "127.0.0.1",
        "port": url.port or 3306,
        "user": url.username or "root",
        "password": url.password or "",
    }


@contextmanager
def kept_port() -> Iterator[int]:
    """A port of 127.0.0.1 for a server, which nobody else is given before it listens, or after.

    It is bound all the while, and doesn't listen: a server that sets SO_REUSEADDR, as all do that
    can be started again at once, may bind it as well.
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]
