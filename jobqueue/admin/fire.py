"""Fire times in the admin: what became of each; a record that nobody edits."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Fire
from . import display, fire_words, links
from .pages import NotEdited


@admin.register(Fire)
class FireAdmin(NotEdited[Fire]):
    """To see them takes ``view_fire``. They go with their schedule: without one of them, the same
    time could fire again.
    """

    list_display = ("at", "late", "shown_schedule", "what_became")
    list_display_links = None
    list_filter = ("outcome", "schedule")
    list_select_related = ("schedule", "execution")
    search_fields = ("schedule__name", "reason")
    search_help_text = _("Schedule or reason")
    show_full_result_count = False
    list_per_page = 100
    ordering = ("-fire_at", "-id")
    fieldsets = ((None, {"fields": list_display}),)

    class Media:
        css = {"all": ("jobqueue/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fire]:
        """Without what only the page of an execution shows."""
        heavy = ("execution__log_tail", "execution__env", "execution__details", "execution__argv")
        return super().get_queryset(request).defer(*heavy)

    @admin.display(description=_("fire time"), ordering="fire_at")
    def at(self, fire: Fire) -> str:
        return display.moment(fire.fire_at, fire.schedule.zone())

    @admin.display(description=_("late by"))
    def late(self, fire: Fire) -> str:
        return display.duration(fire.lateness)

    @admin.display(description=_("schedule"), ordering="schedule__name")
    def shown_schedule(self, fire: Fire) -> str:
        name = display.short(fire.schedule.name)
        page = "jobqueue_schedule_change"
        return links.linked(self.admin_site.name, page, fire.schedule_id, name)

    @admin.display(description=_("what became of it"), ordering="outcome")
    def what_became(self, fire: Fire) -> str:
        state = fire.execution.state if fire.execution else None
        return fire_words.of_fire(self.admin_site.name, fire, state)
