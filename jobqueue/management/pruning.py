"""``queue prune``: what the service does by itself, now and in one go."""

from __future__ import annotations

from collections import Counter

from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from .. import upkeep
from .console import Console


def prune(days: int | None, console: Console, dry_run: bool) -> None:
    """Delete what is kept no longer; with `days`, all that ended longer ago."""
    done: Counter[str] = Counter()
    for step in upkeep.steps(timezone.now(), days):
        if not dry_run:
            step.take()
        done += step.counts
        if done.total():
            console.progress(f"{'Counting' if dry_run else 'Deleting'}: {_in_words(done)}.")
    console.say(f"{'Would delete' if dry_run else 'Deleted'} {_in_words(done)}.")


def _in_words(done: Counter[str]) -> str:
    executions, outputs, files = done["executions"], done["outputs"], done["files"]
    size = f" ({filesizeformat(done['size'])})" if files else ""
    return (
        f"{executions} execution{'' if executions == 1 else 's'}, "
        f"the output of {outputs} {'other' if outputs == 1 else 'others'}, "
        f"{files} log file{'' if files == 1 else 's'} that no execution names{size}"
    )
