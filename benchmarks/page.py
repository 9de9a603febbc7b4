"""Puts the results into a page of the documentation, between two marks."""

from __future__ import annotations

from pathlib import Path

BEGIN = "<!-- results: begin (written by python -m benchmarks --markdown) -->"
END = "<!-- results: end -->"


def renew(path: Path, results: str) -> None:
    """Replace what is between the marks; without marks, append both."""
    text = path.read_text() if path.exists() else ""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{results}\n{END}{after or chr(10)}")
