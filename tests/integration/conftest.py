"""Fixtures for tests of directory monitors."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


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
