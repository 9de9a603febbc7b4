"""When schedules fire, by `jobqueue.recurrence` and by an oracle that looks at each step.

The examples are the same in each run. ``JOBQUEUE_TEST_EXAMPLES=5000`` takes more, and others.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from jobqueue.recurrence import Cron, latest
from tests.cronoracle import Oracle

AMSTERDAM = "Europe/Amsterdam"
EXAMPLES = os.environ.get("JOBQUEUE_TEST_EXAMPLES", "")

examples = settings(max_examples=int(EXAMPLES or 150), derandomize=not EXAMPLES)

#: Changes of each kind: an hour, half an hour, two hours; at midnight; negative summer time; for
#: Ramadan; across the date line; of three hours. Each is (zone, when clocks change).
CHANGES = [
    (AMSTERDAM, "2026-03-29 01:00"),
    (AMSTERDAM, "2026-10-25 01:00"),
    ("America/New_York", "2026-03-08 07:00"),
    ("America/New_York", "2026-11-01 06:00"),
    ("Australia/Lord_Howe", "2026-04-04 15:00"),
    ("Australia/Lord_Howe", "2026-10-03 15:30"),
    ("Africa/Casablanca", "2026-02-15 02:00"),
    ("Africa/Casablanca", "2026-03-22 02:00"),
    ("Pacific/Apia", "2011-12-30 10:00"),
    ("Pacific/Apia", "2012-03-31 14:00"),
    ("America/Sao_Paulo", "2018-11-04 03:00"),
    ("America/Sao_Paulo", "2019-02-17 02:00"),
    ("Antarctica/Troll", "2026-03-29 01:00"),
    ("Antarctica/Troll", "2026-10-25 01:00"),
    ("Europe/Dublin", "2026-03-29 01:00"),
    ("Europe/Dublin", "2026-10-25 01:00"),
    ("Antarctica/Casey", "2009-10-17 18:00"),
    ("Antarctica/Casey", "2010-03-04 15:00"),
    ("America/St_Johns", "2006-10-29 02:31"),
    ("Asia/Kolkata", "2026-01-31 18:30"),
    ("UTC", "2028-02-29 00:00"),
]

STEPS = [1, 2, 3, 7, 10, 30, 100]


def numbers(low: int, high: int, likely: list[int] | None = None) -> st.SearchStrategy[int]:
    every = st.integers(low, high)
    return st.one_of(every, st.sampled_from(likely), st.sampled_from(likely)) if likely else every


def fields(values: st.SearchStrategy[int], *special: str) -> st.SearchStrategy[str]:
    steps = st.sampled_from(STEPS)
    spans = st.tuples(values, values).map(sorted)
    items = [
        values.map(str),
        values.map("{:03}".format),
        spans.map(lambda span: f"{span[0]}-{span[1]}"),
        st.tuples(spans, steps).map(lambda pair: f"{pair[0][0]}-{pair[0][1]}/{pair[1]}"),
        st.tuples(values, steps).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.tuples(st.just("*"), steps).map(lambda pair: f"*/{pair[1]}"),
    ]
    if special:
        items.append(st.sampled_from(special))
    lists = st.lists(st.one_of(items), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), lists)


FIVE = [
    fields(numbers(0, 59, [0, 15, 30])),
    fields(numbers(0, 23, [0, 1, 2, 3, 23])),
    fields(numbers(1, 31), "L", "LW", "l"),
    fields(numbers(1, 12), "jan", "Feb-APR", "OCT-dec/2"),
    fields(numbers(0, 7), "sun", "MON-fri", "0L", "5L", "7l", "1#1", "sat#4", "0#5"),
]
EXPRESSIONS = st.tuples(*FIVE).map(" ".join)
EXPRESSIONS_WITH_SECONDS = st.tuples(fields(numbers(0, 59)), *FIVE).map(" ".join)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestOracle:
    """All fires are those that the oracle finds, and no others."""

    def check(
        self, expression: str, zone: str, after: datetime, length: timedelta, both_days: bool
    ) -> None:
        try:
            cron = Cron(expression, zone, both_days)
        except ValueError:
            reject()
        until = after + length
        expected = list(Oracle(expression, zone, both_days).fires(after, until))
        assert list(takewhile(until.__ge__, cron.fires(after))) == expected
        assert latest(cron, after, until) == ([None, *expected][-1], len(expected))

    @given(EXPRESSIONS, st.sampled_from(CHANGES), st.integers(-1440, 2 * 1440), st.booleans())
    @example("30 2 * * *", (AMSTERDAM, "2026-03-29 01:00"), 120, False)
    @example("*/30 2 * * *", (AMSTERDAM, "2026-10-25 01:00"), 120, False)
    @examples
    def test_minutes(
        self, expression: str, change: tuple[str, str], before: int, both_days: bool
    ) -> None:
        zone, at = change
        after = utc(at) - timedelta(minutes=before)
        self.check(expression, zone, after, timedelta(days=3), both_days)

    @given(EXPRESSIONS_WITH_SECONDS, st.sampled_from(CHANGES), st.integers(-3 * 3600, 3 * 3600))
    @example("*/7 30 2 * * *", (AMSTERDAM, "2026-03-29 01:00"), 4000)
    @settings(examples, max_examples=int(EXAMPLES or 60))
    def test_seconds(self, expression: str, change: tuple[str, str], before: int) -> None:
        zone, at = change
        after = utc(at) - timedelta(seconds=before)
        self.check(expression, zone, after, timedelta(hours=4), both_days=False)

    @given(
        EXPRESSIONS,
        st.sampled_from(sorted({zone for zone, _ in CHANGES})),
        st.integers(0, 40 * 365 * 1440),
    )
    @settings(examples, max_examples=int(EXAMPLES or 60))
    def test_anywhere_from_1990_to_2030(self, expression: str, zone: str, minutes: int) -> None:
        after = utc("1990-01-01") + timedelta(minutes=minutes)
        self.check(expression, zone, after, timedelta(days=3), both_days=False)
