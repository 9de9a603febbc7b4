"""A power cut: all processes vanish, and all that is not yet on the disk."""

from __future__ import annotations

import random
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crashes.disk import Disk
from tests.service import CHECKOUT, Service
from tests.waiting import wait_until

SECONDS = 180  # that a slow machine is given
OFF, NORMAL = 0, 1  # of SQLite's PRAGMA synchronous, beside FULL


class Site:
    """An installation on a disk whose power can be cut, and those who use it."""

    def __init__(self, root: Path, disk_library: Path, **environment: str) -> None:
        data_dir = root / "data"
        settings = {"DJANGO_SETTINGS_MODULE": "tests.crashes.power_site"}
        Service(data_dir, settings).manage("migrate", "--verbosity", "0", check=True)
        self.disk = Disk(data_dir, disk_library)
        self.database = data_dir / "db.sqlite3"
        self.confirmed = root / "confirmed"
        self.confirmed.touch()
        self.service = Service(
            data_dir,
            {
                **settings,
                **self.disk.environment,
                "PYTHONPATH": str(CHECKOUT),
                "TEST_CONFIRMED": str(self.confirmed),
                **environment,
            },
        )
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, what: str, **environment: str) -> None:
        """Have a program of its own do this; see ``tests/programs/until_the_cut.py``."""
        program = CHECKOUT / "tests" / "programs" / "until_the_cut.py"
        with self.confirmed.open("ab") as confirmed:
            self.started.append(
                subprocess.Popen(
                    [sys.executable, str(program), what],
                    env=self.service.environment | environment,
                    stdin=subprocess.DEVNULL,
                    stdout=confirmed,
                )
            )

    def do(self, what: str, **environment: str) -> int:
        """Have a program do this and stay; the number of the execution that it names."""
        before = len(self.numbers())
        self.start(what, **environment)
        wait_until(lambda: len(self.numbers()) > before, SECONDS, f"{what} to be done")
        return self.numbers()[-1]

    def numbers(self) -> list[int]:
        """Of the executions that were confirmed, each written down after its answer."""
        *whole, _ = self.confirmed.read_text().split("\n")
        return [int(line) for line in whole]

    def cut_power(self, written_back: random.Random | None = None) -> None:
        self.disk.cut_power(written_back)
        for process in self.started:
            process.wait()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        # Read-only: one that may write would tidy up when it is closed, and not on this disk.
        address = f"file:{self.database}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def states(self) -> dict[int, str]:
        return dict(self.query("SELECT id, state FROM jobqueue_execution"))

    def has_settled(self) -> bool:
        return not set(self.states().values()) & {"waiting", "running"}


@pytest.fixture
def a_site(tmp_path: Path, disk_library: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site; its environment can be changed."""
    made: list[Site] = []

    def make(**environment: str) -> Site:
        made.append(Site(tmp_path, disk_library, **environment))
        return made[-1]

    yield make
    for site in made:
        site.cut_power()


@pytest.fixture
def site(a_site: Callable[..., Site]) -> Site:
    return a_site()


def synchronous(site_root: Path, level: int) -> str:
    """The ``DATABASE_URL`` of a site that asks its database for less."""
    pragmas = f"PRAGMA journal_mode=WAL; PRAGMA synchronous={level};"
    return f"sqlite:///{site_root / 'data' / 'db.sqlite3'}?init_command={pragmas}"


class TestRequests:
    def test_what_the_command_confirmed_runs_afterwards(self, site: Site) -> None:
        assert site.service.manage("job2queue", "-p3", "echo", "hello").returncode == 0
        site.cut_power()
        assert site.query("SELECT state, priority FROM jobqueue_execution") == [("waiting", 3)]
        with site.service:
            wait_until(site.has_settled, SECONDS, "it to run")
        [(state, output)] = site.query("SELECT state, log_tail FROM jobqueue_execution")
        assert (state, output) == ("succeeded", "hello\n")

    @pytest.mark.parametrize("what", ["ask", "ask_in_a_transaction", "ask_while_relaxed"])
    def test_what_the_api_confirmed_is_there(self, site: Site, what: str) -> None:
        number = site.do(what)
        site.cut_power()
        assert site.states() == {number: "waiting"}

    @pytest.mark.parametrize("what", ["ask", "ask_while_relaxed"])
    def test_whatever_the_site_asks_of_its_database(
        self, a_site: Callable[..., Site], tmp_path: Path, what: str
    ) -> None:
        site = a_site(DATABASE_URL=synchronous(tmp_path, NORMAL))
        number = site.do(what)
        site.cut_power()
        assert site.states() == {number: "waiting"}

    @pytest.mark.parametrize("what", ["ask", "ask_while_relaxed"])
    @pytest.mark.parametrize("level", [OFF, NORMAL])
    def test_it_would_be_lost_if_it_were_not_synced(
        self, a_site: Callable[..., Site], tmp_path: Path, what: str, level: int
    ) -> None:
        site = a_site(DATABASE_URL=synchronous(tmp_path, level), TEST_DURABLE=str(level))
        site.do(what)
        assert set(site.states().values()) == {"waiting"}
        site.cut_power()
        assert site.states() == {}

    def test_the_command_would_lose_it_as_well(
        self, a_site: Callable[..., Site], tmp_path: Path
    ) -> None:
        site = a_site(DATABASE_URL=synchronous(tmp_path, NORMAL), TEST_DURABLE=str(NORMAL))
        site.do("ask")  # holds a connection open
        assert site.service.manage("job2queue", "echo", "hello").returncode == 0
        assert len(site.states()) == 2
        site.cut_power()
        assert site.states() == {}

    def test_a_better_priority_is_there(self, site: Site) -> None:
        number = site.do("ask")
        assert site.do("promote_while_relaxed") == number
        site.cut_power()
        assert site.query("SELECT id, priority FROM jobqueue_execution") == [(number, 1)]

    def test_what_is_queued_again_is_there(self, site: Site) -> None:
        """The same request would have been answered with DUPLICATE meanwhile."""
        first = site.do("ask")
        again = site.do("end_with_a_retry")
        site.cut_power()
        assert site.states() == {first: "failed", again: "waiting"}


class TestRequestsDuringATurn:
    """Claims and ends of a worker are relaxed; what it and its jobs ask for meanwhile is not."""

    def test_of_a_job(self, site: Site) -> None:
        ask = shlex.join(
            [sys.executable, str(CHECKOUT / "manage.py"), "job2queue", "true", "asked"]
        )
        script = f"{ask} && echo 0 >> {shlex.quote(str(site.confirmed))}; sleep 600"
        with site.service:
            site.service.manage("job2queue", "sh", "-c", script, check=True)
            wait_until(site.numbers, SECONDS, "the job to ask")
            site.cut_power()
        assert site.query("SELECT state FROM jobqueue_execution WHERE argv LIKE '%\"asked\"]'") == [
            ("waiting",)
        ]

    def test_of_the_worker_itself(self, site: Site) -> None:
        with site.service:
            site.service.manage("queue", "pause", check=True)
            site.service.manage("job2queue", "true", "--then=follow-up", check=True)
            site.service.manage("job2queue", "-p9", "sleep", "600", check=True)
            site.service.manage("queue", "resume", check=True)
            [follow_up] = wait_until(site.numbers, SECONDS, "the worker to ask")
            site.cut_power()
        assert site.states()[follow_up] == "waiting"


class TestClaims:
    @pytest.fixture
    def a_claim(self, site: Site) -> Callable[..., tuple[int, str]]:
        """Claims a run of a Job; its number, and the state that the disk has of it afterwards."""

        def claim(*options: str, how: str = "claim") -> tuple[int, str]:
            site.service.manage("jobs", "create", "once", *options, "--", "true", check=True)
            site.service.manage("jobs", "run", "once", check=True)
            number = site.do(how)
            site.cut_power()
            return number, site.states()[number]

        return claim

    @pytest.fixture
    def options(self) -> list[str]:
        return ["--no-rerun-if-lost"]

    @pytest.fixture
    def a_run_in_the_dark(self, site: Site, tmp_path: Path, options: list[str]) -> Path:
        """A run of a Job, whose power is cut when it has begun; what it wrote down of its starts.

        It takes longer than the test when it is started for the first time.
        """
        starts = tmp_path / "starts"
        file = shlex.quote(str(starts))
        script = f"echo started >> {file}; [ $(wc -l < {file}) -gt 1 ] || sleep 600"
        site.service.manage(
            "jobs", "create", "in the dark", *options, "--", "sh", "-c", script, check=True
        )
        with site.service:
            site.service.manage("jobs", "run", "in the dark", check=True)
            wait_until(lambda: starts.exists() and starts.read_text(), SECONDS, "it to start")
            site.cut_power()
        return starts

    def test_one_that_must_not_be_repeated_is_on_the_disk(
        self, a_claim: Callable[..., tuple[int, str]]
    ) -> None:
        _, state = a_claim("--no-rerun-if-lost")
        assert state == "running"

    def test_another_one_need_not_be(self, a_claim: Callable[..., tuple[int, str]]) -> None:
        _, state = a_claim()
        assert state == "waiting"

    def test_a_run_that_must_not_be_repeated_never_runs_twice(
        self, site: Site, a_run_in_the_dark: Path
    ) -> None:
        """Its process starts when its claim is on the disk."""
        assert list(site.states().values()) == ["running"]
        with site.service:
            wait_until(site.has_settled, SECONDS, "it to be found lost")
        assert list(site.states().values()) == ["lost"]
        assert len(a_run_in_the_dark.read_text().split()) == 1

    @pytest.mark.parametrize("options", [["--rerun-if-lost"]])
    def test_another_run_is_repeated(self, site: Site, a_run_in_the_dark: Path) -> None:
        assert list(site.states().values()) in (["waiting"], ["running"])
        with site.service:
            wait_until(site.has_settled, SECONDS, "it to be run again")
        assert list(site.states().values()) in (["succeeded"], ["lost", "succeeded"])
        assert len(a_run_in_the_dark.read_text().split()) == 2


class TestManyRequests:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_cut_in_the_middle_of_them(self, site: Site, seed: int) -> None:
        """Each time other parts of what was not synced are lost."""
        choice = random.Random(seed)
        with site.service:
            for _ in range(3):
                site.start("ask_for_ever")
            enough = choice.randrange(30, 300)
            wait_until(lambda: len(site.numbers()) >= enough, SECONDS, "enough requests")
            site.cut_power(written_back=choice if seed > 1 else None)
        assert set(site.numbers()) <= site.states().keys()
        assert site.query("PRAGMA integrity_check") == [("ok",)]
        with site.service:
            wait_until(site.has_settled, 3 * SECONDS, "all of them to run")
        states = set(site.states().values())
        assert states <= {"succeeded", "lost"}
        again = "SELECT retry_of_id FROM jobqueue_execution WHERE retry_of_id IS NOT NULL"
        lost = "SELECT id FROM jobqueue_execution WHERE state = 'lost'"
        assert sorted(site.query(again)) == sorted(site.query(lost))
