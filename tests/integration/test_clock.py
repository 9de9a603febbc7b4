"""The row of a cluster: kept up to date by its clock, and what it leaves of others."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from jobqueue import clock, cluster, conf, owners
from jobqueue.clock import Clock
from jobqueue.models import Cluster, Queue
from jobqueue.owners import Owner
from tests.builders import a_cluster, a_dead_owner, a_run, a_waiting

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch) -> uuid.UUID:
    """This process is a cluster of this id."""
    identity = cluster.Identity(uuid.uuid4(), owners.me().pid)
    monkeypatch.setattr(cluster, "_identity", identity)
    return identity.uuid


def long_ago(**over: float) -> dict[str, object]:
    return {"seen_at": timezone.now() - timedelta(**over)}


def of_before_the_restart() -> Owner:
    me = owners.me()
    return Owner(f"{conf.current().HOST}:another-boot.1", me.pid, me.started)


def names() -> set[str]:
    return set(Cluster.objects.values_list("name", flat=True))


def test_it_says_who_it_is_and_that_it_lives(mine: uuid.UUID) -> None:
    clock._say_alive()
    row = Cluster.objects.with_silence().get()
    assert (row.uuid, row.owner, row.is_alive) == (mine, str(owners.me()), True)
    Cluster.objects.update(**long_ago(minutes=1))
    assert not Cluster.objects.with_silence().get().is_alive
    clock._say_alive()
    assert Cluster.objects.with_silence().get().is_alive


def test_it_says_once_that_it_stops(mine: uuid.UUID) -> None:
    assert not clock._say_that_it_stops()  # it hasn't said yet who it is
    clock._say_alive()
    assert Cluster.objects.with_silence().get().is_serving
    assert clock._say_that_it_stops()
    row = Cluster.objects.with_silence().get()
    assert (row.is_stopping, row.is_serving, row.is_alive) == (True, False, True)
    assert clock._say_that_it_stops()
    assert Cluster.objects.get().stopping_at == row.stopping_at


def test_a_queue_has_a_row_before_its_first_run() -> None:
    a_run(queue="busy")
    a_waiting(queue="busy")
    a_waiting(queue="new")
    looks = Clock()
    looks.tick(0.0)
    assert set(Queue.objects.values_list("name", flat=True)) == {"busy", "new"}
    Queue.objects.all().delete()
    looks.tick(1.0)
    assert not Queue.objects.exists()  # it has seen to these


def test_a_new_one_takes_the_place_of_what_died_on_its_host(mine: uuid.UUID) -> None:
    a_cluster(name="gone", owner=a_dead_owner())
    a_cluster(name="alive")
    a_cluster(name="hangs", **long_ago(minutes=1))
    a_cluster(name="elsewhere", host="edi-2", owner="edi-2:boot.1:7-8", **long_ago(hours=23))
    a_cluster(name="forgotten", host="edi-3", owner="edi-3:boot.1:7-8", **long_ago(hours=25))
    clock._say_alive()
    assert names() - {Cluster.objects.get(uuid=mine).name} == {"alive", "hangs", "elsewhere"}


def test_one_that_dies_beside_it_is_shown_until_another_starts(mine: uuid.UUID) -> None:
    clock._say_alive()
    a_cluster(name="dead", owner=a_dead_owner(), **long_ago(minutes=1))
    clock._say_alive()
    assert "dead" in names()


def test_those_of_before_a_restart_of_the_machine_go_when_they_are_silent() -> None:
    """Until then, they may be another machine's that has this one's name."""
    a_cluster(name="before", owner=of_before_the_restart())
    clock._say_alive()
    clock._say_alive()
    assert "before" in names()
    Cluster.objects.filter(name="before").update(**long_ago(minutes=1))
    clock._say_alive()
    assert "before" not in names()
