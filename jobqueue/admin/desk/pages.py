"""The desk: one page that says what runs, waits, comes next and went wrong, and keeps itself so."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ... import desk
from ...desk import Glance
from ...models import Execution
from .. import display, links
from ..pages import ObjectPages
from . import rows, timeline, timeline_span

if TYPE_CHECKING:
    _Base = ObjectPages[Execution]
else:
    _Base = object

#: Seconds after which a page is drawn anew though nothing happened: forecasts move on with time.
REDRAWN = 20
_CONTENT = "admin/jobqueue/desk/content.html"


class DeskPages(_Base):
    """Adds the desk to the admin of executions; it takes ``view_execution``."""

    def get_urls(self) -> list[URLPattern]:
        """The page and what it asks, before the admin's own."""
        wrap = self.admin_site.admin_view
        return [
            path("desk/", wrap(self.desk_page), name="jobqueue_execution_desk"),
            path("desk/live/", wrap(self.desk_live), name="jobqueue_execution_desk_live"),
            path("timeline/", wrap(self.timeline_page), name="jobqueue_execution_timeline"),
            *super().get_urls(),
        ]

    def desk_page(self, request: HttpRequest) -> HttpResponse:
        """The whole page, as it is now."""
        self._refuse(request)
        live_url = links.to_admin(request, "jobqueue_execution_desk_live")
        context = {"title": _("Desk"), "live_url": live_url, "elsewhere": _elsewhere(request)}
        context |= self._content(request)
        return self.rendered(request, "admin/jobqueue/desk/desk.html", context)

    def timeline_page(self, request: HttpRequest) -> HttpResponse:
        """The last day of each queue, and the hours to come; or a day of the past."""
        self._refuse(request)
        now, typed = timezone.now(), request.GET.get("day", "")
        try:
            span = timeline_span.of_day(typed, now) if typed else timeline_span.latest(now)
        except ValueError:
            text = _("“%s” is no day of the past, such as 2026-11-20: here are the last hours.")
            messages.warning(request, text % display.cut(typed, 40))
            return HttpResponseRedirect(links.to_admin(request, "jobqueue_execution_timeline"))
        context = {"title": _("Timeline"), "timeline": timeline.of(request, span)}
        context["elsewhere"] = _elsewhere(request)
        return self.rendered(request, "admin/jobqueue/desk/timeline.html", context)

    def desk_live(self, request: HttpRequest) -> HttpResponse:
        """JSON: what the page shows now; 304 if that is what it shows already."""
        self._refuse(request)
        seen = desk.glance()
        tag = _tag(request, seen)
        if links.has_it(request, tag):
            return HttpResponseNotModified(headers={"ETag": tag})
        html = render_to_string(_CONTENT, self._content(request, seen), request)
        return JsonResponse({"html": html}, headers={"ETag": tag})

    def _refuse(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _content(self, request: HttpRequest, seen: Glance | None = None) -> dict[str, Any]:
        found = desk.read(timezone.now(), seen)
        return {
            "desk": rows.of(request, found),
            "next": links.to_admin(request, "jobqueue_execution_desk"),
            "timeline_url": links.to_admin(request, "jobqueue_execution_timeline"),
            "NEXT": links.NEXT,
        }


def _elsewhere(request: HttpRequest) -> HttpRequest:
    """The same request, but of a page that no entry of the sidebar stands for."""
    there = copy.copy(request)
    there.path = "/"
    return there


def _tag(request: HttpRequest, glance: Glance) -> str:
    """The entity tag of what this user would be shown."""
    moment = int(timezone.now().timestamp()) // REDRAWN
    viewer = (request.user.pk, get_language(), str(timezone.get_current_timezone()))
    seen = repr((*viewer, moment, desk.fingerprint(glance)))
    return f'"{hashlib.sha256(seen.encode()).hexdigest()[:32]}"'
