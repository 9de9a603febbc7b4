"""Durations and moments as people type them, and how they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from jobqueue.management import times
from jobqueue.management.console import ago, lasting

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 1, 31, 14, 0, tzinfo=BERLIN)


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("0", 0),
            ("90", 90),
            ("15m", 900),
            ("1h30m", 5400),
            ("2d", 172800),
            ("1d2h3m4s", 93784),
            ("00:15:00", 900),
            ("100:00:01", 360001),
        ],
    )
    def test_spellings(self, text: str, seconds: int) -> None:
        assert times.duration(text) == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "text", ["", " ", "x", "-5", "1.5", "1m1h", "15 m", "00:61:00", "1:30", "٣", "9" * 30]
    )
    def test_no_durations(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"no duration|too long"):
            times.duration(text)


class TestTrigger:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-01-31", datetime(2026, 1, 31, tzinfo=BERLIN)),
            ("2026-07-31T06:07:08", datetime(2026, 7, 31, 6, 7, 8, tzinfo=BERLIN)),
            ("2026-07-31/06:07:08", datetime(2026, 7, 31, 6, 7, 8, tzinfo=BERLIN)),
        ],
    )
    def test_in_the_zone_of_the_site(self, text: str, moment: datetime) -> None:
        with timezone.override(BERLIN):
            assert times.trigger(text) == moment

    @pytest.mark.parametrize(
        "text",
        [
            *("2026-02-30", "2026-13-01", "2026-1-1", "2026-01-31T25:00:00", "2026-01-31T06:00"),
            *("2026-01-31 06:00:00", "2026-01-31X", "20260131", "0001-01-01", "", "x"),
        ],
    )
    def test_no_triggers(self, text: str) -> None:
        with timezone.override(BERLIN), pytest.raises(ValueError, match=r"no trigger|no such"):
            times.trigger(text)

    @pytest.mark.parametrize("word", ["2026-01-31", "2026-13-45", "2026-01-31X", "2026-1-1"])
    def test_what_was_meant_as_one(self, word: str) -> None:
        assert times.looks_like_trigger(word)

    @pytest.mark.parametrize("word", ["2026", "report", "12-31", "2026-Q1"])
    def test_what_was_not(self, word: str) -> None:
        assert not times.looks_like_trigger(word)


class TestUntil:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("14:30", datetime(2026, 1, 31, 14, 30, tzinfo=BERLIN)),
            ("14:00", datetime(2026, 2, 1, 14, 0, tzinfo=BERLIN)),
            ("6:00", datetime(2026, 2, 1, 6, 0, tzinfo=BERLIN)),
            ("23:59:59", datetime(2026, 1, 31, 23, 59, 59, tzinfo=BERLIN)),
            ("30m", datetime(2026, 1, 31, 14, 30, tzinfo=BERLIN)),
            ("1h30m", datetime(2026, 1, 31, 15, 30, tzinfo=BERLIN)),
            ("2026-02-01T06:00", datetime(2026, 2, 1, 6, 0, tzinfo=BERLIN)),
            ("2026-02-01T06:00:00+00:00", datetime(2026, 2, 1, 6, 0, tzinfo=UTC)),
        ],
    )
    def test_spellings(self, text: str, moment: datetime) -> None:
        with timezone.override(BERLIN):
            assert times.until(text, NOW) == moment

    @pytest.mark.parametrize(
        "text",
        ["", "x", "24:00", "12:60", "30", "2026-01-31T13:59", "2026-02-30T01:00", "9999999d"],
    )
    def test_no_ends_of_a_pause(self, text: str) -> None:
        with timezone.override(BERLIN), pytest.raises(ValueError, match=r"no |over|too long"):
            times.until(text, NOW)

    @pytest.mark.parametrize("text", ["9999-12-31T23:59:59", "2100-01-01", "4000d"])
    @pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "UTC"])
    def test_no_pause_ends_after_all_who_know_of_it(self, text: str, zone: str) -> None:
        with timezone.override(zone), pytest.raises(ValueError, match=r"ten years|no such moment"):
            times.until(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0401, "40 ms"),
        (12, "12 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3720, "1 h 2 min"),
        (3605, "1 h"),
        (86400, "1 day"),
        (273600, "3 days 4 h"),
        (-1, "0 ms"),
    ],
)
def test_lasting(seconds: float, shown: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-07-01", "2026-06-30T22:00"),
        ("2026-07-01T06:00", "2026-07-01T04:00"),
        ("2026-07-01/06:00:30", "2026-07-01T04:00:30"),
        ("2026-07-01 06:00", "2026-07-01T04:00"),
        ("2026-03-29T02:30", "2026-03-29T01:00"),  # skipped
        ("2026-10-25T02:30", "2026-10-25T00:30"),  # comes twice
    ],
)
def test_local_times(text: str, moment: str) -> None:
    assert times.local(text, "Europe/Amsterdam") == datetime.fromisoformat(f"{moment}+00:00")


@pytest.mark.parametrize(
    "text", ["", "06:00", "2026-7-1", "2026-02-30", "2026-07-01T25:00", "2026-07-01T06:00Z"]
)
def test_no_local_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no local time|There is no such moment"):
        times.local(text, "Europe/Amsterdam")


def test_what_never_started_has_no_length() -> None:
    assert lasting(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.3, "just now"),
        (12.9, "12 s ago"),
        (180, "3 min ago"),
        (7300, "2 h ago"),
        (86400, "1 day ago"),
        (200000, "2 days ago"),
        (-300, "in 5 min"),
    ],
)
def test_ago(seconds: float, shown: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == shown
