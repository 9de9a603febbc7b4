"""A day of each queue as a picture: what ran when, how it ended, what waited, what comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from ... import bounded, desk
from ...bounded import Part, Sieve
from ...desk import QueueDesk
from ...models import Execution, State
from ...models.execution import OPEN
from .. import actions, display, links
from .timeline_span import Span

#: So many of the last runs are drawn.
RUNS = 1000
#: Pixels: of the lane of a queue, of a bar in it, of the ground line with the hours.
LANE, BAR, GROUND = 48, 18, 18
#: So long before the end the names of the lanes are repeated, for those who see no more.
NEAR = timedelta(hours=11.5)
#: Runs in the table.
LISTED = 200
#: How that ended which had started.
_ENDED = tuple(state for state in State if state not in (*OPEN, State.CANCELLED))
_COLUMNS = ("queue", "state", "job_name", "queued_at", "started_at", "ended_at")


@dataclass(frozen=True)
class Block:
    """A run, or the forecast of one."""

    x: float
    width: float
    #: Where it begins to wait.
    waits_from: float
    #: A state, or ``forecast``.
    state: str
    sign: str
    title: str
    url: str


@dataclass(frozen=True)
class Lane:
    """A queue."""

    name: str
    #: Pixels from above: of the lane, of the bars in it, of the middle of these.
    y: int
    blocks: list[Block]

    @property
    def bar_y(self) -> int:
        return self.y + LANE - BAR - 2

    @property
    def middle(self) -> int:
        return self.bar_y + BAR // 2


@dataclass(frozen=True)
class Row:
    """A run in the table."""

    queue: str
    what: str
    url: str
    state: str
    started: str
    waited: str
    took: str


@dataclass(frozen=True)
class Timeline:
    """All queues."""

    lanes: list[Lane]
    hours: list[tuple[float, str]]
    width: int
    height: int
    #: None: a day of the past, to which nothing is to come.
    now_x: float | None
    near_x: float
    day: date | None
    day_before: date | None
    day_after: date | None
    yesterday: date
    rows: list[Row]
    #: There are more runs than are looked at, and since when those are shown; "" if none is.
    is_cut: bool
    since: str
    zone: str


@dataclass(frozen=True)
class _Run:
    pk: int
    queue: str
    state: str
    job_name: str
    queued_at: datetime
    started_at: datetime
    ended_at: datetime | None


def of(request: HttpRequest, span: Span) -> Timeline:
    """The picture of this time."""
    runs, is_cut = _runs(span)
    since = [run.started_at for run in runs if run.ended_at is not None][-1:] if is_cut else []
    queues = {queue.name: queue for queue in desk.read(span.now).queues} if not span.day else {}
    lanes = list(_lanes(request, queues, runs, span))
    return Timeline(
        lanes=lanes,
        hours=list(span.hours()),
        width=span.width,
        height=LANE * len(lanes) + GROUND,
        now_x=None if span.day else span.x(span.now),
        near_x=span.x(span.end - NEAR),
        day=span.day,
        day_before=span.day_before,
        day_after=span.day_after,
        yesterday=span.yesterday,
        rows=[_row(request, run, span.now) for run in runs[:LISTED]],
        is_cut=is_cut,
        since="".join(formats.date_format(timezone.localtime(at), "H:i") for at in since),
        zone=formats.date_format(timezone.localtime(span.start), "e"),
    )


def _runs(span: Span) -> tuple[list[_Run], bool]:
    """Those that ran then, newest first, and all that still run; whether there may be more."""
    asked = Execution.objects.order_by("-pk").only(*_COLUMNS)
    if span.day:  # what was asked for later didn't run before
        asked = asked.filter(pk__lte=bounded.newest_before(span.end))
    # What waits or was cancelled never ran, and there may be any number of it.
    parts: list[Part[Execution]] = [asked.running()]
    newest = (asked.filter(state=state)[:RUNS] for state in _ENDED)
    parts += [Sieve(rows, "ended_at > %s", (span.start,)) for rows in newest]
    rows = sorted(bounded.together(parts), key=lambda row: -row.pk)
    runs = [_run(row, row.started_at) for row in rows if row.started_at is not None]
    ended = [run for run in runs if run.ended_at is not None][:RUNS]
    is_cut = len(ended) == RUNS
    oldest = ended[-1].pk if ended else 0
    shown = [run for run in runs if run.ended_at is None or run.pk >= oldest]
    return [run for run in shown if run.started_at < span.end], is_cut


def _run(row: Execution, started_at: datetime) -> _Run:
    names = (row.pk, row.queue, row.state, row.job_name, row.queued_at)
    return _Run(*names, started_at, row.ended_at)


def _lanes(
    request: HttpRequest, queues: Mapping[str, QueueDesk], runs: list[_Run], span: Span
) -> Iterator[Lane]:
    of_queues: dict[str, list[_Run]] = {}
    for run in runs:
        of_queues.setdefault(run.queue, []).append(run)
    for number, name in enumerate(sorted({*of_queues, *queues})):
        blocks = [_block(request, run, span) for run in of_queues.get(name, [])]
        if queue := queues.get(name):
            blocks += _forecast(request, queue, span)
        yield Lane(name, number * LANE, blocks)


def _block(request: HttpRequest, run: _Run, span: Span) -> Block:
    state = State(run.state)
    x, ended_at = span.x(run.started_at), run.ended_at or span.now
    is_plain = state in (State.SUCCEEDED, State.RUNNING)
    return Block(
        x=x,
        width=max(2.0, span.x(ended_at) - x),
        waits_from=span.x(run.queued_at),
        state=state.value,
        sign="" if is_plain else display.SIGNS[state],
        title=_("%(what)s: %(state)s, %(when)s, took %(took)s")
        % {
            "what": _what(run),
            "state": state.label,
            "when": formats.date_format(timezone.localtime(run.started_at), "H:i:s"),
            "took": display.duration(ended_at - run.started_at),
        },
        url=links.to_admin(request, "jobqueue_execution_change", run.pk),
    )


def _forecast(request: HttpRequest, queue: QueueDesk, span: Span) -> Iterator[Block]:
    """What is still to come, as far as it is known."""
    running = queue.running
    if running is not None and running.ends_at is not None:
        yield from _expected(running.execution.label, span.now, running.ends_at, span)
    for waiting in queue.waiting:
        what, place = waiting.execution.label, waiting.place
        yield from _expected(what, place.starts_at, place.ends_at, span)
    if actions.may(request.user, "view_schedule"):
        for coming in queue.coming:
            what, place = coming.schedule.job.name, coming.place
            yield from _expected(what, place.starts_at, place.ends_at, span)


def _expected(
    what: str, starts_at: datetime | None, ends_at: datetime | None, span: Span
) -> Iterator[Block]:
    if starts_at is None or starts_at >= span.end:
        return
    x = span.x(starts_at)
    when = formats.date_format(timezone.localtime(starts_at), "H:i")
    words = {"what": display.cut(what, 80), "when": when}
    yield Block(
        x=x,
        width=max(2.0, span.x(ends_at or starts_at) - x),
        waits_from=x,
        state="forecast",
        sign="",
        title=_("%(what)s: expected about %(when)s") % words,
        url="",
    )


def _row(request: HttpRequest, run: _Run, now: datetime) -> Row:
    return Row(
        queue=run.queue,
        what=_what(run),
        url=links.to_admin(request, "jobqueue_execution_change", run.pk),
        state=display.state(run.state),
        started=display.moment(run.started_at),
        waited=display.duration(run.started_at - run.queued_at),
        took=display.duration((run.ended_at or now) - run.started_at),
    )


def _what(run: _Run) -> str:
    """The Job; a command may be long, so that only its number is known here."""
    return f"#{run.pk} {display.cut(run.job_name, 80)}".strip()
