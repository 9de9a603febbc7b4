"""How the alarm of a Job stands, in a line for a terminal."""

from __future__ import annotations

from datetime import datetime

from ..commandline import printable
from ..models import Alarm
from .console import ago


def in_words(alarm: Alarm | None, now: datetime) -> str:
    """``bad, began 2 h ago, 3 failed runs: return code 1; anna is on it: ticket 4711``."""
    if alarm is None:
        return "none of its runs was judged yet"
    if not alarm.is_bad:
        return "well, but the last run went wrong" if alarm.in_a_row else "well"
    runs = "1 failed run" if alarm.failures == 1 else f"{alarm.failures} failed runs"
    words = f"bad, began {ago(alarm.since, now)}, {runs}: {printable(alarm.reason)}"
    if not alarm.acknowledged_at:
        return words
    note = f": {printable(alarm.note)}" if alarm.note else ""
    return f"{words}; {printable(alarm.acknowledged_by)} is on it{note}"
