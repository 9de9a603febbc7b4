"""What this machine has for the tests beside Python: database servers, Redis, programs.

``JOBQUEUE_TEST_REQUIRE`` names those that must not be missing, separated by spaces: a test that
finds such a one missing fails, any other one is skipped.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NoReturn
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import redis

from tests import shares
from tests.addresses import MARIADB_URL, POSTGRES_URL, REDIS_URL, mariadb_login

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def connect_postgres() -> psycopg.Connection:
    """A connection to the server's own database."""
    return psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=5)


def connect_mariadb() -> pymysql.Connection:
    """A connection to the server's own database."""
    return pymysql.connect(**mariadb_login(), autocommit=True, connect_timeout=5)


def _ask_redis() -> None:
    with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=5) as client:
        client.ping()


def find_browser() -> str:
    """The path of a Chromium; OSError if there is none."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise OSError("none of " + ", ".join(BROWSERS) + " is installed")


def find_compiler() -> str:
    """The path of a C compiler that finds the C library; OSError if there is none."""
    path = shutil.which("cc")
    if path is None:
        raise OSError("no cc is installed")
    include = ["-x", "c", "-fsyntax-only", "-include", "stdlib.h", "/dev/null"]
    done = subprocess.run([path, *include], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{path} can't compile: {done.stderr.strip()}")
    return path


def find_systemd_analyze() -> str:
    """The path of systemd-analyze, which needs no running systemd; OSError if there is none."""
    if path := shutil.which("systemd-analyze"):
        return path
    raise OSError("systemd-analyze isn't installed")


_PROBES: dict[str, Callable[[], object]] = {
    "postgres": lambda: connect_postgres().close(),
    "mariadb": lambda: connect_mariadb().close(),
    "redis": _ask_redis,
    "chromium": find_browser,
    "cc": find_compiler,
    "systemd": find_systemd_analyze,
    "fuse": shares.try_to_mount,
}
NAMES = tuple(_PROBES)


@cache
def why_missing(name: str) -> str | None:
    """One line on why ``name`` can't be used here; None if it can."""
    try:
        _PROBES[name]()
    except (OSError, psycopg.Error, pymysql.Error, redis.RedisError) as error:
        return str(error).strip().splitlines()[0]
    return None


def need(name: str) -> None:
    """Skip the test, or fail it, if ``name`` can't be used here."""
    if reason := why_missing(name):
        miss(name, reason)


def is_required(name: str) -> bool:
    """Whether ``JOBQUEUE_TEST_REQUIRE`` names it."""
    return name in os.environ.get("JOBQUEUE_TEST_REQUIRE", "").split()


def miss(name: str, reason: str) -> NoReturn:
    """Skip the test for want of ``name``; fail it if ``JOBQUEUE_TEST_REQUIRE`` names that."""
    if is_required(name):
        pytest.fail(f"{name} is required: {reason}", pytrace=False)
    pytest.skip(f"no {name}: {reason}")


@contextmanager
def new_postgres_database() -> Iterator[str]:
    """The URL of an empty database, dropped at the end."""
    name = f"test_jobqueue_{secrets.token_hex(6)}"
    with connect_postgres() as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl()
    finally:
        with connect_postgres() as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def new_mariadb_database() -> Iterator[str]:
    """The URL of an empty database, dropped at the end."""
    name = f"test_jobqueue_{secrets.token_hex(6)}"
    _mariadb(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    try:
        yield urlsplit(MARIADB_URL)._replace(path=f"/{name}").geturl()
    finally:
        _mariadb(f"DROP DATABASE `{name}`")


def _mariadb(statement: str) -> None:
    with connect_mariadb() as server, server.cursor() as cursor:
        cursor.execute(statement)
