"""The last runs of a Job as a picture, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low

from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from ..desk.durations import RAN_THROUGH
from ..models import Execution, Job, State
from . import display, links

#: Runs in the picture.
SHOWN = 40
#: Pixels: of a bar with its gap, of the highest bar, of the signs above it, of the lowest.
WIDTH, HEIGHT, ABOVE, LEAST = 16, 80, 16, 2


@dataclass(frozen=True)
class Bar:
    """A run."""

    x: int
    y: int
    height: int
    state: str
    #: Above the bar, unless all went well.
    sign: str
    title: str
    url: str


@dataclass(frozen=True)
class Picture:
    """The last runs, the newest at the right."""

    bars: list[Bar]
    width: int
    #: Of the picture, and where its ground is.
    height: int
    ground: int
    succeeded: int
    count: int
    median: str
    slowest: str
    #: How long the highest bar is.
    highest: str

    @property
    def percent(self) -> int:
        return 100 * self.succeeded // self.count


def of(request: HttpRequest, job: Job) -> Picture | None:
    """None where nothing has ended, or the user may not see executions."""
    if not request.user.has_perm("jobqueue.view_execution"):
        return None
    names = ("pk", "state", "started_at", "ended_at")
    last = Execution.objects.filter(job=job).order_by("-pk").values_list(*names)[: 2 * SHOWN]
    ended = [
        _Run(pk, State(state), started_at, ended_at - started_at)
        for pk, state, started_at, ended_at in last
        if started_at is not None and ended_at is not None
    ]
    return _picture(request, ended[:SHOWN][::-1]) if ended else None


@dataclass(frozen=True)
class _Run:
    pk: int
    state: State
    started_at: datetime
    took: timedelta


def _picture(request: HttpRequest, runs: list[_Run]) -> Picture:
    highest = max(run.took for run in runs)
    through = [run.took for run in runs if run.state in RAN_THROUGH]
    bars = [_bar(request, number, run, highest) for number, run in enumerate(runs)]
    return Picture(
        bars=bars,
        width=WIDTH * len(bars),
        height=HEIGHT + ABOVE + 1,
        ground=HEIGHT + ABOVE,
        succeeded=sum(run.state == State.SUCCEEDED for run in runs),
        count=len(runs),
        median=display.duration(median_low(through)) if through else "",
        slowest=display.duration(max(through)) if through else "",
        highest=display.duration(highest),
    )


def _bar(request: HttpRequest, number: int, run: _Run, highest: timedelta) -> Bar:
    height = max(LEAST, round(HEIGHT * (run.took / highest))) if highest else LEAST
    return Bar(
        x=number * WIDTH,
        y=HEIGHT + ABOVE - height,
        height=height,
        state=run.state,
        sign="" if run.state == State.SUCCEEDED else display.SIGNS[run.state],
        title=_("#%(pk)d %(state)s, %(when)s, took %(took)s")
        % {
            "pk": run.pk,
            "state": run.state.label,
            "when": formats.date_format(timezone.localtime(run.started_at), "Y-m-d H:i"),
            "took": display.duration(run.took),
        },
        url=links.to_admin(request, "jobqueue_execution_change", run.pk),
    )
