"""Middleware for hosts: times in the zone of the one who looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from .zones import zone_info

#: The cookie in which a browser tells its zone: an IANA name.
COOKIE = "jobqueue_zone"
_HEEDED = "_jobqueue_heeds_zone"


class ViewerTimeZone:
    """During a request the current time zone is the one in the cookie ``jobqueue_zone``.

    Without the cookie, or when no zone has that name, it stays what it is. Pages of the admin have
    a script that sets the cookie. Its place in ``MIDDLEWARE`` doesn't matter; one that activates a
    zone of its own after it has the last word.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, with its times in the viewer's zone."""
        setattr(request, _HEEDED, True)
        with _zone_of(request):
            return self.get_response(request)


def heeds_cookie(request: HttpRequest) -> bool:
    """Whether a zone in the cookie is used for this request."""
    return hasattr(request, _HEEDED)


def _zone_of(request: HttpRequest) -> AbstractContextManager[None]:
    with suppress(ValueError):
        # Only names of the system's list become files that are read, whatever the cookie says.
        return timezone.override(zone_info(request.COOKIES.get(COOKIE, "")))
    return nullcontext()
