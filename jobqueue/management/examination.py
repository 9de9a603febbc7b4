"""``queue doctor``: what was found, the worst of it as the exit code."""

from __future__ import annotations

from dataclasses import asdict

from .. import doctor
from ..commandline import printable
from ..findings import Finding, Level
from . import json_rows
from .console import Console

#: As monitoring systems have it.
CODES = {Level.OK: 0, Level.WARNING: 1, Level.ERROR: 2}
_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


def examine(console: Console, as_json: bool) -> int:
    """Show what the doctor finds, as it is found; 0, or 1 for warnings, 2 for errors."""
    worst, rows = 0, []
    for finding in doctor.examine():
        worst = max(worst, CODES[finding.level])
        rows.append({"id": finding.id, **asdict(finding)})
        if not as_json:
            _show(finding, console)
    if as_json:
        console.say(json_rows.dumps(rows))
    return worst


def _show(finding: Finding, console: Console) -> None:
    first = f"{finding.level.upper():<9}{printable(finding.id)}: {printable(finding.what)}"
    console.say(first, _COLOURS[finding.level])
    for line in filter(None, (finding.why, finding.do and f"→ {finding.do}")):
        console.say(f"{'':<9}{printable(line)}")
