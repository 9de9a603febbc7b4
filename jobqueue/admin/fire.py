"""Fire times in the admin: what became of each; a record that nobody edits."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import Fire
from . import display, links
from .pages import ObjectPages
from .schedule_record import missed_in_words, outcome


@admin.register(Fire)
class FireAdmin(ObjectPages[Fire]):
    """To see them takes ``view_fire``. They go with their schedule."""

    list_display = ("at", "late", "shown_schedule", "shown_outcome", "run", "missed", "why")
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

    def _link(self, name: str, pk: object, shown: str) -> str:
        url = links.in_site(self.admin_site.name, name, pk)
        return format_html('<a href="{}">{}</a>', url, shown) if url else shown

    @admin.display(description=_("fire time"), ordering="fire_at")
    def at(self, fire: Fire) -> str:
        return display.moment(fire.fire_at, display.zone_of(fire.schedule))

    @admin.display(description=_("late by"))
    def late(self, fire: Fire) -> str:
        return display.duration(fire.recorded_at - fire.fire_at)

    @admin.display(description=_("schedule"), ordering="schedule__name")
    def shown_schedule(self, fire: Fire) -> str:
        name = display.short(fire.schedule.name)
        return self._link("jobqueue_schedule_change", fire.schedule_id, name)

    @admin.display(description=_("outcome"), ordering="outcome")
    def shown_outcome(self, fire: Fire) -> str:
        return outcome(fire)

    @admin.display(description=_("execution"))
    def run(self, fire: Fire) -> str:
        if fire.execution is None:
            return display.EMPTY
        link = self._link("jobqueue_execution_change", fire.execution_id, f"#{fire.execution_id}")
        return format_html("{} {}", link, display.state(fire.execution.state))

    @admin.display(description=_("missed"))
    def missed(self, fire: Fire) -> str:
        return missed_in_words(fire) or display.EMPTY

    @admin.display(description=_("reason"))
    def why(self, fire: Fire) -> str:
        return display.short(fire.reason, 120) or display.EMPTY
