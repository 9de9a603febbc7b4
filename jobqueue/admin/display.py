"""How values look in lists and on pages: hostile text escaped, moments short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

from django.template.loader import render_to_string
from django.utils import formats, timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ..commandline import bash_line, printable
from ..models import Schedule, State

EMPTY = "-"
#: A state is told by its word and a sign; the colour only helps.
SIGNS = {
    State.WAITING: "○",
    State.RUNNING: "►",
    State.SUCCEEDED: "✓",
    State.WARNED: "!",
    State.FAILED: "✗",
    State.TIMED_OUT: "◔",
    State.STOPPED: "■",
    State.CANCELLED: "⊘",
    State.LOST: "?",
}


def state(value: str) -> SafeString:
    """A state as a sign, a word and a colour."""
    known = State(value)
    return signed(known.value, SIGNS[known], known.label)


def signed(name: str, sign: str, word: object) -> SafeString:
    """A word with a sign, in the colour that the style sheet has for this name."""
    mark = '<span class="jobqueue-state jobqueue-{}"><span aria-hidden="true">{}</span> {}</span>'
    return format_html(mark, name, sign, word)


def short(text: str, length: int = 60) -> SafeString:
    """One line of text for a list, the whole as its title."""
    if not text:
        return SafeString("")
    shown = printable(text)
    cut = Truncator(shown).chars(length)
    if cut == shown:
        return format_html('<span class="jobqueue-text">{}</span>', shown)
    title = Truncator(shown).chars(1000)
    return format_html('<span class="jobqueue-text" title="{}">{}</span>', title, cut)


def cut(text: str, length: int) -> str:
    """One line of plain text, no longer than this."""
    shown = printable(text)
    return shown if len(shown) <= length else Truncator(shown).chars(length)


def two_lines(first: str, second: str) -> SafeString | str:
    """A value with another one, less important, beneath it."""
    if not second:
        return conditional_escape(first)
    return format_html('{}<div class="jobqueue-second">{}</div>', first, second)


def moment(value: datetime | None, zone: tzinfo | None = None) -> SafeString | str:
    """A time of today to the second, any other with its date; of another zone with its name."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value, zone)
    today = local.date() == timezone.localdate(timezone=zone)
    shown = formats.date_format(local, "H:i:s" if today else "SHORT_DATE_FORMAT")
    if not today:
        shown = f"{shown} {formats.date_format(local, 'H:i')}"
    if zone is not None:
        shown = f"{shown} {local:%Z}"
    return format_html(
        '<time class="jobqueue-time" datetime="{}" title="{}">{}</time>',
        local.isoformat(),
        f"{formats.date_format(local, 'DATE_FORMAT')} {formats.date_format(local, 'H:i:s e')}",
        shown,
    )


def duration(value: timedelta | None) -> str:
    """``40 ms``, ``12.3 s``, ``2:05`` (minutes), ``1:02:05``."""
    if value is None:
        return EMPTY
    seconds = max(0.0, value.total_seconds())
    if seconds < 59.95:
        return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else _seconds(seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _seconds(value: float) -> str:
    return f"{formats.number_format(round(value, 1), 1)} s"


def bar(state: str, value: timedelta, longest: timedelta) -> SafeString:
    """A duration as a bar in the colour of its state, measured by the longest one."""
    width = max(1, round(60 * (value / longest))) if longest else 1
    mark = (
        '<svg class="jobqueue-took" width="60" height="5" aria-hidden="true">'
        '<rect width="60" height="5"/><rect class="jobqueue-bar-{}" width="{}" height="5"/></svg>'
    )
    return format_html(mark, state, width)


def clock(value: timedelta) -> str:
    """As a stop watch shows it: ``2:05`` (minutes), ``1:02:05``."""
    minutes, seconds = divmod(max(0, int(value.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def watch(value: timedelta | None) -> SafeString:
    """The same, and it goes on by itself (``watches.js``)."""
    elapsed = value or timedelta()
    mark = '<span class="jobqueue-watch" data-elapsed="{}">{}</span>'
    return format_html(mark, f"{elapsed.total_seconds():.3f}", clock(elapsed))


def lasting(value: timedelta) -> str:
    """How long something takes, in one or two units: ``40 s``, ``5 min``, ``3 h 20 min``."""
    seconds = max(0, round(value.total_seconds()))
    if seconds < 1:
        return _("under 1 s")
    if seconds < 60:
        return _("%d s") % seconds
    minutes, hours, days = round(seconds / 60), seconds // 3600, seconds // 86400
    if minutes < 60:
        return _("%d min") % minutes
    if hours < 24:
        return _("%(h)d h %(m)d min") % {"h": minutes // 60, "m": minutes % 60}
    return _("%(d)d d %(h)d h") % {"d": days, "h": hours % 24}


def distance(value: timedelta) -> str:
    """How far ahead, in one or two units: ``in 5 min``, ``in 3 h 20 min``; ``now`` if it isn't."""
    seconds = round(value.total_seconds())
    if seconds <= 0:
        return _("now")
    if seconds < 60:
        return _("in %d s") % seconds
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return _("in %d min") % minutes
    if hours < 24:
        return _("in %(h)d h %(m)d min") % {"h": hours, "m": minutes % 60}
    if days < 10:
        return _("in %(d)d d %(h)d h") % {"d": days, "h": hours % 24}
    return _("in %d days") % days


def next_fire(schedule: Schedule) -> SafeString | str:
    """The next fire time in the schedule's zone and how far ahead it is, or why there is none."""
    if schedule.problem:
        return signed("failed", "✗", _("put aside"))
    if not schedule.enabled:
        return signed("cancelled", "‖", _("off"))
    if schedule.next_fire_at is None:
        return signed("cancelled", "✓", _("over"))
    shown = moment(schedule.next_fire_at, schedule.zone())
    return two_lines(shown, distance(schedule.next_fire_at - timezone.now()))


def command(argv: Sequence[str]) -> SafeString:
    """The exact command, as bash reads it back, and a button that copies it."""
    return render_to_string("admin/jobqueue/command.html", {"command": bash_line(argv)})


def variables(env: Mapping[str, str], *, with_values: bool) -> SafeString | str:
    """Environment variables; the values are for those who may change a Job."""
    shown = [f"{name}={value}" if with_values else name for name, value in env.items()]
    lines = "\n".join(printable(line) for line in shown)
    return format_html('<pre class="jobqueue-output">{}</pre>', lines) if shown else EMPTY
