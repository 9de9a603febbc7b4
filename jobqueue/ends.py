"""What the outcome of a run means: its state and reason, and what must be queued because of it."""

from __future__ import annotations

import logging
import random
import signal
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import Error, connections

from . import codes, conf, environments, output
from .executor import Outcome
from .models import Execution, Source, State
from .queue import End

log = logging.getLogger("jobqueue.runs")

#: A run that is lost this often in a row is not queued again.
LOST_IN_A_ROW = 3


def end_of(execution: Execution, outcome: Outcome) -> End:
    """The end of a run."""
    reading, again_after = _read(execution, outcome)
    recovery = _recovery(execution, outcome)
    path = conf.current().log_path(execution.pk)
    end = End(
        state=reading.state,
        reason=_with_what_may_be_lost(execution, reading.reason) if recovery else reading.reason,
        return_code=None if reading.state == State.LOST else outcome.return_code,
        pid=execution.pid,
        log_path=str(path) if outcome.log else "",
        log_tail=output.tail(path, conf.current().LOG_TAIL) if outcome.log else "",
        details=_details(outcome),
        again_after=again_after,
        recovery=recovery,
    )
    return _unless_opposed(execution, end) if end.state == State.LOST else _retried(execution, end)


def limit(own: timedelta | None, default: timedelta | None) -> timedelta | None:
    """A limit of this run: its own, else the site's; zero means none."""
    return (default if own is None else own) or None


def _read(execution: Execution, outcome: Outcome) -> tuple[codes.Reading, timedelta | None]:
    """State and reason of a run, and the delay after which it's queued again, if it is."""
    if outcome.ended_by == "kill_after":
        after = limit(execution.kill_after, conf.current().KILL_AFTER)
        reason = f"ended after {after}, its limit (kill after){_by_force(outcome)}"
        return codes.Reading(State.TIMED_OUT, reason), None
    if outcome.ended_by == "stop":
        who = execution.__dict__.get("stop_requested_by") or "an operator"
        return codes.Reading(State.STOPPED, f"stopped by {who}{_by_force(outcome)}"), None
    if outcome.error:
        passes = outcome.error == "no_resources"
        again_after = _busy_delay(execution) if passes else None
        return codes.Reading(State.FAILED, outcome.message), again_after
    if outcome.ended_by == "lease":
        cause = "Its host ended it, having lost touch with the database."
        return codes.Reading(State.LOST, cause), timedelta(0)
    if outcome.return_code is None:
        return codes.Reading(State.LOST, outcome.message), timedelta(0)
    reading = codes.read(execution.codes, outcome.return_code, outcome.signal)
    return reading, _busy_delay(execution) if reading.busy else None


def _by_force(outcome: Outcome) -> str:
    """What it took to end a run before its time, where that was more than SIGTERM."""
    is_killed = outcome.signal == signal.SIGKILL
    return "; SIGTERM didn't end it, SIGKILL 10 seconds later did" if is_killed else ""


def _unless_opposed(execution: Execution, end: End) -> End:
    """A lost run is queued again at once, unless something speaks against it."""
    obstacle = ""
    if execution.source == Source.RECOVERY:
        return replace(end, again_after=None)  # its end brings the next recovery run
    if not execution.rerun_if_lost:
        obstacle = "its Job says so (rerun_if_lost)"
    elif by := execution.__dict__.get("stop_requested_by"):
        obstacle = f"{by} had asked to stop it"
    elif in_a_row(execution, State.LOST) >= LOST_IN_A_ROW:
        retried = _retried(execution, replace(end, again_after=None))
        if retried.retry is not None:
            return retried
        obstacle = f"it was lost {LOST_IN_A_ROW} times in a row"
    if not obstacle:
        return end
    reason = f"{end.reason} Not queued again: {obstacle}."
    details = {**end.details, "not_queued_again": obstacle}
    return replace(end, again_after=None, reason=reason, details=details)


def _retried(execution: Execution, end: End) -> End:
    """The end, with another attempt if its Job asks for one."""
    plan = execution.plan
    if plan is None or end.again_after is not None or execution.__dict__.get("stop_requested_by"):
        return end
    after = plan.after(end.state, end.return_code, random.random())
    return end if after is None else replace(end, again_after=after, retry=plan.next())


def _recovery(execution: Execution, outcome: Outcome) -> list[str]:
    """What must run before anything else after this end; nothing in most cases."""
    if outcome.error or not (
        outcome.ended_by or codes.died(execution.codes, outcome.return_code, outcome.signal)
    ):
        return []
    own = environments.recovery(execution.environment)
    return own or codes.recovery(execution.codes, execution.argv)


def _with_what_may_be_lost(execution: Execution, reason: str) -> str:
    """The reason of a run that was cut off; a recovery run itself is the last chance of Bots.

    Seen with bots-ediint 3.3.1: its crash recovery goes back one run, not two.
    """
    if execution.source != Source.RECOVERY:
        return reason
    pk = execution.details.get("recovers")
    interrupted = f"run {pk}" if pk else "the run before it"
    lost = f"What {interrupted} had in hand may be lost: see whether its files came out."
    return f"{reason.removesuffix('.')}. {lost}"


def _busy_delay(execution: Execution) -> timedelta | None:
    """How long to wait before it's looked again whether that has passed; None after the last."""
    settings, looks = conf.current(), in_a_row(execution, State.FAILED, of_an_attempt=True)
    if looks >= settings.BUSY_ATTEMPTS:
        return None
    doubled: timedelta = settings.BUSY_DELAY * 2 ** min(looks - 1, 20)
    return min(doubled, settings.BUSY_DELAY_MAX)


def in_a_row(execution: Execution, state: State, *, of_an_attempt: bool = False) -> int:
    """How often in a row this request came to this end, now included.

    While the database is away, as far as that is known: the end itself must get through.

    Args:
        of_an_attempt: since the last retry that its Job asked for.
    """
    count = 1
    try:
        before = execution.retry_of
        while before is not None and before.state == state:
            if of_an_attempt and before.retry != execution.retry:
                break
            count, before = count + 1, before.retry_of
    except Error as error:
        log.warning(
            "%s: its earlier attempts can't be looked up: %s",
            execution.pk,
            error,
            extra={"event": "run.attempts_unknown", "execution": execution.pk},
        )
        connections.close_all()
    return count


def _details(outcome: Outcome) -> dict[str, Any]:
    found = {"error": outcome.error, "log_cut": outcome.log_cut, "leftovers": outcome.leftovers}
    if outcome.message and not outcome.error:
        found["note"] = outcome.message
    return {name: value for name, value in found.items() if value}
