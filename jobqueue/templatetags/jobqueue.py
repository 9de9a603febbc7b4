"""Template tags for hosts: ``{% load jobqueue %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from .. import commandline
from ..admin import actions, links
from ..models import Job

register = template.Library()
register.filter("printable", commandline.printable)


@register.inclusion_tag("jobqueue/run_menu.html", takes_context=True)
def jobqueue_run_menu(context: template.Context) -> dict[str, Any]:
    """The Run menu: Jobs with ``in_run_menu``, for users with ``view_job`` and ``run_job``.

    The admin's header shows it by itself when ``jobqueue`` stands before ``django.contrib.admin``
    in ``INSTALLED_APPS``, since the app's ``admin/base.html`` extends the one that follows. Use
    the tag where that can't be: in a ``base.html`` of your own that doesn't extend the admin's,
    or in a page outside the admin, which also needs ``include("jobqueue.urls")``. It works with
    JavaScript off, and brings its own style sheet.
    """
    request = getattr(context, "request", None) or context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return {"entries": []}
    jobs = Job.objects.filter(in_run_menu=True, enabled=True).only("id", "name")
    allowed = [job for job in jobs if actions.may_run(user, job)]
    entries = [(job.name, url) for job in allowed if (url := _run_url(request, job))]
    return {"entries": entries, "next": request.get_full_path(), "NEXT": links.NEXT}


def _run_url(request: HttpRequest, job: Job) -> str:
    if links.in_admin(request):
        return links.to_admin(request, "jobqueue_job_run", job.pk)
    try:
        return reverse("jobqueue:run", args=[job.pk])
    except NoReverseMatch:
        return ""
