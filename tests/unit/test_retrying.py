"""Whether a run that went wrong is tried again, and when."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue import retrying
from jobqueue.retrying import EXPONENTIAL, FIXED, JITTER, LONGEST, MOST, STATES, Plan, parse

DAY = timedelta(days=1)
CHANCES = st.floats(0, 1)
SECONDS = st.floats(0, LONGEST.total_seconds())
PLANS = st.builds(
    Plan,
    attempt=st.integers(1, MOST + 1),
    attempts=st.integers(1, MOST + 1),
    delay=SECONDS,
    backoff=st.sampled_from([FIXED, EXPONENTIAL]),
    max_delay=SECONDS,
)


def a_plan(**over: Any) -> Plan:
    return Plan(**{"attempts": 4, "delay": 60.0, "max_delay": 3600.0, **over})


def delays(plan: Plan, chance: float = 0) -> list[float]:
    """Seconds between the attempts of a request that always fails."""
    found = []
    while (after := plan.after("failed", 1, chance)) is not None:
        found.append(after.total_seconds())
        plan = plan.next()
    return found


class TestDelays:
    def test_exponential_ones_double_up_to_the_longest(self) -> None:
        assert delays(a_plan(attempts=8, max_delay=600.0)) == [60, 120, 240, 480, 600, 600, 600]

    def test_fixed_ones_stay_the_same_whatever_the_longest_is(self) -> None:
        assert delays(a_plan(backoff=FIXED, max_delay=1.0)) == [60, 60, 60]

    def test_none_at_all(self) -> None:
        assert delays(a_plan(delay=0.0)) == [0, 0, 0]

    @given(PLANS, CHANCES)
    def test_never_more_attempts_than_allowed(self, plan: Plan, chance: float) -> None:
        assert len(delays(plan, chance)) == max(0, plan.attempts - plan.attempt)

    @given(PLANS, CHANCES)
    def test_they_grow_up_to_the_longest(self, plan: Plan, chance: float) -> None:
        found = delays(replace(plan, attempt=1), chance)
        assert found == sorted(found)
        longest = plan.delay if plan.backoff == FIXED else plan.max_delay
        assert all(seconds <= longest * (1 + JITTER) + 1e-5 for seconds in found)

    @given(PLANS, CHANCES)
    def test_chance_only_adds_and_no_more_than_a_tenth(self, plan: Plan, chance: float) -> None:
        for least, some in zip(delays(plan), delays(plan, chance), strict=True):
            assert least <= some <= least * (1 + JITTER) + 1e-5

    @given(PLANS, CHANCES)
    def test_the_same_chance_gives_the_same(self, plan: Plan, chance: float) -> None:
        assert delays(plan, chance) == delays(Plan(**asdict(plan)), chance)

    def test_the_longest_can_be_added_to_any_moment(self) -> None:
        plan = a_plan(attempt=MOST, attempts=MOST + 1, delay=LONGEST.total_seconds())
        after = replace(plan, max_delay=plan.delay).after("failed", 1, 1)
        assert after is not None
        assert after <= 33 * DAY


class TestOutcomes:
    @pytest.mark.parametrize(
        ("on", "state", "code", "expected"),
        [
            ("failed", "failed", 1, True),
            ("failed", "failed", None, True),
            ("failed", "timed_out", 143, False),
            ("timed_out", "timed_out", None, True),
            ("Timed Out", "timed_out", 143, True),
            ("warned", "warned", 2, True),
            ("lost", "lost", None, True),
            ("1, 75-78", "failed", 75, True),
            ("1,75 - 78", "failed", 78, True),
            ("1,75-78", "failed", 79, False),
            ("2", "warned", 2, True),
            ("143", "timed_out", 143, False),
            ("1", "failed", None, False),
            ("255,", "failed", 255, True),
        ],
    )
    def test_which_are_tried_again(
        self, on: str, state: str, code: int | None, expected: bool
    ) -> None:
        assert (a_plan(on=on).after(state, code, 0) is not None) is expected

    @pytest.mark.parametrize("state", ["succeeded", "stopped", "cancelled"])
    def test_what_ended_well_or_was_ended_never_is(self, state: str) -> None:
        assert a_plan(on=", ".join([*STATES, "1-255"])).after(state, 0, 0) is None

    @pytest.mark.parametrize(
        "on",
        ["", " , ", "succeeded", "0", "256", "78-75", "1 2", "-1", "1-", "1000", "failed timed_out",
         "stopped", "é", "٣", "\0", "x" * 10_000],
    )  # fmt: skip
    def test_what_is_none_is_refused_in_one_short_line(self, on: str) -> None:
        with pytest.raises(ValueError, match="outcome") as error:
            parse(on)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 200

    @given(st.text(max_size=30))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            found = retrying.parse(text)
        except ValueError:
            return
        assert found.states | found.codes
        assert found.codes <= set(range(1, 256))
