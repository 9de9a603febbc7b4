"""Attempts and retries in words."""

from __future__ import annotations

from itertools import islice

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..models import Execution, Job, State
from ..models.execution import BAD_ENDS
from . import display
from .desk import words

#: So many delays are named.
DELAYS = 6


def attempt(execution: Execution) -> SafeString | str:
    """``attempt 2 of 4, again at 06:20``; of one that its Job doesn't retry, ``attempt 2``."""
    plan = execution.plan
    if plan is None:
        return _("attempt %d") % execution.attempt
    words = _("attempt %(number)d of %(last)d") % {"number": plan.attempt, "last": plan.attempts}
    again = again_at(execution)
    return format_html("{}, {}", words, again) if again else words


def again_at(execution: Execution) -> SafeString | str:
    """``again at 06:20``, for one that waits for that; else ""."""
    now, moment = timezone.now(), execution.not_before
    if execution.state != State.WAITING or moment is None or moment <= now:
        return ""
    return format_html(_("again at {}"), words.time(moment, now))


def in_list(execution: Execution) -> SafeString | str:
    """The attempt, where there is more to it than that it is the first."""
    plan = execution.plan
    is_first = plan.attempt == 1 if plan else execution.attempt == 1
    went_wrong = plan is not None and execution.state in BAD_ENDS
    return "" if is_first and not went_wrong else attempt(execution)


def of_job(job: Job) -> str:
    """How often, after what and with which delays a run is tried again."""
    plan = job.plan() if job.pk else None
    if plan is None:
        return _("A run that goes wrong isn't tried again.")
    delays = [display.lasting(delay) for delay in islice(plan.delays(), DELAYS)]
    more = ", …" if plan.attempts - 1 > DELAYS else ""
    return _("Up to %(last)d attempts; again after %(delays)s, on %(outcomes)s.") % {
        "last": plan.attempts,
        "delays": ", ".join(delays) + more,
        "outcomes": plan.on,
    }
