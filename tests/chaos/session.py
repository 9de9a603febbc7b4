"""One session of chaos: requests and kills, then silence, then the verdict."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests import stamps
from tests.chaos.asking import Api, Asker, Channel, Command, Situation
from tests.chaos.browser import Admin
from tests.chaos.ledger import STAMPS, Ledger
from tests.chaos.site import Site
from tests.chaos.verdict import Row, Verdict, Violation
from tests.chaos.victims import Killer
from tests.stamps import now
from tests.waiting import wait_until

#: Seconds until everything must have settled after the last kill.
SETTLED = 150.0
#: Seconds that a cluster has to end after SIGTERM: no job runs any more.
STOPPED = 45.0
#: Seconds for which the second cluster is there, and isn't.
SECOND = (4.0, 12.0)


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    broker: str
    seed: str
    #: At most so many kills, for at most so many seconds.
    kills: float
    seconds: float
    victims: tuple[str, ...]


@dataclass
class Result:
    """What came of it."""

    plan: Plan
    ledger: Ledger
    verdict: Verdict
    violations: list[Violation]
    #: How long requests and kills went on, and how long it took to settle, in seconds.
    lasted: float
    settled: float
    restarts: int


class Session:
    """Chaos on one site."""

    def __init__(
        self, plan: Plan, site: Site, directory: Path, progress: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._site = site
        self._directory = directory
        self._progress = progress
        self._ledger = Ledger(directory / "ledger.jsonl")
        self._killer = Killer(site, self._ledger, plan.seed, plan.victims)
        self._random = random.Random(f"{plan.seed}/second cluster")
        self._wall = time.time() - now()
        self._situation = Situation()
        self._problems: list[Violation] = []

    def run(self) -> Result:
        """All of it."""
        with ExitStack() as stack:
            self._observer = self._asker("observer", stack)
            self._site.supervisor.start()
            self._site.supervisor.keep(self._site.services[0])
            channels = self._channels(stack)
            begin = now()
            for channel in channels:
                channel.start()
            self._rage(channels)
            lasted, silence = now() - begin, now()
            self._settle(channels)
            settled = now() - silence
            self._stop()
            return self._result(lasted, settled)

    def _channels(self, stack: ExitStack) -> list[Channel]:
        """Those who ask; the web site runs from here on."""
        site, seed = self._site, self._plan.seed
        common = [(self._ledger, seed, self._asker(n, stack)) for n in ("command", "api", "admin")]
        site.supervisor.keep(site.web)
        port = site.listener.getsockname()[1]
        command = Command(*common[0], self._situation, self._manage)
        api = Api(*common[1], self._situation)
        admin = Admin(*common[2], self._situation, port, self._killer.kill_web)
        admin.prepare()
        self._killer.may_kill([command.asker, api.asker], admin)
        return [command, api, admin]

    def _asker(self, name: str, stack: ExitStack) -> Asker:
        environment = self._site.services[0].environment
        asker = Asker(environment, self._directory / f"{name}.err")
        stack.callback(asker.close)
        return asker

    def _manage(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self._site.services[0].manage(*argv)

    # Requests and kills

    def _rage(self, channels: list[Channel]) -> None:
        """Kill until there were enough, or the time is up."""
        second = self._second = SecondCluster(self._site, self._random, self._ledger)
        end = time.monotonic() + self._plan.seconds
        while len(self._ledger.kills) < self._plan.kills and time.monotonic() < end:
            pause = time.monotonic() + self._killer.pause()
            self._look(channels)
            second.look()
            time.sleep(max(0.0, min(pause, end) - time.monotonic()))
            if self._plan.victims:
                self._killer.kill_one()
        second.end()

    def _look(self, channels: list[Channel]) -> None:
        """See how many wait, tell how far we are, and whether somebody can't ask any more."""
        for channel in channels:
            if channel.error is not None:
                raise channel.error
        count = self._observer.ask("count", None)
        if "error" not in count:
            self._situation.waiting, self._situation.running = count["waiting"], count["running"]
        ledger = self._ledger
        kills = f"{len(ledger.kills)} kills" if self._plan.victims else "no kills"
        self._progress(f"{len(ledger.asks)} requests, {kills}, {self._situation.waiting} wait")

    # Silence

    def _settle(self, channels: list[Channel]) -> None:
        """No request and no kill any more: everything must come to its end."""
        for channel in channels:
            channel.end()
        for channel in channels:
            channel.join(60)
        try:
            wait_until(self._is_settled, SETTLED, "the end of all runs")
        except AssertionError as error:
            self._complain("not settled", f"{error}\n{self._left()}")

    def _is_settled(self) -> bool:
        count = self._observer.ask("count", None)
        if "error" in count:
            return False
        self._progress(f"{count['waiting']} wait, {len(count['running'])} run; no more kills")
        return not count["waiting"] and not count["running"]

    def _stop(self) -> None:
        """SIGTERM must end the cluster with 0, and leave nothing behind."""
        self._progress("ending the cluster")
        service = self._site.services[0]
        self._site.supervisor.release(service)
        try:
            if code := service.stop(STOPPED):
                self._complain("SIGTERM", f"the cluster ended with {code}")
            wait_until(self._second.has_ended, STOPPED, "the end of the second cluster")
            wait_until(lambda: not self._left(), 2, "no process left")
        except AssertionError as error:
            self._complain("SIGTERM", f"{error}\n{self._left()}")
        for problem in self._second.problems:
            self._complain("SIGTERM", problem)

    def _complain(self, rule: str, evidence: str) -> None:
        self._problems.append(Violation(rule, evidence))

    def _left(self) -> str:
        """The living processes."""
        lines = []
        for service in self._site.services:
            roles = service.roles()
            for p in service.processes():
                role = roles.get(p.pid, "")
                lines.append(f"{p.pid} (of {p.parent}) {role}: {' '.join(p.argv)}")
        return "\n".join(lines)

    def _result(self, lasted: float, settled: float) -> Result:
        rows: list[Row] = self._site.services[0].json("queue", "list", "--limit", "10000000")
        runs = stamps.read(self._directory / STAMPS)
        verdict = Verdict(self._ledger, runs, rows, self._wall)
        return Result(
            plan=self._plan,
            ledger=self._ledger,
            verdict=verdict,
            violations=self._problems + verdict.violations(),
            lasted=lasted,
            settled=settled,
            restarts=self._site.supervisor.restarts,
        )


class SecondCluster:
    """It comes and goes; it ends with 0 unless it is killed meanwhile."""

    def __init__(self, site: Site, chance: random.Random, ledger: Ledger) -> None:
        self._site = site
        self._service = site.services[1]
        self._random = chance
        self._ledger = ledger
        self._on = False
        self._ended_at = 0.0
        self._due = self._next()
        self.problems: list[str] = []

    def look(self) -> None:
        """Start or end it when that's due."""
        if time.monotonic() < self._due:
            return
        if self._on:
            self.end()
        elif self.has_ended():
            self._site.supervisor.keep(self._service)
            self._on = True
        self._due = self._next()

    def end(self) -> None:
        """SIGTERM, while everything else goes on."""
        if self._on:
            self._on = False
            self._site.supervisor.release(self._service)
            if self._service.poll() is None:
                self._ended_at = now()
                self._service.signal(signal.SIGTERM, self._service.pid)

    def has_ended(self) -> bool:
        """Whether it has; notes what is wrong with its exit code."""
        code = self._service.poll()
        if code and self._ended_at and not self._was_killed():
            self.problems.append(f"the second cluster ended with {code}")
        if code is not None:
            self._ended_at = 0.0
        return code is not None or not self._service.has_started

    def _was_killed(self) -> bool:
        """Whether anything of it may have been killed since, or just before."""
        return any(kill.until > self._ended_at - 5 for kill in self._ledger.kills if kill.processes)

    def _next(self) -> float:
        return time.monotonic() + self._random.uniform(*SECOND)
