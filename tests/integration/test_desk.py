"""The desk: what is read of the queues at one moment, and what that costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobqueue import acknowledging, bounded, desk, queue
from jobqueue.alarms import judging
from jobqueue.desk import QueueDesk, bad_alarms, bad_ends, durations, reading, upcoming
from jobqueue.desk.bad_alarms import BadAlarms
from jobqueue.desk.bad_ends import Lately
from jobqueue.models import Alarm, Execution, Job, State
from tests.builders import (
    a_cluster,
    a_command,
    a_job,
    a_lost,
    a_run,
    a_schedule,
    a_waiting,
    an_ended,
)

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def ran(what: Job | list[str], *minutes: float, **over: Any) -> None:
    """Runs on the record that took so long."""
    for took in minutes:
        now = timezone.now()
        values = {"started_at": now - took * MINUTE, "ended_at": now, **over}
        if isinstance(what, Job):
            an_ended(job=what, job_name=what.name, argv=what.argv, **values)
        else:
            an_ended(argv=what, **values)


def running_for(minutes: float, what: Job, **over: Any) -> Execution:
    run = a_run(what, **over)
    Execution.objects.filter(pk=run.pk).update(started_at=timezone.now() - minutes * MINUTE)
    return run


def the(name: str = "default") -> QueueDesk:
    [found] = [row for row in desk.read(timezone.now()).queues if row.name == name]
    return found


class TestBounded:
    @pytest.mark.database
    def test_queues_in_which_something_waits(self) -> None:
        assert bounded.queues() == ([], set())
        for name in ("b", "a", "b", "c.1", "c-2", "c_3"):
            a_waiting(queue=name)
        a_run(queue="running")
        an_ended(queue="ended")
        queue.pause("b", "ada", "why")
        queue.pause("still", "ada")
        rows, waiting = bounded.queues()
        assert {row.name for row in rows if row.is_paused(timezone.now())} == {"b", "still"}
        assert sorted(waiting) == ["a", "b", "c-2", "c.1", "c_3"]

    @pytest.mark.database
    def test_slices_together(self) -> None:
        for name in "abc":
            for _ in range(3):
                a_waiting(["%s", "100 %", name + str(_)], queue=name)
        waiting = Execution.objects.waiting()
        parts = [waiting.filter(queue=name).in_order().only("queue", "argv")[:2] for name in "ab"]
        found = bounded.together(parts)
        assert sorted((e.queue, e.argv[2]) for e in found) == [
            ("a", "a0"), ("a", "a1"), ("b", "b0"), ("b", "b1"),
        ]  # fmt: skip
        columns = [waiting.filter(queue=name).order_by().values("queue")[:2] for name in "ab"]
        assert bounded.counts(columns) == {"a": 2, "b": 2}

    def test_more_than_one_statement_may_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bounded, "PARTS", 2)
        for name in "abcde":
            a_waiting(queue=name)
        waiting = Execution.objects.waiting()
        parts = [waiting.filter(queue=name).order_by()[:1] for name in "abcde"]
        assert sorted(e.queue for e in bounded.together(parts)) == list("abcde")
        assert bounded.counts([part.values("queue") for part in parts]) == dict.fromkeys("abcde", 1)

    def test_none(self) -> None:
        assert bounded.together([]) == []
        assert bounded.counts([]) == {}


class TestDurations:
    @pytest.mark.database
    def test_of_jobs_and_of_bare_commands(self) -> None:
        job, command = a_job(), a_command()
        ran(job, 1, 2)
        ran(job, 50, state=State.FAILED)
        ran(job, 3, state=State.WARNED)
        ran(a_job(), 9)
        ran(command, 4)
        found = durations.of(bounded.together(durations.parts([job.pk, None])))
        of_job = found[durations.kind(job.pk, "")]
        assert [round(took / MINUTE) for took in of_job] == [3, 2, 1]
        digest = an_ended(argv=command, state=State.FAILED).digest
        assert [round(took / MINUTE) for took in found[durations.kind(None, digest)]] == [4]

    def test_only_the_last_ones_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(durations, "LOOKED_AT", 5)
        monkeypatch.setattr(durations, "COUNTED", 2)
        job = a_job()
        ran(job, 1, 2, 3, 4)
        ran(job, 1, 1, state=State.FAILED)
        found = durations.of(bounded.together(durations.parts([job.pk])))
        of_job = found[durations.kind(job.pk, "")]
        assert [round(took / MINUTE) for took in of_job] == [4, 3]


class TestQueues:
    def test_which(self) -> None:
        queue.pause("paused", "ada")
        a_waiting(queue="waiting")
        a_run(queue="running")
        a_schedule(queue="fired", next_fire_at=timezone.now() + MINUTE)
        a_schedule(queue="tomorrow", next_fire_at=timezone.now() + timedelta(days=1))
        an_ended(queue="forgotten")
        names = [row.name for row in desk.read(timezone.now()).queues]
        assert names == ["default", "fired", "paused", "running", "waiting"]

    def test_what_runs(self) -> None:
        job = a_job()
        ran(job, 10)
        run = running_for(4, job)
        Execution.objects.filter(pk=run.pk).update(log_tail="x" * 3000 + "end")
        running = the().running
        assert running is not None
        assert running.execution == run
        assert running.output.endswith("xend")
        assert len(running.output) == reading.OUTPUT
        assert running.usual is not None
        assert running.ends_at is not None
        assert round((running.ends_at - timezone.now()) / MINUTE) == 6
        assert the().waiting == ()

    def test_what_waits_in_its_order(self) -> None:
        a_cluster()
        orders, invoices = a_job(name="Orders"), a_job(name="Invoices")
        ran(orders, 14)
        ran(invoices, 5)
        running_for(0, orders)
        retry = a_waiting(priority=1, not_before=timezone.now() + 60 * MINUTE)
        last = a_waiting(invoices)
        first = a_waiting(orders, priority=1)
        found = the()
        assert [row.execution for row in found.waiting] == [first, last, retry]
        assert [row.behind for row in found.waiting] == ["Orders", "Orders", ""]
        starts = [row.place.starts_at for row in found.waiting]
        away = [round((at - timezone.now()) / MINUTE) for at in starts if at]
        assert away == [14, 28, 60]

    def test_what_starts_meanwhile_is_there_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waiting = a_waiting()
        together = bounded.together

        def late(parts: Any) -> Any:
            found = together(parts)
            queue.claim("default")
            return found

        monkeypatch.setattr(bounded, "together", late)
        found = the()
        assert found.running is not None
        assert found.running.execution == waiting
        assert (found.waiting, found.count) == ((), 0)

    def test_no_cluster_no_forecast(self) -> None:
        job = a_job()
        ran(job, 1)
        a_waiting(job)
        assert [row.place.starts_at for row in the().waiting] == [None]

    def test_one_worker_for_two_queues(self) -> None:
        a_cluster(workers=1)
        long, short = a_job(name="Long"), a_job()
        ran(long, 60)
        ran(short, 1)
        running_for(20, long)
        a_waiting(short, queue="etl")
        [row] = the("etl").waiting
        assert row.behind == "Long"
        assert row.place.starts_at is not None
        assert round((row.place.starts_at - timezone.now()) / MINUTE) == 40
        # Then it is this queue's turn, or the other one's, where something waits as well.
        assert not row.place.is_earliest
        a_waiting(short)
        assert the("etl").waiting[0].place.is_earliest
        assert the().waiting[0].place.is_earliest
        a_cluster(workers=1)
        assert the("etl").waiting[0].place.starts_at is not None
        assert [w.behind for w in the("etl").waiting] == [""]

    def test_a_paused_queue_wants_no_worker(self) -> None:
        a_cluster(workers=1)
        a_waiting(queue="etl")
        a_waiting()
        assert the().waiting[0].place.is_earliest
        queue.pause("etl", "ada")
        assert not the().waiting[0].place.is_earliest

    def test_a_pause(self) -> None:
        a_cluster()
        a_waiting()
        until = timezone.now() + 30 * MINUTE
        queue.pause("default", "ada", "why", until)
        found = the()
        assert found.is_paused
        assert found.waiting[0].place.starts_at == until
        queue.pause("default", "ada")
        assert the().waiting[0].place.starts_at is None

    def test_very_many_queues_and_jobs(self) -> None:
        Execution.objects.bulk_create(
            Execution(
                argv=["true", str(n)], digest=str(n), queue=f"queue-{n}", job=a_job(),
            )
            for n in range(600)
        )  # fmt: skip
        assert len(desk.read(timezone.now()).queues) == 601

    @pytest.mark.database
    def test_only_the_first_are_read_and_only_so_many_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "READ", 3)
        rows = [a_waiting(queue=name) for name in ("a", "b") for _ in range(5)]
        found = the("a")
        assert [row.execution for row in found.waiting] == rows[:3]
        assert found.count == 5
        monkeypatch.setattr(reading, "COUNTED", 4)
        assert the("b").count == 4


class TestComing:
    #: Without another fire time in the hours that are looked at.
    DAILY: ClassVar[dict[str, Any]] = {
        "kind": "interval", "interval": timedelta(days=1), "expression": "",
    }  # fmt: skip

    def test_the_next_time_of_each(self) -> None:
        a_cluster()
        now = timezone.now()
        job = a_job(name="Orders")
        ran(job, 14)
        soon = a_schedule(job=job, next_fire_at=now + 5 * MINUTE, **self.DAILY)
        late = a_schedule(job=a_job(name="Late"), next_fire_at=now + 6 * MINUTE, **self.DAILY)
        a_schedule(job=a_job(enabled=False), next_fire_at=now + MINUTE, **self.DAILY)
        found = the().coming
        assert [row.schedule for row in found] == [soon, late]
        assert [row.behind for row in found] == ["", "Orders"]
        assert [row.is_late for row in found] == [False, True]
        assert found[1].place.starts_at == now + 19 * MINUTE

    def test_it_will_wait_already(self) -> None:
        a_cluster()
        long, job = a_job(name="Long"), a_job(name="Orders")
        ran(long, 60)
        running_for(0, long)
        a_waiting(job)
        a_schedule(job=job, next_fire_at=timezone.now() + MINUTE)
        [row] = the().coming
        assert row.served_by == "Orders"
        assert row.is_late

    def test_overload(self) -> None:
        job = a_job()
        ran(job, 7)
        a_schedule(job=job, expression="*/5 * * * *")
        assert the().load == pytest.approx(7 / 5, rel=0.05)

    def test_overload_of_all_queues_together(self) -> None:
        a_cluster(workers=1)
        for name in ("a", "b"):
            job = a_job(queue=name)
            ran(job, 3)
            a_schedule(job=job, expression="*/5 * * * *")
        assert [the(name).load for name in "ab"] == pytest.approx([6 / 5] * 2, rel=0.05)
        a_cluster(workers=1)
        assert [the(name).load for name in "ab"] == pytest.approx([3 / 5] * 2, rel=0.05)

    def test_more_schedules_than_are_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(upcoming, "SCHEDULES", 2)
        job = a_job()
        ran(job, 5)
        for minutes in (5, 10, 15):
            a_schedule(job=a_job(), next_fire_at=timezone.now() + minutes * MINUTE, **self.DAILY)
        found = desk.read(timezone.now())
        assert round(found.ahead / MINUTE) == 10

    def test_many_fire_times(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(upcoming, "FIRES", 10)
        job = a_job()
        ran(job, 0.5)
        a_schedule(job=job, expression="* * * * *")
        found = desk.read(timezone.now())
        assert found.queues[0].load == pytest.approx(0.5, rel=0.15)

    def test_a_schedule_that_cannot_be_understood(self) -> None:
        schedule = a_schedule(next_fire_at=timezone.now() + MINUTE)
        type(schedule).objects.filter(pk=schedule.pk).update(
            expression="nonsense", next_fire_at=schedule.next_fire_at
        )
        assert len(the().coming) == 1


class TestBadEnds:
    def test_what_is_not_mended_comes_first(self) -> None:
        job, other = a_job(), a_job()
        mended = an_ended(job=job, state=State.FAILED)
        ran(job, 1)
        an_ended(job=other, state=State.FAILED)
        lost, warned = a_lost(job=other), an_ended(state=State.WARNED)
        an_ended(state=State.FAILED, ended_at=timezone.now() - timedelta(days=2))
        an_ended(state=State.STOPPED)
        found = desk.read(timezone.now())
        assert [row.execution for row in found.bad_ends] == [warned, lost, mended]
        assert [row.times for row in found.bad_ends] == [1, 2, 1]
        assert [row.mended_by is None for row in found.bad_ends] == [True, True, False]
        assert found.lately.wrong == 2

    @pytest.mark.database
    def test_however_much_was_asked_for_since(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(durations, "RECENT", 3)
        monkeypatch.setattr(bad_ends, "LOOKED_AT", 3)
        bad = an_ended(job=a_job(), state=State.FAILED)
        for _ in range(4):
            a_waiting(queue="paused")
            an_ended(state=State.CANCELLED, started_at=None)
            ran(a_job(), 1)
        found = bad_ends.lately(timezone.now())
        assert [(each.pk, each.mended_by) for each in found.found] == [(bad.pk, None)]
        assert not found.is_cut

    @pytest.mark.database
    def test_however_long_ago_it_was_mended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(durations, "RECENT", 2)
        job, command = a_job(), a_command()
        ran(job, 1)
        for what in ({"job": job}, {"argv": command}):
            an_ended(state=State.FAILED, **what)
        ran(job, 1)
        mended_by = Execution.objects.latest("pk").pk
        ran(command, 1)
        ran(a_job(), 1)
        assert {bad.mended_by for bad in bad_ends.lately(timezone.now()).found} == {
            mended_by, mended_by + 1
        }  # fmt: skip
        ran(a_job(), 1)
        of_job, of_command = (
            next(bad for bad in bad_ends.lately(timezone.now()).found if bad.job_id == pk)
            for pk in (job.pk, None)
        )
        assert of_job.mended_by == mended_by
        assert of_command.is_open  # as far as could be seen

    def test_more_than_are_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bad_ends, "LOOKED_AT", 3)
        old = timezone.now() - timedelta(days=2)
        job = a_job()
        an_ended(job=job, state=State.FAILED, ended_at=old)
        for _ in range(2):
            an_ended(job=job, state=State.FAILED)
        assert not bad_ends.lately(timezone.now()).is_cut
        an_ended(job=job, state=State.FAILED)
        ran(job, 1)
        found = bad_ends.lately(timezone.now())
        assert (found.is_cut, found.wrong) == (True, 0)

    def test_counts(self) -> None:
        assert desk.counts(timezone.now()) == desk.Counts(
            0, 0, Lately(), BadAlarms(), is_served=False, is_stopping=False
        )
        a_run()
        a_waiting()
        a_waiting()
        an_ended(state=State.FAILED)
        found = desk.counts(timezone.now())
        assert (found.running, found.waiting, found.lately.wrong) == (1, 2, 1)
        a_cluster(seen_at=timezone.now() - timedelta(days=1))
        a_cluster(stopping_at=timezone.now())
        found = desk.counts(timezone.now())
        assert (found.is_served, found.is_stopping) == (False, True)
        a_cluster()
        assert desk.counts(timezone.now()).is_served


class TestBadAlarms:
    @pytest.mark.database
    def test_those_that_nobody_is_on_come_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bad_alarms, "TOLD", 2)
        now = timezone.now()
        Alarm.objects.create(job=a_job())
        seen_to = Alarm.objects.create(job=a_job(), is_bad=True, since=now, acknowledged_at=now)
        old = Alarm.objects.create(job=a_job(), is_bad=True, since=now - MINUTE)
        new = Alarm.objects.create(job=None, is_bad=True, since=now)
        found = desk.read(now).alarms
        assert found.found == (new, old, seen_to)
        assert found.told == (new, old)
        assert found.open == 2
        assert desk.counts(now).alarms == found


class TestFingerprint:
    def test_changes_with_what_is_to_be_seen(self) -> None:
        seen = [desk.fingerprint(desk.glance())]
        assert desk.fingerprint(desk.glance()) == seen[0]

        def changed() -> bool:
            seen.append(desk.fingerprint(desk.glance()))
            return seen[-1] not in seen[:-1]

        run = a_run()
        assert changed()
        Execution.objects.filter(pk=run.pk).update(log_tail="news")
        assert changed()
        queue.request_stop(run, "ada")
        assert changed()
        waiting = a_waiting()
        assert changed()
        queue.set_priority(waiting, 1, "ada")
        assert changed()
        queue.cancel(waiting, "ada")
        assert changed()
        queue.pause("default", "ada")
        assert changed()
        bad = an_ended(state=State.FAILED)
        assert changed()
        acknowledging.acknowledge(bad, "anna")
        assert changed()
        acknowledging.acknowledge(bad, "bert")
        assert changed()
        alarm = Alarm.objects.create(job=a_job(), is_bad=True)
        assert changed()
        judging.acknowledge(alarm, "anna", "", timezone.now())
        assert changed()

    @pytest.mark.database
    def test_changes_when_an_acknowledgement_is_taken_back(self) -> None:
        bad = an_ended(state=State.FAILED)
        before = desk.fingerprint(desk.glance())
        acknowledging.acknowledge(bad, "anna")
        assert desk.fingerprint(desk.glance()) != before
        acknowledging.withdraw_acknowledgement(bad, "anna")
        assert desk.fingerprint(desk.glance()) == before


class TestCost:
    def fill(self) -> None:
        for _ in range(3):
            job = a_job()
            ran(job, 1, 2, 3)
            a_waiting(job, queue="etl")
            a_schedule(job=job, next_fire_at=timezone.now() + MINUTE)
            an_ended(state=State.FAILED)
            Alarm.objects.create(job=job, is_bad=True)
            a_waiting()

    @pytest.mark.database
    def test_the_same_queries_whatever_there_is(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        a_cluster()
        a_run(queue="busy")
        counts = []
        for _ in range(3):
            self.fill()
            with CaptureQueriesContext(connection) as queries:
                desk.read(timezone.now())
            counts.append(len(queries))
        assert len(set(counts)) == 1
        assert counts[0] <= 9
        with django_assert_max_num_queries(4):
            desk.fingerprint(desk.glance())

    def test_no_query_is_without_a_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "READ", 2)
        a_run(queue="busy")
        self.fill()
        with CaptureQueriesContext(connection) as queries:
            desk.read(timezone.now())
            desk.counts(timezone.now())
            desk.fingerprint(desk.glance())
        said = [q["sql"] for q in queries if "jobqueue_execution" in q["sql"]]
        known = ("LIMIT", "= 'running'", "IN (", "MIN(queue)")
        assert [sql for sql in said if not any(words in sql for words in known)] == []
