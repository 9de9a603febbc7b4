"""What is told at the end: figures, and every violation with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.ledger import ADDED, DUPLICATE, PROMOTED, REFUSED, UNKNOWN
from tests.chaos.session import Result
from tests.chaos.spans import longest

#: So many violations of one rule are shown.
SHOWN = 10
#: How the columns of the table in docs/guarantees.md are named.
COLUMNS = (
    *("Database", "Broker", "Seed", "Kills", "By victim", "Requests", "Runs"),
    *("Lost and queued again", "Adopted", "Longest standstill", "Undisturbed", "Violations"),
)


def lines(result: Result) -> Iterator[str]:
    """The report."""
    ledger, verdict = result.ledger, result.verdict
    outcomes = Counter(ask.outcome for ask in ledger.asks)
    channels = Counter(ask.channel for ask in ledger.asks)
    states = Counter(row["state"] for row in verdict.rows.values())
    yield f"{result.lasted:.0f} s of chaos, settled {result.settled:.1f} s after the last kill."
    yield f"Requests: {len(ledger.asks)} ({_counts(channels)})."
    names = (ADDED, DUPLICATE, PROMOTED, REFUSED, UNKNOWN)
    yield "Answers: " + _counts({name: outcomes[name] for name in names if outcomes[name]}) + "."
    yield f"Runs: {len(verdict.runs)}; rows: {_counts(states)}."
    yield f"Kills: {len(ledger.kills)} ({_counts(ledger.victims())}); {result.restarts} restarts."
    yield (
        f"Lost: {states['lost']}, of which {_queued_again(result)} were queued again and "
        f"{_had_ended(result)} had stamped their end; adopted: {_adopted(result)}."
    )
    yield (
        f"Longest standstill of a queue that had something to do: {_standstill(result):.1f} s, "
        f"and {_standstill(result, undisturbed=True):.1f} s with no further kill meanwhile."
    )
    yield from _violations(result)


def table_row(result: Result) -> str:
    """One line of Markdown for docs/guarantees.md."""
    plan, ledger = result.plan, result.ledger
    cells = (
        *(plan.database, plan.broker, plan.seed, len(ledger.kills), _counts(ledger.victims())),
        *(len(ledger.asks), len(result.verdict.runs), _queued_again(result), _adopted(result)),
        *(f"{_standstill(result):.1f} s", f"{_standstill(result, True):.1f} s"),
        len(result.violations),
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _violations(result: Result) -> Iterator[str]:
    shown: Counter[str] = Counter()
    for violation in result.violations:
        shown[violation.rule] += 1
        if shown[violation.rule] <= SHOWN:
            yield f"VIOLATION {violation}"
    for rule, count in shown.items():
        if count > SHOWN:
            yield f"VIOLATION {rule}: {count - SHOWN} more"
    yield f"Violations: {len(result.violations)}." if shown else "All promises were kept."


def _queued_again(result: Result) -> int:
    rows = result.verdict.rows.values()
    return sum("queued_again_as" in row["details"] for row in rows if row["state"] == "lost")


def _adopted(result: Result) -> int:
    return sum(row["details"].get("adopted", 0) for row in result.verdict.rows.values())


def _had_ended(result: Result) -> int:
    rows = result.verdict.rows
    runs = (run for run in result.verdict.runs if run.ended_at is not None)
    return sum(rows[run.execution]["state"] == "lost" for run in runs if run.execution in rows)


def _standstill(result: Result, undisturbed: bool = False) -> float:
    found = result.verdict.standstills(undisturbed)
    return max(map(longest, found.values()), default=0.0)


def _counts(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
