"""A project whose router sends reads to a replica, which may be behind."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist
from pytest_django import Settings

from dirmonitor import dispatch, ledger
from dirmonitor.admin import no_service
from jobqueue import api, leases, queue
from jobqueue.clock import Clock
from jobqueue.models import Execution, Job, State
from jobqueue.testing import assert_enqueued, drain
from tests.builders import a_command, a_job, a_monitor, a_run, a_waiting, an_end, an_ended
from tests.commands import program
from tests.terminal import call

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


class ReadsFromReplica:
    """A router; whatever it sends to the replica fails, since there is none."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return "replica" if model._meta.app_label in ("jobqueue", "dirmonitor") else None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return DEFAULT_DB_ALIAS


@pytest.fixture(autouse=True)
def _replica(settings: Settings, data_dir: Path) -> None:
    settings.DATABASE_ROUTERS = [ReadsFromReplica()]


def test_a_plain_read_goes_to_the_replica() -> None:
    """Or this module would show nothing."""
    with pytest.raises(ConnectionDoesNotExist, match="replica"):
        models.QuerySet(Job).count()


def test_another_database_can_still_be_named() -> None:
    with pytest.raises(ConnectionDoesNotExist, match="replica"):
        Execution.objects.using("replica").count()


def test_asking() -> None:
    job = a_job()
    assert api.enqueue(job, priority=5).outcome == api.ADDED
    assert api.enqueue(job, priority=5).outcome == api.DUPLICATE
    assert api.enqueue(job, priority=1).outcome == api.PROMOTED
    assert_enqueued(job, priority=1)
    Job.objects.update(enabled=False)
    with pytest.raises(api.JobDisabled):
        api.enqueue(job)


def test_running() -> None:
    for argv in (a_command(), program("fail", 7), program("sleep", 0.3)):
        api.enqueue(argv)
    assert queue.is_ready("default")
    assert list(queue.with_requests()) == ["default"]
    Clock().tick(0)
    assert [run.return_code for run in drain()] == [0, 7, 0]
    assert not queue.is_ready("default")


def test_queueing_again() -> None:
    run = a_run(a_job())
    lost = an_end(state=State.LOST, return_code=None, again_after=timedelta(0))
    for _ in range(2):
        again = queue.finish_and_claim(run, lost)
        assert again is not None
        assert again.retry_of_id == run.pk
        run = again
    assert run.retry_of is not None
    assert run.retry_of.state == State.LOST
    assert run.ended_at is None, "which isn't loaded by the claim"


def test_who_is_heard_of() -> None:
    """A lease that only a replica shows unrenewed is none that ran out."""
    leases.Watch().look(["elsewhere"], 0)
    assert leases.namesakes() == []


def test_steering() -> None:
    run, waiting = a_run(), a_waiting()
    assert api.set_priority(waiting, 1, by="ada")
    assert api.cancel(waiting, by="ada")
    assert api.request_stop(run, by="ada")
    api.pause("default", by="ada", reason="why")
    assert queue.claim("default") is None
    assert api.resume("default", by="ada")
    a_waiting()
    assert api.clear("default", by="ada") == 1


def test_forgetting() -> None:
    then = timezone.now() - HOUR
    an_ended(queued_at=then, ended_at=then)
    assert sum(len(step.executions) for step in api.prune(days=0)) == 1


def test_monitors() -> None:
    monitor = a_monitor("/in")
    files = {b"/in/a": (1, 1, 1)}
    for known in ({}, files):
        assert dispatch.hand_over(monitor.pk, files, known) is not None
    assert dispatch.hand_over(monitor.pk, files, {}) is None
    assert ledger.known(monitor.pk) == files
    ledger.forget(monitor.pk, files)
    assert ledger.known(monitor.pk) == {}
    assert no_service()


def test_commands() -> None:
    a_job(name="Report")
    a_run()
    assert call("jobs", "run", "Report").code == 0
    assert json.loads(call("queue", "status", "--json").out)[0]["waiting"]
    waiting = Execution.objects.waiting().get()
    assert call("jobs", "list").code == call("jobs", "show", "Report").code == 0
    assert call("queue", "list").code == call("queue", "cancel", str(waiting.pk)).code == 0
    assert "has ended" in call("queue", "cancel", str(waiting.pk)).err
