"""Jobs in the admin."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Execution, Job
from ..models.execution import DEFAULT_PRIORITY
from . import (
    actions,
    alarm_record,
    command_preview,
    display,
    job_check,
    job_runs,
    job_users,
    links,
    planned,
    priority,
    retry_words,
)
from .deletion import NamesWhatGoes
from .filters import AlarmFilter, ValuesFilter
from .job_form import CHECK, JobForm
from .pages import ObjectPages, Question, is_confirmed
from .search import CommandSearch

_RUN = Question(
    title=_("Run?"),
    text=_("This will be queued:"),
    button=_("Run"),
)


@admin.register(Job)
class JobAdmin(NamesWhatGoes, CommandSearch, ObjectPages[Job]):
    """To run one takes ``view_job`` with ``run_job``, to edit one Django's ``change_job``."""

    form = JobForm
    list_display = (
        "shown_name",
        "command",
        "last_run",
        "alarm_in_list",
        "queue",
        "enabled",
        "is_in_menu",
    )
    list_select_related = ("alarm",)
    list_filter = (AlarmFilter, "enabled", "in_run_menu", "queue", ("environment", ValuesFilter))
    search_fields = ("name", "description")
    search_help_text = _("Name, description or command")
    list_per_page = 50
    actions = ("run",)
    object_pages = {
        "run": ("run_page", "run"),
        "check": ("check_page", "change"),
        "ping": ("ping_page", "change"),
    }
    readonly_fields = ("argv_list", "retries_in_words", "alarm_state", "who_is_told")
    fieldsets = (
        (None, {"fields": ("name", "description", "argv", "argv_list")}),
        (_("Where"), {"fields": ("environment", "working_directory", "env", "queue")}),
        (_("Requests"), {"fields": ("enabled", "in_run_menu", "ask_first")}),
        (
            _("Limits and results"),
            {"fields": ("codes", "max_runtime", "kill_after", "rerun_if_lost")},
        ),
        (
            _("Retries"),
            {
                "fields": (
                    "retries_in_words",
                    "max_retries",
                    "retry_on",
                    "retry_delay",
                    "retry_backoff",
                    "retry_max_delay",
                )
            },
        ),
        (
            _("Alarms and pings"),
            {
                "fields": (
                    *("alarm_state", "notify", "alarm_after", "alarm_at_first_failure"),
                    *("recipients", "who_is_told", "ping_url"),
                )
            },
        ),
        (
            _("Record"),
            {"fields": ("keep_runs", "keep_days", "keep_failed_days", "keep_output_days")},
        ),
    )

    class Media:
        css = {"all": ("jobqueue/admin.css",)}
        js = ("jobqueue/command_line.js", "jobqueue/copy.js")

    def get_urls(self) -> list[URLPattern]:
        """The preview beside the usual pages."""
        view = self.admin_site.admin_view(self.preview_page)
        return [path("preview/", view, name="jobqueue_job_preview"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Jobs with their last execution."""
        when = Coalesce("ended_at", "started_at", "queued_at")
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.annotate(last_pk=_last("pk"), last_state=_last("state"), last_when=_last(when))

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """Without values of variables, and where pings go, for those who may only look."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        instead = {"argv": "command_line", "env": "env_names", "ping_url": "ping_place"}
        return [
            (name, {**rest, "fields": [instead.get(str(f), f) for f in rest["fields"]]})
            for name, rest in fieldsets
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page, with the Run button for those who may, and what a check found."""
        job = kwargs.get("obj")
        form = context["adminform"].form
        if CHECK in form.data and not form.errors:
            context |= self._checked(form.instance)
        if job is not None and self.has_run_permission(request, job):
            context["run_url"] = self.page_url(request, job, "run")
            context |= {"priorities": priority.CHOICES, "default_priority": DEFAULT_PRIORITY}
        if job is not None and request.user.has_perm("jobqueue.view_execution"):
            context["executions_url"] = links.to_admin(request, "jobqueue_execution_changelist")
        if job is not None:
            context["planned"] = planned.of_job(request, job)
            context["used_by"] = job_users.of_job(request, self.admin_site, job)
            context["runs"] = job_runs.of(request, job)
            if self.has_change_permission(request, job):
                context["check_url"] = self.page_url(request, job, "check")
                context["ping_url"] = job.ping_url and self.page_url(request, job, "ping")
            if request.user.has_perm("jobqueue.add_schedule"):
                context["add_schedule_url"] = links.to_admin(request, "jobqueue_schedule_add")
        return super().render_change_form(request, context, *args, **kwargs)

    def has_run_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Whether the user may queue this Job."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "run_job", obj)

    @admin.action(description=_("Run selected Jobs"), permissions=("run",))
    def run(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Queue each at priority 5, or at the one that is chosen where a Job asks first."""
        jobs, form = self.chosen(request, queryset), priority.asked(request)
        asks = any(job.ask_first for job in jobs) and not is_confirmed(request)
        if asks or not form.is_valid():
            return self.ask_for_all(request, _RUN, jobs, "run", form)
        permitted = self.permitted(request, "run", jobs)
        actions.run(request, permitted, form.cleaned_data["priority"])
        return None

    def run_page(self, request: HttpRequest, job: Job) -> HttpResponse:
        """The Run button, and the Run menu in the header."""
        if self.is_pressed(request):
            form = priority.asked(request)
            if not form.is_valid() or (job.ask_first and not is_confirmed(request)):
                return self.ask(request, _RUN, [job], form=form)
            actions.run(request, [job], form.cleaned_data["priority"])
        return self.to_object(request, job)

    def check_page(self, request: HttpRequest, job: Job) -> HttpResponse:
        """What stands in the way of a run, as far as that can be seen without one."""
        context = {
            "title": gettext("Could it run? %s") % job,
            "job": job,
            "job_url": self.page_url(request, job, "change"),
            **self._checked(job),
        }
        return self.rendered(request, "admin/jobqueue/job/check.html", context)

    def _checked(self, job: Job) -> dict[str, Any]:
        """Findings are made as the page is written: by then no transaction waits for files."""
        return {"host": job_check.host(), "findings": job_check.findings(job)}

    def ping_page(self, request: HttpRequest, job: Job) -> HttpResponse:
        """The Test ping button."""
        if self.is_pressed(request) and job.ping_url:
            actions.test_ping(request, job)
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
        return display.command(job.argv)

    @admin.display(description=_("environment variables"))
    def env_names(self, job: Job) -> str:
        return display.variables(job.env, with_values=False)

    @admin.display(description=_("Starts as"))
    def argv_list(self, job: Job) -> str:
        preview = command_preview.of_argv(job.argv or [], job.environment) if job.argv else None
        return render_to_string("admin/jobqueue/job/argv_list.html", {"preview": preview})

    @admin.display(description=_("In words"))
    def retries_in_words(self, job: Job) -> str:
        return retry_words.of_job(job)

    @admin.display(description=_("Alarm"))
    def alarm_state(self, job: Job) -> str:
        return alarm_record.of_job(self.admin_site.name, job)

    @admin.display(description=_("alarm"), ordering="alarm__is_bad")
    def alarm_in_list(self, job: Job) -> str:
        return alarm_record.linked(self.admin_site.name, getattr(job, "alarm", None))

    @admin.display(description=_("menu"), boolean=True, ordering="in_run_menu")
    def is_in_menu(self, job: Job) -> bool:
        return job.in_run_menu

    @admin.display(description=_("Who is told"))
    def who_is_told(self, job: Job) -> str:
        return alarm_record.people(job)

    @admin.display(description=_("pings"))
    def ping_place(self, job: Job) -> str:
        return alarm_record.ping_place(job)

    @admin.display(description=_("last run"), ordering="last_when")
    def last_run(self, job: Any) -> str:
        if job.last_pk is None:
            return display.EMPTY
        shown, page = display.state(job.last_state), "jobqueue_execution_change"
        link = links.linked(self.admin_site.name, page, job.last_pk, shown)
        return display.two_lines(link, display.moment(job.last_when))


def _last(wanted: str | Coalesce) -> Subquery:
    """Something of the last execution of a Job, None without any; by the index (job, id).

    For a Job that ran long ago PostgreSQL would rather read all that came after, by the table's
    key, unless a range is asked for; MariaDB takes the index for what is equal only.
    """
    pk, is_range = OuterRef("pk"), connections[Execution.objects.db].vendor == "postgresql"
    same = {"job__gte": pk, "job__lte": pk} if is_range else {"job": pk}
    last = Execution.objects.filter(**same).order_by("-job_id", "-id")
    return Subquery(last.values(found=F(wanted) if isinstance(wanted, str) else wanted)[:1])
