"""Filters of lists that don't read a whole history to know their choices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Execution, FireOutcome, Job, Queue, Schedule, State

_BAD_ENDS = (State.WARNED, State.FAILED, State.TIMED_OUT, State.LOST)


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


class LastOutcomeFilter(admin.SimpleListFilter):
    """Schedules by what became of their last fire time, and those that can't fire."""

    title = _("last time")
    parameter_name = "last"
    _FILTERS = {
        "problem": (_("can't fire"), ~Q(problem="") | Q(enabled=True, job__enabled=False)),
        "missed": (_("missed some"), Q(last_missed__gt=0)),
        "refused": (_("refused"), Q(last_outcome=FireOutcome.REFUSED)),
        "duplicate": (_("duplicate"), Q(last_outcome=FireOutcome.DUPLICATE)),
        "failed": (_("ended badly"), Q(last_execution_state__in=_BAD_ENDS)),
        "good": (_("ended well"), Q(last_execution_state=State.SUCCEEDED)),
        "never": (_("never fired"), Q(last_fire_at=None)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The names."""
        return [(name, label) for name, (label, _condition) in self._FILTERS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        """Those of which it is true."""
        chosen = self._FILTERS.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset
