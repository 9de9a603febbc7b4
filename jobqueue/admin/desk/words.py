"""Words and links of the desk: names of executions, moments that are near, how much is in sight."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ...commandline import printable
from ...models import Execution
from ...output import readable
from .. import display, links

#: So many bad ends, and so many alarms, are in sight above what runs; the others are in a fold.
IN_SIGHT = 3
#: Characters of the last line of an output.
LAST_LINE = 160


def name(execution: Execution) -> str:
    """In a line of text, what an execution is."""
    return str(display.cut(execution.label, 60))


def linked(request: HttpRequest, execution: Execution) -> SafeString | str:
    """Its name, and a link to its page."""
    shown = display.short(execution.label, 80)
    url = links.to_admin(request, "jobqueue_execution_change", execution.pk)
    if execution.trigger_at is not None:
        moment = display.moment(execution.trigger_at)
        shown = format_html(_("{} for {}"), shown, moment)
    return links.anchor(url, shown)


def last_line(output: str) -> SafeString:
    """The last line of an output that isn't empty: programs that fail mostly say there why."""
    lines = [line for line in readable(output).splitlines() if line.strip()]
    return display.short(lines[-1].strip(), LAST_LINE) if lines else SafeString("")


def asked(execution: Execution) -> str:
    who, source = printable(execution.requested_by), execution.get_source_display()
    return str(display.cut(f"{who}, {source}" if who else str(source), 60))


def time(value: datetime, now: datetime) -> SafeString:
    """Hours and minutes; the date with it, unless it is today's."""
    local = timezone.localtime(value)
    shown = formats.date_format(local, "H:i")
    if local.date() != timezone.localdate(now):
        shown = f"{formats.date_format(local, 'D')} {shown}"
    title = formats.date_format(local, pgettext("date format", "j F Y, H:i:s e"))
    mark = '<time class="jobqueue-time" datetime="{}" title="{}">{}</time>'
    return format_html(mark, local.isoformat(), title, shown)
