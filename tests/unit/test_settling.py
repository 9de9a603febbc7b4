"""When a file is ready: with a clock and a file system made up here."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirmonitor.settling import LONGEST_BURST, LONGEST_OPEN, Event, Reason, Settler, Signature

A, B = b"/in/a", b"/in/b"
SETTLE = 2.0
STEP = 0.25


class World:
    """Files, who has them open, a clock, and a settler that is told of all that happens."""

    def __init__(self, known: dict[bytes, Signature] | None = None) -> None:
        self.now = 1000.0
        self.files: dict[bytes, Signature] = {}
        self.open: dict[bytes, bool | None] = {}
        self.settler = Settler(SETTLE, known)
        #: The requests that were made, with their moments.
        self.requests: list[tuple[float, set[bytes]]] = []
        #: Whether requests are accepted.
        self.is_accepting = True
        #: The moments of looks at pending files.
        self.looks: list[float] = []

    def scan(self) -> None:
        for path, signature in self.files.items():
            self.settler.seen(path, signature, self.now)
        self.settler.only(self.files, self.now)

    def write(self, path: bytes, size: int = 1, *events: Event) -> None:
        self.files[path] = (1, size, int(self.now * 1e9))
        for event in events:
            self.settler.event(path, event, self.now)

    def event(self, event: Event, path: bytes = A) -> None:
        self.settler.event(path, event, self.now)

    def go(self, seconds: float) -> None:
        """Let time pass; look at what is to be looked at, and ask for what is ready."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            self._look()
            at = self.settler.request_at(self.now)
            if at is not None and at <= self.now and self.is_accepting:
                ready = self.settler.ready()
                self.requests.append((self.now, set(ready)))
                self.settler.queued(ready)

    def _look(self) -> None:
        for path in list(self.settler.touching):
            self.settler.touched(path, self.files.get(path), self.now, self.now)
        for path in self.settler.to_look_at(self.now):
            self.looks.append(self.now)
            is_open = self.open.get(path, False)
            self.settler.looked(path, self.files.get(path), is_open, self.now, self.now)

    def triggered(self) -> list[set[bytes]]:
        return [files for _, files in self.requests]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def settled(world: World) -> World:
    """One in which A was handed over."""
    world.write(A)
    world.scan()
    world.go(3)
    world.requests.clear()
    return world


class TestReady:
    def test_a_new_file_after_its_settle_time_once(self, world: World) -> None:
        world.write(A)
        world.scan()
        world.go(SETTLE - STEP)
        assert world.triggered() == []
        world.go(STEP)
        assert world.triggered() == [{A}]
        world.scan()
        world.go(60)
        assert world.triggered() == [{A}]

    def test_by_events_alone(self, world: World) -> None:
        world.write(A, 1, Event.ARRIVED, Event.WRITTEN, Event.CLOSED)
        world.go(3)
        assert world.triggered() == [{A}]

    def test_a_long_write_settles_once(self, world: World) -> None:
        world.open[A] = True
        world.write(A, 1, Event.ARRIVED, Event.WRITTEN)
        world.go(3)
        world.open[A] = False
        world.write(A, 2, Event.WRITTEN, Event.CLOSED)
        closed = world.now
        world.go(6)
        assert world.requests == [(closed + SETTLE, {A})]

    def test_each_change_starts_the_time_anew(self, world: World) -> None:
        for size in range(1, 10):
            world.write(A, size)
            world.scan()
            world.go(1)
        assert world.triggered() == []
        world.go(1.5)
        assert world.triggered() == [{A}]

    def test_an_event_starts_it_anew_even_if_nothing_is_seen_of_it(self, world: World) -> None:
        world.write(A)
        world.scan()
        world.go(1.5)
        world.event(Event.WRITTEN)
        world.go(1.5)
        assert world.triggered() == []

    @pytest.mark.parametrize(("settle", "after"), [(0.5, STEP), (2.5, 1.5), (60, 59)])
    def test_another_settle_time_counts_from_the_last_change(
        self, world: World, settle: float, after: float
    ) -> None:
        world.write(A)
        world.scan()
        world.go(1)
        world.settler.change_settle(settle, world.now)
        changed = world.now
        world.go(60)
        assert world.requests == [(changed + after, {A})]

    def test_the_age_of_a_file_means_nothing(self, world: World) -> None:
        world.files[A] = (1, 1, 0)  # as `cp -p` leaves it
        world.scan()
        world.go(SETTLE - STEP)
        assert world.triggered() == []

    def test_a_file_that_is_gone_before_it_settled_triggers_nothing(self, world: World) -> None:
        world.write(A, 1, Event.ARRIVED)
        world.go(1)
        del world.files[A]
        world.go(5)
        assert world.triggered() == []
        assert not world.settler.pending

    def test_a_scan_that_began_before_a_file_came_does_not_forget_it(self, world: World) -> None:
        started = world.now
        world.now += 1
        world.write(A, 1, Event.ARRIVED)
        world.settler.only(set(), started)
        world.go(3)
        assert world.triggered() == [{A}]


class TestWaitingInVain:
    """A Job that is disabled may leave many files ready for days."""

    @pytest.mark.parametrize("is_open", [False, True])
    def test_what_does_not_change_is_looked_at_ever_more_rarely(self, is_open: bool) -> None:
        world = World()
        world.is_accepting, world.open[A] = False, is_open
        world.write(A)
        world.scan()
        world.go(10)
        assert 6 <= len(world.looks) <= 9
        world.go(LONGEST_OPEN - 30)
        assert len(world.looks) <= 70
        world.go(LONGEST_OPEN)
        assert len(world.looks) <= 90
        pauses = [after - before for before, after in pairwise(world.looks)]
        assert max(pauses) <= 60 + STEP

    def test_what_changes_is_looked_at_as_soon_as_ever(self) -> None:
        world = World()
        world.is_accepting = False
        world.write(A)
        world.scan()
        world.go(1000)
        world.looks.clear()
        world.write(A, 2, Event.WRITTEN, Event.CLOSED)
        world.go(10)
        assert len(world.looks) >= 6

    def test_what_is_confirmed_is_ready_when_it_was_looked_at(self) -> None:
        world = World()
        world.is_accepting = False
        world.write(A)
        world.write(B)
        world.scan()
        world.go(1000)
        del world.files[B]
        world.settler.confirm(world.now)
        assert world.settler.request_at(world.now) is None
        world.is_accepting = True
        world.go(STEP)
        assert world.triggered() == [{A}]


class TestOpen:
    def test_a_file_that_is_open_for_writing_waits_for_its_close(self, world: World) -> None:
        world.open[A] = True
        world.write(A, 1, Event.ARRIVED, Event.WRITTEN)
        world.go(60)
        assert world.triggered() == []
        assert world.settler.reasons() == {Reason.OPEN: [A]}
        world.open[A] = False
        world.event(Event.CLOSED)
        world.go(SETTLE)
        assert world.triggered() == [{A}]

    def test_after_a_quarter_of_an_hour_without_change_it_is_taken(self, world: World) -> None:
        world.open[A] = True
        world.write(A)
        world.scan()
        world.go(LONGEST_OPEN - 5)
        assert world.triggered() == []
        world.go(10)
        assert world.triggered() == [{A}]

    def test_where_it_cannot_be_asked_events_tell(self, world: World) -> None:
        world.open[A] = None
        world.write(A, 1, Event.ARRIVED, Event.WRITTEN)
        world.go(60)
        assert world.triggered() == []
        world.event(Event.CLOSED)
        world.go(SETTLE)
        assert world.triggered() == [{A}]

    def test_it_holds_up_no_other(self, world: World) -> None:
        world.open[A] = True
        world.write(A)
        world.scan()
        world.go(5)
        world.write(B)
        world.scan()
        world.go(3)
        assert world.triggered() == [{B}]


class TestBursts:
    def test_what_arrives_together_is_one_request(self, world: World) -> None:
        for number in range(10_000):
            world.write(b"/in/%d" % number)
        world.scan()
        world.go(3)
        assert [len(files) for files in world.triggered()] == [10_000]

    def test_a_steady_inflow_makes_few_requests_and_loses_none(self, world: World) -> None:
        for number in range(40):
            world.write(b"/in/%d" % number, 1, Event.ARRIVED, Event.CLOSED)
            world.go(0.5)
        world.go(20)
        assert len(world.requests) <= 3
        assert set().union(*world.triggered()) == set(world.files)

    def test_the_first_one_waits_no_longer_than_the_limit(self, world: World) -> None:
        start = world.now
        for number in range(100):
            world.write(b"/in/%d" % number, 1, Event.ARRIVED, Event.CLOSED)
            world.go(0.5)
        first = world.requests[0][0]
        assert first <= start + SETTLE + LONGEST_BURST + 3 * STEP

    def test_a_scan_between_ready_and_queued_makes_nothing_new_again(self, world: World) -> None:
        world.write(A)
        world.scan()
        for number in range(12):  # B settles for ever
            world.write(B, number)
            world.scan()
            world.go(1)
        assert {A} in world.triggered()


class TestRaces:
    def test_a_look_that_began_before_an_event_makes_nothing_ready(self, world: World) -> None:
        world.write(A)
        world.scan()
        world.go(1)
        world.event(Event.WRITTEN)
        world.settler.looked(A, world.files[A], False, world.now + 1, world.now + 1)
        assert world.settler.ready() == {}

    def test_what_comes_while_a_look_finds_it_gone_is_not_forgotten(self, settled: World) -> None:
        looked_at = settled.now
        settled.event(Event.LEFT)
        settled.now += STEP
        settled.write(A, 2, Event.ARRIVED, Event.CLOSED)
        settled.settler.looked(A, None, False, settled.now, looked_at)
        settled.go(3)
        assert settled.triggered()[-1] == {A}
        assert settled.files[A] == settled.settler.known[A]

    def test_what_changed_while_it_was_queued_stays_pending(self, world: World) -> None:
        world.write(A)
        world.scan()
        world.now += SETTLE
        world.settler.looked(A, world.files[A], False, world.now, world.now)
        ready = world.settler.ready()
        world.event(Event.WRITTEN)
        world.settler.queued(ready)
        world.go(3)
        assert world.triggered() == [{A}]

    def test_what_is_gone_while_it_was_queued_is_forgotten(self, world: World) -> None:
        world.write(A)
        world.scan()
        world.now += SETTLE
        world.settler.looked(A, world.files[A], False, world.now, world.now)
        ready = world.settler.ready()
        world.settler.gone(A)
        world.settler.queued(ready)
        assert (world.settler.known, world.settler.forgotten) == ({}, {A})

    def test_two_that_changed_places_are_both_new(self, settled: World) -> None:
        settled.write(B, 2, Event.ARRIVED)
        settled.go(3)
        settled.requests.clear()
        settled.files[A], settled.files[B] = settled.files[B], settled.files[A]
        for event, path in (
            (Event.LEFT, A),
            (Event.ARRIVED, B),
            (Event.LEFT, B),
            (Event.ARRIVED, A),
        ):
            settled.event(event, path)
        settled.go(3)
        assert settled.triggered() == [{A, B}]


class TestKnown:
    def test_a_known_file_stays_known_over_a_restart(self) -> None:
        world = World(known={A: (1, 1, 5)})
        world.files[A] = (1, 1, 5)
        world.scan()
        world.go(5)
        assert world.triggered() == []

    @pytest.mark.parametrize("signature", [(2, 1, 5), (1, 2, 5), (1, 1, 6)])
    def test_a_changed_one_is_new(self, signature: Signature) -> None:
        world = World(known={A: (1, 1, 5)})
        world.files[A] = signature
        world.scan()
        world.go(5)
        assert world.triggered() == [{A}]

    @pytest.mark.parametrize("event", [Event.CLOSED, Event.ARRIVED])
    def test_one_that_was_rewritten_is_new_even_if_it_looks_the_same(
        self, settled: World, event: Event
    ) -> None:
        settled.event(event)
        settled.go(3)
        assert settled.triggered() == [{A}]

    def test_one_that_came_back_is_new(self, settled: World) -> None:
        signature = settled.files.pop(A)
        settled.scan()
        settled.files[A] = signature
        settled.scan()
        settled.go(3)
        assert settled.triggered() == [{A}]


class TestTouched:
    def test_setting_the_times_of_a_known_file_is_no_change(self, settled: World) -> None:
        settled.files[A] = (1, 1, 77)
        settled.event(Event.TOUCHED)
        settled.go(1)
        settled.scan()
        settled.go(5)
        assert settled.triggered() == []

    def test_a_scan_that_sees_it_first_is_no_change(self, settled: World) -> None:
        settled.files[A] = (1, 1, 77)
        settled.event(Event.TOUCHED)
        settled.scan()
        settled.go(5)
        assert settled.triggered() == []
        assert settled.settler.renewed == {A: (1, 1, 77)}

    @pytest.mark.parametrize("pause", [0, 1])
    def test_nor_is_the_close_of_touch_itself(self, settled: World, pause: int) -> None:
        settled.files[A] = (1, 1, 77)
        settled.event(Event.TOUCHED)
        settled.go(pause)
        settled.event(Event.CLOSED)
        settled.go(5)
        settled.scan()
        settled.go(5)
        assert settled.triggered() == []

    def test_chmod_hides_no_close(self, settled: World) -> None:
        settled.event(Event.TOUCHED)
        settled.event(Event.CLOSED)
        settled.go(5)
        assert settled.triggered() == [{A}]

    def test_writing_with_times_kept_is_a_change(self, settled: World) -> None:
        settled.write(A, 1, Event.WRITTEN, Event.TOUCHED, Event.CLOSED)
        settled.go(5)
        assert settled.triggered() == [{A}]


Step = st.tuples(
    st.sampled_from(["write", "quietly", "remove", "scan", "close", "open", "move"]),
    st.sampled_from([A, B]),
    st.sampled_from([0, STEP, 1, 3]),
)


@given(st.lists(Step, max_size=30))
def test_whatever_happens_each_last_version_triggers_and_none_does_while_open(
    steps: list[tuple[str, bytes, float]],
) -> None:
    world = World()
    for version, (what, path, seconds) in enumerate(steps):
        if what == "write":
            world.write(path, version, Event.WRITTEN)
        elif what == "quietly":
            world.write(path, version)
        elif what == "move":
            world.write(path, version, Event.ARRIVED)
        elif what == "remove":
            world.files.pop(path, None)
            world.event(Event.LEFT, path)
        elif what == "scan":
            world.scan()
        elif path in world.files:
            world.open[path] = what == "open"
            if what == "close":
                world.event(Event.CLOSED, path)
        before = len(world.requests)
        world.go(seconds)
        for _, files in world.requests[before:]:
            assert not any(world.open.get(p) for p in files)
    world.open.clear()
    world.scan()
    world.go(30)
    assert world.settler.next_look_at() is None
    assert not world.settler.pending
    assert world.settler.known == world.files
