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
    """Counts the looks at a run; at one of them, an order to stop it has come."""

    def __init__(self, run: Execution, stop_at: int) -> None:
        self.number = -1
        self.with_output: list[int] = []
        self.obeyed: list[int] = []
        self._run = run
        self._stop_at = stop_at

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """An execute wrapper of Django's."""
        if sql.startswith("SELECT") and "stop_requested_at" in sql:
            self.number += 1
            if self.number == self._stop_at:
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
    stop_at = runs.ALL_STORE + 5 * runs.ONE_STORES + 1
    execution = a_run([sys.executable, "-c", CHATTERS])
    looks, executor = Looks(execution, stop_at), runs.new_executor()
    try:
        run = runs.start(execution, executor)
        assert isinstance(run, Run)
        monkeypatch.setattr(run, "stop", looks.note(run.stop))
        with connection.execute_wrapper(looks):
            end = runs.watch(execution, run)
    finally:
        executor.close()
    assert (end.state, end.reason) == (State.STOPPED, "stopped by ada")
    assert looks.obeyed[0] == stop_at, "a look that stores nothing obeys as well"
    late = [number for number in looks.with_output if number >= runs.ALL_STORE]
    assert late, "it is still stored"
    assert all(number % runs.ONE_STORES == 0 for number in late)
