"""Jobs in the admin."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..commandline import printable
from ..models import Execution, Job
from . import actions, command_preview, display, links, planned
from .deletion import WithoutHistory
from .job_form import JobForm
from .pages import ObjectPages
from .search import CommandSearch


@admin.register(Job)
class JobAdmin(WithoutHistory, CommandSearch, ObjectPages[Job]):
    """To run one takes ``view_job`` with ``run_job``, to edit one Django's ``change_job``."""

    form = JobForm
    list_display = (
        "shown_name",
        "command",
        "last_run",
        "queue",
        "enabled",
        "in_run_menu",
    )
    list_filter = ("enabled", "in_run_menu", "queue", "environment")
    search_fields = ("name", "description")
    search_help_text = _("Name, description or command")
    list_per_page = 50
    actions = ("run",)
    object_pages = {"run": ("run_page", "run")}
    readonly_fields = ("argv_list",)
    fieldsets = (
        (None, {"fields": ("name", "description", "argv", "argv_list")}),
        (_("Where"), {"fields": ("environment", "working_directory", "env", "queue")}),
        (_("Requests"), {"fields": ("enabled", "in_run_menu")}),
        (
            _("Limits and results"),
            {"fields": ("codes", "max_runtime", "kill_after", "rerun_if_lost")},
        ),
    )

    class Media:
        css = {"all": ("jobqueue/admin.css",)}
        js = ("jobqueue/command_line.js",)

    def get_urls(self) -> list[URLPattern]:
        """The preview beside the usual pages."""
        view = self.admin_site.admin_view(self.preview_page)
        return [path("preview/", view, name="jobqueue_job_preview"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Jobs with their last execution."""
        last = Execution.objects.filter(job=OuterRef("pk")).order_by("-id")
        when = Coalesce("ended_at", "started_at", "queued_at")
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.annotate(
            last_pk=Subquery(last.values("pk")[:1]),
            last_state=Subquery(last.values("state")[:1]),
            last_when=Subquery(last.values(when=when)[:1]),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """Without the values of variables for those who may only look."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        instead = {"argv": "command_line", "env": "env_names"}
        return [
            (name, {**rest, "fields": [instead.get(str(f), f) for f in rest["fields"]]})
            for name, rest in fieldsets
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page, with the Run button for those who may."""
        job = kwargs.get("obj")
        if job is not None and self.has_run_permission(request, job):
            context["run_url"] = self.page_url(request, job, "run")
        if job is not None and request.user.has_perm("jobqueue.view_execution"):
            context["executions_url"] = links.to_admin(request, "jobqueue_execution_changelist")
        if job is not None:
            context["planned"] = planned.of_job(request, job)
            if request.user.has_perm("jobqueue.add_schedule"):
                context["add_schedule_url"] = links.to_admin(request, "jobqueue_schedule_add")
        return super().render_change_form(request, context, *args, **kwargs)

    def has_run_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Whether the user may queue this Job."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "run_job", obj)

    @admin.action(description=_("Run selected Jobs"), permissions=("run",))
    def run(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Queue each at priority 5."""
        for job in queryset:
            if not self.has_run_permission(request, job):
                raise PermissionDenied
            actions.run(request, job)

    def run_page(self, request: HttpRequest, job: Job) -> HttpResponse:
        """The Run button, and the Run menu in the header."""
        if request.method == "POST":
            actions.run(request, job)
        return self.to_object(request, job)

    def preview_page(self, request: HttpRequest) -> HttpResponse:
        """JSON: what a command line will become."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        line, environment = request.POST.get("argv", ""), request.POST.get("environment", "")
        return JsonResponse(asdict(command_preview.of_line(line, environment)))

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, job: Job) -> str:
        return display.short(job.name)

    @admin.display(description=_("command"))
    def command(self, job: Job) -> str:
        return display.short(job.command)

    @admin.display(description=_("command"))
    def command_line(self, job: Job) -> str:
        return format_html('<pre class="jobqueue-output">{}</pre>', printable(job.command))

    @admin.display(description=_("environment variables"))
    def env_names(self, job: Job) -> str:
        return display.variables(job.env, with_values=False)

    @admin.display(description=_("Starts as"))
    def argv_list(self, job: Job) -> str:
        preview = command_preview.of_argv(job.argv or [], job.environment) if job.argv else None
        return render_to_string("admin/jobqueue/job/argv_list.html", {"preview": preview})

    @admin.display(description=_("last run"), ordering="last_when")
    def last_run(self, job: Any) -> str:
        if job.last_pk is None:
            return display.EMPTY
        url = links.in_site(self.admin_site.name, "jobqueue_execution_change", job.last_pk)
        shown: str = display.state(job.last_state)
        link = format_html('<a href="{}">{}</a>', url, shown) if url else shown
        return display.two_lines(link, display.moment(job.last_when))
