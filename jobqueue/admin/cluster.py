"""Clusters in the admin: who serves the queues, and who doesn't any more."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..commandline import printable
from ..models import Cluster
from . import actions, display
from .pages import NotEdited


@admin.register(Cluster)
class ClusterAdmin(NotEdited[Cluster]):
    """To see clusters takes ``view_cluster`` or ``control_queue``.

    A cluster appears when it starts, and goes when it is stopped or another takes its place.
    """

    list_display = (
        "shown_name",
        "shown_state",
        "shown_host",
        "process",
        "workers",
        "since",
        "heard_of",
    )
    list_display_links = None
    fieldsets = ((None, {"fields": list_display}),)

    class Media:
        css = {"all": ("jobqueue/admin.css",)}

    def has_view_permission(self, request: HttpRequest, obj: Cluster | None = None) -> bool:
        """Who may control queues sees them."""
        return super().has_view_permission(request, obj) or actions.may(
            request.user, "control_queue", obj
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cluster]:
        """Each with how long it has been silent."""
        clusters: Any = super().get_queryset(request)
        with_silence: QuerySet[Cluster] = clusters.with_silence()
        return with_silence

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below a word on it when none is alive."""
        context = {"title": _("Clusters"), "no_cluster": actions.no_cluster()}
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def shown_name(self, cluster: Cluster) -> str:
        return printable(cluster.name)

    @admin.display(description=gettext_lazy("host"), ordering="host")
    def shown_host(self, cluster: Cluster) -> str:
        return printable(cluster.host)

    @admin.display(description=gettext_lazy("process id"), ordering="pid")
    def process(self, cluster: Cluster) -> str:
        return str(cluster.pid)

    @admin.display(description=gettext_lazy("since"), ordering="started_at")
    def since(self, cluster: Cluster) -> str:
        return display.moment(cluster.started_at)

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, cluster: Cluster) -> str:
        if cluster.is_stopping:
            stopping = display.signed("paused", "‖", _("stopping"))
            return display.two_lines(stopping, _("starts nothing more"))
        if cluster.is_alive:
            return display.signed("alive", "✓", _("alive"))
        gone, silent = _("its process is gone"), _("or cut off from the database")
        why = gone if cluster.is_gone else silent
        return display.two_lines(display.signed("dead", "✗", _("dead")), why)

    @admin.display(description=gettext_lazy("last heard of"), ordering="seen_at")
    def heard_of(self, cluster: Cluster) -> str:
        return display.moment(cluster.seen_at)
