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
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from .. import conf
from ..codes import signal_name
from ..commandline import printable
from ..ends import limit
from ..models import Acknowledgement, Codes, Execution, Fire, State
from . import acknowledging, actions, command_preview, display, links, notes, retry_words
from .filters import QueueFilter, ReachFilter, SinceFilter
from .history import HistoryList, NewestPaginator
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


def _by_custom(code: int) -> str:
    """What POSIX shells mean by a code, in words; "" for those that a program chooses itself."""
    if code == 126:
        return _("a program that can't be executed")
    if code == 127:
        return _("a program that wasn't found")
    if 128 < code <= 128 + 64:
        return _("an end by %s") % signal_name(code - 128)
    return ""


def _limit(own: timedelta | None, sites: timedelta | None, text: str, no_limit: str) -> str:
    """What a limit does; where the run has none of its own, what the site's does by now."""
    value = limit(own, sites)
    shown = text % display.duration(value) if value else no_limit
    return _("%s (the site's)") % shown if own is None else shown


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
    list_filter = (ReachFilter, "state", SinceFilter, QueueFilter, "source", "job")
    search_fields = ("job_name", "reason")
    search_help_text = gettext_lazy("Number, Job, command or reason")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count all, once for each choice
    list_per_page = 50
    paginator = NewestPaginator
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "shown_state",
                    "shown_reason",
                    "on_it",
                    "returned",
                    "timeline",
                    "attempts",
                )
            },
        ),
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
                    "files",
                    "schedules",
                )
            },
        ),
        (pgettext_lazy("noun", "Run"), {"fields": ("limits", "process", "notes")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        """Without what only the page of one shows."""
        executions = super().get_queryset(request).defer("log_tail", "env", "details")
        return notes.with_notes(executions.select_related("acknowledgement"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[HistoryList]:
        """A list that knows the longest duration on its page."""
        return HistoryList

    def get_fieldsets(self, request: HttpRequest, obj: Execution | None = None) -> Any:
        """What there is to say; the values of variables for those who may change the Job."""
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        empty = {name for name, field in _OPTIONAL.items() if getattr(obj, field) in _NOTHING}
        if not any(notes.of_run(obj.details)):
            empty.add("notes")
        if not any(notes.files(obj.details)):
            empty.add("files")
        if not acknowledging.in_words(obj):
            empty.add("on_it")
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
        return links.linked(self.admin_site.name, "jobqueue_execution_change", pk, f"#{pk}")

    # Columns

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, execution: Execution) -> str:
        return display.state(execution.state)

    @admin.display(description=gettext_lazy("Job or command"))
    def what(self, execution: Execution) -> str:
        what = display.short(execution.label)
        reason = display.short(execution.reason, REASON)
        noted = notes.in_list(execution, self._link, told=execution.reason[:REASON])
        said = [retry_words.in_list(execution), acknowledging.in_words(execution), *noted]
        noted_line = format_html_join("; ", "{}", ((text,) for text in said if text))
        return display.two_lines(display.two_lines(what, reason), noted_line)

    @admin.display(description=gettext_lazy("started"))
    def started(self, execution: Execution) -> str:
        return display.moment(execution.started_at)

    @admin.display(description=gettext_lazy("duration"))
    def took(self, execution: Any) -> str:
        code, elapsed = execution.return_code, execution.elapsed(timezone.now())
        took = display.duration(elapsed)
        shown = display.two_lines(took, "" if code is None else _("code %d") % code)
        if elapsed is None:
            return shown
        bar = display.bar(execution.state, elapsed, execution.longest)
        return format_html("{}{}", shown, bar)

    @admin.display(description=pgettext_lazy("column", "queue"))
    def shown_queue(self, execution: Execution) -> str:
        return display.two_lines(execution.queue, _("priority %d") % execution.priority)

    @admin.display(description=gettext_lazy("queued"))
    def asked(self, execution: Execution) -> str:
        source = execution.get_source_display()
        who = ", ".join(filter(None, [execution.requested_by, source]))
        return display.two_lines(display.moment(execution.queued_at), display.short(who, 40))

    # Facts of one

    @admin.display(description=gettext_lazy("reason"))
    def shown_reason(self, execution: Execution) -> str:
        return printable(execution.reason)

    @admin.display(description=gettext_lazy("acknowledged"))
    def on_it(self, execution: Execution) -> str:
        return acknowledging.in_words(execution, note_length=Acknowledgement.NOTE)

    @admin.display(description=gettext_lazy("return code"))
    def returned(self, execution: Execution) -> str:
        scheme, code = execution.get_codes_display(), execution.return_code
        shown = _("%(code)s, read as %(scheme)s") % {"code": code, "scheme": scheme}
        custom = _by_custom(code or 0) if execution.codes == Codes.EXIT_STATUS else ""
        if not custom:
            return shown
        return _("%(code)s; by the custom of shells: %(custom)s") % {
            "code": shown,
            "custom": custom,
        }

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
            "watch": display.watch(execution.elapsed(now)),
        }
        return render_to_string("admin/jobqueue/execution/timeline.html", context)

    @admin.display(description=gettext_lazy("Job"))
    def shown_job(self, execution: Execution) -> str:
        name = printable(execution.job_name)
        if execution.job_id is None:
            return name
        return links.linked(self.admin_site.name, "jobqueue_job_change", execution.job_id, name)

    @admin.display(description=gettext_lazy("command"))
    def command_line(self, execution: Execution) -> str:
        return display.command(execution.argv)

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
        if joined := ", ".join(notes.joined(execution.details)):
            asked = _("%(asked)s; joined by %(names)s") % {"asked": asked, "names": joined}
        if execution.trigger_at is None:
            return asked
        return format_html(_("{}, for {}"), asked, display.moment(execution.trigger_at))

    @admin.display(description=gettext_lazy("files"))
    def files(self, execution: Execution) -> str:
        names = ((name,) for name in notes.files(execution.details))
        return format_html_join(mark_safe("<br>"), "{}", names)

    @admin.display(description=gettext_lazy("schedule"))
    def schedules(self, execution: Execution) -> str:
        fires = execution.fires.select_related("schedule")[:FIRES]
        return format_html_join(mark_safe("<br>"), "{}", ((self._fire(fire),) for fire in fires))

    def _fire(self, fire: Fire) -> str:
        """Which schedule asked for it and when; how many of its times were missed before."""
        name = printable(fire.schedule.name)
        page = "jobqueue_schedule_change"
        link = links.linked(self.admin_site.name, page, fire.schedule_id, name)
        moment = display.moment(fire.fire_at, fire.schedule.zone())
        missed = ngettext("; %d time missed before", "; %d times missed before", fire.missed)
        return format_html("{}, {}{}", link, moment, missed % fire.missed if fire.missed else "")

    @admin.display(description=gettext_lazy("attempts"))
    def attempts(self, execution: Execution) -> str:
        shown = [retry_words.attempt(execution)]
        if execution.retry_of_id:
            shown.append(format_html(_("after {}"), self._link(execution.retry_of_id)))
        if isinstance(again_of := execution.details.get("again_of"), int):
            shown.append(format_html(_("{} run again"), self._link(again_of)))
        retries = execution.retries.exclude(state=State.CANCELLED).order_by("pk")
        told = execution.details.get("queued_again_as")
        others = [pk for pk in retries.values_list("pk", flat=True)[:20] if pk != told]
        shown += [format_html(_("queued again as {}"), self._link(pk)) for pk in others]
        shown += notes.relations(execution.details, self._link)
        if isinstance(told, int) and (next_one := Execution.objects.filter(pk=told).first()):
            shown.append(retry_words.again_at(next_one))
        return format_html_join("; ", "{}", ((text,) for text in shown if text))

    @admin.display(description=gettext_lazy("limits"))
    def limits(self, execution: Execution) -> str:
        site = conf.current()
        longest, kill_after = execution.max_runtime, execution.kill_after
        shown = [
            _limit(longest, site.MAX_RUNTIME, _("alert after %s"), _("no alert")),
            _limit(kill_after, site.KILL_AFTER, _("ended after %s"), _("never ended by one")),
            "" if execution.rerun_if_lost else _("not run again if lost"),
        ]
        return "; ".join(filter(None, shown))

    @admin.display(description=gettext_lazy("process"))
    def process(self, execution: Execution) -> str:
        host = printable(execution.host)
        if execution.pid is None:
            return host
        return _("%(pid)d on %(host)s") % {"pid": execution.pid, "host": host}

    @admin.display(description=gettext_lazy("notes"))
    def notes(self, execution: Execution) -> str:
        return " ".join(notes.of_run(execution.details))
