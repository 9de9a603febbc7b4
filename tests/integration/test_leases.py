"""Until when a place may run jobs, and when another one takes them over."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from jobqueue import leases, owners
from jobqueue.leases import Watch
from jobqueue.models import Lease
from tests.waiting import wait_until

pytestmark = [pytest.mark.database, pytest.mark.django_db]

OTHER = "edi-2:boot.1"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.setattr(leases, "_renewed_at", float("-inf"))


def renewed(place: str, host: str = "edi-2", ago: timedelta = timedelta(0)) -> None:
    """That place was heard of."""
    values = {"host": host, "renewed_at": Now() - ago}
    Lease.objects.update_or_create(place=place, defaults=values)


def told() -> list[float]:
    """What the launchers read: seconds of CLOCK_BOOTTIME."""
    return [float(word) for word in owners.lease_path().read_text().split()]


class TestRenewal:
    def test_each_renewal_is_another_value(self) -> None:
        leases.renew()
        first = Lease.objects.get().renewed_at
        leases.renew()
        row = Lease.objects.get()
        assert row.place == owners.here()
        assert row.renewed_at > first

    def test_one_that_is_alone_has_no_limit(self) -> None:
        leases.renew()
        assert told() == []

    def test_one_that_is_not_alone_ends_its_runs_before_the_others_take_them(self) -> None:
        renewed(OTHER)
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        leases.renew()
        end_at, kill_at = told()
        assert before + 45 <= end_at + 0.001
        assert end_at < kill_at < time.clock_gettime(time.CLOCK_BOOTTIME) + 60

    def test_alone_again(self) -> None:
        renewed(OTHER)
        leases.renew()
        renewed(OTHER, ago=timedelta(minutes=2))
        leases.renew()
        assert told() == []

    def test_its_length_is_a_setting(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "LEASE": 6}
        renewed(OTHER)
        leases.renew()
        assert told()[0] < time.clock_gettime(time.CLOCK_BOOTTIME) + 5

    def test_launchers_that_cannot_be_told(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": "/dev/null"}
        leases.renew()
        assert "launchers can't be told" in caplog.text
        assert Lease.objects.exists()

    def test_nothing_starts_without_a_fresh_one(self, settings: Settings) -> None:
        leases.ensure()
        Lease.objects.all().delete()
        leases.ensure()
        assert not Lease.objects.exists()
        settings.JOBQUEUE = {**settings.JOBQUEUE, "LEASE": 0}
        leases.ensure()
        assert Lease.objects.exists()

    def test_an_old_one_of_another_place_is_forgotten(self) -> None:
        renewed(OTHER, ago=timedelta(days=2))
        leases.renew()
        assert list(Lease.objects.values_list("place", flat=True)) == [owners.here()]

    def test_two_machines_with_one_name_are_warned_of(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        renewed(OTHER, host=settings.JOBQUEUE["HOST"])
        leases.renew()
        assert [r.levelno for r in caplog.records] == [logging.WARNING]
        assert "give each its own" in caplog.text


@pytest.mark.django_db(transaction=True)
class TestForeground:
    @pytest.fixture(autouse=True)
    def _short(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "LEASE": 0.3}

    def test_it_is_renewed_all_the_while(self) -> None:
        with leases.kept():
            seen = Lease.objects.get().renewed_at
            wait_until(lambda: Lease.objects.get().renewed_at > seen, 90, "a renewal")


class TestWatch:
    def looked(self, *moments: float) -> Watch:
        """A watch that looked at these moments."""
        watch = Watch()
        for moment in moments:
            watch.look({OTHER}, moment)
        return watch

    def every(self, seconds: float, until: float) -> list[float]:
        return [seconds * n for n in range(int(until / seconds) + 1)]

    def test_it_runs_out_when_it_was_watched_for_its_whole_length(self) -> None:
        renewed(OTHER)
        assert not self.looked(*self.every(2, 60)).has_run_out(OTHER, 60)
        assert self.looked(*self.every(2, 62)).has_run_out(OTHER, 62)

    def test_however_old_it_is_when_it_is_first_seen(self) -> None:
        renewed(OTHER, ago=timedelta(days=1))
        assert not self.looked(0).has_run_out(OTHER, 0)

    def test_one_that_never_was(self) -> None:
        assert self.looked(*self.every(2, 62)).has_run_out(OTHER, 62)

    def test_a_renewal_begins_it_anew(self) -> None:
        renewed(OTHER)
        watch = self.looked(*self.every(2, 40))
        renewed(OTHER)
        for moment in range(42, 80, 2):
            watch.look({OTHER}, moment)
        assert not watch.has_run_out(OTHER, 80)

    @pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1)])
    def test_whatever_the_clocks_say(self, ahead: timedelta) -> None:
        renewed(OTHER, ago=-ahead)
        assert not self.looked(*self.every(2, 60)).has_run_out(OTHER, 60)
        assert self.looked(*self.every(2, 62)).has_run_out(OTHER, 62)

    def test_while_the_database_is_away_nobody_can_renew(self) -> None:
        renewed(OTHER)
        watch = self.looked(*self.every(2, 50))
        for moment in range(58, 110, 2):
            watch.look({OTHER}, moment)
        assert not watch.has_run_out(OTHER, 110)

    def test_a_place_that_is_not_watched(self) -> None:
        assert not self.looked(*self.every(2, 100)).has_run_out("edi-3:boot.1", 100)

    def test_to_watch_nobody_asks_nothing(self, django_assert_num_queries: object) -> None:
        with django_assert_num_queries(0):  # type: ignore[operator]
            Watch().look(set(), 0)
