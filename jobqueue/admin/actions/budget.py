"""How long one request may go on with what a user asked of many.

A web server ends a request that takes too long, gunicorn by default after 30 seconds: then nobody
would learn how far it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import ngettext

from .telling import list_of, tell

#: Seconds after which nothing more is begun.
SECONDS = 15.0
#: So many are read or changed at once, and the queue goes on between two.
STEP = 100


class Budget:
    """The time of one action, from now on."""

    def __init__(self) -> None:
        self._ends_at = monotonic() + SECONDS

    @property
    def is_spent(self) -> bool:
        """Whether what is left must wait for the next request."""
        return monotonic() >= self._ends_at


def tell_left(request: HttpRequest, pks: Sequence[int]) -> None:
    """Say which executions were left as they were, if any."""
    if not pks:
        return
    text = ngettext(
        "It took long: {count} execution is left as it was: {executions}. Choose it again.",
        "It took long: {count} executions are left as they were: {executions}. Choose them again.",
        len(pks),
    )
    listed = list_of(request, [(pk, "") for pk in pks])
    tell(request, messages.WARNING, text, count=len(pks), executions=listed)
