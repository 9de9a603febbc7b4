"""A long-lived program of a host, told what to ask of the queue (``tests/programs/console.py``)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.service import CHECKOUT

Row = dict[str, Any]


class Console:
    """One process with this environment, started when it is first needed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def enqueue(self, what: list[str] | str, **options: Any) -> Row:
        """``id`` and ``outcome`` of a request for a command, or for the Job of this name."""
        answer: Row = self._call("enqueue", what=what, **options)
        return answer

    def create_job(self, name: str, argv: list[str], **fields: Any) -> None:
        """Save a Job; its limits and delays are seconds."""
        self._call("create_job", name=name, argv=argv, **fields)

    def stop(self, execution: int) -> None:
        """Ask for the stop of a run."""
        self._call("stop", id=execution)

    def executions(self, after: int = 0) -> list[Row]:
        """All columns of the Executions with a higher id."""
        rows: list[Row] = self._call("executions", after=after)
        return rows

    def renewals(self) -> dict[str, float]:
        """When each place renewed its lease: seconds of the database's clock."""
        moments: dict[str, float] = self._call("renewals")
        return moments

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _call(self, function: str, **keywords: Any) -> Any:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.programs.console"],
                cwd=CHECKOUT,
                env=dict(self._environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([function, keywords]), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise AssertionError(f"{function}: {answer['error']}")
        return answer["answer"]
