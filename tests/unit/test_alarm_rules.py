"""When an alarm is bad and when that is told."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.alarms import rules
from jobqueue.alarms.rules import Condition, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
QUIET = timedelta(minutes=5)
GOOD, BAD, NEITHER = Verdict

#: What happens to an alarm: the verdict on a run, and minutes until the next thing.
RUNS = st.lists(st.tuples(st.sampled_from(Verdict), st.integers(0, 20)), max_size=40)


def test_one_whose_retry_was_cancelled_goes_wrong_after_all() -> None:
    said = {"retried": True, "retry_cancelled": 4}
    assert rules.verdict("failed", said) is Verdict.BAD
    assert rules.verdict("failed", said, at_first_failure=True) is Verdict.NEITHER
    assert rules.verdict("lost", {"retry_cancelled": 4}, at_first_failure=True) is Verdict.BAD


class Story:
    """Runs of one Job, judged at once; what changes is told as soon as it's due."""

    def __init__(self, alarm_after: int = 1) -> None:
        self.known, self.now, self.run = Condition(), START, 0
        self.alarm_after = alarm_after
        self.told: list[tuple[datetime, bool, Condition]] = []

    def ends(self, found: Verdict, minutes: int = 0, run: int | None = None) -> Story:
        self.run = run or self.run + 1
        self.known = rules.after(
            self.known, self.run, found, self.now, self.now,
            alarm_after=self.alarm_after, quiet=QUIET,
        )  # fmt: skip
        return self.passes(minutes)

    def passes(self, minutes: int) -> Story:
        until = self.now + timedelta(minutes=minutes)
        if self.known.tell_at is not None and self.known.tell_at <= until:
            at = max(self.known.tell_at, self.now)
            self.told.append((at, self.known.is_bad, self.known))
            self.known = rules.told(self.known, at)
        self.now = until
        return self

    @property
    def words(self) -> list[str]:
        return ["bad" if is_bad else "good" for _, is_bad, _ in self.told]


class TestVerdict:
    @pytest.mark.parametrize("state", ["failed", "warned", "timed_out", "lost"])
    def test_what_goes_wrong(self, state: str) -> None:
        assert rules.verdict(state, {}) is BAD

    @pytest.mark.parametrize("state", ["failed", "lost"])
    def test_what_is_tried_again_says_nothing(self, state: str) -> None:
        assert rules.verdict(state, {"queued_again_as": 7}) is NEITHER
        assert rules.verdict(state, {"not_queued_again": "it was lost 3 times in a row"}) is BAD

    @pytest.mark.parametrize("state", ["stopped", "cancelled", "running"])
    def test_what_somebody_did_says_nothing(self, state: str) -> None:
        assert rules.verdict(state, {}) is NEITHER

    def test_one_that_takes_too_long_is_bad_though_it_ends_well(self) -> None:
        assert rules.verdict("running", {"overdue": True}) is BAD
        assert rules.verdict("succeeded", {"overdue": True}) is BAD

    def test_a_recovery_run_says_only_that_it_failed(self) -> None:
        assert rules.verdict("succeeded", {}) is GOOD
        assert rules.verdict("succeeded", {}, recovers=True) is NEITHER
        assert rules.verdict("failed", {}, recovers=True) is BAD


class TestStory:
    def test_a_good_one_that_ended_before_the_alarm_was_raised_comes_too_late(self) -> None:
        story = Story().passes(10).ends(BAD, run=8)
        story.known = rules.after(
            story.known, 7, GOOD, START, story.now, alarm_after=1, quiet=QUIET
        )
        assert story.known.is_bad
        assert not story.ends(GOOD, run=9).known.is_bad

    def test_one_mail_each_way(self) -> None:
        story = Story()
        for _ in range(10):
            story.ends(BAD, 10)
        story.ends(GOOD, 10).ends(GOOD, 10)
        assert story.words == ["bad", "good"]
        _, _, at_the_end = story.told[1]
        assert at_the_end.failures == 10
        assert at_the_end.since == START
        assert at_the_end.good_at == START + timedelta(minutes=100)

    def test_bad_is_told_at_once(self) -> None:
        story = Story().ends(BAD)
        assert [(at, is_bad) for at, is_bad, _ in story.told] == [(START, True)]

    def test_only_after_so_many_in_a_row(self) -> None:
        story = Story(alarm_after=3)
        story.ends(BAD, 10).ends(BAD, 10).ends(GOOD, 10).ends(BAD, 10).ends(BAD, 10)
        assert not story.told
        story.ends(NEITHER, 10).ends(BAD, 10)
        assert story.words == ["bad"]
        assert story.told[0][2].failures == 3

    def test_a_change_back_within_the_quiet_time_needs_no_word(self) -> None:
        story = Story().ends(BAD, 1).ends(GOOD, 1).ends(BAD, 1).passes(60)
        assert story.words == ["bad"]
        story.ends(GOOD, 1)
        assert story.words == ["bad", "good"]
        assert story.told[1][2].failures == 2

    def test_good_again_within_the_quiet_time_is_told_after_it(self) -> None:
        story = Story().ends(BAD, 1).ends(GOOD, 60)
        assert story.told[1][0] == START + QUIET
        assert story.told[1][2].good_at == START + timedelta(minutes=1)

    def test_one_that_took_too_long_counts_once(self) -> None:
        story = Story().ends(BAD, 1).ends(BAD, 1, run=1)
        assert story.known.failures == 1
        assert story.known.is_bad


@given(RUNS, st.integers(1, 4))
def test_whatever_happens(runs: list[tuple[Verdict, int]], alarm_after: int) -> None:
    story = Story(alarm_after)
    for found, minutes in runs:
        story.ends(found, minutes)
    story.passes(60)
    # It alternates, and begins with bad.
    assert story.words == ["bad", "good"] * (len(story.told) // 2) + ["bad"] * (len(story.told) % 2)
    # Never sooner than the quiet time allows.
    times = [at for at, _, _ in story.told]
    assert all(b - a >= QUIET for a, b in itertools.pairwise(times))
    # At last people know how it is, and nothing is left to tell.
    assert story.known.told_bad == story.known.is_bad
    assert story.known.tell_at is None
    # It is bad after so many in a row, and good after a good one.
    decisive = [found for found, _ in runs if found is not NEITHER]
    if decisive and decisive[-1] is GOOD:
        assert not story.known.is_bad
    if len(decisive) >= alarm_after and set(decisive[-alarm_after:]) == {BAD}:
        assert story.known.is_bad
    # A spell has a beginning, and as many failures as it says.
    assert (story.known.since is None) <= (not story.known.is_bad)
    assert story.known.failures >= story.known.in_a_row


class TestReminders:
    DAY = timedelta(days=1)

    def bad(self) -> Condition:
        known = rules.after(
            Condition(), 1, BAD, START, START, alarm_after=1, quiet=QUIET, remind_after=self.DAY
        )
        return rules.told(known, START, self.DAY)

    def after(self, known: Condition, run: int, found: Verdict, at: datetime) -> Condition:
        return rules.after(
            known, run, found, at, at, alarm_after=1, quiet=QUIET, remind_after=self.DAY
        )

    def test_one_comes_after_the_last_word(self) -> None:
        known = self.bad()
        assert known.tell_at == START + self.DAY
        again = rules.told(known, START + self.DAY, self.DAY)
        assert again.tell_at == START + 2 * self.DAY

    def test_further_bad_runs_don_t_put_it_off(self) -> None:
        known = self.after(self.bad(), 2, BAD, START + timedelta(hours=1))
        assert known.tell_at == START + self.DAY

    def test_good_news_don_t_wait_for_it(self) -> None:
        later = START + timedelta(hours=1)
        known = self.after(self.bad(), 2, GOOD, later)
        assert known.tell_at == later
        assert rules.told(known, later, self.DAY).tell_at is None

    def test_a_change_back_brings_it_back(self) -> None:
        known = self.after(self.bad(), 2, GOOD, START + timedelta(minutes=1))
        assert known.tell_at == START + QUIET
        known = self.after(known, 3, BAD, START + timedelta(minutes=2))
        assert known.tell_at == START + self.DAY


@given(RUNS)
def test_never_more_mails_than_changes(runs: list[tuple[Verdict, int]]) -> None:
    story, changes, was = Story(), 0, False
    for found, minutes in runs:
        story.ends(found, minutes)
        changes += story.known.is_bad != was
        was = story.known.is_bad
    assert len(story.told) <= changes
