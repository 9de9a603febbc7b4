"""Who is killed: processes of the installation by the part that they play, and those who ask."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tests.chaos.asking import Asker
from tests.chaos.browser import Admin
from tests.chaos.ledger import Kill, Ledger
from tests.chaos.site import Site
from tests.service import CLUSTER, Process, Role, Service
from tests.stamps import now

#: Each victim with its weight among all.
WEIGHTS = {
    "worker": 20,
    "idle worker": 4,
    "sentinel": 6,
    "pusher": 7,
    "monitor": 7,
    "main": 6,
    "launcher": 12,
    "job": 12,
    "worker and launcher": 4,
    "cluster": 4,
    "both clusters": 2,
    "everything": 2,
    "everything and the jobs": 2,
    "web": 4,
    "requester": 6,
}
#: Those that do no harm where nothing recovers.
HARMLESS = ("pusher", "monitor", "web", "requester")
#: Seconds for which a victim that isn't there, such as a busy worker, is waited for.
PATIENCE = 1.0
#: Part of the kills that needn't wait until there's a worker again, and for how long others do.
IN_RECOVERY, COMES_UP = 0.3, 10.0
#: Milliseconds into a request after which its requester or the web process is killed, at most.
MID_REQUEST = 40


@dataclass(frozen=True)
class Part:
    """A process and the part that it plays."""

    process: Process
    role: Role
    #: The execution that it runs, or is.
    execution: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid


class Killer:
    """Kills at random whoever is there, and notes whom."""

    def __init__(
        self, site: Site, ledger: Ledger, seed: str, victims: Iterable[str] = tuple(WEIGHTS)
    ) -> None:
        self._site = site
        self._ledger = ledger
        self._random = random.Random(f"{seed}/kills")
        self._weights = {name: WEIGHTS[name] for name in victims}
        self._askers: list[Asker] = []
        self._admin: Admin | None = None

    def may_kill(self, askers: list[Asker], admin: Admin) -> None:
        """Those who ask, in the middle of it."""
        self._askers, self._admin = askers, admin
        for asker in askers:
            asker.on_death = self._note_requester

    def pause(self) -> float:
        """Seconds until the next one: nearly one, sometimes at once, in the middle of recovery."""
        if self._random.random() < 0.25:
            return self._random.uniform(0, 0.2)
        return self._random.uniform(0.2, 1.4)

    def kill_one(self) -> str:
        """Kill the next victim that is there; which one that was."""
        names = list(self._weights)
        (victim,) = self._random.choices(names, list(self._weights.values()))
        if victim in ("requester", "web"):
            self._doom(victim)
            return victim
        patience = time.monotonic() + self._patience()
        while time.monotonic() < patience:
            there = [parts(service) for service in self._site.services if service.has_started]
            if "launcher" in names and self._end("launcher", self._prey(there)):
                return "launcher"
            if self._end(victim, self._found(victim, [some for some in there if some])):
                return victim
            time.sleep(0.1)
        return self.kill_one()

    def _patience(self) -> float:
        """Seconds for which a victim is waited for; before that, mostly, for a worker.

        Otherwise a slow machine would see nothing but clusters that never come up.
        """
        if self._random.random() > IN_RECOVERY:
            end = time.monotonic() + COMES_UP
            while time.monotonic() < end and not self._has_worker():
                time.sleep(0.1)
        return PATIENCE

    def _has_worker(self) -> bool:
        services = (service for service in self._site.services if service.has_started)
        return any(service.pids(Role.WORKER) for service in services)

    def kill_web(self) -> None:
        """The web process, mostly only the one that answers."""
        begin = now()
        killed = self._site.web.kill(whole=self._random.random() < 0.3)
        self._ledger.add(Kill("web", begin, now(), [(pid, "web", None) for pid in killed]))

    def _doom(self, victim: str) -> None:
        """Have it killed in the middle of its next request."""
        moment = self._random.uniform(0, MID_REQUEST) / 1000
        if victim == "web":
            assert self._admin is not None
            self._admin.doom(moment)
        else:
            self._random.choice(self._askers).doom(moment)

    def _found(self, victim: str, there: list[list[Part]]) -> list[Part]:
        """The processes that are this victim, in one of the clusters or in both."""
        if victim == "both clusters":
            return self._choose(victim, list(chain(*there))) if len(there) > 1 else []
        return self._choose(victim, self._random.choice(there)) if there else []

    def _choose(self, victim: str, there: list[Part]) -> list[Part]:
        by_role: dict[str, list[Part]] = defaultdict(list)
        for part in there:
            by_role[part.role].append(part)
        cluster = [part for role in CLUSTER for part in by_role[role]]
        if victim in ("cluster", "both clusters"):
            return cluster
        if victim == "everything":
            return cluster + by_role["launcher"]
        if victim == "everything and the jobs":
            return there
        if victim == "worker and launcher":
            return self._busy_worker(by_role["worker"], by_role["launcher"])
        if victim == "idle worker":
            return self._any(part for part in by_role["worker"] if part.execution is None)
        if victim == "worker":
            return self._any(part for part in by_role["worker"] if part.execution is not None)
        if victim == "launcher":
            return self._any(part for part in by_role["launcher"] if part.execution is not None)
        return self._any(by_role[victim])

    def _busy_worker(self, workers: list[Part], launchers: list[Part]) -> list[Part]:
        worker = self._any(part for part in workers if part.execution is not None)
        pids = {part.pid for part in worker}
        return worker + [part for part in launchers if part.process.parent in pids]

    def _any(self, of: Iterable[Part]) -> list[Part]:
        some = sorted(of, key=lambda part: part.pid)
        return [self._random.choice(some)] if some else []

    def _prey(self, there: list[list[Part]]) -> list[Part]:
        """The launchers of runs that are to be lost again and again."""
        hunted = self._ledger.hunted()
        everyone = list(chain(*there))
        prey = {p.execution for p in everyone if hunted & set(p.process.argv)} - {None}
        return [p for p in everyone if p.role == Role.LAUNCHER and p.execution in prey]

    def _end(self, victim: str, found: list[Part]) -> bool:
        begin = now()
        killed = [part for part in found if _kill(part.process)]
        if killed:
            processes = [(part.pid, part.role, part.execution) for part in killed]
            self._ledger.add(Kill(victim, begin, now(), processes))
        return bool(killed)

    def _note_requester(self, pid: int) -> None:
        moment = now()
        self._ledger.add(Kill("requester", moment, moment, [(pid, "requester", None)]))


def parts(service: Service) -> list[Part]:
    """The living processes of a service, each with its part."""
    there = service.processes()
    roles = service.roles(there)
    executions = {p.pid: _execution(p) for p in there}
    #: Of launchers by their jobs, of workers by their launchers.
    running = {p.parent: executions[p.pid] for p in there if executions[p.pid] is not None}
    for process in there:
        if roles[process.pid] == Role.LAUNCHER and process.pid in running:
            running[process.parent] = running[process.pid]
    return [Part(p, roles[p.pid], executions[p.pid] or running.get(p.pid)) for p in there]


def _execution(process: Process) -> int | None:
    for variable in process.environ:
        if variable.startswith("JOBQUEUE_EXECUTION="):
            return int(variable.partition("=")[2])
    return None


def _kill(process: Process) -> bool:
    """SIGKILL to exactly this process; False if it has ended."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        # Its number may have been given to another one since it was seen.
        environ = Path(f"/proc/{process.pid}/environ").read_bytes()
        marks = [v for v in process.environ if v.startswith("JOBQUEUE_TEST_SERVICE=")]
        if not any(mark.encode() in environ for mark in marks):
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
