"""The directory monitor's service for tests, a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.service import CHECKOUT, Service
from tests.waiting import wait_until


class Monitoring:
    """One installation with its ``manage.py dirmonitor``; as a context manager it runs."""

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        under: Sequence[str] = (),
    ) -> None:
        self.installation = Service(data_dir, environment)
        #: A command line that comes before the service's own, such as ``unshare``'s.
        self._under = under
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

    def start(self, *options: str, **environment: str) -> None:
        """Start it, perhaps with another environment than the commands', and don't wait."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._under, sys.executable, str(CHECKOUT / "manage.py"), "dirmonitor", *options],
                env=self.installation.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM; its exit code.

        Raises:
            subprocess.TimeoutExpired: it didn't end.
        """
        return self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> int:
        """The same with any signal."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=90)

    def kill(self) -> None:
        """End it as the kernel does for want of memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def shell(self, code: str) -> str:
        """What a few lines of Python print that run in the installation."""
        return self.manage("shell", "-v0", "-c", code)

    def said(self) -> str:
        """All that it has printed."""
        return self.output.read_text(errors="replace")

    def make(self, paths: Mapping[str, Path | str], **over: Any) -> None:
        """Make the tables, and monitors of these names and paths, each with a Job of its own."""
        self.manage("migrate", "-v0")
        values = {"settle": 0.2, "poll_interval": 0.2} | over
        rows = {name: str(path) for name, path in paths.items()}
        self.shell(
            "from jobqueue.api import Job\n"
            "from dirmonitor.models import DirMonitor\n"
            f"for name, path in {rows!r}.items():\n"
            "    job = Job.objects.create(name=name, argv=['true', name])\n"
            f"    DirMonitor.objects.create(name=name, path=path, job=job, **{values!r})\n"
        )

    def requests(self) -> list[dict[str, Any]]:
        """The details of what was queued, oldest first."""
        found: list[dict[str, Any]] = json.loads(
            self.shell(
                "import json\n"
                "from jobqueue.api import Execution\n"
                "rows = Execution.objects.filter(source='dirmonitor').order_by('pk')\n"
                "print(json.dumps(list(rows.values_list('details', flat=True))))"
            )
        )
        return found

    def status(self) -> list[Any]:
        """The monitors, as ``--status`` shows them."""
        rows: list[Any] = self.installation.json("dirmonitor", "--status")
        return rows

    def wait_for(self, status: str) -> None:
        """Wait until the first monitor stands so."""
        wait_until(lambda: self.status()[0]["status"] == status, 180, f"status {status}")
