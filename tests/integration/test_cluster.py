"""What we read out of django-q2, held against the installed version by tasks of a real cluster."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django_q.models import OrmQ
from django_q.tasks import async_task

from jobqueue import cluster
from tests.service import Service
from tests.site import a_service
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 180  # that a slow machine is given


class Told:
    """What a worker says of its cluster while a task of it goes on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        async_task("tests.tasks.tell_of_cluster", str(file))

    def facts(self) -> dict[str, Any]:
        wait_until(self.file.exists, SECONDS, "a worker to tell something")
        facts: dict[str, Any] = json.loads(self.file.read_text())
        return facts

    def says(self, **expected: object) -> bool:
        return self.facts().items() >= expected.items()

    def until(self, **expected: object) -> None:
        wait_until(lambda: self.says(**expected), SECONDS, f"{expected}; it says {self.facts()}")


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "told")


def sentinel_of(service: Service, worker: int) -> int:
    return next(process.parent for process in service.processes() if process.pid == worker)


def test_outside_of_a_cluster() -> None:
    assert not cluster.stopping()
    assert cluster.identity() is None
    assert cluster.idle()
    assert cluster.wanted()  # nobody knows


def test_its_identity(told: Told) -> None:
    with a_service() as service:
        facts = told.facts()
        assert facts["pid"] == service.pid
        assert uuid.UUID(facts["uuid"]).version == 4
        assert facts["name"] in service.last_output(1000)
        processes = {process.pid: process for process in service.processes()}
        sentinel = processes[facts["worker"]].parent
        assert processes[sentinel].parent == service.pid


@pytest.mark.parametrize("workers", [1, 3])
def test_it_learns_that_the_cluster_is_stopping(told: Told, workers: int) -> None:
    with a_service({"workers": workers, "timeout": 50}) as service:
        assert told.says(stopping=False)
        assert service.stop() == 0  # the task returns when it has learned it
    assert told.says(stopping=True)


def test_it_is_wanted_while_another_task_waits(told: Told, tmp_path: Path) -> None:
    with a_service({"workers": 1, "timeout": 50}):
        told.until(wanted=False, idle=False)
        async_task("tests.tasks.note", str(tmp_path / "notes"), "x")
        told.until(wanted=True)


def test_it_is_wanted_by_the_order_to_stop(told: Told) -> None:
    with a_service({"workers": 1, "timeout": 50}) as service:
        told.until(wanted=False)
        assert service.stop() == 0


def test_a_wake_up_is_taken_off_the_broker_when_its_turn_begins() -> None:
    from jobqueue.api import Execution, enqueue
    from jobqueue.queue import request_stop
    from tests.site import wait_for_end, wait_for_start

    with a_service({"timeout": 50, "retry": 60}):
        run = wait_for_start(enqueue(["sleep", "600"]).execution)
        wait_until(lambda: not OrmQ.objects.exists(), SECONDS, "the broker to be empty")
        assert Execution.objects.running().get() == run
        request_stop(run, by="ada")
        wait_for_end()
