"""Colours of terminals on pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.admin import ansi


def style(*names: str) -> str:
    return " ".join(f"jobqueue-ansi-{name}" for name in names)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("plain", [("", "plain")]),
        ("\x1b[31mred\x1b[0m plain", [(style("red"), "red"), ("", " plain")]),
        ("\x1b[1;32mboth", [(style("bold", "green"), "both")]),
        ("\x1b[31ma\x1b[32mb\x1b[39mc", [(style("red"), "a"), (style("green"), "b"), ("", "c")]),
        ("\x1b[1ma\x1b[22mb", [(style("bold"), "a"), ("", "b")]),
        ("\x1b[91mbright", [(style("red"), "bright")]),
        ("\x1b[ma", [("", "a")]),
        ("\x1b[38;5;196ma\x1b[48;2;1;2;3mb", [("", "a"), ("", "b")]),
        ("\x1b[38;5;196;1ma", [(style("bold"), "a")]),
        ("\x1b[2Ka\x1b[1Gb", [("", "a"), ("", "b")]),
        ("\x1b[?25la", [("", "a")]),
        ("\x1b]0;title\x07", [("", "\\x1b]0;title\\x07")]),
        ("\u202egnp.exe", [("", "\\u202egnp.exe")]),
        ("<b>&", [("", "<b>&")]),
    ],
)
def test_pieces(line: str, expected: list[tuple[str, str]]) -> None:
    assert ansi.pieces(line) == expected


def test_a_line_of_nothing_but_sequences_is_bounded() -> None:
    assert len(ansi.pieces("\x1b[31mx\x1b[32my" * 10_000)) <= ansi.MOST + 1


@given(st.text(alphabet=st.sampled_from("\x1b[]0123456789;:mKa<\u202e\x07")))
def test_nothing_of_a_terminal_is_left(line: str) -> None:
    for name, text in ansi.pieces(line):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyz- ")
