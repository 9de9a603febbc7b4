"""Puts the results into a page of the documentation, between two marks."""

from __future__ import annotations

from pathlib import Path

BEGIN = "<!-- {subject}: begin (written by python -m benchmarks --markdown) -->"
END = "<!-- {subject}: end -->"


def renew(path: Path, subject: str, results: str) -> None:
    """Replace what is between the marks of this subject; without marks, append both."""
    begin, end = BEGIN.format(subject=subject), END.format(subject=subject)
    text = path.read_text() if path.exists() else ""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n\n{results}\n{end}{after or chr(10)}")
