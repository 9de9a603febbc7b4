"""Alarms in the admin: which Jobs aren't well, and who is on it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Alarm
from . import actions, alarm_record, display, links
from .acknowledging import NoteForm
from .pages import NotEdited, Question, is_confirmed

_ACKNOWLEDGE = Question(
    gettext_lazy("Acknowledge?"),
    gettext_lazy("Colleagues see that you are on it, until all is well again."),
    gettext_lazy("Acknowledge"),
)


@admin.register(Alarm)
class AlarmAdmin(NotEdited[Alarm]):
    """To see alarms takes ``view_alarm`` or ``acknowledge_alarm``; to acknowledge one the latter.

    An alarm appears with the first run of its Job that is judged, and goes with its Job.
    """

    list_display = (
        "shown_job",
        "shown_state",
        "shown_since",
        "failures",
        "shown_run",
        "on_it",
        "told",
    )
    list_filter = ("is_bad",)
    list_select_related = ("job",)
    search_fields = ("job__name", "reason", "note")
    object_pages = {"acknowledge": ("acknowledge_page", "acknowledge")}
    fieldsets = ((None, {"fields": ("job_page", *list_display[1:], "people")}),)

    class Media:
        css = {"all": ("jobqueue/admin.css",)}

    def has_view_permission(self, request: HttpRequest, obj: Alarm | None = None) -> bool:
        """Who may acknowledge alarms sees them."""
        return super().has_view_permission(request, obj) or self.has_acknowledge_permission(
            request, obj
        )

    def has_acknowledge_permission(self, request: HttpRequest, obj: Alarm | None = None) -> bool:
        """Whether the user may say that he is on it."""
        return actions.may(request.user, "acknowledge_alarm", obj)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, those that are bad first."""
        return super().changelist_view(request, {"title": _("Alarms"), **(extra_context or {})})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page, with the button for those who may."""
        alarm: Alarm = kwargs["obj"]
        context |= {"title": gettext_lazy("Alarm"), "subtitle": alarm}
        if alarm.is_bad and self.has_acknowledge_permission(request, alarm):
            context["acknowledge_url"] = self.page_url(request, alarm, "acknowledge")
        return super().render_change_form(request, context, *args, **kwargs)

    def acknowledge_page(self, request: HttpRequest, alarm: Alarm) -> HttpResponse:
        """The Acknowledge button: asks for a note."""
        form = NoteForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return self.ask(request, _ACKNOWLEDGE, [alarm], form=form)
        actions.acknowledge(request, alarm, form.cleaned_data["note"])
        return self.to_object(request, alarm)

    @admin.display(description=gettext_lazy("Job"), ordering="job__name")
    def shown_job(self, alarm: Alarm) -> str:
        return display.short(str(alarm))

    @admin.display(description=gettext_lazy("Job"))
    def job_page(self, alarm: Alarm) -> str:
        shown = display.short(str(alarm))
        if alarm.job_id is None:
            return shown
        return links.linked(self.admin_site.name, "jobqueue_job_change", alarm.job_id, shown)

    @admin.display(description=gettext_lazy("state"), ordering="is_bad")
    def shown_state(self, alarm: Alarm) -> str:
        return alarm_record.state(alarm)

    @admin.display(description=gettext_lazy("what is wrong"), ordering="since")
    def shown_since(self, alarm: Alarm) -> str:
        return alarm_record.since(alarm)

    @admin.display(description=gettext_lazy("last run"))
    def shown_run(self, alarm: Alarm) -> str:
        if alarm.execution_id is None:
            return display.EMPTY
        pk, page = alarm.execution_id, "jobqueue_execution_change"
        return links.linked(self.admin_site.name, page, pk, f"#{pk}")

    @admin.display(description=gettext_lazy("acknowledged"), ordering="acknowledged_at")
    def on_it(self, alarm: Alarm) -> str:
        return alarm_record.acknowledged(alarm)

    @admin.display(description=gettext_lazy("last mail"), ordering="told_at")
    def told(self, alarm: Alarm) -> str:
        return display.moment(alarm.told_at)

    @admin.display(description=gettext_lazy("who is told"))
    def people(self, alarm: Alarm) -> str:
        return alarm_record.people(alarm.job)
