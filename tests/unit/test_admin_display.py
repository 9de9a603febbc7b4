"""How the admin shows values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobqueue.admin import display
from jobqueue.output import readable


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (0.9999, "1.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1:00"),
        (125, "2:05"),
        (3725, "1:02:05"),
        (100 * 3600, "100:00:00"),
        (-1, "0 ms"),  # a clock that was set back
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert display.duration(timedelta(seconds=seconds)) == shown


def test_what_never_was() -> None:
    assert display.duration(None) == display.moment(None) == display.EMPTY


def test_a_moment_of_another_day_has_its_date() -> None:
    now = timezone.now()
    today, before = str(display.moment(now)), str(display.moment(now - timedelta(days=3)))
    assert f">{timezone.localtime(now):%H:%M:%S}<" in today
    assert str((now - timedelta(days=3)).year) in before.partition(">")[2]


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("\x1b[1;31mred\x1b[0m \x1b[2K", "red "),
        ("bell\x07 \x1b]0;title\x07", "bell\\x07 \\x1b]0;title\\x07"),
        ("a\u202eb\u2066c\ufeff", "a\\u202eb\\u2066c\\ufeff"),
        ("Ü\tİ 漢字 👩\u200d🔧", "Ü\tİ 漢字 👩\u200d🔧"),
    ],
)
def test_output(printed: str, shown: str) -> None:
    assert readable(printed) == shown


def test_a_long_text_is_cut_and_escaped() -> None:
    shown = display.short('<b>"' + "x" * 5000)
    assert "<b>" not in shown
    assert "…" in shown
    assert len(shown) < 1400
