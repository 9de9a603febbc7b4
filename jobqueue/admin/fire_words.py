"""What became of a fire time, in words."""

from __future__ import annotations

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from ..models import Fire, FireOutcome
from . import display, links

#: The colour of a state, and a sign.
_SIGNS = {
    FireOutcome.ADDED: ("succeeded", "✓"),
    FireOutcome.PROMOTED: ("succeeded", "✓"),
    FireOutcome.DUPLICATE: ("waiting", "="),
    FireOutcome.MISSED: ("warned", "!"),
    FireOutcome.REFUSED: ("failed", "✗"),
}
#: Characters of a reason that a list has room for.
REASON = 90


def of_fire(site: str, fire: Fire, state: str | None) -> SafeString | str:
    """The state of its run with a link; why there is none; how many were missed before it.

    `site` is the name of the admin site, `state` that of the execution if there is one.
    """
    parts: list[str] = []
    if state is None or fire.outcome != FireOutcome.ADDED:
        parts.append(_outcome(fire))
    if state is not None:
        parts.append(_run(site, fire, state))
    if fire.missed:
        parts.append(_missed(fire))
    told = format_html_join(" ", "{}", ((part,) for part in parts))
    return display.two_lines(told, display.short(fire.reason, REASON))


def _outcome(fire: Fire) -> SafeString:
    name, sign = _SIGNS[FireOutcome(fire.outcome)]
    return display.signed(name, sign, fire.get_outcome_display())


def _run(site: str, fire: Fire, state: str) -> str:
    page = "jobqueue_execution_change"
    return links.linked(site, page, fire.execution_id, display.state(state))


def _missed(fire: Fire) -> str:
    if fire.outcome == FireOutcome.MISSED:
        return ngettext("%d time", "%d times", fire.missed) % fire.missed
    return ngettext("%d missed before", "%d missed before", fire.missed) % fire.missed
