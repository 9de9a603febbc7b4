"""Schedules in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..models import Schedule
from . import actions, links, schedule_preview
from .deletion import NamesWhatGoes
from .pages import ObjectPages
from .schedule_form import ScheduleForm
from .schedule_record import HistoryRow, ScheduleRecord

#: Fire times on the page of a schedule.
SHOWN = 20


@admin.register(Schedule)
class ScheduleAdmin(NamesWhatGoes, ScheduleRecord, ObjectPages[Schedule]):
    """To see and edit schedules takes Django's own permissions.

    Who may change one lets its Job run. To run one at once takes ``view_schedule`` with
    ``run_job``.
    """

    form = ScheduleForm
    actions = ("enable", "disable", "run")
    object_pages = {"run": ("run_page", "run")}
    radio_fields = {"kind": admin.HORIZONTAL}
    readonly_fields = ("times", "words", "limits_in_words")
    fieldsets = (
        (None, {"fields": ("name", "job", "enabled")}),
        (
            _("When"),
            {
                "fields": (
                    *("kind", "expression", "both_days", "interval", "once_at"),
                    *("timezone", "times"),
                )
            },
        ),
        (_("How"), {"fields": ("priority", "queue", "catch_up", "misfire_grace")}),
        (_("Limits"), {"fields": ("first_at", "last_at", "anchor_at"), "classes": ("collapse",)}),
    )

    class Media:
        css = {"all": ("jobqueue/admin.css",)}
        js = ("jobqueue/schedule.js",)

    def get_urls(self) -> list[URLPattern]:
        """The preview beside the usual pages."""
        view = self.admin_site.admin_view(self.preview_page)
        return [path("preview/", view, name="jobqueue_schedule_preview"), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """For those who may only look, the times in words and in the schedule's own zone."""
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        fields = {
            str(_("When")): ("words", "timezone", "times"),
            str(_("Limits")): ("limits_in_words",),
        }
        return [
            (title, {**rest, "fields": fields.get(str(title), rest["fields"])})
            for title, rest in fieldsets
        ]

    # The page of one

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form, what became of the last times, and the Run button for those who may."""
        schedule: Schedule | None = kwargs.get("obj")
        if schedule is not None:
            context |= self._history(request, schedule)
            if self.has_run_permission(request, schedule):
                context["run_url"] = self.page_url(request, schedule, "run")
        return super().render_change_form(request, context, *args, **kwargs)

    def _history(self, request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
        fires = schedule.history.select_related("schedule", "execution").defer(
            "execution__log_tail", "execution__env", "execution__details"
        )
        context: dict[str, Any] = {
            "history": [HistoryRow(self.admin_site.name, fire) for fire in fires[:SHOWN]]
        }
        if request.user.has_perm("jobqueue.view_fire"):
            context["fires_url"] = links.to_admin(request, "jobqueue_fire_changelist")
        return context

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Save; say what became of local times that clocks skip or double, and what comes next."""
        super().save_model(request, obj, form, change)
        for note in getattr(form, "notes", ()):
            messages.warning(request, note)
        actions.tell_next(request, obj)

    def preview_page(self, request: HttpRequest) -> HttpResponse:
        """JSON: the times of what is typed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) or self.has_view_permission(request)):
            raise PermissionDenied
        return JsonResponse(schedule_preview.of_form(request.POST, timezone.now()))

    # Running and steering

    def has_run_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Whether the user may queue its Job now."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "run_job", obj.job if obj else None)

    def run_page(self, request: HttpRequest, schedule: Schedule) -> HttpResponse:
        """The button Run now."""
        if self.is_pressed(request):
            actions.run_schedules(request, [schedule])
        return self.to_object(request, schedule)

    @admin.action(description=_("Run selected schedules now"), permissions=("run",))
    def run(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Queue the Job of each; the next fire times stay."""
        chosen = self.permitted(request, "run", queryset.select_related("job"))
        actions.run_schedules(request, chosen)

    @admin.action(description=_("Enable selected schedules"), permissions=("change",))
    def enable(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them fire from now on."""
        actions.enable(request, self._allowed(request, queryset))

    @admin.action(description=_("Disable selected schedules"), permissions=("change",))
    def disable(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them fire no more."""
        actions.disable(request, self._allowed(request, queryset))

    def _allowed(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> list[Schedule]:
        return self.permitted(request, "change", queryset.select_related("job"))
