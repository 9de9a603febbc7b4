"""Alarms that are bad: what isn't well, since when, and whether somebody is on it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from django.db.models import F

from ..models import Alarm

#: So many are looked at; of these so many are told.
LOOKED_AT, TOLD = 100, 10


@dataclass(frozen=True)
class BadAlarms:
    """Those that nobody is on first, :data:`LOOKED_AT` at most."""

    found: tuple[Alarm, ...] = ()

    def without(self, jobs: Container[int]) -> BadAlarms:
        """Those of other Jobs: a run that is told as gone wrong says it of these."""
        return BadAlarms(tuple(alarm for alarm in self.found if alarm.job_id not in jobs))

    @property
    def told(self) -> tuple[Alarm, ...]:
        """The first ones."""
        return self.found[:TOLD]

    @property
    def open(self) -> int:
        """How many nobody is on; :data:`LOOKED_AT` stands for that or more."""
        return sum(alarm.acknowledged_at is None for alarm in self.found)


def read() -> BadAlarms:
    """Those of this moment."""
    bad = Alarm.objects.filter(is_bad=True).select_related("job")
    order = (F("acknowledged_at").asc(nulls_first=True), "-since", "pk")
    return BadAlarms(tuple(bad.order_by(*order)[:LOOKED_AT]))
