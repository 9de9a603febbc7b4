"""A form that is sent twice, as by a double click while the answer is slow, is heeded once.

The queue refuses a request that is the same as one waiting. It can't know that one which has
started meanwhile was asked for by the same click.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.translation import gettext as _

P = ParamSpec("P")

#: Where the session keeps which forms were sent, and how many of them.
_SENT, _KNOWN = "jobqueue_sent", 20
#: Where the cache keeps the same for so many seconds: of clicks at one instant, each of which has
#: read the session before another wrote there, it lets the first one through.
_KEY, _SECONDS = "jobqueue.sent.{}", 600
#: Characters of a CSRF token that was made for one page; a shorter one is the same in each form.
_OF_ONE_PAGE = 64


def once(
    action: Callable[Concatenate[HttpRequest, P], bool],
) -> Callable[Concatenate[HttpRequest, P], None]:
    """Wrap what would have a second effect; a request calls one such action, once.

    It returns whether it had an effect. If not, or if it raises, the form may be sent again.
    """

    @wraps(action)
    def heeded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> None:
        mark = _mark(request)
        if mark and not _put(request, mark):
            text = _("This form was sent twice; what it asks for was done once.")
            messages.warning(request, text, fail_silently=True)
            return
        is_done = False
        try:
            is_done = action(request, *args, **kwargs)
        finally:
            if mark and not is_done:
                _take_back(request, mark)

    return heeded


def _mark(request: HttpRequest) -> str:
    """What tells this very form of this very page from others; "" if no page has sent it."""
    token = request.POST.get("csrfmiddlewaretoken", "")
    if getattr(request, "session", None) is None or len(token) != _OF_ONE_PAGE:
        return ""
    form = f"{request.path}?{request.POST.urlencode()}"
    return hashlib.sha256(form.encode()).hexdigest()[:32]


def _put(request: HttpRequest, mark: str) -> bool:
    """Note that the form was sent; False if that was noted before."""
    sent: list[str] = request.session.get(_SENT, [])
    if mark in sent or not _is_first(mark):
        return False
    _save(request, [*sent, mark][-_KNOWN:])  # the second click waits for no answer to the first
    return True


def _is_first(mark: str) -> bool:
    """By the cache; where none works, or each process has its own, the session alone knows."""
    key = _KEY.format(mark)
    try:
        return cache.add(key, True, _SECONDS) or cache.get(key) is None
    except Exception:  # each backend has its own errors
        return True


def _take_back(request: HttpRequest, mark: str) -> None:
    _save(request, [each for each in request.session.get(_SENT, []) if each != mark])
    with suppress(Exception):  # as above
        cache.delete(_KEY.format(mark))


def _save(request: HttpRequest, sent: list[str]) -> None:
    request.session[_SENT] = sent
    # Logged out in the same moment, or in a transaction that is broken and takes it back anyway.
    with suppress(UpdateError, DatabaseError):
        request.session.save()
