"""What the desk says, in words and addresses, for the one who looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...commandline import printable
from ...desk import Desk
from ...desk.bad_ends import BadEnd
from ...models import Cluster, Execution, Message
from ...models.execution import BAD_ENDS
from ...signals import DeskLine, desk_drawn
from .. import acknowledging, actions, display, links, notes, retry_words
from . import alarms, words
from . import queue as queue_rows
from .alarms import AlarmRows
from .queue import QueueRow

#: So many messages that don't get through are counted.
MESSAGES = 1000


@dataclass
class BadEndRow:
    """A run that went wrong."""

    pk: int
    state: SafeString
    what: SafeString | str
    when: SafeString | str
    reason: SafeString | str
    last_line: SafeString
    notes: SafeString | str
    #: Who is on it.
    on_it: SafeString | str
    acknowledge_url: str
    mended_by: str
    times: str
    again_url: str
    name: str


@dataclass
class BadEndRows:
    """Some of those that nothing has mended."""

    wrong: list[BadEndRow]
    #: Somebody is on these.
    seen_to: list[BadEndRow]

    def __len__(self) -> int:
        return len(self.wrong) + len(self.seen_to)


@dataclass
class Rows:
    """The page."""

    headline: str
    #: What is wrong, in one sentence; "" when all is well.
    alarm: str
    #: Somebody is on all that is wrong.
    is_seen_to: bool
    no_cluster: str
    alarms: AlarmRows
    #: What runs first, and those of which there is nothing to tell, unless it is the only one.
    queues: list[QueueRow]
    idle: list[QueueRow]
    #: What went wrong and is in sight, and the rest of it, in a fold.
    bad: BadEndRows
    more_bad: BadEndRows
    #: How many more are still wrong.
    others: int
    #: There may be more than were looked at.
    is_cut: bool
    #: What a later run has mended.
    mended: list[BadEndRow]
    bad_ends_url: str
    services: list[tuple[SafeString, str]]
    clock: str

    @property
    def folded(self) -> int:
        """How many went wrong that aren't in sight."""
        return len(self.more_bad) + self.others


def of(request: HttpRequest, found: Desk) -> Rows:
    """The page for this user."""
    bad = [row for row in found.bad_ends if not row.mended_by]
    queues = [queue_rows.of(request, found, row) for row in found.queues]
    is_alone = len(queues) == 1
    others, unsent = list(_others(request)), _unsent(request)
    return Rows(
        headline=_headline(found),
        alarm=_alarm(found, unsent, others),
        is_seen_to=bool(bad or found.alarms.found),
        no_cluster=actions.unserved(is_served=found.is_served, is_stopping=found.is_stopping),
        alarms=alarms.of(request, found.alarms),
        queues=sorted((q for q in queues if is_alone or not q.is_idle), key=lambda q: q.rank),
        idle=[queue for queue in queues if queue.is_idle and not is_alone],
        bad=_bad_ends(request, bad[: words.IN_SIGHT]),
        more_bad=_bad_ends(request, bad[words.IN_SIGHT :]),
        others=found.lately.wrong - sum(row.is_open for row in bad),
        is_cut=found.lately.is_cut,
        mended=[_bad_end(request, row) for row in found.bad_ends if row.mended_by],
        bad_ends_url=_bad_ends_url(request),
        services=[*_clusters(request, found), *_messages(request, unsent), *map(_other, others)],
        clock=formats.date_format(timezone.localtime(found.now), "H:i:s e"),
    )


def _others(request: HttpRequest) -> Iterator[DeskLine]:
    """What hosts and other apps have to tell."""
    for _receiver, lines in desk_drawn.send_robust(sender=Execution, user=request.user):
        if not isinstance(lines, Exception):  # Django has logged it
            yield from lines or ()


def _other(line: DeskLine) -> tuple[SafeString, str]:
    name, sign, word = ("alive", "✓", _("good")) if line.is_good else ("dead", "✗", _("wrong"))
    shown = f"{display.cut(line.what, 80)}: {display.cut(line.text, 300)}"
    return display.signed(name, sign, word), shown


def _headline(found: Desk) -> str:
    running = sum(queue.running is not None for queue in found.queues)
    waiting = sum(queue.count for queue in found.queues)
    if not running and not waiting:
        return _("Nothing runs, nothing waits.")
    return _("%(running)d running, %(waiting)d waiting.") % {"running": running, "waiting": waiting}


def _alarm(found: Desk, unsent: str, others: Sequence[DeskLine]) -> str:
    parts = []
    if not found.is_served:
        parts.append(_("The cluster is stopping.") if found.is_stopping else _("No cluster runs."))
    if count := found.lately.wrong:
        parts.append(ngettext("%d went wrong.", "%d went wrong.", count) % count)
    elif found.lately.is_cut:
        parts.append(_("Too much went wrong to look at all of it."))
    if count := found.alarms.open:
        if found.lately.jobs:  # whose alarms are not counted again
            text = ngettext("%d other bad alarm.", "%d other bad alarms.", count)
        else:
            text = ngettext("%d bad alarm.", "%d bad alarms.", count)
        parts.append(text % count)
    stuck = [queue for queue in found.queues if queue.is_paused and queue.count]
    parts += [_("%s is paused, and requests wait.") % queue.name for queue in stuck]
    full = filter(queue_rows.is_full, found.queues)
    parts += [_("%s is overloaded.") % queue.name for queue in full]
    parts += [f"{unsent}."] if unsent else []
    parts += [f"{display.cut(line.what, 80)}!" for line in others if not line.is_good]
    return " ".join(parts)


def _clusters(request: HttpRequest, found: Desk) -> Iterator[tuple[SafeString, str]]:
    may_see = actions.may(request.user, "view_cluster") or actions.may(
        request.user, "control_queue"
    )
    for cluster in found.clusters if may_see else ():
        yield _cluster(cluster, found.now)
    serving = sum(cluster.is_serving for cluster in found.clusters)
    if serving and not may_see:
        text = ngettext("%d cluster serves the queues", "%d clusters serve the queues", serving)
        yield display.signed("alive", "✓", _("alive")), text % serving


def _unsent(request: HttpRequest) -> str:
    """How many messages don't get through, for those who may see them; "" if all do."""
    if not actions.may(request.user, "view_message"):
        return ""
    stuck = Message.objects.stuck().order_by()[:MESSAGES].count()
    text = ngettext("%d message isn't sent", "%d messages aren't sent", stuck)
    return text % stuck if stuck else ""


def _messages(request: HttpRequest, unsent: str) -> Iterator[tuple[SafeString, str]]:
    if unsent:
        url = links.to_admin(request, "jobqueue_message_changelist")
        link = links.anchor(url and f"{url}?state=unsent", unsent)
        yield display.signed("dead", "✗", _("wrong")), link


def _cluster(cluster: Cluster, now: datetime) -> tuple[SafeString, str]:
    names = {"name": printable(cluster.name), "host": printable(cluster.host)}
    if cluster.is_stopping:
        text = _("%(name)s on %(host)s, starts nothing more") % names
        return display.signed("paused", "‖", _("stopping")), text
    if cluster.is_alive:
        lasting = display.lasting(now - cluster.started_at)
        text = _("%(name)s on %(host)s, for %(lasting)s") % {**names, "lasting": lasting}
        return display.signed("alive", "✓", _("alive")), text
    return display.signed("dead", "✗", _("dead")), _("%(name)s on %(host)s") % names


# What went wrong


def _bad_ends(request: HttpRequest, found: Sequence[BadEnd]) -> BadEndRows:
    return BadEndRows(
        wrong=[_bad_end(request, row) for row in found if row.is_open],
        seen_to=[_bad_end(request, row) for row in found if not row.is_open],
    )


def _bad_ends_url(request: HttpRequest) -> str:
    """The list of all runs that went wrong, the newest first."""
    url = links.to_admin(request, "jobqueue_execution_changelist")
    return f"{url}?state__in={','.join(BAD_ENDS)}"


def _bad_end(request: HttpRequest, row: BadEnd) -> BadEndRow:
    execution = row.execution
    code = "" if execution.return_code is None else _("code %d") % execution.return_code

    def link(pk: int) -> str:
        return links.to_execution(request, pk)

    noted = format_html_join("; ", "{}", ((n,) for n in notes.relations(execution.details, link)))
    mended = format_html(_("succeeded since: {}"), link(row.mended_by)) if row.mended_by else ""
    attempt = retry_words.in_list(execution)
    may = actions.may_run_again(request.user, execution)
    may_acknowledge = actions.may(request.user, "acknowledge_execution", execution)
    acknowledge = links.to_admin(request, "jobqueue_execution_acknowledge", execution.pk)
    again = links.to_admin(request, "jobqueue_execution_again", execution.pk)
    return BadEndRow(
        pk=execution.pk,
        state=display.state(execution.state),
        what=words.linked(request, execution),
        when=display.moment(execution.ended_at),
        reason=display.short(execution.reason, 200) or code,
        last_line=words.last_line(row.output),
        notes=format_html("{}; {}", attempt, noted) if attempt and noted else attempt or noted,
        on_it=acknowledging.in_words(execution),
        acknowledge_url=acknowledge if may_acknowledge and row.is_open else "",
        mended_by=mended,
        times=_("%d times in 24 hours") % row.times if row.times > 1 else "",
        again_url=again if may else "",
        name=words.name(execution),
    )
