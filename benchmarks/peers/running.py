"""Runs the peers, those with packages of their own in a virtual environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

from benchmarks import raw
from benchmarks.databases import Database, PostgreSQL, first_line
from benchmarks.installation import BARE, CHECKOUT, Installation
from benchmarks.measures import GAP
from benchmarks.peers import task
from benchmarks.processes import wait_until
from benchmarks.results import Results

HERE = Path(__file__).resolve().parent
ENVIRONMENT = CHECKOUT / ".benchmarks" / "venv"
PATIENCE = 120  # seconds for one block of runs
SECTION = "Other queues: " + GAP[0].lower() + GAP[1:]


def environment() -> Path:
    """The Python of the peers' virtual environment, which is made when it isn't there.

    Raises:
        RuntimeError: it could not be made.
    """
    python = ENVIRONMENT / "bin" / "python"
    wanted, installed = HERE / "requirements.txt", ENVIRONMENT / "requirements.txt"
    if installed.exists() and installed.read_bytes() == wanted.read_bytes():
        return python
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    (ENVIRONMENT.parent / ".gitignore").write_text("*\n")
    _do([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
    _do([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)])
    shutil.copyfile(wanted, installed)
    return python


def _do(command: Sequence[str], **environ: str) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or f"exit {done.returncode}").rpartition("\n")[2])


def measure(results: Results, sites: Sequence[Installation], number: int) -> None:
    """One round of all that are to be had here."""
    _try(results, "task-spooler", number, _task_spooler)
    _try(results, "huey (SQLite)", number, _huey)
    postgres = next((s.database for s in sites if isinstance(s.database, PostgreSQL)), None)
    if postgres is None:
        results.leave_out("procrastinate", "it needs PostgreSQL")
    else:
        _try(results, "procrastinate (PostgreSQL)", number, _procrastinate)
    for site in sites:
        _try(
            results,
            f"django-q2 alone ({site.title})",
            number,
            lambda directory, number, site=site: _django_q2(site, directory, number),  # type: ignore[misc]
        )


def _try(
    results: Results, peer: str, number: int, starts: Callable[[Path, int], list[float]]
) -> None:
    """A peer that isn't to be had, or fails, is left out and named."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            found, beside = raw.beside(number, raw.PROGRAM, lambda: starts(Path(directory), number))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        results.leave_out(peer, first_line(error))
        return
    results.add(
        SECTION,
        peer,
        median(found),
        "ms",
        other=median(beside),
        compared_with="ms in a raw loop",
        mean=mean(found),
        mean_other=mean(beside),
    )


def _huey(directory: Path, number: int) -> list[float]:
    return _by_script("run_huey.py", str(directory), directory, number)


def _procrastinate(directory: Path, number: int) -> list[float]:
    with _new(PostgreSQL(directory)) as database:
        return _by_script("run_procrastinate.py", database.url, directory, number)


@contextmanager
def _new(database: Database) -> Iterator[Database]:
    database.create()
    try:
        yield database
    finally:
        database.drop()


def _by_script(script: str, where: str, directory: Path, number: int) -> list[float]:
    file = directory / "notes"
    command = [str(environment()), str(HERE / script), where, str(number)]
    _do(command, **{task.VARIABLE: str(file)})
    return raw.notes(file)


def _django_q2(site: Installation, directory: Path, number: int) -> list[float]:
    file = directory / "notes"
    file.touch()
    with site.agent(BARE) as agent:
        agent("send_tasks", raw.PROGRAM, number)
    with site.cluster({**BARE, task.VARIABLE: str(file)}):
        wait_until(lambda: len(raw.notes(file)) >= number, PATIENCE, f"{number} tasks")
    return raw.notes(file)


def _task_spooler(directory: Path, number: int) -> list[float]:
    """Its own times are whole seconds: the first and the last run note theirs."""
    tsp = shutil.which("tsp")
    if tsp is None:
        raise RuntimeError("tsp isn't installed (Debian's package task-spooler)")
    environ = {"TS_SOCKET": str(directory / "socket"), "TMPDIR": str(directory), "TS_SLOTS": "1"}
    file, gate = directory / "notes", directory / "gate"
    wait = ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.02; done"]
    runs = [[*raw.PROGRAM, str(i)] for i in range(number - 2)]
    try:
        for command in [wait, raw.noting(file), *runs, raw.noting(file)]:
            _do([tsp, "-n", *command], **environ)
        gate.touch()
        _do([tsp, "-w"], **environ)
    finally:
        gate.touch()
        _do([tsp, "-K"], **environ)
    first, last = raw.notes(file)
    return [first + i * (last - first) / (number - 1) for i in range(number)]
