"""What comes next: schedules and their next fire times, for the pages of a Job and of a queue."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Q, QuerySet
from django.http import HttpRequest

from ..commandline import printable
from ..models import Job, Schedule
from . import actions, display, links, schedule_words

#: Schedules on a page at most.
SHOWN = 10


@dataclass
class Planned:
    """A schedule in a list of what comes next."""

    name: str
    url: str
    words: str
    next: str
    job: str
    priority: int


def of_job(request: HttpRequest, job: Job) -> list[Planned]:
    """The schedules of a Job, the next one first and those that don't fire last."""
    order = (F("next_fire_at").asc(nulls_last=True), "name")
    return _rows(request, Schedule.objects.filter(job=job).order_by(*order))


def of_queue(request: HttpRequest, name: str) -> list[Planned]:
    """The next schedules that fire into a queue."""
    here = Q(queue=name) | Q(queue="", job__queue=name)
    return _rows(request, Schedule.objects.planned().filter(here))


def _rows(request: HttpRequest, schedules: QuerySet[Schedule]) -> list[Planned]:
    if not actions.may(request.user, "view_schedule"):
        return []
    return [_row(request, schedule) for schedule in schedules.select_related("job")[:SHOWN]]


def _row(request: HttpRequest, schedule: Schedule) -> Planned:
    return Planned(
        name=printable(schedule.name),
        url=links.to_admin(request, "jobqueue_schedule_change", schedule.pk),
        words=schedule_words.of(schedule),
        next=display.next_fire(schedule),
        job=printable(schedule.job.name),
        priority=schedule.priority,
    )
