"""Those who ask: ways to the queue, each with requests of its own chance; see also `browser`."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.ledger import (
    ADDED,
    DUPLICATE,
    PROMOTED,
    REFUSED,
    UNKNOWN,
    Ask,
    Ledger,
    Pause,
    Spec,
    Steer,
)
from tests.service import CHECKOUT
from tests.stamps import now

QUEUES = ("default", "imports", "reports")
#: So many waiting ones are enough: then nobody asks until there are fewer.
ENOUGH = 60

_TOLD = {0: ADDED, 4: DUPLICATE}
_EXECUTION = re.compile(r"execution (\d+)")


@dataclass
class Situation:
    """What waits and runs, as seen about a second ago."""

    waiting: int = 0
    running: list[int] = field(default_factory=list)


class Killed(Exception):
    """Who should have answered was killed meanwhile."""


class Asker:
    """A process of ``tests.chaos.asker``; started again when it was killed."""

    def __init__(self, environment: Mapping[str, str], errors: Path) -> None:
        self._environment = environment
        self._errors = errors
        self._process: subprocess.Popen[str] | None = None
        self._doom: float | None = None
        #: Told of its end in the middle of a request.
        self.on_death: Callable[[int], None] = lambda pid: None

    def doom(self, seconds: float) -> None:
        """Have it killed so many seconds after its next order."""
        self._doom = seconds

    def ask(self, name: str, order: object) -> dict[str, Any]:
        """The answer to an order.

        Raises:
            Killed: it got killed before it could answer.
        """
        process = self._living()
        assert process.stdin is not None
        assert process.stdout is not None
        doom, self._doom = self._doom, None
        try:
            process.stdin.write(json.dumps({name: order}) + "\n")
            process.stdin.flush()
            if doom is not None:
                time.sleep(doom)
                process.kill()
                self.on_death(process.pid)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            self.close()
            raise Killed
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _living(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            with self._errors.open("a") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.chaos.asker"],
                    cwd=CHECKOUT,
                    env=dict(self._environment),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            assert self._process.stdout is not None
            self._process.stdout.readline()  # it is ready
        return self._process


class Channel(threading.Thread):
    """One way to the queue: asks at random moments until it's told to end."""

    #: Requests a second.
    rate = 4.0

    def __init__(self, ledger: Ledger, seed: str, asker: Asker, situation: Situation) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self.error: BaseException | None = None
        self.ledger = ledger
        self.asker = asker
        self.random = random.Random(f"{seed}/{self.name}")
        self._situation = situation
        self._ending = threading.Event()
        self._count = 0
        self._recent: deque[Spec] = deque(maxlen=8)
        self._accepted: deque[int] = deque(maxlen=30)

    def run(self) -> None:
        """Ask until it's told to end."""
        due = time.monotonic()
        try:
            while not self._ending.is_set():
                due = max(due + self.random.expovariate(self.rate), time.monotonic() - 1)
                if self._ending.wait(max(0.0, due - time.monotonic())):
                    break
                if self._situation.waiting < ENOUGH:
                    with suppress(Killed):
                        self.do_something()
        except BaseException as error:
            self.error = error
            raise

    def end(self) -> None:
        """Ask for nothing more; to be joined."""
        self._ending.set()

    def do_something(self) -> None:
        """Something at random."""
        chance = self.random.random()
        running = self._situation.running
        if chance < 0.05 and self._accepted:
            self.steer("cancel", self.random.choice(self._accepted))
        elif chance < 0.09 and running:
            self.steer("stop", self.random.choice(running))
        elif chance < 0.13:
            self.pause(self.random.choice(QUEUES), self.random.uniform(0.3, 3))
        elif chance < 0.30 and self._recent:
            self.request(self.random.choice(self._recent), self.random.randint(1, 9))
        else:
            self.request(self.new_spec(), self.random.randint(1, 9))

    def new_spec(self) -> Spec:
        """A job that nobody has asked for yet."""
        self._count += 1
        hunted = self.random.random() < 0.01
        spec = Spec(
            label=f"{self.name.lower()}-{self._count}",
            queue=self.random.choice(QUEUES),
            seconds=1.5 if hunted else self.seconds(),
            code=self.random.choice((0, 0, 0, 0, 1, 2, 3, 7, 127)),
            child=self.random.random() < 0.03,
            hunted=hunted,
        )
        self._recent.append(spec)
        return self.ledger.add_spec(spec)

    def seconds(self) -> float:
        """Mostly short, some longer."""
        chance = self.random.random()
        if chance < 0.8:
            return self.random.uniform(0.01, 0.1)
        if chance < 0.96:
            return self.random.uniform(0.1, 0.3)
        return self.random.uniform(1, 6)

    def request(self, spec: Spec, priority: int) -> None:
        """Ask for a run, and note the answer."""
        asked_at = now()
        try:
            outcome, execution, text = self.enqueue(spec, priority)
        except Killed:
            outcome, execution, text = UNKNOWN, None, ""
        if execution is not None:
            self._accepted.append(execution)
        self.ledger.add(
            Ask(self.name, spec.label, spec.queue, asked_at, now(), outcome, execution, text)
        )

    def steer(self, kind: str, execution: int) -> None:
        """Cancel or stop an execution, and note whether that was done."""
        asked_at = now()
        done: bool | None
        try:
            done = self.order(kind, execution)
        except Killed:
            done = None
        self.ledger.add(Steer(kind, execution, asked_at, done))

    def pause(self, queue: str, seconds: float) -> None:
        """Pause a queue; it resumes by itself."""
        self.ledger.add(Pause(queue, now(), seconds))
        self.asker.ask("pause", {"queue": queue, "seconds": seconds})

    def enqueue(self, spec: Spec, priority: int) -> tuple[str, int | None, str]:
        """Outcome, execution, what was said."""
        raise NotImplementedError

    def order(self, kind: str, execution: int) -> bool | None:
        """Cancel or stop; whether it was done."""
        answer = self.asker.ask(kind, execution)
        return answer.get("done")


class Api(Channel):
    """``jobqueue.api`` in a process of its own."""

    def enqueue(self, spec: Spec, priority: int) -> tuple[str, int | None, str]:
        argv = spec.argv(self.ledger.file.parent)
        order = {"command_or_job": argv, "queue": spec.queue, "priority": priority}
        answer = self.asker.ask("enqueue", order)
        if "error" in answer:
            return REFUSED, None, answer["error"]
        return answer["outcome"], answer["execution"], ""


class Command(Channel):
    """``manage.py``: mostly in a process that has started already, now and then a real one."""

    #: Part of the requests for which ``manage.py`` is really started.
    REAL = 0.03

    def __init__(
        self,
        ledger: Ledger,
        seed: str,
        asker: Asker,
        situation: Situation,
        manage: Callable[..., subprocess.CompletedProcess[str]],
    ) -> None:
        super().__init__(ledger, seed, asker, situation)
        self._really = manage

    def enqueue(self, spec: Spec, priority: int) -> tuple[str, int | None, str]:
        argv = spec.argv(self.ledger.file.parent)
        code, out, err = self._manage("job2queue", f"-p{priority}", "-q", spec.queue, "--", *argv)
        if code not in _TOLD:
            return REFUSED, None, err
        outcome = PROMOTED if out.startswith("Moved forward") else _TOLD[code]
        found = _EXECUTION.search(out)
        return outcome, int(found[1]) if found else None, out

    def order(self, kind: str, execution: int) -> bool | None:
        options = ["--no-wait"] if kind == "stop" else []
        code, _, err = self._manage("queue", kind, *options, str(execution))
        # "can't be done" is one thing, "the database said nothing" another.
        return code == 0 or (False if "can be done" in err else None)

    def _manage(self, *argv: str) -> tuple[int, str, str]:
        if self.random.random() < self.REAL:
            done = self._really(*argv)
            return done.returncode, done.stdout, done.stderr
        answer = self.asker.ask("command", argv)
        if "error" in answer:
            return 1, "", str(answer["error"])
        return answer["code"], answer["out"], answer["err"]
