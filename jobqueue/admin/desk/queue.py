"""A queue on the desk: what runs in it, what holds it up, and its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import desk
from ...commandline import printable
from ...desk import Desk, QueueDesk
from ...models import Execution, Source, State
from ...output import readable
from .. import actions, display, links, retry_words
from . import line, words
from .line import LineRow

#: Lines at the end of the output, and characters of each.
LINES, LINE = 6, 300
#: A queue is overloaded when its schedules take more of the time than this.
FULL = 1.0


@dataclass
class RunningRow:
    """What runs."""

    pk: int
    what: SafeString | str
    asked: str
    started: SafeString | str
    attempt: SafeString | str
    #: Seconds since the start, and the usual ones.
    elapsed: float
    usual: float | None
    elapsed_in_words: str
    usual_in_words: str
    ends: SafeString | str
    is_over: bool
    is_stopping: bool
    output: str
    stop_url: str

    @property
    def is_known(self) -> bool:
        return bool(self.usual)


@dataclass
class QueueRow:
    """A queue."""

    name: str
    url: str
    state: str
    banners: list[SafeString | str]
    running: RunningRow | None
    line: list[LineRow]
    #: How many wait beyond those that are shown, in words.
    more: str
    more_url: str
    pause_url: str
    resume_url: str

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to tell of it."""
        return not (self.running or self.state or self.banners or self.line or self.more)

    @property
    def rank(self) -> int:
        """Which come first: what runs, then what waits or is paused, then what only comes."""
        waits = any(not item.is_coming for item in self.line)
        return 0 if self.running else 1 if waits or self.state else 2


def of(request: HttpRequest, found: Desk, row: QueueDesk) -> QueueRow:
    pk = row.row.pk if row.row else None
    may_see = actions.may(request.user, "view_queue", row.row)
    may = actions.may(request.user, "control_queue", row.row)
    executions = links.to_admin(request, "jobqueue_execution_changelist")
    beyond = row.count - min(len(row.waiting), line.SHOWN)
    return QueueRow(
        name=row.name,
        url=links.to_admin(request, "jobqueue_queue_change", pk) if pk and (may_see or may) else "",
        state=display.signed("paused", "‖", _("paused")) if row.is_paused else "",
        banners=list(_banners(request, found, row)),
        running=_running(request, found, row),
        line=line.of(request, found, row),
        more=_more(row, beyond) if beyond else "",
        more_url=f"{executions}?state__exact={State.WAITING}&queue={row.name}",
        pause_url=_pause_url(request, row) if may and not row.is_paused else "",
        resume_url=(
            links.to_admin(request, "jobqueue_queue_resume", pk) if may and row.is_paused else ""
        ),
    )


def _pause_url(request: HttpRequest, row: QueueDesk) -> str:
    """By its name, which what waits has given it before it was ever served."""
    url = links.to_admin(request, "jobqueue_queue_pause_by_name")
    return f"{url}?queue={row.name}" if url else ""


def is_full(queue: QueueDesk) -> bool:
    """Whether more comes than fits."""
    return queue.load > FULL


def _more(row: QueueDesk, beyond: int) -> str:
    if row.count >= desk.COUNTED:
        return _("and more than %d others") % beyond
    return ngettext("and %d other", "and %d others", beyond) % beyond


def _banners(request: HttpRequest, found: Desk, row: QueueDesk) -> Iterator[SafeString | str]:
    if row.is_paused and row.row is not None:
        yield _pause(row)
    if row.running is not None:
        yield from _banners_of_run(row.running.execution)
    if is_full(row):
        yield _(
            "Overload: more work arrives than fits. What the schedules queue in the next "
            "%(hours)s takes %(percent)d %% of that time."
        ) % {"hours": display.lasting(found.ahead), "percent": round(row.load * 100)}
    for bad in found.bad_ends:
        execution, again = bad.execution, bad.execution.details.get("queued_again_as")
        is_lost = execution.state == State.LOST and isinstance(again, int)
        if execution.queue == row.name and is_lost and not bad.mended_by:
            text = _("{} was lost and is queued again as {}.")
            lost = words.linked(request, execution)
            yield format_html(text, lost, links.to_execution(request, again))


def _pause(row: QueueDesk) -> SafeString | str:
    assert row.row is not None
    who = printable(row.row.paused_by) or _("somebody")
    since = display.moment(row.row.paused_at)
    if row.row.paused_until:
        until = display.moment(row.row.paused_until)
        shown = format_html(_("Paused by {} since {}, until {}"), who, since, until)
    else:
        shown = format_html(_("Paused by {} since {}, until somebody resumes it"), who, since)
    reason = display.short(row.row.pause_reason, 300)
    return format_html("{}: {}", shown, reason) if reason else format_html("{}.", shown)


def _banners_of_run(run: Execution) -> Iterator[str]:
    if run.source == Source.RECOVERY:
        yield _("A recovery run mends what a run that was cut off has left. Let it end.")
    if run.details.get("adopted"):
        yield _("The worker of this run died; another one looks after it, and it goes on.")
    if run.details.get("overdue"):
        yield _("It ran longer than its limit, and an alert said so.")


def _running(request: HttpRequest, found: Desk, row: QueueDesk) -> RunningRow | None:
    if row.running is None:
        return None
    run, usual, ends_at = row.running.execution, row.running.usual, row.running.ends_at
    elapsed = run.elapsed(found.now) or timedelta()
    may = actions.may(request.user, "stop_execution", run) and not run.stop_requested_at
    return RunningRow(
        pk=run.pk,
        what=words.linked(request, run),
        asked=words.asked(run),
        started=display.moment(run.started_at),
        attempt=retry_words.in_list(run),
        elapsed=elapsed.total_seconds(),
        usual=usual.total_seconds() if usual else None,
        elapsed_in_words=display.clock(elapsed),
        usual_in_words=display.lasting(usual) if usual else "",
        ends="" if ends_at is None else words.time(ends_at, found.now),
        is_over=usual is not None and elapsed > usual,
        is_stopping=run.stop_requested_at is not None,
        output=_last_lines(row.running.output),
        stop_url=links.to_admin(request, "jobqueue_execution_stop", run.pk) if may else "",
    )


def _last_lines(output: str) -> str:
    lines = readable(output).rstrip("\n").split("\n")[-LINES:]
    return "\n".join(line if len(line) <= LINE else "…" + line[-LINE:] for line in lines)
