"""Two hosts on one database: one is cut off, frozen, restarted, or has a wrong clock.

A host is a service with its own ``JOBQUEUE_HOST`` and ``DATA_DIR``. One that is cut off from the
database ends its run before another starts it again; one that was frozen ends it within a second of
waking, and only there two may have run at once. Alone, a host goes on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import servers, stamps
from tests.console import Console
from tests.crashes.conftest import Databases
from tests.crashes.scene import (
    BUSY,
    PATIENCE,
    Stage,
    environment,
    lives,
    starved,
    until_outcome_noted,
)
from tests.forwarder import Forwarder
from tests.service import CLUSTER, Role, Service
from tests.stamps import Run, now
from tests.waiting import wait_until

#: Seconds.
LEASE = 6
#: Seconds until a lease that has run out is noticed and the run is started: they belong to no host.
NOTICED = 5


class Hosts(Stage):
    """Several hosts at work on one database."""

    def __init__(self, directory: Path, url: str, stack: ExitStack) -> None:
        self._stack = stack
        self._names = f"hosts-{uuid.uuid4().hex}"
        self.url = url
        #: Seconds.
        self.lease = LEASE
        self.services: list[Service] = []
        console = Console({**os.environ, **self._environment(url)})
        stack.callback(console.close)
        super().__init__(directory, console)

    def start(
        self,
        name: str,
        url: str | None = None,
        *,
        data_dir: str | None = None,
        under: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Service:
        """Have one more host, which finds the database there."""
        given = {**self._environment(url or self.url), "JOBQUEUE_HOST": name, **(variables or {})}
        service = Service(self.directory / (data_dir or name), given, under=under)
        self.services.append(self._stack.enter_context(service))
        service.until_roles_are_known()
        wait_until(lambda: len(self.console.renewals()) >= len(self.alive()), PATIENCE, "leases")
        return service

    def alive(self) -> list[Service]:
        """Those whose cluster runs."""
        return [service for service in self.services if service.pids(Role.SENTINEL)]

    def until_renewed(self) -> None:
        """Wait until each place that is heard of has renewed its lease twice more.

        Then each knows of the other.
        """
        for _ in range(2):
            before = self.console.renewals()
            wait_until(
                lambda before=before: all(  # type: ignore[misc]
                    self.console.renewals().get(place, 0) > moment
                    for place, moment in before.items()
                ),
                PATIENCE,
                "all to renew",
            )

    def start_held_on(self, service: Service, label: str, code: int = 0) -> Run:
        """A run that goes on until it's released, on the only host that there is so far."""
        execution = self.ask_held(label, code)
        run = self.until_started(label)
        self.until_row(execution, state="running", pid=run.pid)
        assert run.host == service.environment["JOBQUEUE_HOST"]
        return run

    def until_taken_over(self, label: str, by: Service, since: float) -> Run:
        """Its second run, which has started on that host, in time."""
        again = self.until_started(label, times=2)
        assert again.host == by.environment["JOBQUEUE_HOST"]
        assert again.started_at - since <= LEASE + NOTICED
        return again

    def serves(self, service: Service, label: str) -> None:
        """A request that comes now is run by this host, in time; it is the only one."""
        asked = now()
        self.ask(label)
        run = self.until_ended(label)
        assert run.host == service.environment["JOBQUEUE_HOST"]
        assert run.started_at - asked <= BUSY

    def finish(self, **exceptions: Any) -> None:
        """All settles, each host ends with 0, nothing stays behind, the promises hold."""
        self.until_settled()
        for service in self.alive():
            assert service.stop() == 0
            assert service.roles() == {}
        self.check(**exceptions)

    def _environment(self, url: str) -> dict[str, str]:
        # No `timeout` of the driver: a silent database hangs, as it does by default.
        return environment(self._names, url, jobqueue={"LEASE": self.lease})


@pytest.fixture
def hosts(tmp_path: Path, databases: Databases) -> Iterator[Hosts]:
    """On a PostgreSQL database of their own, that nobody else ever held a lease in."""
    url = databases.new("postgres")
    with ExitStack() as stack:
        hosts = Hosts(tmp_path, url, stack)
        try:
            yield hosts
        finally:
            for service in hosts.services:
                service.kill()


@pytest.fixture
def way(hosts: Hosts) -> Iterator[Forwarder]:
    """One host's way to the database."""
    with Forwarder(hosts.url) as way:
        yield way


BLOCKS = pytest.mark.parametrize("block", [Forwarder.cut, Forwarder.fall_silent])
Block = Callable[[Forwarder], None]


class TestCutOff:
    @BLOCKS
    def test_it_ends_its_run_before_another_host_starts_it(
        self, hosts: Hosts, way: Forwarder, block: Block
    ) -> None:
        first = hosts.start("ada", way.url)
        run = hosts.start_held_on(first, "first")
        hosts.ask("second")
        second = hosts.start("bob")
        hosts.until_renewed()
        hosts.note_lives([run])
        cut = now()
        block(way)
        again = hosts.until_taken_over("first", second, cut)
        assert not lives(run.pid)
        assert hosts.lived_until[run.execution] < again.started_at
        way.restore()
        hosts.release("first")
        hosts.until_settled()
        assert "Nothing was heard of ada" in hosts.row(run.execution)["reason"]
        assert second.stop() == 0
        hosts.serves(first, "third")
        hosts.finish()

    def test_children_who_ignore_sigterm_are_gone_as_well(
        self, hosts: Hosts, way: Forwarder
    ) -> None:
        hosts.start("ada", way.url)
        execution = hosts.ask_family("first", 2, "ignore-term")
        wait_until(lambda: stamps.last(hosts.file, "child"), PATIENCE, "the children")
        second = hosts.start("bob")
        hosts.until_renewed()
        hosts.note_lives(hosts.runs("first"))
        cut = now()
        way.cut()
        again = hosts.until_taken_over("first", second, cut)
        assert stamps.last(hosts.file, "child", execution) < again.started_at
        hosts.release("first")
        hosts.until_settled()
        hosts.lived_until[again.execution] = stamps.last(hosts.file, "child")
        way.restore()
        hosts.finish(unfinished=["first"])

    def test_a_run_whose_worker_was_killed_then_is_ended_as_well(
        self, hosts: Hosts, way: Forwarder
    ) -> None:
        """The launcher needs nobody for that."""
        first = hosts.start("ada", way.url)
        run = hosts.start_held_on(first, "first")
        second = hosts.start("bob")
        hosts.until_renewed()
        hosts.note_lives([run])
        cut = now()
        way.cut()
        first.signal(signal.SIGKILL, *first.pids(*CLUSTER))
        again = hosts.until_taken_over("first", second, cut)
        assert hosts.lived_until[run.execution] < again.started_at
        hosts.release("first")
        hosts.finish()

    def test_a_short_while_harms_nothing(self, hosts: Hosts, way: Forwarder) -> None:
        hosts.lease = 4 * LEASE  # so that what follows is a short while on a crowded machine, too
        first = hosts.start("ada", way.url)
        run = hosts.start_held_on(first, "first")
        hosts.start("bob")
        hosts.until_renewed()
        cut = now()
        way.cut()
        wait_until(lambda: now() > cut + hosts.lease / 3, PATIENCE, "two missed renewals")
        way.restore()
        wait_until(lambda: now() > cut + 1.5 * hosts.lease, PATIENCE, "more than a lease")
        assert hosts.unended() == [run]
        hosts.release("first")
        hosts.finish()

    def test_alone_it_goes_on(self, hosts: Hosts, way: Forwarder) -> None:
        first = hosts.start("ada", way.url)
        run = hosts.start_held_on(first, "first", code=7)
        hosts.ask("second")
        hosts.until_renewed()
        cut = now()
        way.fall_silent()
        wait_until(lambda: now() > cut + 1.5 * LEASE, PATIENCE, "more than a lease")
        assert hosts.unended() == [run]
        hosts.release("first")
        hosts.until_ended("first")
        way.restore()
        hosts.until_ended("second")
        hosts.finish()
        assert hosts.row(run.execution)["return_code"] == 7


class TestFrozen:
    def test_it_ends_its_job_within_a_second_of_waking(self, hosts: Hosts) -> None:
        first = hosts.start("ada")
        run = hosts.start_held_on(first, "first")
        hosts.ask("second")
        second = hosts.start("bob")
        hosts.until_renewed()
        everything = list(first.roles())
        frozen = now()
        first.signal(signal.SIGSTOP, *everything)
        again = hosts.until_taken_over("first", second, frozen)
        who = run.parent, os.getpid()  # its launcher, and who watches
        woken, waited = now(), starved(*who)
        first.signal(signal.SIGCONT, *everything)
        wait_until(lambda: not lives(run.pid), PATIENCE, "the end of its job")
        assert now() - woken - (starved(*who) - waited) < 1
        wait_until(lambda: now() > woken + LEASE, PATIENCE, "another lease")
        assert again in hosts.unended()
        hosts.release("first")
        hosts.until_settled()
        assert second.stop() == 0
        hosts.serves(first, "third")
        hosts.finish(overlap_of=[run.execution])

    def test_one_whose_run_ended_meanwhile(self, hosts: Hosts) -> None:
        """Two ends of one request: the row of the other host's run is not touched."""
        first = hosts.start("ada")
        run = hosts.start_held_on(first, "first")
        second = hosts.start("bob")
        hosts.until_renewed()
        everything = list(first.roles())
        frozen = now()
        first.signal(signal.SIGSTOP, *everything)
        again = hosts.until_taken_over("first", second, frozen)
        hosts.release("first")
        row = hosts.until_row(again.execution, state="succeeded")
        first.signal(signal.SIGCONT, *everything)
        wait_until(lambda: not lives(run.pid), PATIENCE, "the end of its job")
        hosts.until_settled()
        assert second.stop() == 0
        hosts.serves(first, "second")
        assert first.stop() == 0
        assert hosts.row(again.execution) == row
        lost = hosts.row(run.execution)
        assert (lost["state"], lost["return_code"]) == ("lost", None)
        assert stamps.starts(hosts.runs())["first"] == 2


class TestGone:
    def test_a_host_that_vanished(self, hosts: Hosts) -> None:
        first = hosts.start("ada")
        run = hosts.start_held_on(first, "first")
        hosts.ask("second")
        second = hosts.start("bob")
        hosts.until_renewed()
        gone = now()
        first.kill()
        hosts.lived_until[run.execution] = gone
        hosts.until_taken_over("first", second, gone)
        hosts.release("first")
        hosts.finish()

    def test_a_host_that_stopped_in_good_order(self, hosts: Hosts) -> None:
        first, second = hosts.start("ada"), hosts.start("bob")
        hosts.until_renewed()
        assert first.stop() == 0
        hosts.serves(second, "first")
        hosts.finish()


@pytest.fixture
def other_machine(tmp_path: Path) -> tuple[str, ...]:
    """A command line under which the machine is another one: its boot id differs.

    Skips the test where nothing may be mounted.
    """
    boot_id = tmp_path / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    under = ("unshare", "--mount", "sh", "-c", mount, str(boot_id))
    tried = subprocess.run(
        [*under, "cat", "/proc/sys/kernel/random/boot_id"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.stdout != boot_id.read_text():
        pytest.skip(f"no other boot id: {tried.stderr.strip()}")
    return under


class TestOfTheSameName:
    def test_two_machines(self, hosts: Hosts, other_machine: tuple[str, ...]) -> None:
        """Process ids of the other mean nothing: only its lease counts. A check says so."""
        first = hosts.start("ada")
        run = hosts.start_held_on(first, "first")
        hosts.ask("second")
        second = hosts.start("ada", data_dir="other-ada", under=other_machine)
        hosts.until_renewed()
        came = now()
        wait_until(lambda: now() > came + 1.5 * LEASE, PATIENCE, "more than a lease")
        assert hosts.unended() == [run]
        said = second.manage("check", "--database", "default")
        assert "(jobqueue.W016)" in said.stderr
        log = second.data_dir / "logs" / "jobqueue.log"
        assert "another machine" in log.read_text()

        gone = now()
        first.kill()
        hosts.lived_until[run.execution] = gone
        hosts.until_taken_over("first", second, gone)
        hosts.release("first")
        hosts.finish()

    def test_a_machine_that_was_restarted(
        self, hosts: Hosts, other_machine: tuple[str, ...]
    ) -> None:
        """Whoever has the process ids of before is nobody of ours."""
        first = hosts.start("ada")
        run = hosts.start_held_on(first, "first")
        hosts.ask("second")
        hosts.until_renewed()
        gone = now()
        first.kill()
        hosts.lived_until[run.execution] = gone
        again = hosts.start("ada", under=other_machine)
        hosts.until_taken_over("first", again, gone + BUSY - NOTICED)
        hosts.release("first")
        hosts.finish()

    def test_an_outcome_from_before_the_restart(
        self, hosts: Hosts, other_machine: tuple[str, ...]
    ) -> None:
        """It was noted in the run file, and nobody had stored it: the run is not repeated."""
        first = hosts.start("ada")
        run = hosts.start_held_on(first, "first", code=7)
        hosts.ask("second")
        hosts.until_renewed()
        first.signal(signal.SIGSTOP, *first.pids(*CLUSTER))
        hosts.release("first")
        until_outcome_noted(first, run)
        first.kill()
        hosts.start("ada", under=other_machine)
        hosts.until_ended("second", LEASE + BUSY)
        hosts.finish()


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A library that puts the wall clock wrong; skips the test without a C compiler."""
    servers.need("cc")
    library = tmp_path / "clock.so"
    options = ["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    source = Path(__file__).with_name("clock.c")
    subprocess.run([servers.find_compiler(), *options, "-o", library, source], check=True)
    return library


def test_clocks_that_differ_by_minutes(hosts: Hosts, way: Forwarder, clock: Path) -> None:
    """One host is ten minutes fast, one ten minutes slow: leases know nothing of that."""

    def wrong(seconds: int) -> dict[str, str]:
        return {"LD_PRELOAD": str(clock), "JOBQUEUE_TEST_CLOCK": str(seconds)}

    first = hosts.start("fast", way.url, variables=wrong(600))
    run = hosts.start_held_on(first, "first")
    hosts.ask("second")
    second = hosts.start("slow", variables=wrong(-600))
    hosts.until_renewed()
    assert abs(clock_of(first) - clock_of(second)) > 1100
    came = now()
    wait_until(lambda: now() > came + 1.5 * LEASE, PATIENCE, "more than a lease")
    assert hosts.unended() == [run]
    status = json.loads(second.manage("queue", "status", "--json", check=True).stdout)
    assert len(status[0]["clusters"]) == 2
    hosts.note_lives([run])
    cut = now()
    way.cut()
    again = hosts.until_taken_over("first", second, cut)
    assert hosts.lived_until[run.execution] < again.started_at
    hosts.release("first")
    hosts.until_settled()
    way.restore()
    hosts.finish()


def clock_of(service: Service) -> float:
    """What the wall clock of a host says."""
    done = service.manage("shell", "-c", "import time; print(time.time())", check=True)
    return float(done.stdout.split()[-1])
