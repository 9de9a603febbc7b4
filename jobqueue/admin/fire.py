"""Fire times in the admin: what became of each; a record that nobody edits."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import Fire
from . import display, fire_words, links
from .pages import ObjectPages


@admin.register(Fire)
class FireAdmin(ObjectPages[Fire]):
    """To see them takes ``view_fire``. They go with their schedule."""

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Fire | None = None) -> bool:
        """Nobody edits one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Fire | None = None) -> bool:
        """Without it, the same time could fire again."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fire]:
        """Without what only the page of an execution shows."""
        heavy = ("execution__log_tail", "execution__env", "execution__details", "execution__argv")
        return super().get_queryset(request).defer(*heavy)

    @admin.display(description=_("fire time"), ordering="fire_at")
    def at(self, fire: Fire) -> str:
        return display.moment(fire.fire_at, display.zone_of(fire.schedule))

    @admin.display(description=_("late by"))
    def late(self, fire: Fire) -> str:
        return display.duration(fire.recorded_at - fire.fire_at)

    @admin.display(description=_("schedule"), ordering="schedule__name")
    def shown_schedule(self, fire: Fire) -> str:
        name = display.short(fire.schedule.name)
        url = links.in_site(self.admin_site.name, "jobqueue_schedule_change", fire.schedule_id)
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    @admin.display(description=_("what became of it"), ordering="outcome")
    def what_became(self, fire: Fire) -> str:
        state = fire.execution.state if fire.execution else None
        return fire_words.of_fire(self.admin_site.name, fire, state)
