"""Pages outside the admin."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import Error, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from . import conf
from . import metrics as _metrics
from .admin import actions, links
from .admin.pages import is_confirmed
from .models import Cluster, Job

_PLAIN = "text/plain; charset=utf-8"


@require_POST
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue a Job for a user of the host's own pages, staff or not, and go back to the page."""
    job = get_object_or_404(Job, pk=pk)
    if not actions.may_run(request.user, job):
        raise PermissionDenied
    if job.ask_first and not is_confirmed(request):
        back_url = links.wanted(request) or get_script_prefix()
        return render(request, "jobqueue/run.html", {"job": job, "back_url": back_url})
    actions.run(request, [job])
    return links.back(request, otherwise=get_script_prefix())


@require_safe
@never_cache
@transaction.non_atomic_requests
def health(request: HttpRequest) -> HttpResponse:
    """For load balancers: 200 ``ok``, or 503 ``down`` without a database or a service."""
    if not conf.current().HEALTH:
        raise Http404
    try:
        is_well = Cluster.objects.alive().exists()
    except Error:
        is_well = False
    word, status = ("ok", 200) if is_well else ("down", 503)
    return HttpResponse(f"{word}\n", content_type=_PLAIN, status=status)


@require_safe
@never_cache
@transaction.non_atomic_requests
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus, by its token, or for users who may look at executions."""
    try:
        if not (_has_token(request) or _may_look(request)):
            return HttpResponse("forbidden\n", content_type=_PLAIN, status=403)
        text = _metrics.text(timezone.now())
    except Error:
        return HttpResponse("down\n", content_type=_PLAIN, status=503)
    return HttpResponse(text, content_type=_metrics.CONTENT_TYPE)


def _has_token(request: HttpRequest) -> bool:
    token = conf.current().METRICS_TOKEN or ""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(given, token)


def _may_look(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.has_perm("jobqueue.view_execution")
