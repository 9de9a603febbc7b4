"""When an alarm is bad, and when that is told. Pure: what is known goes in, what follows comes out.

Runs are judged one after another in the order of their ends. A *spell* is a time of trouble: it
begins with the first run that goes wrong and is over when people were told that all is well again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

_WRONG = ("failed", "warned", "timed_out", "lost")


class Verdict(Enum):
    """What a run says about its Job."""

    GOOD = auto()
    BAD = auto()
    #: Nothing: it was stopped, say, or is tried again.
    NEITHER = auto()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is known of an alarm; the names are those of :class:`jobqueue.models.Alarm`."""

    is_bad: bool = False
    #: When the first run of this spell went wrong; None: there is none.
    since: datetime | None = None
    #: Runs that went wrong in this spell, and since the last good one.
    failures: int = 0
    in_a_row: int = 0
    #: When it became good again, as long as people believe that it's bad.
    good_at: datetime | None = None
    #: The run that was judged last.
    execution_id: int | None = None
    #: What people were told last, and when; when they shall be told that it has changed.
    told_bad: bool = False
    told_at: datetime | None = None
    tell_at: datetime | None = None


def verdict(
    state: str,
    details: Mapping[str, Any],
    *,
    recovers: bool = False,
    at_first_failure: bool = False,
) -> Verdict:
    """What a run says, by its state and details; one that still runs is judged for its length.

    Args:
        state: of an Execution.
        details: of it.
        recovers: whether it is a recovery run, which says nothing of the Job when it ends well.
        at_first_failure: whether an attempt counts though its Job's retries repeat it.
    """
    counts = at_first_failure and details.get("retried")
    if details.get("queued_again_as") and not counts:
        return Verdict.NEITHER
    if details.get("retry_cancelled") and counts:
        return Verdict.NEITHER  # it has counted when it ended
    if state in _WRONG or details.get("overdue"):
        return Verdict.BAD
    return Verdict.GOOD if state == "succeeded" and not recovers else Verdict.NEITHER


def after(
    known: Condition,
    run: int | None,
    found: Verdict,
    ended_at: datetime,
    now: datetime,
    *,
    alarm_after: int,
    quiet: timedelta,
    remind_after: timedelta | None = None,
) -> Condition:
    """The condition after one more run.

    Args:
        known: the condition before.
        run: the id of the Execution, if it is one; a bad one that is judged twice counts once.
        found: what it says.
        ended_at: when it ended, or was found to take too long.
        now: the moment of judging.
        alarm_after: so many in a row must go wrong.
        quiet: after one mail on the alarm, the next comes no sooner.
        remind_after: what stays bad is told again after this; None: never.
    """
    if found is Verdict.NEITHER or (run is not None and run == known.execution_id):
        return known
    if found is Verdict.GOOD and _ended_before(known, run, ended_at):
        return known
    step = _after_bad if found is Verdict.BAD else _after_good
    known = replace(step(known, ended_at, alarm_after), execution_id=run)
    return _planned(known, now, quiet, remind_after)


def _ended_before(known: Condition, run: int | None, ended_at: datetime) -> bool:
    """Whether a run had ended when a later one raised the alarm, and is judged after that."""
    if run is None or known.execution_id is None or known.since is None:
        return False
    return run < known.execution_id and ended_at < known.since


def _after_bad(known: Condition, ended_at: datetime, alarm_after: int) -> Condition:
    in_a_row = known.in_a_row + 1
    is_bad = known.is_bad or in_a_row >= alarm_after
    return replace(
        known,
        is_bad=is_bad,
        in_a_row=in_a_row,
        failures=known.failures + 1,
        since=known.since or ended_at,
        good_at=None if is_bad else known.good_at,
    )


def _after_good(known: Condition, ended_at: datetime, _alarm_after: int) -> Condition:
    if not known.told_bad:  # nobody knows of it: it's over
        return replace(known, is_bad=False, in_a_row=0, failures=0, since=None, good_at=None)
    return replace(known, is_bad=False, in_a_row=0, good_at=known.good_at or ended_at)


def _planned(
    known: Condition, now: datetime, quiet: timedelta, remind_after: timedelta | None
) -> Condition:
    """With the moment at which a change is told; a change back before that needs no word."""
    if known.is_bad == known.told_bad:
        return replace(known, tell_at=_reminder(known, remind_after))
    earliest = now if known.told_at is None else max(now, known.told_at + quiet)
    # What is planned may be a reminder of how it was before.
    return replace(known, tell_at=min(known.tell_at or earliest, earliest))


def _reminder(known: Condition, remind_after: timedelta | None) -> datetime | None:
    """When people are told again that it's still bad."""
    if not known.is_bad or known.told_at is None or not remind_after:
        return None
    return known.told_at + remind_after


def told(known: Condition, now: datetime, remind_after: timedelta | None = None) -> Condition:
    """The condition once people were told what it is now; good news end the spell."""
    known = replace(known, told_bad=known.is_bad, told_at=now, tell_at=None, good_at=None)
    if known.is_bad:
        return replace(known, tell_at=_reminder(known, remind_after))
    # What went wrong since then, but not often enough, is the beginning of another one.
    return replace(known, failures=known.in_a_row, since=None)
