"""How executions look in the admin: the list, and the facts on the page of one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..commandline import printable
from ..models import Execution, Fire
from . import actions, command_preview, display, links, notes
from .filters import QueueFilter
from .search import CommandSearch

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Execution]
else:
    _Base = object

#: Facts that are left out where the field has nothing.
_OPTIONAL = {
    "shown_reason": "reason",
    "returned": "return_code",
    "shown_job": "job_name",
    "shown_environment": "environment",
    "env_names": "env",
    "process": "host",
}
#: Characters of a reason that a list has room for.
REASON = 90
#: Fire times that one execution names at most: the one it was made for, and duplicates of it.
FIRES = 10
_NOTHING: tuple[object, ...] = (None, "", {})


class ExecutionRecord(CommandSearch, _Base):
    """Lists, filters, search and the facts of one; nobody adds, edits or deletes any."""

    list_display = (
        "id",
        "shown_state",
        "what",
        "asked",
        "started",
        "took",
        "shown_queue",
    )
    list_filter = ("state", QueueFilter, "source", "job")
    search_fields = ("job_name", "reason")
    search_help_text = gettext_lazy("Number, Job, command or reason")
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("shown_state", "shown_reason", "returned", "timeline")}),
        (
            gettext_lazy("Request"),
            {
                "fields": (
                    "shown_job",
                    "command_line",
                    "argv_list",
                    "shown_environment",
                    "directory",
                    "env_names",
                    "queue",
                    "priority",
                    "asked_in_words",
                    "schedules",
                )
            },
        ),
        (gettext_lazy("Run"), {"fields": ("attempts", "limits", "process", "notes")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Execution | None = None) -> bool:
        """Nobody edits one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Execution | None = None) -> bool:
        """Nobody deletes one."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        """Without what only the page of one shows."""
        executions = super().get_queryset(request).defer("log_tail", "env", "details")
        return notes.with_notes(executions)

    def get_fieldsets(self, request: HttpRequest, obj: Execution | None = None) -> Any:
        """What there is to say; the values of variables for those who may change the Job."""
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        empty = {name for name, field in _OPTIONAL.items() if getattr(obj, field) in _NOTHING}
        if not any(notes.of_run(obj.details)):
            empty.add("notes")
        if not obj.fires.exists():
            empty.add("schedules")
        full = actions.may(request.user, "change_job", obj.job)
        instead = {"env_names": "env_values"} if full else {}
        return [
            (title, {"fields": [instead.get(f, f) for f in rest["fields"] if f not in empty]})
            for title, rest in fieldsets
        ]

    def _link(self, execution: Execution | int) -> str:
        pk = execution if isinstance(execution, int) else execution.pk
        url = links.in_site(self.admin_site.name, "jobqueue_execution_change", pk)
        return format_html('<a href="{}">#{}</a>', url, pk)

    # Columns

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def shown_state(self, execution: Execution) -> str:
        return display.state(execution.state)

    @admin.display(description=gettext_lazy("Job or command"), ordering="job_name")
    def what(self, execution: Execution) -> str:
        what = display.short(execution.label)
        reason = display.short(execution.reason, REASON)
        noted = notes.in_list(execution, self._link, told=execution.reason[:REASON])
        noted_line = format_html_join("; ", "{}", ((note,) for note in noted))
        return display.two_lines(display.two_lines(what, reason), noted_line)

    @admin.display(description=gettext_lazy("started"), ordering="started_at")
    def started(self, execution: Execution) -> str:
        return display.moment(execution.started_at)

    @admin.display(description=gettext_lazy("duration"))
    def took(self, execution: Execution) -> str:
        code = execution.return_code
        took = display.duration(execution.elapsed(timezone.now()))
        return display.two_lines(took, "" if code is None else _("code %d") % code)

    @admin.display(description=gettext_lazy("queue"), ordering="queue")
    def shown_queue(self, execution: Execution) -> str:
        return display.two_lines(execution.queue, _("priority %d") % execution.priority)

    @admin.display(description=gettext_lazy("queued"), ordering="queued_at")
    def asked(self, execution: Execution) -> str:
        source = execution.get_source_display()
        who = ", ".join(filter(None, [execution.requested_by, source]))
        return display.two_lines(display.moment(execution.queued_at), display.short(who, 40))

    # Facts of one

    @admin.display(description=gettext_lazy("reason"))
    def shown_reason(self, execution: Execution) -> str:
        return printable(execution.reason)

    @admin.display(description=gettext_lazy("return code"))
    def returned(self, execution: Execution) -> str:
        scheme = execution.get_codes_display()
        return _("%(code)s, read as %(scheme)s") % {"code": execution.return_code, "scheme": scheme}

    @admin.display(description=gettext_lazy("times"))
    def timeline(self, execution: Execution) -> str:
        now = timezone.now()
        waited = (execution.started_at or execution.ended_at or now) - execution.queued_at
        context = {
            "execution": execution,
            "queued": display.moment(execution.queued_at),
            "not_before": display.moment(execution.not_before),
            "started": display.moment(execution.started_at),
            "stop_requested": display.moment(execution.stop_requested_at),
            "stop_requested_by": printable(execution.stop_requested_by),
            "ended": display.moment(execution.ended_at),
            "waited": display.duration(waited),
            "took": display.duration(execution.elapsed(now)),
        }
        return render_to_string("admin/jobqueue/execution/timeline.html", context)

    @admin.display(description=gettext_lazy("Job"))
    def shown_job(self, execution: Execution) -> str:
        name = printable(execution.job_name)
        url = execution.job_id and links.in_site(
            self.admin_site.name, "jobqueue_job_change", execution.job_id
        )
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    @admin.display(description=gettext_lazy("command"))
    def command_line(self, execution: Execution) -> str:
        shown = printable(execution.command)
        return format_html('<pre class="jobqueue-output jobqueue-copy">{}</pre>', shown)

    @admin.display(description=gettext_lazy("argv"))
    def argv_list(self, execution: Execution) -> str:
        words = [printable(word) for word in execution.argv]
        preview = command_preview.Preview(words=words)
        return render_to_string("admin/jobqueue/job/argv_list.html", {"preview": preview})

    @admin.display(description=gettext_lazy("environment"))
    def shown_environment(self, execution: Execution) -> str:
        return printable(execution.environment)

    @admin.display(description=gettext_lazy("working directory"))
    def directory(self, execution: Execution) -> str:
        return printable(execution.working_directory) or _("the environment's, else the service's")

    @admin.display(description=gettext_lazy("environment variables"))
    def env_names(self, execution: Execution) -> str:
        return display.variables(execution.env, with_values=False)

    @admin.display(description=gettext_lazy("environment variables"))
    def env_values(self, execution: Execution) -> str:
        return display.variables(execution.env, with_values=True)

    @admin.display(description=gettext_lazy("asked by"))
    def asked_in_words(self, execution: Execution) -> str:
        who = printable(execution.requested_by)
        source = execution.get_source_display()
        asked = f"{who} ({source})" if who else source
        if execution.trigger_at is None:
            return asked
        return format_html(_("{}, for {}"), asked, display.moment(execution.trigger_at))

    @admin.display(description=gettext_lazy("schedule"))
    def schedules(self, execution: Execution) -> str:
        fires = execution.fires.select_related("schedule")[:FIRES]
        return format_html_join(mark_safe("<br>"), "{}", ((self._fire(fire),) for fire in fires))

    def _fire(self, fire: Fire) -> str:
        """Which schedule asked for it and when; how many of its times were missed before."""
        name = printable(fire.schedule.name)
        url = links.in_site(self.admin_site.name, "jobqueue_schedule_change", fire.schedule_id)
        link = format_html('<a href="{}">{}</a>', url, name) if url else name
        moment = display.moment(fire.fire_at, display.zone_of(fire.schedule))
        missed = ngettext("; %d time missed before", "; %d times missed before", fire.missed)
        return format_html("{}, {}{}", link, moment, missed % fire.missed if fire.missed else "")

    @admin.display(description=gettext_lazy("attempts"))
    def attempts(self, execution: Execution) -> str:
        shown = [_("attempt %d") % execution.attempt]
        if execution.retry_of_id:
            shown.append(format_html(_("after {}"), self._link(execution.retry_of_id)))
        if isinstance(again_of := execution.details.get("again_of"), int):
            shown.append(format_html(_("{} run again"), self._link(again_of)))
        retries = execution.retries.order_by("pk").values_list("pk", flat=True)[:20]
        told = execution.details.get("queued_again_as")
        others = [pk for pk in retries if pk != told]
        shown += [format_html(_("queued again as {}"), self._link(pk)) for pk in others]
        shown += notes.relations(execution.details, self._link)
        return format_html_join("; ", "{}", ((text,) for text in shown))

    @admin.display(description=gettext_lazy("limits"))
    def limits(self, execution: Execution) -> str:
        shown = [
            _("alert after %s") % execution.max_runtime if execution.max_runtime else "",
            _("ended after %s") % execution.kill_after if execution.kill_after else "",
            _("never ended by one") if execution.kill_after == timedelta(0) else "",
            "" if execution.rerun_if_lost else _("not run again if lost"),
        ]
        return "; ".join(filter(None, shown)) or _("the site's")

    @admin.display(description=gettext_lazy("process"))
    def process(self, execution: Execution) -> str:
        host = printable(execution.host)
        if execution.pid is None:
            return host
        return _("%(pid)d on %(host)s") % {"pid": execution.pid, "host": host}

    @admin.display(description=gettext_lazy("notes"))
    def notes(self, execution: Execution) -> str:
        return " ".join(notes.of_run(execution.details))
