"""Files arrive for the genuine Bots engine, and the real directory monitor has them delivered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dirmonitor import Monitoring
from tests.realbots.install import NotInstallableError, RealBots, install
from tests.servers import miss
from tests.service import Service
from tests.waiting import wait_until

#: Seconds: what a crowded machine may need for anything here.
PATIENCE = 180
#: Seconds; longer than any test waits.
FOR_EVER = 3600
BURST = 150
#: What the monitors of the bots.ini run.
ROUTES = ("copy", "pieces")

Row = dict[str, Any]


@pytest.fixture
def bots(tmp_path: Path) -> RealBots:
    try:
        return install(tmp_path / "bots")
    except NotInstallableError as reason:
        miss("bots", str(reason))


@pytest.fixture
def service(bots: RealBots, tmp_path: Path) -> Iterator[Service]:
    """Site and queue, and the monitors and Jobs that the genuine bots.ini says."""
    service = Service(tmp_path / "var")
    service.manage("migrate", check=True)
    service.manage("import_botsini", str(bots.ini), "--apply", check=True)
    with service:
        yield service


def test_all_that_arrives_while_runs_go_on_is_delivered_whole_and_in_few_runs(
    bots: RealBots, service: Service
) -> None:
    sent: dict[Path, bytes] = {}
    with Monitoring(service.data_dir) as monitoring:
        writers = [InPieces(bots, "copy", f"slow-{n}.edi", rename=True) for n in range(5)]
        writers.append(InPieces(bots, "pieces", "open.edi", rename=False))
        with a_long_run(bots, service):
            sent.update(burst(bots, "before"))
            write(writers)
            wait_until(lambda: began(service, "copy"), PATIENCE, "a request for them")
            monitoring.kill()
            sent.update(burst(bots, "while no monitor runs"))
            monitoring.start()
            write(writers)
        for number in range(3):
            seen = ended(service, "copy")
            sent.update(burst(bots, f"more {number}"))
            write(writers)
            wait_for_the_next_run(service, seen, sent)
        assert not began(service, "pieces")
        for writer in writers:
            sent.update(writer.finish())
        wait_until(lambda: not missing(sent), PATIENCE, "all files to be delivered")
        rows = wait_until(lambda: all_succeeded(service), PATIENCE, "all runs to have ended")
        assert monitoring.stop() == 0

    assert {path: path.read_bytes() for path in sent} == sent
    assert delivered(bots) == set(sent)
    assert not any(file for route in ROUTES for file in bots.inbox(route).iterdir())
    assert {row["source"] for row in rows if row["argv"][-1] in ROUTES} == {"dirmonitor"}
    assert len(rows) < len(sent) / 20


@contextmanager
def a_long_run(bots: RealBots, service: Service) -> Iterator[None]:
    """A run that somebody asks for in the Run menu, which goes on meanwhile."""
    bots.hold(FOR_EVER)
    bots.send("slow")
    service.manage("jobs", "run", "bots conf: route slow", check=True)
    wait_until(bots.held, PATIENCE, "the run to be in its middle")
    yield
    bots.hold(0)


class InPieces:
    """A writer that takes its time, under another name or in the open."""

    def __init__(self, bots: RealBots, route: str, name: str, *, rename: bool) -> None:
        self._there = bots.inbox(route) / name
        self._out = bots.outbox(route) / name
        self._written = self._there.with_name(f"{name}.part") if rename else self._there
        self._file = self._written.open("wb")

    def write(self) -> None:
        """A piece, which others can see."""
        self._file.write(b"RFF+AAA'" * 10_000)
        self._file.flush()

    def finish(self) -> dict[Path, bytes]:
        """The last piece; what is to come out, and where."""
        self._file.write(b"UNZ+1+77'\n")
        self._file.close()
        content = self._written.read_bytes()
        self._written.rename(self._there)
        return {self._out: content}


def burst(bots: RealBots, name: str) -> dict[Path, bytes]:
    """Many files at once, each written elsewhere and renamed; what is to come out, and where."""
    sent = {}
    (aside := bots.directory / "aside").mkdir(exist_ok=True)
    for number in range(BURST):
        content = f"UNB+{name}+{number}'".encode() * 200
        (aside / "one").write_bytes(content)
        (aside / "one").rename(bots.inbox("copy") / f"{name}-{number}.edi")
        sent[bots.outbox("copy") / f"{name}-{number}.edi"] = content
    return sent


def write(writers: list[InPieces]) -> None:
    for writer in writers:
        writer.write()


def began(service: Service, route: str) -> list[Row]:
    """The requests for this route, waiting ones as well."""
    rows: list[Row] = service.json("queue", "list", "--limit", "1000")
    return [row for row in rows if row["argv"][-1] == route]


def ended(service: Service, route: str) -> int:
    """How many runs of this route have come to their end."""
    return sum(row["state"] == "succeeded" for row in began(service, route))


def wait_for_the_next_run(service: Service, seen: int, sent: dict[Path, bytes]) -> None:
    """Until more than these have ended, or none is needed any more."""
    wait_until(lambda: ended(service, "copy") > seen or not missing(sent), PATIENCE, "the next run")


def missing(sent: dict[Path, bytes]) -> list[Path]:
    return [path for path in sent if not path.exists()]


def delivered(bots: RealBots) -> set[Path]:
    return {path for route in ROUTES for path in bots.outbox(route).iterdir()}


def all_succeeded(service: Service) -> list[Row]:
    rows: list[Row] = service.json("queue", "list", "--limit", "1000")
    return rows if all(row["state"] == "succeeded" for row in rows) else []
