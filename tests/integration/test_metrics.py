"""What load balancers and Prometheus are told, and who is told nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import metrics, queue, runs, tallies, upkeep
from jobqueue.models import Alarm, Cluster, Execution, Job, Message, State, Tally
from tests.builders import (
    a_cluster,
    a_job,
    a_run,
    a_waiting,
    an_end,
    an_ended,
)
from tests.site import a_service, wait_for_end
from tests.users import a_user
from tests.waiting import wait_until

pytestmark = [pytest.mark.database, pytest.mark.django_db]

TOKEN = "a-token.of_some~length/+="
HOUR = timedelta(hours=1)
NOW = timezone.now()


@pytest.fixture(autouse=True)
def none_counted() -> Iterator[None]:
    """What other tests of this process have counted is nobody's."""
    tallies._counts.clear()
    yield
    tallies._counts.clear()


@pytest.fixture
def token(settings: Settings) -> str:
    settings.JOBQUEUE = {**settings.JOBQUEUE, "METRICS_TOKEN": TOKEN}
    return TOKEN


def get(client: Client, path: str, authorization: str = "") -> Any:
    headers = {"Authorization": authorization} if authorization else {}
    return client.get(f"/jobqueue/{path}", headers=headers)


def samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All that is said now, as Prometheus' own library understands it."""
    families = text_string_to_metric_families(metrics.text(timezone.now()))
    return {
        (s.name, frozenset(s.labels.items())): s.value
        for family in families
        for s in family.samples
    }


def value(name: str, **labels: str) -> float | None:
    return samples().get((f"jobqueue_{name}", frozenset(labels.items())))


def ended(seconds: float = 1, job: Job | None = None, **over: Any) -> Execution:
    """A run that has just been announced."""
    named = {"job": job, "job_name": job.name} if job else {}
    began = timezone.now() - timedelta(seconds=seconds)
    run = an_ended(**{**named, "started_at": began, **over})
    run.ended_at = over.get("ended_at", began + timedelta(seconds=seconds))
    runs.announce_finished(run)
    return run


class TestHealth:
    @pytest.fixture(autouse=True)
    def on(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "HEALTH": True}

    def test_off_unless_it_is_switched_on(self, client: Client, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "HEALTH": False}
        assert get(client, "health").status_code == 404

    def test_a_word(
        self, client: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        a_cluster(name="secret")
        with django_assert_num_queries(1):
            answer = get(client, "health")
        assert (answer.status_code, answer.content) == (200, b"ok\n")
        assert "no-store" in answer["Cache-Control"]
        assert answer["Content-Type"].startswith("text/plain")

    def test_without_a_service(self, client: Client) -> None:
        a_cluster(seen_at=timezone.now() - HOUR)
        answer = get(client, "health")
        assert (answer.status_code, answer.content) == (503, b"down\n")

    def test_without_a_database(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where each request is a transaction."""

        def refuse(*_: object) -> Any:
            raise OperationalError("secret")

        a_cluster()
        monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
        with connection.execute_wrapper(refuse):
            answer = get(client, "health")
        assert (answer.status_code, answer.content) == (503, b"down\n")

    def test_it_only_tells(self, client: Client) -> None:
        assert client.post("/jobqueue/health").status_code == 405
        assert client.head("/jobqueue/health").content == b""


class TestWhoMayRead:
    def test_strangers_are_told_nothing(self, client: Client) -> None:
        for authorization in ("", "Bearer", "Bearer ", "Bearer None", "Basic Og=="):
            answer = get(client, "metrics", authorization)
            assert (answer.status_code, answer.content) == (403, b"forbidden\n")

    def test_by_token(self, client: Client, token: str) -> None:
        answer = get(client, "metrics", f"Bearer {token}")
        assert answer.status_code == 200
        assert answer["Content-Type"] == metrics.CONTENT_TYPE
        assert get(client, "metrics", f"bearer {token}").status_code == 200

    @pytest.mark.parametrize(
        "wrong",
        ["Bearer x", "Bearer \xe9\xff", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer"],
    )
    def test_by_another_one(self, client: Client, token: str, wrong: str) -> None:
        assert get(client, "metrics", wrong).status_code == 403

    def test_an_empty_token_is_none(self, client: Client, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "METRICS_TOKEN": ""}
        assert get(client, "metrics", "Bearer ").status_code == 403

    @pytest.mark.parametrize(("permission", "code"), [("view_execution", 200), ("run_job", 403)])
    def test_by_permission(self, client: Client, permission: str, code: int) -> None:
        client.force_login(a_user(permission))
        assert get(client, "metrics").status_code == code

    def test_without_a_database(self, client: Client, token: str) -> None:
        def refuse(*_: object) -> Any:
            raise OperationalError("secret")

        with connection.execute_wrapper(refuse):
            answer = get(client, "metrics", f"Bearer {token}")
        assert (answer.status_code, answer.content) == (503, b"down\n")


class TestQueues:
    def test_nothing_there(self) -> None:
        assert not any(samples().values())

    def test_what_waits_and_for_how_long(self) -> None:
        for minutes, priority in ((1, 1), (30, 5), (20, 9)):
            waiting = a_waiting(priority=priority)
            moment = timezone.now() - timedelta(minutes=minutes)
            Execution.objects.filter(pk=waiting.pk).update(queued_at=moment)
        a_waiting(queue="other")
        assert value("waiting", queue="default") == 3
        assert value("oldest_wait_seconds", queue="default") == pytest.approx(1800, abs=60)
        assert value("oldest_wait_seconds", queue="other") == pytest.approx(0, abs=60)

    def test_what_waits_for_its_own_time(self) -> None:
        waiting = a_waiting(not_before=timezone.now() + HOUR)
        Execution.objects.update(queued_at=timezone.now() - 9 * HOUR)
        assert value("waiting", queue="default") == 1
        assert value("oldest_wait_seconds", queue="default") == 0
        Execution.objects.filter(pk=waiting.pk).update(not_before=timezone.now() - HOUR)
        assert value("oldest_wait_seconds", queue="default") == pytest.approx(3600, abs=60)

    def test_very_many_are_not_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics, "MOST_WAITING", 2)
        for _ in range(3):
            a_waiting()
        assert value("waiting", queue="default") == 2

    def test_what_runs(self) -> None:
        a_run()
        Execution.objects.update(started_at=timezone.now() - HOUR)
        assert value("running", queue="default") == 1
        assert value("running_seconds", queue="default") == pytest.approx(3600, abs=60)
        assert value("waiting", queue="default") == 0

    def test_what_is_paused(self) -> None:
        queue.pause("a", by="ada")
        queue.pause("b", by="ada", until=timezone.now() - HOUR)
        assert (value("paused", queue="a"), value("paused", queue="b")) == (1, 0)

    def test_clusters(self) -> None:
        a_cluster(host="edi-1")
        a_cluster(host="edi-1")
        a_cluster(host="edi-2", seen_at=timezone.now() - HOUR)
        assert value("clusters", host="edi-1") == 2
        assert value("clusters", host="edi-2") is None


class TestRuns:
    def test_how_they_ended(self) -> None:
        job = a_job()
        for state in (State.SUCCEEDED, State.SUCCEEDED, State.FAILED):
            ended(job=job, state=state)
        ended(queue="other")
        tallies.store()
        labels = {"queue": "default", "job": job.name}
        assert value("runs_total", **labels, state="succeeded") == 2
        assert value("runs_total", **labels, state="failed") == 1
        assert value("runs_total", queue="other", job="", state="succeeded") == 1

    def test_they_stay_counted_when_the_record_is_deleted(self) -> None:
        ended()
        tallies.store()
        Execution.objects.all().delete()
        assert value("runs_total", queue="default", job="", state="succeeded") == 1

    def test_how_long_they_took(self) -> None:
        for seconds in (0.05, 0.1, 0.3, 90, 10**6):
            ended(seconds)
        tallies.store()
        said = {
            labels["le"]: count
            for (name, pairs), count in samples().items()
            if name.endswith("_bucket") and (labels := dict(pairs))
        }
        assert [said[le] for le in ("0.1", "0.5", "60", "300", "43200", "+Inf")] == [
            *(2, 3, 3, 4, 4, 5)
        ]
        assert value("run_duration_seconds_count", queue="default", job="") == 5
        total = value("run_duration_seconds_sum", queue="default", job="")
        assert total == pytest.approx(1000090.45)

    def test_a_run_that_never_began_is_none(self) -> None:
        ended(started_at=None, state=State.CANCELLED)
        tallies.store()
        assert not Tally.objects.exists()

    def test_a_clock_that_was_set_back_makes_no_run_shorter_than_nothing(self) -> None:
        ended(-3600)
        tallies.store()
        assert Tally.objects.get().seconds == 0

    def test_the_last_success_of_a_job(self) -> None:
        job, fails, disabled = a_job(), a_job(), a_job(enabled=False)
        ended(job=job, ended_at=timezone.now() - HOUR)
        ended(job=fails, state=State.FAILED)
        ended(job=disabled)
        ended()
        tallies.store()
        assert value("job_seconds_since_success", job=job.name) == pytest.approx(3600, abs=60)
        names = {pairs for name, pairs in samples() if name == "jobqueue_job_seconds_since_success"}
        assert names == {frozenset({("job", job.name)})}


class TestAlarms:
    def test_whether_each_job_is_bad(self) -> None:
        for name, is_bad in (("Engine", True), ("Backup", False)):
            Alarm.objects.create(job=a_job(name=name), is_bad=is_bad)
        Alarm.objects.create(is_bad=True)
        bad = {name: value("alarm", job=name) for name in ("Engine", "Backup", "", "Other")}
        assert bad == {"Engine": 1, "Backup": 0, "": 1, "Other": None}

    def test_messages_that_people_do_not_have(self) -> None:
        assert value("unsent_messages", state="waiting") == 0
        now = timezone.now()
        for over in ({"due_at": now}, {"due_at": now}, {}, {"sent_at": now}, {"dropped_by": "x"}):
            Message.objects.create(recipients=["a@x.example"], subject="s", text="t", **over)
        assert value("unsent_messages", state="waiting") == 2
        assert value("unsent_messages", state="given_up") == 1


class TestNames:
    @pytest.mark.parametrize(
        "name", ['a"b', "a\\b", "a\nb 1", 'a"} 1\nx{y="', "a\\n", "\N{SNOWMAN}", "a\rb", "\t"]
    )
    def test_anything_is_one_label(self, name: str) -> None:
        ended(job=a_job(name=name))
        tallies.store()
        assert value("runs_total", queue="default", job=name, state="succeeded") == 1

    def test_what_is_no_text(self) -> None:
        line = metrics._line("x", {"job": "\udcff"}, 1)
        assert line == 'jobqueue_x{job="\\\\udcff"} 1'


class TestCounting:
    def test_off_the_way_from_run_to_run(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        run = an_ended()
        with django_assert_num_queries(0):
            tallies.note(run)

    def test_at_rest_nothing_is_written(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(0):
            tallies.store()

    def test_a_thousand_runs_are_one_row(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        run = an_ended()
        tallies.note(run)
        tallies.store()
        for _ in range(1000):
            tallies.note(run)
        with django_assert_num_queries(3):  # in a transaction
            tallies.store()
        assert Tally.objects.get().count == 1001

    def test_many_kinds_are_written_little_by_little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tallies, "MOST", 2)
        for number in range(5):
            tallies.note(an_ended(queue=f"q{number}"))
        counts = []
        for _ in range(3):
            tallies.store()
            counts.append(Tally.objects.count())
        assert counts == [2, 4, 5]

    def test_the_database_is_away_and_nothing_is_lost(self) -> None:
        def refuse(*_: object) -> Any:
            raise OperationalError("gone")

        run = an_ended()
        tallies.note(run)
        with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
            tallies.store()
        tallies.note(run)
        tallies.store()
        assert Tally.objects.get().count == 2

    def test_jobs_that_are_gone_are_forgotten(self) -> None:
        job, gone = a_job(), a_job()
        for which in (job, gone, None):
            ended(job=which)
        tallies.store()
        Tally.objects.update(last_at=NOW - 2 * upkeep.TALLIES)
        gone.delete()
        tallies.forget(NOW - upkeep.TALLIES)
        assert set(Tally.objects.values_list("job_name", flat=True)) == {job.name, ""}


class TestCost:
    def questions(self) -> int:
        with CaptureQueriesContext(connection) as asked:
            metrics.text(timezone.now())
        return len(asked)

    def test_the_record_is_not_asked(self) -> None:
        job = a_job()
        a_waiting(job)
        before = self.questions()
        for _ in range(50):
            an_ended(job=job)
            a_waiting()
        assert self.questions() == before

    def test_a_few_questions_a_queue(self) -> None:
        a_waiting(queue="a")
        one = self.questions()
        for name in "bcdef":
            a_waiting(queue=name)
        assert self.questions() == one + 5 * 5

    def test_none_for_a_job(self) -> None:
        ended(job=a_job())
        tallies.store()
        before = self.questions()
        for _ in range(20):
            ended(job=a_job())
        tallies.store()
        assert self.questions() == before


@pytest.mark.django_db(transaction=True)
class TestProcesses:
    def test_two_that_count_the_same_at_once(self) -> None:
        """Each in a connection of its own, none of which has the row yet."""
        failures: list[BaseException] = []
        start = threading.Barrier(4)

        def add() -> None:
            try:
                start.wait(90)
                tallies._store(("default", "", "succeeded", 100), tallies._Count(1, 0.5, NOW))
            except BaseException as failure:
                failures.append(failure)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert failures == []
        row = Tally.objects.get()
        assert (row.count, row.seconds) == (4, 2.0)

    def test_a_service(self) -> None:
        with a_service():
            job = a_job(argv=["true"])
            done = [a_waiting(job, trigger=NOW + number * HOUR) for number in range(3)]
            wait_for_end(*done)
            wait_until(lambda: Tally.objects.filter(count=3).exists(), 90, "the tally")
            assert value("job_seconds_since_success", job=job.name) is not None
            a_waiting(job)
            wait_for_end()
            assert value("clusters", host=Cluster.objects.get().host) == 1
        # What was counted last is written when the service stops.
        counts: Mapping[str, int] = dict(Tally.objects.values_list("job_name", "count"))
        assert counts == {job.name: 4}


def test_a_user_of_the_site_sees_them(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    assert b"# TYPE jobqueue_waiting gauge" in get(client, "metrics").content


def test_an_end_that_is_stored_is_counted_when_it_is_announced() -> None:
    run = a_run()
    queue.finish(run, an_end())
    assert tallies._counts == {}
    runs.announce_finished(run)
    [(key, count)] = tallies._counts.items()
    assert (key[:3], count.runs) == (("default", "", "succeeded"), 1)
