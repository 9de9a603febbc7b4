"""The directory monitor's service for tests, a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.service import CHECKOUT, Service
from tests.waiting import wait_until


class Monitoring:
    """One installation with its ``manage.py dirmonitor``; as a context manager it runs."""

    def __init__(self, data_dir: Path) -> None:
        self.installation = Service(data_dir)
        self.output = data_dir.with_name(f"{data_dir.name}-dirmonitor.out")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.output.exists():
            error.add_note(self.output.read_text(errors="replace")[-4000:])
        self.kill()

    def manage(self, *args: str) -> str:
        """What a management command prints."""
        return self.installation.manage(*args, check=True).stdout

    def start(self) -> None:
        """Start it, and don't wait."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(CHECKOUT / "manage.py"), "dirmonitor"],
                env=self.installation.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> int:
        """SIGTERM; its exit code.

        Raises:
            subprocess.TimeoutExpired: it didn't end.
        """
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        """End it as the kernel does for want of memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def shell(self, code: str) -> str:
        """What a few lines of Python print that run in the installation."""
        return self.manage("shell", "-v0", "-c", code)

    def status(self) -> list[Any]:
        """The monitors, as ``--status`` shows them."""
        rows: list[Any] = self.installation.json("dirmonitor", "--status")
        return rows

    def wait_for(self, status: str) -> None:
        """Wait until the first monitor stands so."""
        wait_until(lambda: self.status()[0]["status"] == status, 60, f"status {status}")
