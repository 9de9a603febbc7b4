"""Few rows out of many: looks that cost the same in any history."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobqueue import bounded
from tests.builders import an_ended

pytestmark = [pytest.mark.database, pytest.mark.django_db]
HOUR = timedelta(hours=1)
NOW = timezone.now()


class TestNewestBefore:
    def test_without_any(self) -> None:
        assert bounded.newest_before(NOW) == 0

    @pytest.mark.parametrize("near", [3, 1000])
    def test_each_of_a_history_with_gaps(self, near: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bounded, "NEAR", near)
        rows = [an_ended(queued_at=NOW + hours * HOUR) for hours in range(20)]
        for row in rows[3:9:2]:
            row.delete()
        left = [row for row in rows if row.pk]
        assert bounded.newest_before(left[0].queued_at) == 0
        for before, row in pairwise(left):
            assert bounded.newest_before(row.queued_at) == before.pk
        assert bounded.newest_before(NOW + 100 * HOUR) == left[-1].pk

    def test_what_was_queued_again_keeps_its_time_and_does_not_count(self) -> None:
        old = an_ended(queued_at=NOW - 9 * HOUR)
        fresh = an_ended(queued_at=NOW)
        an_ended(queued_at=old.queued_at, retry_of=old)
        assert bounded.newest_before(NOW - HOUR) == old.pk
        assert bounded.newest_before(NOW + HOUR) == fresh.pk

    def test_in_a_table_of_any_length(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        first = an_ended(queued_at=NOW - HOUR)
        an_ended(pk=first.pk + 10_000_000, queued_at=NOW + HOUR)
        with django_assert_max_num_queries(7):
            assert bounded.newest_before(NOW) == first.pk
