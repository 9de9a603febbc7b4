"""Who looks after the record, when, and that nothing waits for it."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from jobqueue import clock, cluster, conf, owners, retention, upkeep
from jobqueue.models import Cluster, Execution
from tests.builders import a_cluster, an_ended, write_log
from tests.site import a_service
from tests.waiting import wait_until

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

OLD = timedelta(days=60)


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    """This process is a worker of a cluster that is alive."""
    identity = cluster.Identity(uuid.uuid4(), owners.me().pid)
    monkeypatch.setattr(cluster, "_identity", identity)
    clock._say_alive()


def an_old(**over: Any) -> Execution:
    then = timezone.now() - OLD
    return an_ended(**{"queued_at": then, "started_at": then, "ended_at": then, **over})


def at_once() -> upkeep.Upkeep:
    """One whose time has come, looked after; what it has begun has ended."""
    one = upkeep.Upkeep()
    one.look(time.monotonic() + upkeep.FIRST)
    end(one)
    return one


def end(one: upkeep.Upkeep) -> None:
    assert one._thread is not None
    one._thread.join(timeout=90)
    assert not one._thread.is_alive()


def last_time() -> Path:
    return conf.current().run_dir / "upkeep"


class TestWhen:
    def test_a_worker_that_has_just_begun_has_other_things_to_do(self) -> None:
        one = upkeep.Upkeep()
        one.look(time.monotonic())
        assert one._thread is None

    def test_once_an_hour_at_one_place(self) -> None:
        an_old()
        at_once()
        assert not Execution.objects.exists()
        an_old()
        at_once()
        assert Execution.objects.count() == 1
        before = time.time() - upkeep.EVERY
        os.utime(last_time(), (before, before))
        at_once()
        assert not Execution.objects.exists()

    def test_a_clock_that_was_set_back_stops_it_for_no_longer(self) -> None:
        at_once()
        later = time.time() + 10 * 365 * 86400
        os.utime(last_time(), (later, later))
        an_old()
        at_once()
        assert not Execution.objects.exists()

    def test_one_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        began, may_go_on, calls = threading.Event(), threading.Event(), list[int]()

        def keep_up(*_: object) -> None:
            calls.append(threading.get_ident())
            began.set()
            assert may_go_on.wait(30)

        monkeypatch.setattr(upkeep, "keep_up", keep_up)
        first = upkeep.Upkeep()
        first.look(time.monotonic() + upkeep.FIRST)
        assert began.wait(30)
        at_once()
        first.look(time.monotonic() + 2 * upkeep.EVERY)
        may_go_on.set()
        end(first)
        assert len(calls) == 1

    def test_the_database_is_away(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise OperationalError("gone")

        with monkeypatch.context() as away, caplog.at_level(logging.WARNING):
            away.setattr(upkeep, "keep_up", fail)
            one = at_once()
        assert "upkeep: gone" in caplog.text
        an_old()
        one.look(time.monotonic() + upkeep.AGAIN)
        end(one)
        assert not Execution.objects.exists()


class TestWho:
    def test_the_cluster_that_is_there_for_longest_sees_to_the_rows(self) -> None:
        """Another host has its own log files, so each sees to those."""
        row = an_old()
        orphan = conf.current().log_path(row.pk + 1)
        orphan.parent.mkdir(parents=True)
        orphan.touch()
        os.utime(orphan, (0, 0))
        a_cluster(name="older", host="edi-2", started_at=timezone.now() - OLD)
        at_once()
        assert Execution.objects.get() == row
        assert not orphan.exists()

    def test_one_that_is_dead_doesn_t_count(self) -> None:
        an_old()
        long_ago = timezone.now() - OLD
        a_cluster(name="dead", host="edi-2", started_at=long_ago, seen_at=long_ago)
        at_once()
        assert not Execution.objects.exists()


class TestSteps:
    def test_others_get_nine_parts_of_ten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        one = upkeep.Upkeep()

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            return False

        monkeypatch.setattr(one._is_over, "wait", wait)
        assert one._pause(0.0)
        assert one._pause(2.0)
        assert waits == [upkeep.PAUSE, 18.0]

    def test_it_stops_between_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "STEP", 1)
        for _ in range(3):
            an_old()
        done = upkeep.keep_up(lambda _: False)
        assert done["executions"] == 1
        assert Execution.objects.count() == 2

    def test_what_was_cut_off_is_gone_on_with_at_once(self) -> None:
        an_old()
        one = upkeep.Upkeep()
        one.stop()
        one.look(time.monotonic() + upkeep.FIRST)
        end(one)
        an_old()
        at_once()
        assert not Execution.objects.exists()

    def test_rows_that_a_host_protects_hold_up_no_others(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(retention, "STEP", 1)
        protected, other = an_old(), an_old()
        take = retention.Step.take

        def refuse(step: retention.Step) -> None:
            if protected.pk in step.executions:
                raise IntegrityError("a host's row points to it")
            take(step)

        monkeypatch.setattr(retention.Step, "take", refuse)
        with caplog.at_level(logging.WARNING):
            upkeep.keep_up(lambda _: True)
        assert Execution.objects.get() == protected
        assert "a host's row points to it" in caplog.text
        assert not Execution.objects.filter(pk=other.pk).exists()


def test_the_service_does_it_by_itself(data_dir: Path) -> None:
    Cluster.objects.all().delete()
    old, new = write_log(an_old()), write_log(an_ended())
    with a_service(jobqueue={"DATA_DIR": str(data_dir)}):
        wait_until(lambda: not Execution.objects.filter(pk=old.pk).exists(), 180, "upkeep")
    assert not Path(old.log_path).exists()
    assert Path(new.log_path).exists()
