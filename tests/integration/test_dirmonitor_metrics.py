"""Monitors in the text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries

from dirmonitor import metrics
from dirmonitor.models import DirMonitor, Service, Status
from jobqueue import gauges
from jobqueue.api import Gauge, add_gauges
from jobqueue.metrics import text
from tests.builders import a_monitor

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def values(name: str) -> dict[tuple[str, ...], float]:
    """By labels, as Prometheus' own library understands it."""
    families = text_string_to_metric_families(text(timezone.now()))
    samples = (sample for family in families for sample in family.samples)
    return {tuple(s.labels.values()): s.value for s in samples if s.name == f"jobqueue_{name}"}


def said(monitor: DirMonitor, **status: object) -> None:
    """What the service has written of it."""
    DirMonitor.objects.filter(pk=monitor.pk).update(**status)


def test_which_watch_and_in_which_state_each_is(tmp_path: Path) -> None:
    Service.objects.create(host="edi-1", pid=1)
    for status in Status.values:
        said(a_monitor(tmp_path, name=status), status=status)
    a_monitor(tmp_path, name="new")
    a_monitor(tmp_path, name="off", enabled=False)
    assert values("dirmonitor_up") == {
        ("watching",): 1,
        ("polling",): 1,
        ("missing",): 0,
        ("unreachable",): 0,
        ("new",): 0,
    }
    states = values("dirmonitor_state")
    assert {labels for labels, value in states.items() if value} == {(s, s) for s in Status.values}
    assert len(states) == 5 * len(Status.values)


def test_without_a_service_none_watches(tmp_path: Path) -> None:
    said(a_monitor(tmp_path, name="In"), status=Status.WATCHING)
    gone = Service.objects.create(host="edi-1", pid=1)
    assert (values("dirmonitor_services"), values("dirmonitor_up")) == (
        {("edi-1",): 1},
        {("In",): 1},
    )
    Service.objects.filter(pk=gone.pk).update(seen_at=timezone.now() - timedelta(hours=1))
    assert (values("dirmonitor_services"), values("dirmonitor_up")) == ({}, {("In",): 0})


def test_files_and_triggers(tmp_path: Path) -> None:
    before = timezone.now() - timedelta(hours=1)
    said(a_monitor(tmp_path, name='"In"'), files_pending=3, last_trigger_at=before)
    a_monitor(tmp_path, name="new")
    assert values("dirmonitor_pending_files") == {('"In"',): 3, ("new",): 0}
    assert values("dirmonitor_seconds_since_trigger") == {('"In"',): pytest.approx(3600, abs=60)}


@pytest.mark.parametrize("monitors", [0, 20])
def test_two_questions_however_many_there_are(
    tmp_path: Path, django_assert_num_queries: DjangoAssertNumQueries, monitors: int
) -> None:
    for _ in range(monitors):
        a_monitor(tmp_path)
    with django_assert_num_queries(2):
        list(metrics.gauges(timezone.now()))


class TestAnAppThatFails:
    @pytest.fixture(autouse=True)
    def added(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gauges, "_of_apps", {**gauges._of_apps})

    def test_hides_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        def broken(_now: datetime) -> Iterator[Gauge]:
            yield Gauge("partners", "Partners.", [({}, 4)])
            raise RuntimeError("a host's mistake")

        a_monitor(tmp_path, name="In")
        add_gauges("portal", broken)
        add_gauges("other", lambda _now: [Gauge("others", "Others.", [({"of": "x"}, 2)])])
        assert values("others") == {("x",): 2}
        assert values("dirmonitor_up") == {("In",): 0}
        assert values("partners") == {}
        assert {record.__dict__["event"] for record in caplog.records} == {"metrics.failed"}

    def test_the_database_is_away_for_all_of_them(self) -> None:
        def refuse(_now: datetime) -> list[Gauge]:
            raise DatabaseError("gone")

        add_gauges("portal", refuse)
        with pytest.raises(DatabaseError):
            text(timezone.now())
