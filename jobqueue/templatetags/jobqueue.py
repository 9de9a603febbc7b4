"""Template tags for hosts: ``{% load jobqueue %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.messages import get_messages
from django.http import HttpRequest
from django.utils import timezone

from .. import commandline, desk, middleware
from ..admin import actions, links, run_menu
from ..models import Job

register = template.Library()
#: Set on a request when its page has the menu.
_SHOWN = "_jobqueue_header"
register.filter("printable", commandline.printable)


@register.inclusion_tag("jobqueue/run_menu.html", takes_context=True)
def jobqueue_run_menu(context: template.Context) -> dict[str, Any]:
    """The Run menu: Jobs with ``in_run_menu``, for users with ``view_job`` and ``run_job``.

    Those whose names begin alike up to a colon, as ``Bots: new``, stand together; where there are
    many, they can be searched.
    The admin's header shows it by itself when ``jobqueue`` stands before ``django.contrib.admin``
    in ``INSTALLED_APPS``, since the app's ``admin/base.html`` extends the one that follows. Use
    the tag where that can't be: in a ``base.html`` of your own that doesn't extend the admin's,
    or in a page outside the admin, which also needs ``include("jobqueue.urls")``. It works with
    JavaScript off, and brings its own style sheet.
    """
    request = _request(context)
    groups = run_menu.of(request) if request else []
    if request is None or not groups:
        return {}
    is_long = sum(len(group.entries) for group in groups) >= run_menu.MANY
    page = request.get_full_path()
    return {"groups": groups, "is_long": is_long, "next": page, "NEXT": links.NEXT}


@register.inclusion_tag("admin/jobqueue/header.html", takes_context=True)
def jobqueue_header(context: template.Context, place: str = "") -> dict[str, Any]:
    """Zone, way to the desk and Run menu, in the first of the places that a page has for them."""
    request = _request(context)
    is_first = request is not None and not hasattr(request, _SHOWN)
    if is_first:
        setattr(request, _SHOWN, True)
    return {"is_first": is_first, "place": place, "request": request}


@register.inclusion_tag("admin/jobqueue/zone.html", takes_context=True)
def jobqueue_zone(context: template.Context) -> dict[str, str]:
    """The zone in which times are shown; with the middleware, a script that asks for another."""
    request = _request(context)
    is_asked = request and middleware.heeds_cookie(request) and _can_be_loaded_again(request)
    zone = str(timezone.get_current_timezone())
    return {"zone": zone, "cookie": middleware.COOKIE if is_asked else ""}


@register.inclusion_tag("admin/jobqueue/desk/link.html", takes_context=True)
def jobqueue_desk_link(context: template.Context) -> dict[str, Any]:
    """A link to the desk, in the admin's header, for users with ``view_execution``."""
    return {"url": _desk_url(context)}


@register.inclusion_tag("admin/jobqueue/desk/summary.html", takes_context=True)
def jobqueue_desk_summary(context: template.Context) -> dict[str, Any]:
    """On the admin's index: how many run, wait and went wrong, and the way to the desk."""
    if context.get("app_label", Job._meta.app_label) != Job._meta.app_label:
        return {}  # the index of another app
    url = _desk_url(context)
    if not url:
        return {}
    counts = desk.counts(timezone.now())
    text = actions.unserved(is_served=counts.is_served, is_stopping=counts.is_stopping)
    return {"url": url, "counts": counts, "no_cluster": text}


def _desk_url(context: template.Context) -> str:
    request = _request(context)
    if request is None or not actions.may(request.user, "view_execution"):
        return ""
    return links.to_admin(request, "jobqueue_execution_desk")


def _request(context: template.Context) -> HttpRequest | None:
    return getattr(context, "request", None) or context.get("request")


def _can_be_loaded_again(request: HttpRequest) -> bool:
    """Whether that sends nothing twice, and loses no message: each is shown once."""
    return request.method == "GET" and not len(get_messages(request))
