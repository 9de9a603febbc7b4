"""Many processes at once: real ones, on the database of the test.

That two runs never overlap is asserted from what the jobs themselves wrote down.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from jobqueue import queue
from jobqueue.api import ADDED, DUPLICATE, PROMOTED, enqueue
from jobqueue.models import Execution, State
from tests.addresses import REDIS_URL
from tests.builders import a_command, a_job, a_request, a_run, a_waiting, an_end
from tests.commands import Notes
from tests.servers import need
from tests.site import a_service, ask_at_once, wait_for_end, wait_for_start
from tests.waiting import wait_until
from tests.wakeups import woken

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

SECONDS = 180  # that a slow machine is given
T = TypeVar("T")


@contextmanager
def another_session() -> Iterator[Callable[..., Future[Any]]]:
    """A thread with a connection of its own; calls in it are made one after another."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit
        thread.submit(connections.close_all).result()


def at_once(count: int, step: Callable[[], T]) -> list[T]:
    """What each of so many sessions gets that do the same in the same instant."""
    gate = threading.Barrier(count)

    def one() -> T:
        try:
            connection.ensure_connection()
            gate.wait()
            return step()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return [future.result(SECONDS) for future in [threads.submit(one) for _ in range(count)]]


class TestAsking:
    def test_fifty_processes_in_the_same_instant_leave_one_row(self) -> None:
        outcomes = ask_at_once(50, ["true", "the same"])
        assert Counter(outcomes) == {ADDED: 1, DUPLICATE: 49}
        assert Execution.objects.count() == 1
        assert woken() == ["default"]

    def test_fifty_different_ones_are_all_accepted(self) -> None:
        outcomes = ask_at_once(50, ["true"], different=True)
        assert Counter(outcomes) == {ADDED: 50}
        assert Execution.objects.waiting().count() == 50
        assert len(woken()) <= 5

    def test_fifty_that_promote(self) -> None:
        waiting = a_waiting(["true", "the same"], priority=9)
        outcomes = Counter(ask_at_once(50, ["true", "the same"], priority=1))
        assert outcomes[PROMOTED] == 1
        assert outcomes[DUPLICATE] == 49
        assert Execution.objects.get() == waiting
        assert Execution.objects.get().priority == 1

    def test_fifty_that_amend_the_same_one(self) -> None:
        waiting = a_waiting(details={"count": 0})

        def add_one() -> bool:
            return queue.amend(waiting, lambda found: {"count": found["count"] + 1})

        for _ in range(5):
            assert at_once(10, add_one) == 10 * [True]
        assert Execution.objects.get().details == {"count": 50}

    def test_what_is_amended_in_a_transaction_starts_after_it(self) -> None:
        waiting, is_amended, may_commit = a_waiting(), threading.Event(), threading.Event()

        def amend() -> bool:
            with transaction.atomic():
                done = queue.amend(waiting, lambda _: {"count": 1})
                is_amended.set()
                assert may_commit.wait(SECONDS)
                return done

        with another_session() as call, another_session() as other:
            amended = call(amend)
            assert is_amended.wait(SECONDS)
            claimed = other(queue.claim, "default")
            may_commit.set()
            assert amended.result(SECONDS)
            run = claimed.result(SECONDS) or queue.claim("default")
        assert run is not None
        assert run.details == {"count": 1}

    def test_while_a_cluster_serves_them(self, notes: Notes) -> None:
        with a_service():
            outcomes = ask_at_once(50, notes.command("same"))
            rows = wait_for_end()
        added = Counter(outcomes)[ADDED]
        assert added + Counter(outcomes)[DUPLICATE] == 50
        assert len(notes.names()) == len(rows) == added
        assert not notes.overlap()


class TestClaiming:
    def test_one_of_many_gets_it(self) -> None:
        a_waiting()
        claimed = at_once(8, lambda: queue.claim("default"))
        assert len([execution for execution in claimed if execution is not None]) == 1
        assert Execution.objects.running().count() == 1

    def test_one_of_many_gets_one_of_several(self) -> None:
        waiting = [a_waiting() for _ in range(8)]
        claimed = at_once(8, lambda: queue.claim("default"))
        assert [execution for execution in claimed if execution is not None] == waiting[:1]

    def test_many_that_take_one_after_another(self) -> None:
        for _ in range(40):
            a_waiting()
        ran: list[int] = []

        def work() -> None:
            while Execution.objects.open().exists():
                execution = queue.claim("default")
                while execution is not None:
                    ran.append(execution.pk)
                    execution = queue.finish_and_claim(execution, an_end())

        at_once(4, work)
        assert sorted(ran) == sorted(Execution.objects.values_list("pk", flat=True))
        assert set(Execution.objects.values_list("state", flat=True)) == {State.SUCCEEDED}

    def test_a_direct_run_against_them(self) -> None:
        job = a_job()
        a_waiting()
        direct = iter([True, False, False, False])
        lock = threading.Lock()

        def take() -> Execution | None:
            with lock:
                is_direct = next(direct)
            return queue.claim_this(a_request(job)) if is_direct else queue.claim("default")

        claimed = at_once(4, take)
        assert len([execution for execution in claimed if execution is not None]) == 1

    def test_promoted_while_it_is_claimed(self) -> None:
        for _ in range(10):
            argv = a_command()
            a_waiting(argv, priority=9)
            first = iter([True, False])

            def either(first: Iterator[bool] = first, argv: list[str] = argv) -> Any:
                return queue.claim("default") if next(first) else enqueue(argv, priority=1)

            answers = at_once(2, either)
            claimed = next(answer for answer in answers if isinstance(answer, Execution))
            asked = next(answer for answer in answers if not isinstance(answer, Execution))
            again = Execution.objects.waiting().filter(argv=argv).first()
            if asked.outcome is ADDED:  # it had started: the request is a new one
                assert again == asked.execution != claimed
            else:
                assert asked.execution == claimed
                assert again is None
            queue.finish(claimed, an_end())
            queue.clear("default", by="ada")

    def test_cancelled_while_it_is_claimed(self) -> None:
        for _ in range(10):
            waiting = a_waiting()
            first = iter([True, False])

            def either(first: Iterator[bool] = first, waiting: Execution = waiting) -> Any:
                return queue.claim("default") if next(first) else queue.cancel(waiting, by="ada")

            answers = at_once(2, either)
            waiting.refresh_from_db()
            if True in answers:
                assert waiting.state == State.CANCELLED
                assert None in answers
            else:
                assert waiting in answers
                queue.finish(next(a for a in answers if isinstance(a, Execution)), an_end())


@pytest.fixture
def server() -> None:
    """SQLite has one writer: while a transaction is open, no other session starts anything."""
    if connection.vendor == "sqlite":
        pytest.skip("a database server only")


@pytest.mark.usefixtures("server")
class TestOpenTransaction:
    def test_its_requests_are_not_seen_before_the_commit(self) -> None:
        with another_session() as elsewhere:
            with transaction.atomic():
                enqueue(a_command())
                assert elsewhere(queue.claim, "default").result(SECONDS) is None
            assert elsewhere(queue.claim, "default").result(SECONDS) is not None

    def test_a_duplicate_in_it_holds_up_no_run(self) -> None:
        waiting = a_waiting(["x"])
        with another_session() as elsewhere:
            with transaction.atomic():
                assert enqueue(["x"]).outcome is DUPLICATE
                assert elsewhere(queue.claim, "default").result(SECONDS) == waiting
                assert Execution.objects.count() == 1
            assert Execution.objects.waiting().get().argv == ["x"]

    def test_a_duplicate_of_what_started_and_ended_is_queued_anew(self) -> None:
        waiting = a_waiting(["x"])

        def run() -> None:
            execution = queue.claim("default")
            assert execution == waiting
            queue.finish(execution, an_end())

        with another_session() as elsewhere, transaction.atomic():
            enqueue(["x"])
            elsewhere(run).result(SECONDS)
        assert Execution.objects.waiting().get() != waiting

    def test_the_same_request_elsewhere_waits_for_its_end(self) -> None:
        with another_session() as elsewhere:
            with transaction.atomic():
                first = enqueue(["x"]).execution
                asked = elsewhere(enqueue, ["x"])
            assert asked.result(SECONDS) == queue.Enqueued(DUPLICATE, first)

    def test_and_takes_its_place_if_it_is_rolled_back(self) -> None:
        with another_session() as elsewhere:
            with transaction.atomic():
                first = enqueue(["x"]).execution
                asked = elsewhere(enqueue, ["x"])
                transaction.set_rollback(True)
            answer = asked.result(SECONDS)
        assert answer.outcome is ADDED
        assert Execution.objects.get() == answer.execution != first

    def test_a_request_that_commits_during_the_last_look_is_not_forgotten(self) -> None:
        # The turn's last look doesn't see the request, and the request finds the queue busy:
        # it is the look after the commit that finds it.
        run = a_run()
        with another_session() as elsewhere:
            before = woken()
            with transaction.atomic():
                late = enqueue(a_command()).execution
                assert elsewhere(queue.finish_and_claim, run, an_end()).result(SECONDS) is None
            assert woken() == [*before, "default"]
            assert elsewhere(queue.claim, "default").result(SECONDS) == late


def served_before(notes: Notes, *names: str) -> int:
    """How many runs of queue a had come before the last of these."""
    ran = notes.names()
    return len([name for name in ran[: max(map(ran.index, names))] if name[0] == "a"])


class TestClusters:
    def test_several_never_overlap(self, notes: Notes) -> None:
        for number in range(60):
            enqueue(notes.command(number, 0.02))
        with ExitStack() as clusters:
            for _ in range(2):
                clusters.enter_context(a_service({"workers": 2}))
            for number in range(60, 80):
                enqueue(notes.command(number, 0.02))
            wait_for_end()
        assert sorted(map(int, notes.names())) == list(range(80))
        assert not notes.overlap()
        assert notes.names()[:60] == [str(number) for number in range(60)]

    def test_no_queue_starves(self, notes: Notes) -> None:
        for number in range(100):
            enqueue(notes.command(f"a{number}", 0.1), queue="a")
        for number in range(2):
            enqueue(notes.command(f"b{number}", 0.1), queue="b")
            enqueue(notes.command(f"c{number}", 0.1), queue="c")
        with a_service():
            wait_until(lambda: {"b1", "c1"} <= set(notes.names()), SECONDS, "the other queues")
            queue.clear("a", by="ada")
            wait_for_end()
        assert served_before(notes, "b1", "c1") < 100
        assert not notes.overlap()

    def test_nor_does_one_whose_time_comes_while_another_is_busy(self, notes: Notes) -> None:
        soon = timezone.now() + timedelta(seconds=3)
        enqueue(notes.command("delayed"), queue="b", not_before=soon)
        queue.pause("c", by="ada", until=soon)
        enqueue(notes.command("paused"), queue="c")
        for number in range(120):
            enqueue(notes.command(f"a{number}", 0.1), queue="a")
        with a_service():
            wait_until(lambda: {"delayed", "paused"} <= set(notes.names()), SECONDS, "the others")
            queue.clear("a", by="ada")
            wait_for_end()
        assert served_before(notes, "delayed", "paused") < 120

    def test_two_workers_run_two_queues_at_the_same_time(
        self, notes: Notes, tmp_path: Path
    ) -> None:
        """Each of the first two jobs goes on until the other one has begun."""
        other = Notes(tmp_path / "other")
        meet = 'touch "$1"; until [ -e "$2" ]; do sleep 0.02; done'
        a, b = str(tmp_path / "a"), str(tmp_path / "b")
        enqueue(["sh", "-c", meet, "sh", a, b], queue="a")
        enqueue(["sh", "-c", meet, "sh", b, a], queue="b")
        for number in range(5):
            enqueue(notes.command(f"a{number}", 0.1), queue="a")
            enqueue(other.command(f"b{number}", 0.1), queue="b")
        with a_service({"workers": 2}):
            wait_for_end()
        assert len(notes.names()) == len(other.names()) == 5
        assert not notes.overlap()
        assert not other.overlap()

    def test_a_host_s_own_tasks_go_on_beside_a_long_run(self, notes: Notes, tmp_path: Path) -> None:
        tasks = Notes(tmp_path / "tasks")
        with a_service({"workers": 2}):
            wait_for_start(enqueue(notes.command("long", 600)).execution)
            for number in range(5):
                async_task("tests.tasks.note", str(tasks.file), str(number))
            wait_until(lambda: len(tasks.names()) == 5, SECONDS, "the host's tasks")
            run = Execution.objects.running().get()
            queue.request_stop(run, by="ada")
            wait_for_end()

    def test_a_host_s_task_comes_between_runs_of_one_worker(
        self, notes: Notes, tmp_path: Path
    ) -> None:
        tasks = Notes(tmp_path / "tasks")
        for number in range(100):
            enqueue(notes.command(number, 0.1))
        with a_service():
            wait_until(notes.names, SECONDS, "the first run")
            async_task("tests.tasks.note", str(tasks.file), "task")
            [task] = wait_until(tasks.lines, SECONDS, "the host's task")
            queue.clear("default", by="ada")
            wait_for_end()
        assert len([run for run in notes.lines() if run["start"] < task["start"]]) < 100

    @pytest.mark.parametrize("broker", ["orm", "redis"])
    def test_a_run_longer_than_timeout_and_retry_runs_once(self, notes: Notes, broker: str) -> None:
        q_cluster: dict[str, Any] = {"timeout": 1, "retry": 2, "workers": 4, "max_attempts": 0}
        if broker == "redis":
            need("redis")
            q_cluster |= {"orm": None, "redis": REDIS_URL}
        with a_service(q_cluster):
            enqueue(notes.command("long", 7))
            enqueue(notes.command("next"))
            rows = wait_for_end()
        assert notes.names() == ["long", "next"]
        assert not notes.overlap()
        assert [row.state for row in rows] == [State.SUCCEEDED] * 2

    def test_requests_made_while_none_runs(self, notes: Notes) -> None:
        for number in range(20):
            enqueue(notes.command(number), queue=f"q{number % 2}")
        assert OrmQ.objects.count() == 2
        OrmQ.objects.all().delete()  # were they lost, the clock would look
        with a_service():
            wait_for_end()
        assert sorted(map(int, notes.names())) == list(range(20))
