"""What must be true afterwards: the jobs' own stamps held against the rows, and both against what
was asked for and who was killed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests import stamps
from tests.chaos import spans
from tests.chaos.ledger import (
    ADDED,
    DUPLICATE,
    NOT_ALONE,
    PROMOTED,
    REFUSED,
    UNKNOWN,
    Ask,
    Ledger,
    Spec,
)
from tests.chaos.spans import Span
from tests.stamps import Run

#: Contract, section 3: a queue goes on within so many seconds after the last kill.
GOES_ON = 20.0
#: A run that is lost so often in a row is not queued again.
IN_A_ROW = 3
KILLED, TERMINATED = 128 + 9, 128 + 15
_ENDS = {"succeeded", "failed", "timed_out", "stopped", "cancelled", "lost"}
#: Whose death leaves a run that was claimed without anybody to start it: all die with the first.
_STARTERS = ("main", "sentinel", "worker", "new", "launcher")

Row = dict[str, Any]


@dataclass(frozen=True)
class Violation:
    """A rule that didn't hold, with the evidence."""

    rule: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.evidence}"


class Verdict:
    """All that is known of one session of chaos.

    wall  what to add to a moment of ``CLOCK_BOOTTIME`` for the wall clock's
    """

    def __init__(self, ledger: Ledger, runs: list[Run], rows: list[Row], wall: float) -> None:
        self.ledger = ledger
        self.runs = runs
        self.rows = {row["id"]: row for row in rows}
        self._wall = wall
        self._runs_of: dict[int, list[Run]] = defaultdict(list)
        for run in runs:
            self._runs_of[run.execution].append(run)
        self._again = {row["retry_of"]: row for row in rows if row["retry_of"]}
        self._killed_at: dict[int, float] = {}
        for kill in ledger.kills:
            self._killed_at |= {pid: kill.at for pid, _, _ in kill.processes}
        self._steered: dict[tuple[str, int], list[bool | None]] = defaultdict(list)
        for steer in ledger.steers:
            self._steered[steer.kind, steer.execution].append(steer.done)

    def violations(self) -> list[Violation]:
        """Every one; none is what is wanted."""
        rules: dict[str, Callable[[], Iterator[str]]] = {
            "two at once": self._two_at_once,
            "not settled": self._open,
            "request lost": self._lost_requests,
            "refused": self._refused,
            "nobody asked for it": self._unasked,
            "run twice": self._run_twice,
            "wrong end": self._wrong_ends,
            "wrong output": self._wrong_output,
            "lost without need": self._needlessly_lost,
            "not queued again": self._not_queued_again,
            "stood still": self._stood_still,
        }
        return [Violation(rule, text) for rule, broken in rules.items() for text in broken()]

    # The rules

    def _two_at_once(self) -> Iterator[str]:
        lived = {
            run.execution: self._killed_at.get(run.pid, run.started_at)
            for run in self.runs
            if run.ended_at is None
        }
        for before, after in stamps.overlaps(self.runs, lived):
            yield f"{after} started while {before} went on"
        for row in self.rows.values():
            if row["return_code"] == NOT_ALONE:
                yield f"execution {row['id']} found another one in queue {row['queue']}"

    def _open(self) -> Iterator[str]:
        for row in self.rows.values():
            if row["state"] not in _ENDS:
                yield f"execution {row['id']} is still {row['state']} ({_label(row)})"

    def _lost_requests(self) -> Iterator[str]:
        for ask in self.ledger.asks:
            if ask.outcome not in (ADDED, PROMOTED, DUPLICATE):
                continue
            row = self.rows.get(ask.execution or 0)
            if row is None or _label(row) != ask.label:
                yield f"{ask} was accepted, but its row is {row and _label(row)}"
            elif ask.outcome != ADDED and (run := self._started_before(row["id"], ask)):
                yield f"{ask} was answered so, but {run} had started"

    def _started_before(self, execution: int, ask: Ask) -> Run | None:
        """The run of an execution that can't have waited any more when it was asked for."""
        early = [run for run in self._runs_of[execution] if run.started_at < ask.asked_at]
        return early[0] if early else None

    def _refused(self) -> Iterator[str]:
        for ask in self.ledger.asks:
            if ask.outcome == REFUSED:
                yield f"{ask}"

    def _unasked(self) -> Iterator[str]:
        answered = {ask.execution for ask in self.ledger.asks}
        may_be = Counter(ask.label for ask in self.ledger.asks if ask.outcome in (UNKNOWN, REFUSED))
        for row in self.rows.values():
            if row["retry_of"] is None and row["id"] not in answered:
                may_be[_label(row)] -= 1
                if may_be[_label(row)] < 0:
                    yield f"execution {row['id']} ({_label(row)})"
        for run in self.runs:
            if run.execution not in self.rows:
                yield f"{run} has no row"

    def _run_twice(self) -> Iterator[str]:
        for execution, runs in self._runs_of.items():
            if len(runs) > 1:
                yield f"execution {execution} was started {len(runs)} times: {runs}"
        for row in self.rows.values():
            again = self._again.get(row["id"])
            if again and row["state"] != "lost":
                yield (
                    f"execution {row['id']}, {row['state']} with code {row['return_code']}, was "
                    f"queued again as {again['id']}"
                )

    def _wrong_ends(self) -> Iterator[str]:
        checks = {
            "succeeded": self._is_own_end,
            "failed": self._is_own_end,
            "cancelled": self._was_cancelled,
            "stopped": self._was_stopped,
            "timed_out": lambda row: self._spec(row).kill_after is not None,
            "lost": lambda row: row["return_code"] is None,
        }
        for row in self.rows.values():
            check = checks.get(row["state"], lambda row: row["state"] not in _ENDS)
            if not check(row):
                yield f"{_told(row)}; stamps: {self._runs_of[row['id']]}"
            elif row["state"] in _ENDS - {"succeeded"} and not row["reason"]:
                yield f"{_told(row)} has no reason"

    def _is_own_end(self, row: Row) -> bool:
        """Whether it is what the job stamped; or the job was killed, and the row says so."""
        runs = self._runs_of[row["id"]]
        ended = [run for run in runs if run.ended_at is not None]
        if row["return_code"] == NOT_ALONE:
            return True  # which is told as "two at once"
        if row["return_code"] == KILLED:
            return self._killed_at.get(row["pid"]) is not None
        right_state = (row["state"] == "succeeded") == (row["return_code"] == 0)
        return right_state and [run.code for run in ended] == [row["return_code"]]

    def _was_cancelled(self, row: Row) -> bool:
        orders = self._steered["cancel", row["id"]]
        return not self._runs_of[row["id"]] and any(done is not False for done in orders)

    def _was_stopped(self, row: Row) -> bool:
        orders = self._steered["stop", row["id"]]
        codes = {run.code for run in self._runs_of[row["id"]] if run.code is not None}
        right_code = row["return_code"] in codes | {TERMINATED, KILLED}
        return right_code and any(done is not False for done in orders)

    def _wrong_output(self) -> Iterator[str]:
        for run in self.runs:
            row = self.rows.get(run.execution)
            if row is None or run.ended_at is None or row["return_code"] is None:
                continue
            printed = f"{run.label} starts\n{run.label} ends with {run.code}\n"
            rest = row["log_tail"].removeprefix(printed)
            whole = row["log_tail"].startswith(printed)
            if not whole or (rest and not rest.lstrip("\n").startswith("[jobqueue]")):
                yield f"{_told(row)} printed {printed!r}, and has {row['log_tail']!r}"

    def _needlessly_lost(self) -> Iterator[str]:
        for row in self.rows.values():
            if row["state"] == "lost" and not self._may_be_lost(row):
                yield f"{_told(row)}; stamps: {self._runs_of[row['id']]}"

    def _may_be_lost(self, row: Row) -> bool:
        """Whether its launcher was killed; or, before its process began, who would start it."""
        runs = self._runs_of[row["id"]]
        if any(run.parent in self._killed_at for run in runs):
            return True
        begin, end = self._moment(row["started_at"]), self._moment(row["ended_at"])
        if runs:  # its launcher was killed before it could stamp
            return self._was_killed(("launcher",), begin - 1, runs[0].started_at)
        return self._was_killed(_STARTERS, begin - 1, end)

    def _was_killed(self, roles: Iterable[str], begin: float, end: float) -> bool:
        during = (kill for kill in self.ledger.kills if begin < kill.until and kill.at < end)
        return any(kill.pids(*roles) for kill in during)

    def _not_queued_again(self) -> Iterator[str]:
        for row in self.rows.values():
            if row["state"] != "lost":
                continue
            serving = row["details"].get("queued_again_as")
            if serving is not None and serving not in self.rows:
                yield f"{_told(row)} was queued again as {serving}, which isn't there"
            elif serving is None and self._must_be_queued_again(row):
                yield _told(row)
            elif serving is not None and not self._may_be_queued_again(row):
                yield f"{_told(row)} was queued again, which it must not"

    def _must_be_queued_again(self, row: Row) -> bool:
        stopped = any(done is not False for done in self._steered["stop", row["id"]])
        return not stopped and self._may_be_queued_again(row)

    def _may_be_queued_again(self, row: Row) -> bool:
        return self._spec(row).rerun_if_lost and self.lost_in_a_row(row) < IN_A_ROW

    def _stood_still(self) -> Iterator[str]:
        for queue, quiet in self.standstills(undisturbed=True).items():
            for begin, end in quiet:
                if end - begin > GOES_ON:
                    yield f"queue {queue} for {end - begin:.1f} s from {begin:.1f} on"

    # Figures

    def standstills(self, undisturbed: bool = False) -> dict[str, list[Span]]:
        """For each queue when nothing ran although something could have; if undisturbed, from one
        kill to the next."""
        found = {}
        disturbing = (kill for kill in self.ledger.kills if kill.victim not in ("web", "requester"))
        kills = [kill.until for kill in disturbing] if undisturbed else []
        for queue in {row["queue"] for row in self.rows.values()}:
            rows = [row for row in self.rows.values() if row["queue"] == queue]
            waiting = [span for row in rows if (span := self._waited(row))]
            runs = [self._span(run) for run in self.runs if run.queue == queue]
            pauses = [
                (pause.asked_at, pause.asked_at + pause.seconds + 1)
                for pause in self.ledger.pauses
                if pause.queue == queue
            ]
            found[queue] = spans.cut(spans.without(waiting, runs + pauses), kills)
        return found

    def lost_in_a_row(self, row: Row | None) -> int:
        """How often its request was lost, the last times, this run included."""
        count = 0
        while row is not None and row["state"] == "lost":
            count, row = count + 1, self.rows.get(row["retry_of"] or 0)
        return count

    def _waited(self, row: Row) -> Span | None:
        before = self.rows.get(row["retry_of"] or 0)
        begin = self._moment(before["ended_at"] if before else row["queued_at"])
        end = row["started_at"] or row["ended_at"]
        return (begin, self._moment(end)) if end else None

    def _span(self, run: Run) -> Span:
        row = self.rows.get(run.execution)
        if run.ended_at is not None:
            return run.started_at, run.ended_at
        if killed := self._killed_at.get(run.pid):
            return run.started_at, killed
        ended = row and row["ended_at"] and self._moment(row["ended_at"])
        return run.started_at, ended or run.started_at

    def _moment(self, text: str) -> float:
        return datetime.fromisoformat(text).timestamp() - self._wall

    def _spec(self, row: Row) -> Spec:
        return self.ledger.specs[_label(row)]


def _label(row: Row) -> str:
    """What its job stamps; its argv ends with ``stamp.py FILE LABEL SECONDS CODE``."""
    return str(row["argv"][-3])


def _told(row: Row) -> str:
    shown = ("id", "state", "return_code", "reason", "started_at", "ended_at", "pid", "retry_of")
    return " ".join(f"{name}={row[name]!r}" for name in shown) + f" label={_label(row)!r}"
