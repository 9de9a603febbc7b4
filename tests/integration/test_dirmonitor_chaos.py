"""Whatever happens to a tree: in the end all that is there was handed over, in its last version."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dirmonitor import ledger, scanning
from dirmonitor.scanning import Target
from tests.builders import a_monitor
from tests.monitors import PATIENCE, is_watched, running, start_over
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sigio_ignored")]

STEPS = 2000


class Chaos:
    """Steps at random in a tree, and beside it."""

    def __init__(self, inbox: Path, away: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._roots = (inbox, inbox, inbox, away)
        self._steps: tuple[Callable[[], None], ...] = (
            self._write, self._write, self._append, self._rename, self._rename, self._link,
            self._symlink, self._remove, self._touch, self._make_directory, self._remove_directory,
        )  # fmt: skip

    def step(self) -> None:
        """One; it may fail, since another one has taken what it needs."""
        with suppress(OSError):
            self._random.choice(self._steps)()

    def _directory(self) -> Path:
        found = self._random.choice(self._roots)
        for _ in range(self._random.randrange(3)):
            found /= f"d{self._random.randrange(4)}"
        return found

    def _file(self) -> Path:
        return self._directory() / f"{self._random.randrange(20)}.{self._random.choice('ab')}"

    def _any(self) -> Path:
        return self._random.choice((self._file, self._file, self._directory))()

    def _write(self) -> None:
        self._file().write_text("x" * self._random.randrange(5))

    def _append(self) -> None:
        with self._file().open("a") as file:
            file.write("y")

    def _rename(self) -> None:
        self._any().rename(self._any())

    def _link(self) -> None:
        os.link(self._file(), self._file())

    def _symlink(self) -> None:
        self._file().symlink_to(self._file())

    def _remove(self) -> None:
        self._file().unlink()

    def _touch(self) -> None:
        os.utime(self._file())

    def _make_directory(self) -> None:
        self._directory().mkdir(parents=True)

    def _remove_directory(self) -> None:
        directory = self._directory()
        if self._random.random() < 0.3:
            shutil.rmtree(directory)
            if self._random.random() < 0.7:
                directory.mkdir()


@pytest.mark.parametrize("_", range(2))
def test_whatever_happens_to_a_tree(inbox: Path, away: Path, mode: str, _: int) -> None:
    seed = random.SystemRandom().randrange(10**6)
    monitor = a_monitor(inbox, mode=mode, recursive=True, filemask="*.a")
    chaos = Chaos(inbox, away, seed)
    target = Target(os.fsencode(inbox), "*.a", True)

    def all_is_known() -> bool:
        start_over()
        return ledger.known(monitor.pk) == scanning.scan(target, lambda _: None).files

    with running():
        is_watched(monitor)
        for number in range(STEPS):
            chaos.step()
            if number % 500 == 0:
                start_over()
        if not inbox.is_dir():  # a file was renamed to it, or nothing is there
            inbox.unlink(missing_ok=True)
            inbox.mkdir()
        (inbox / "last.a").write_text("x")
        wait_until(all_is_known, PATIENCE, f"all of chaos {seed} to be known")
