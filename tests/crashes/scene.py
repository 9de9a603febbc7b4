"""One installation with its service, the jobs in it that stamp what they do, and its accidents."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from jobqueue.executor import read_run_file
from tests import stamps
from tests.commands import program
from tests.console import Console, Row
from tests.service import CLUSTER, Role, Service
from tests.stamps import Run, now
from tests.waiting import wait_until

#: Seconds that a slow machine is given for what has no limit in the contract.
PATIENCE = 120
#: Seconds of the contract: until the queue goes on after an accident on the same host.
BUSY, IDLE = 15, 20
#: Seconds of the contract: until nothing is left of a cluster that lost its main or its sentinel.
GONE = 20
#: Environment of all services: what one signs, another reads.
_COMMON = {
    "DJANGO_SETTINGS_MODULE": "tests.crash_settings",
    "SECRET_KEY": "only for tests, so it needs to be neither secret nor random, just long",
}


def environment(
    name: str,
    database_url: str,
    redis_url: str = "",
    *,
    q_cluster: Mapping[str, Any] | None = None,
    jobqueue: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Of an installation; ``name`` keeps its messages in a Redis apart from others'."""
    return {
        **_COMMON,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TEST_Q_CLUSTER": json.dumps({"name": name, **(q_cluster or {})}),
        "TEST_JOBQUEUE": json.dumps(dict(jobqueue or {})),
    }


def lives(pid: int) -> bool:
    """Whether there is such a process on this machine, and no zombie."""
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] not in "ZX"
    return False


def starved(*pids: int) -> float:
    """Seconds for which these processes could have gone on, and the machine had no time for them.

    Of their main threads; what the contract gives to a process doesn't count them.
    """
    found = (Path(f"/proc/{pid}/schedstat").read_text().split() for pid in pids)
    return sum(int(waited) for _, waited, _ in found) / 1e9


def until_outcome_noted(service: Service, run: Run) -> None:
    """Wait until the run file says how it ended.

    That its process is gone doesn't mean that its launcher has noted it already.
    """

    def is_noted() -> bool:
        found = map(read_run_file, map(str, service.data_dir.glob("runs/*.run")))
        return any(said.get("execution") == run.execution and end for said, end, _ in found)

    wait_until(is_noted, PATIENCE, f"the outcome of {run} to be noted")


class Stage:
    """Jobs that stamp into one file, in one database: what hosts have in common."""

    def __init__(self, directory: Path, console: Console) -> None:
        self.directory = directory
        self.file = directory / "stamps"
        self.console = console
        self.lived_until: dict[int, float] = {}
        self._witnesses: list[Thread] = []
        self._codes: dict[str, int] = {}
        rows = console.executions()
        self._before = rows[-1]["id"] if rows else 0

    def ask(self, label: str, seconds: float = 0.1, code: int = 0, **options: Any) -> int:
        """Ask for a job of this name, length and return code; the id of its Execution."""
        return self._ask(label, stamps.command(self.file, label, seconds, code), code, options)

    def told(self, label: str, seconds: float) -> list[str]:
        """A command that somebody else is going to ask for; it's looked after all the same."""
        self._codes[label] = 0
        return stamps.command(self.file, label, seconds)

    def ask_held(self, label: str, code: int = 0, **options: Any) -> int:
        """Ask for a job that goes on until it is released."""
        return self._ask(label, self.held(label, code), code, options)

    def held(self, label: str, code: int = 0) -> list[str]:
        """A command that goes on until it is released."""
        return stamps.command(self.file, label, self.directory / f"release-{label}", code)

    def ask_family(self, label: str, children: int, *words: str) -> int:
        """Ask for a job that starts children, and kills itself when it's released."""
        release = self.directory / f"release-{label}"
        argv = program("family", self.file, label, children, release, *words)
        return self._ask(label, argv, 128 + signal.SIGKILL, {})

    def ask_job(self, name: str, argv: list[str], **fields: Any) -> int:
        """Ask for a Job, made for that; its limits are seconds."""
        unique = f"{name} {now()}"
        self.console.create_job(unique, argv, **fields)
        self._codes[name] = 0
        return int(self.console.enqueue(unique)["id"])

    def _ask(self, label: str, argv: list[str], code: int, options: dict[str, Any]) -> int:
        self._codes[label] = code
        return int(self.console.enqueue(argv, **options)["id"])

    def release(self, label: str) -> None:
        """Let a held job end."""
        (self.directory / f"release-{label}").touch()

    def runs(self, label: str | None = None) -> list[Run]:
        """Those that have stamped, in the order of their starts."""
        return [run for run in stamps.read(self.file) if label in (None, run.label)]

    def until_started(self, label: str, times: int = 1, timeout: float = PATIENCE) -> Run:
        """Its run, when it has started so often."""
        started = f"{label} to start ({times})"
        wait_until(lambda: len(self.runs(label)) >= times, timeout, started)
        return self.runs(label)[times - 1]

    def until_ended(self, label: str, timeout: float = PATIENCE) -> Run:
        """Its run that stamped its end, when it has."""

        def ended() -> Run | None:
            return next((run for run in self.runs(label) if run.ended_at is not None), None)

        return wait_until(ended, timeout, f"the end of {label}")

    def rows(self) -> list[Row]:
        """The Executions since the stage was set."""
        return self.console.executions(after=self._before)

    def row(self, execution: int) -> Row:
        """The Execution as it is now."""
        return next(row for row in self.rows() if row["id"] == execution)

    def until_row(self, execution: int, timeout: float = PATIENCE, **expected: object) -> Row:
        """The Execution, when it has these values."""
        wait_until(
            lambda: self.row(execution).items() >= expected.items(),
            timeout,
            f"{execution} to be {expected}",
        )
        return self.row(execution)

    def owner(self, run: Run) -> int:
        """The process to which it belongs, as its row says."""
        found = re.search(r":(\d+)-\d+(/\d+-\d+)?$", self.row(run.execution)["owner"])
        assert found is not None, "it belongs to nobody"
        return int(found[1])

    def until_settled(self, timeout: float = PATIENCE) -> list[Row]:
        """The Executions, when none waits or runs any more."""

        def open_rows() -> list[Row]:
            return [row for row in self.rows() if row["state"] in ("waiting", "running")]

        wait_until(lambda: not open_rows(), timeout, "all to be ended")
        return self.rows()

    def note_lives(self, runs: Iterable[Run]) -> None:
        """Note, from now on, when these runs lived last: until they're gone or stamp their end."""
        witness = Thread(target=self._witness, args=(list(runs),), daemon=True)
        self._witnesses.append(witness)
        witness.start()

    def _witness(self, runs: list[Run]) -> None:
        while runs:
            moment = now()
            runs = [run for run in runs if lives(run.pid) and self._is_unended(run)]
            self.lived_until |= {run.execution: moment for run in runs}
            time.sleep(0.005)

    def unended(self) -> list[Run]:
        """Runs that have started and not stamped their end."""
        return [run for run in self.runs() if run.ended_at is None]

    def _is_unended(self, run: Run) -> bool:
        return run.execution in [other.execution for other in self.unended()]

    def check(self, unfinished: Iterable[str] = (), overlap_of: Iterable[int] = ()) -> None:
        """The promises, held against what the jobs stamped.

        ``unfinished`` are labels that were not to come to an end of their own; ``overlap_of`` are
        Executions that may have run beside others, since their host was frozen.
        """
        rows = {row["id"]: row for row in self.until_settled()}
        for witness in self._witnesses:
            witness.join(PATIENCE)
        runs = self.runs()
        allowed = set(overlap_of)
        assert [
            pair
            for pair in stamps.overlaps(runs, self.lived_until)
            if not allowed & {run.execution for run in pair}
        ] == []
        assert stamps.repeated(runs) == []
        finished = set(self._codes) - set(unfinished)
        assert stamps.ends(runs) == dict.fromkeys(finished, 1)
        assert sorted(run.execution for run in runs) == sorted(rows)
        for run in runs:
            self._check_row(run, rows[run.execution])
        for row in rows.values():
            _check_repetition(row, rows.values(), self.labels_of(runs, unfinished))

    def labels_of(self, runs: Iterable[Run], unfinished: Iterable[str]) -> set[int]:
        """The Executions of what was not to come to an end."""
        return {run.execution for run in runs if run.label in set(unfinished)}

    def _check_row(self, run: Run, row: Row) -> None:
        """State, code and output of a run are what the job itself stamped."""
        if run.code is None:
            assert row["state"] not in ("succeeded", "warned"), row
            assert row["reason"], row
            return
        assert row["return_code"] == run.code, row
        assert row["state"] == ("failed" if run.code else "succeeded"), row
        assert row["pid"] == run.pid, row
        output = f"{run.label} starts\n{run.label} ends with {run.code}\n"
        assert row["log_tail"] == output, row
        assert Path(row["log_path"]).read_text() == output, row


def _check_repetition(row: Row, rows: Iterable[Row], unfinished: set[int]) -> None:
    """Who was lost, and only that, was queued again, once, in its place."""
    again = [other for other in rows if other["retry_of_id"] == row["id"]]
    if row["state"] != "lost":
        assert not again, (row, again)
    elif row["id"] not in unfinished:
        [retry] = again
        for name in ("argv", "queue", "priority", "queued_at", "job_id"):
            assert retry[name] == row[name], name
        assert (retry["source"], retry["attempt"]) == ("retry", row["attempt"] + 1)


class Scene(Stage):
    """A stage with one service; the test itself may find the database elsewhere."""

    def __init__(
        self, directory: Path, variables: Mapping[str, str], console_url: str | None = None
    ) -> None:
        self.service = Service(directory / "var", variables)
        there = {"DATABASE_URL": console_url} if console_url else {}
        super().__init__(directory, Console({**self.service.environment, **there}))
        self.passed = False

    def __enter__(self) -> Scene:
        self.service.__enter__()
        self.service.until_roles_are_known()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[1] is not None:
            error[1].add_note(f"{self.evidence()}\n{self.service.last_output(120)}")
        self.service.kill()
        self.console.close()

    def start_held(self, label: str, **options: Any) -> Run:
        """Ask for a job that goes on until it's released; its run, when it has started."""
        execution = self.ask_held(label, **options)
        run = self.until_started(label)
        self.until_row(execution, state="running", pid=run.pid)
        return run

    def kill(self, *roles: Role) -> float:
        """SIGKILL to its processes with these roles; the moment of that."""
        return self.kill_pids(*self.service.pids(*roles))

    def kill_pids(self, *pids: int) -> float:
        """SIGKILL to these of its processes; the moment of that."""
        assert pids, "nobody is there to be killed"
        roles = self.service.roles()
        dying = bool({Role.LAUNCHER, Role.JOB} & {roles.get(pid) for pid in pids})
        runs, moment = self.unended(), now()
        self.service.signal(signal.SIGKILL, *pids)
        if dying:
            runs = [run for run in runs if roles.get(run.pid) is Role.JOB]
            self.lived_until |= {run.execution: moment for run in runs}
            self.note_lives(runs)
        return moment

    def until_adopted(self, run: Run, timeout: float = BUSY) -> None:
        """Wait until a run belongs to a worker that lives."""

        wait_until(
            lambda: self.owner(run) in self.service.pids(Role.WORKER),
            timeout,
            f"the adoption of {run}",
        )

    def restart(self) -> None:
        """As a service manager does: when main has ended, start another cluster."""
        wait_until(lambda: not lives(self.service.pid), GONE, "the end of main")
        self.service.stop()
        self.service.start()
        self.service.until_roles_are_known()

    def went_on(self, label: str, after: float, seconds: float) -> None:
        """Wait for a job's end; it started so soon after that moment."""
        self.until_ended(label)
        late = self.runs(label)[0].started_at - after
        assert late <= seconds, f"{label} started {late:.1f} s after the accident"

    def until_cluster_gone(self, pids: Iterable[int], killed: float) -> None:
        """Wait until these are gone, at most so long after the accident as the contract says."""
        left = set(pids)
        wait_until(
            lambda: not left & set(self.service.roles()),
            max(0.1, killed + GONE - now()),
            "the end of what was left of the cluster",
        )

    def cluster(self) -> list[int]:
        """All processes of ``manage.py qcluster``."""
        return self.service.pids(*CLUSTER)

    def finish(self, **exceptions: Any) -> None:
        """All settles, the promises hold, and SIGTERM ends the cluster, nothing stays behind."""
        self.until_settled()
        assert self.service.stop() == 0
        assert self.service.roles() == {}
        self.check(**exceptions)
        self.passed = True

    def log(self) -> str:
        """The service's log."""
        file = self.service.data_dir / "logs" / "jobqueue.log"
        return file.read_text() if file.exists() else ""

    def logged(self, pattern: str) -> bool:
        """Whether its log has a line like that."""
        return re.search(pattern, self.log(), re.MULTILINE) is not None

    def evidence(self) -> str:
        """What the jobs stamped, the rows and the log, for messages."""
        lines = [f"{run}" for run in self.runs()]
        with suppress(AssertionError, OSError):
            lines += [json.dumps(row) for row in self.rows()]
        return "\n".join([*lines, self.log()])
