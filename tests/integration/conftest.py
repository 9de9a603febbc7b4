"""Fixtures for tests of directory monitors, and of what is sent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.smtpd import Server
from tests.webd import WebServer


@pytest.fixture(params=["inotify", "poll"])
def mode(request: pytest.FixtureRequest) -> str:
    """How changes are noticed."""
    return str(request.param)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An empty directory."""
    path = tmp_path / "in"
    path.mkdir()
    return path


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A directory beside that one, on the same file system."""
    path = tmp_path / "away"
    path.mkdir()
    return path


@pytest.fixture
def sigio_ignored() -> Iterator[None]:
    """As the command does: it comes when a file is opened while it is looked at."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture
def mail_server() -> Iterator[Server]:
    """A real SMTP server."""
    with Server() as server:
        yield server


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    """A real HTTP server."""
    with WebServer() as server:
        yield server
