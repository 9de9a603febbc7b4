"""Pages outside the admin."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import get_script_prefix
from django.views.decorators.http import require_POST

from .admin import actions, links
from .models import Job


@require_POST
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue a Job for a user of the host's own pages, staff or not, and go back to the page."""
    job = get_object_or_404(Job, pk=pk)
    if not actions.may_run(request.user, job):
        raise PermissionDenied
    actions.run(request, job)
    return links.back(request, otherwise=get_script_prefix())
