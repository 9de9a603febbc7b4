"""Filters of lists that don't read a whole history to know their choices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Execution, Job, Queue


class QueueFilter(admin.SimpleListFilter):
    """Queues that were ever served, or that a Job names."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The names, and the one in the address whatever it is."""
        names = {*Queue.objects.values_list("name", flat=True)}
        names |= {*Job.objects.values_list("queue", flat=True)}
        names |= {self.used_parameters.get(self.parameter_name) or ""}
        return [(name, name) for name in sorted(names) if name]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        """The executions of one queue."""
        name = self.value()
        return queryset.filter(queue=name) if name else queryset
