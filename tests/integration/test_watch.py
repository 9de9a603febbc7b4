"""What a run costs the database while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jobqueue import queue, runs
from jobqueue.executor import Run
from jobqueue.models import Execution, State
from tests.builders import a_run

pytestmark = [pytest.mark.database, pytest.mark.django_db]

CHATTERS = "import time\nwhile True: print('a line', flush=True); time.sleep(0.001)"


class Looks:
    """Counts the looks at a run; in the end, an order to stop it has come.

    That is at a look that stores nothing, after some late ones that did.
    """

    def __init__(self, run: Execution) -> None:
        self.number = -1
        self.with_output: list[int] = []
        self.obeyed: list[int] = []
        self.stopped_at = 0
        self._run = run

    @property
    def late(self) -> list[int]:
        """Those that stored output when not all do any more."""
        return [number for number in self.with_output if number >= runs.ALL_STORE]

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """An execute wrapper of Django's."""
        if sql.startswith("SELECT") and "stop_requested_at" in sql:
            self.number += 1
            if not self.stopped_at and len(self.late) >= 5 and self.number % runs.ONE_STORES:
                self.stopped_at = self.number
                queue.request_stop(self._run, by="ada")
        elif sql.startswith("UPDATE") and "log_tail" in sql:
            self.with_output.append(self.number)
        return execute(sql, *rest)

    def note(self, stop: Callable[[], None]) -> Callable[[], None]:
        """A run's `stop` that notes at which look it was called."""

        def note_and_stop() -> None:
            self.obeyed.append(self.number)
            stop()

        return note_and_stop


def test_of_a_long_run_few_looks_store_its_output_and_all_obey(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs.ALL_STORE * runs.LOOK == 10
    monkeypatch.setattr(runs, "LOOK", 0.03)
    execution = a_run([sys.executable, "-c", CHATTERS])
    looks, executor = Looks(execution), runs.new_executor()
    try:
        run = runs.start(execution, executor)
        assert isinstance(run, Run)
        monkeypatch.setattr(run, "stop", looks.note(run.stop))
        with connection.execute_wrapper(looks):
            end = runs.watch(execution, run)
    finally:
        executor.close()
    assert (end.state, end.reason) == (State.STOPPED, "stopped by ada")
    assert looks.obeyed[0] == looks.stopped_at, "a look that stores nothing obeys as well"
    assert all(number % runs.ONE_STORES == 0 for number in looks.late)
