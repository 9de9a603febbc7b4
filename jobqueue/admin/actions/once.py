"""A form that is sent twice, as by a double click while the answer is slow, is heeded once.

The queue refuses a request that is the same as one waiting. It can't know that one which has
started meanwhile was asked for by the same click.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest
from django.utils.translation import gettext as _

P = ParamSpec("P")

#: Where the session keeps which forms were sent, and how many of them.
_SENT, _KNOWN = "jobqueue_sent", 20
#: Characters of a CSRF token that was made for one page; a shorter one is the same in each form.
_OF_ONE_PAGE = 64


def once(
    action: Callable[Concatenate[HttpRequest, P], None],
) -> Callable[Concatenate[HttpRequest, P], None]:
    """Wrap what would have a second effect; the same request may call it several times."""

    @wraps(action)
    def heeded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if not _is_repeated(request):
            action(request, *args, **kwargs)

    return heeded


def _is_repeated(request: HttpRequest) -> bool:
    """Whether this very form of this very page was sent before; the user is told of it once."""
    known: bool | None = getattr(request, "jobqueue_is_repeated", None)
    if known is None:
        known = _was_sent(request)
        request.jobqueue_is_repeated = known  # type: ignore[attr-defined]
        if known:
            text = _("This form was sent twice; what it asks for was done once.")
            messages.warning(request, text, fail_silently=True)
    return known


def _was_sent(request: HttpRequest) -> bool:
    session = getattr(request, "session", None)
    token = request.POST.get("csrfmiddlewaretoken", "")
    if session is None or len(token) != _OF_ONE_PAGE:
        return False  # no page has sent it
    form = f"{request.path}?{request.POST.urlencode()}"
    mark = hashlib.sha256(form.encode()).hexdigest()[:32]
    sent: list[str] = session.get(_SENT, [])
    if mark in sent:
        return True
    session[_SENT] = [*sent, mark][-_KNOWN:]
    try:
        session.save()  # the second click doesn't wait for the answer to the first
    except UpdateError:
        pass  # logged out in the same moment
    return False
