"""When what waits will start: rules that hold for any queue, and examples to read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobqueue.desk.forecast import Forecast, Place, Running, Work, forecast, load, rest, usual

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


def work(key: str, **over: Any) -> Work:
    """What was queued ten minutes ago and takes five."""
    values = {"same": key, "priority": 5, "arrives_at": at(-10), "takes": 5 * MINUTE}
    return Work(key, **{**values, **over})


def starts(found: Forecast) -> dict[Any, datetime | None]:
    return {key: place.starts_at for key, place in found.places.items()}


class TestExamples:
    def test_nothing(self) -> None:
        assert forecast(NOW, None, []) == Forecast({}, None)

    def test_behind_what_runs_and_behind_each_other(self) -> None:
        running = Running("orders", rest=14 * MINUTE)
        found = forecast(NOW, running, [work("late", priority=6), work("first")])
        assert found.ends_at == at(14)
        assert list(found.places) == ["first", "late"]
        assert found.places["first"] == Place(at(14), at(19), behind="orders")
        assert found.places["late"] == Place(at(19), at(24), behind="first")

    def test_nothing_runs(self) -> None:
        assert forecast(NOW, None, [work("a")]).places["a"] == Place(NOW, at(5))

    def test_after_what_nobody_knows_the_start_is_the_earliest(self) -> None:
        lines = [work("a", priority=1), work("b", priority=2, takes=None), work("c")]
        found = forecast(NOW, None, lines)
        assert not found.places["b"].is_earliest
        assert found.places["b"].ends_at is None
        assert found.places["c"] == Place(at(5), at(10), is_earliest=True, behind="b")

    def test_a_run_that_takes_longer_than_ever(self) -> None:
        found = forecast(NOW, Running("r"), [work("a")])
        assert found.ends_at is None
        assert found.places["a"] == Place(NOW, at(5), is_earliest=True, behind="r")

    def test_a_delayed_one_holds_up_no_other(self) -> None:
        lines = [work("retry", priority=1, not_before=at(3)), work("a"), work("b")]
        assert starts(forecast(NOW, None, lines)) == {"a": NOW, "retry": at(5), "b": at(10)}

    def test_a_delayed_one_alone_waits_for_nobody(self) -> None:
        found = forecast(NOW, Running("r", MINUTE), [work("retry", not_before=at(3))])
        assert found.places["retry"] == Place(at(3), at(8))

    def test_paused_for_good(self) -> None:
        found = forecast(NOW, Running("r", MINUTE), [work("a")], is_paused=True)
        assert found == Forecast({"a": Place(None)}, at(1))

    def test_paused_until(self) -> None:
        found = forecast(NOW, None, [work("a")], is_paused=True, paused_until=at(30))
        assert found.places["a"] == Place(at(30), at(35))

    def test_a_pause_that_ends_before_the_run_does(self) -> None:
        running = Running("r", 60 * MINUTE)
        found = forecast(NOW, running, [work("a")], is_paused=True, paused_until=at(30))
        assert found.places["a"].starts_at == at(60)

    def test_a_fire_that_lands_between(self) -> None:
        coming = [work("fire", arrives_at=at(3), priority=3)]
        found = forecast(NOW, None, [work("a"), work("b")], coming)
        assert starts(found) == {"a": NOW, "fire": at(5), "b": at(10)}
        assert found.places["fire"].behind == "a"

    def test_two_fires_at_once(self) -> None:
        coming = [work(key, arrives_at=at(60), number=n) for n, key in enumerate("xy")]
        found = forecast(NOW, None, [], coming)
        assert found.places["x"] == Place(at(60), at(65))
        assert found.places["y"] == Place(at(65), at(70), behind="x")

    def test_a_fire_of_what_waits_already(self) -> None:
        coming = [work("fire", same="b", arrives_at=at(1))]
        found = forecast(NOW, Running("r", 2 * MINUTE), [work("b")], coming)
        assert found.places["fire"] == Place(None, served_by="b")
        assert found.places["b"].starts_at == at(2)

    def test_a_fire_moves_what_waits_already_forward(self) -> None:
        coming = [work("fire", same="b", arrives_at=at(1), priority=1)]
        found = forecast(NOW, Running("r", 2 * MINUTE), [work("a"), work("b")], coming)
        assert starts(found) == {"b": at(2), "a": at(7), "fire": None}

    def test_a_fire_lets_a_retry_that_waits_for_its_time_start(self) -> None:
        retry = work("b", not_before=at(60), starts_when_asked=True)
        coming = [work("fire", same="b", arrives_at=at(1), priority=9)]
        found = forecast(NOW, None, [retry], coming)
        assert starts(found) == {"b": at(1), "fire": None}
        assert starts(forecast(NOW, None, [retry])) == {"b": at(60)}

    def test_a_fire_of_what_an_asker_delayed_leaves_its_time(self) -> None:
        coming = [work("fire", same="b", arrives_at=at(1))]
        found = forecast(NOW, None, [work("b", not_before=at(60))], coming)
        assert starts(found) == {"b": at(60), "fire": None}

    def test_a_fire_of_what_runs_is_a_new_request(self) -> None:
        coming = [work("fire", same="a", arrives_at=at(1))]
        found = forecast(NOW, None, [work("a")], coming)
        assert found.places["fire"] == Place(at(5), at(10), behind="a")


class TestDurations:
    def test_usual(self) -> None:
        assert usual([]) is None
        assert usual([9 * MINUTE, MINUTE, 5 * MINUTE]) == 5 * MINUTE

    def test_rest(self) -> None:
        past = [MINUTE, 5 * MINUTE, 9 * MINUTE]
        assert rest(past, timedelta()) == 5 * MINUTE
        assert rest(past, 6 * MINUTE) == 3 * MINUTE
        assert rest(past, 9 * MINUTE) is None
        assert rest([], MINUTE) is None

    def test_load(self) -> None:
        coming = [work("a"), work("b", takes=None), work("c", takes=70 * MINUTE)]
        assert load(coming, 60 * MINUTE) == 75 / 60
        assert load(coming, timedelta()) == 0


minutes = st.integers(0, 40).map(lambda n: n * MINUTE)
durations = st.none() | minutes


@st.composite
def queues(draw: st.DrawFn) -> dict[str, Any]:
    """Any queue: few priorities and kinds of requests, so that they meet."""
    waiting = [
        Work(
            ("waiting", number),
            draw(st.integers(0, 20).map(lambda n: n * 100)) + number,
            draw(st.integers(1, 3)),
            NOW - draw(minutes),
            number,
            draw(st.none() | minutes.map(lambda delta: NOW + delta)),
            draw(durations),
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    kinds = [work.same for work in waiting] + ["new", "other"]
    coming = [
        Work(
            ("coming", number),
            draw(st.sampled_from(kinds)),
            draw(st.integers(1, 3)),
            NOW + draw(minutes),
            number,
            takes=draw(durations),
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    is_paused = draw(st.booleans())
    return {
        "running": draw(st.none() | durations.map(lambda rest: Running("running", rest))),
        "waiting": waiting,
        "coming": coming,
        "is_paused": is_paused,
        "paused_until": NOW + draw(minutes) if is_paused else None,
    }


def free_at(queue: dict[str, Any]) -> datetime:
    """The first moment at which anything can start."""
    running = queue["running"]
    ends_at = NOW + running.rest if running and running.rest else NOW
    return max(ends_at, queue["paused_until"] or NOW)


class TestRules:
    @given(queues())
    def test_each_has_one_place(self, queue: dict[str, Any]) -> None:
        found = forecast(NOW, **queue)
        asked = {work.key for work in queue["waiting"] + queue["coming"]}
        assert set(found.places) == asked
        for place in found.places.values():
            assert (place.starts_at is None) == (place.served_by is not None)

    @given(queues())
    def test_what_waits_starts(self, queue: dict[str, Any]) -> None:
        found = forecast(NOW, **queue)
        assert all(found.places[work.key].starts_at for work in queue["waiting"])

    @given(queues())
    def test_nothing_starts_too_early(self, queue: dict[str, Any]) -> None:
        found = forecast(NOW, **queue)
        for work in queue["waiting"] + queue["coming"]:
            if moment := found.places[work.key].starts_at:
                assert moment >= max(work.arrives_at, work.not_before or NOW, free_at(queue))

    @given(queues())
    def test_one_at_a_time(self, queue: dict[str, Any]) -> None:
        started = [p for p in forecast(NOW, **queue).places.values() if p.starts_at]
        for first, second in itertools.pairwise(started):
            assert first.starts_at is not None
            assert second.starts_at is not None
            assert second.starts_at >= (first.ends_at or first.starts_at)

    @given(queues())
    def test_nothing_that_could_start_is_kept_waiting(self, queue: dict[str, Any]) -> None:
        """At each start, what starts later came later, may not start yet, or is no better."""
        places = forecast(NOW, **queue).places
        works = {work.key: work for work in queue["waiting"] + queue["coming"]}
        started = [key for key, place in places.items() if place.starts_at]
        best = {key: self._best(works[key], works, places) for key in started}
        for number, key in enumerate(started):
            moment = places[key].starts_at
            assert moment is not None
            for later in started[number + 1 :]:
                other = works[later]
                could = max(other.arrives_at, other.not_before or NOW) <= moment
                if could and other.arrives_at < moment:
                    assert best[key] <= works[later].priority

    @staticmethod
    def _best(work: Work, works: dict[Any, Work], places: dict[Any, Place]) -> int:
        same = [works[k].priority for k, place in places.items() if place.served_by == work.key]
        return min([work.priority, *same])

    @given(queues())
    def test_it_is_known_behind_whom(self, queue: dict[str, Any]) -> None:
        """The one before ends when it starts; behind nobody, it starts as soon as it may."""
        places = forecast(NOW, **queue).places
        works = {work.key: work for work in queue["waiting"] + queue["coming"]}
        for key, place in places.items():
            if place.behind is None and place.starts_at:
                work = works[key]
                moments = [work.arrives_at, work.not_before or NOW, free_at(queue)]
                assert place.starts_at == max(moments)
            elif place.behind in places:
                before = places[place.behind]
                assert (before.ends_at or before.starts_at) == place.starts_at

    @given(queues())
    def test_alone_the_order_is_that_of_the_queue(self, queue: dict[str, Any]) -> None:
        lines = [replace(work, not_before=None) for work in queue["waiting"]]
        found = forecast(NOW, **{**queue, "waiting": lines, "coming": []})
        in_order = sorted(lines, key=lambda w: (w.priority, w.arrives_at, w.number))
        assert list(found.places) == [work.key for work in in_order]

    @given(queues())
    def test_what_is_unknown_is_said(self, queue: dict[str, Any]) -> None:
        places = forecast(NOW, **queue).places
        works = {work.key: work for work in queue["waiting"] + queue["coming"]}
        is_unknown = queue["running"] is not None and queue["running"].rest is None
        for key, place in places.items():
            if place.starts_at:
                assert place.is_earliest == is_unknown
                is_unknown = is_unknown or works[key].takes is None
