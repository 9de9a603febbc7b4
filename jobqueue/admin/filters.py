"""Filters of lists that don't read a whole history to know their choices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..bounded import newest_before
from ..models import Execution, FireOutcome, Job, Queue, State
from ..models.execution import BAD_ENDS, OPEN
from ..models.message import DROPPED, SENT, UNSENT

#: Executions that are looked through where no index leads to what is asked for.
REACH = 5000


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


class SinceFilter(admin.SimpleListFilter):
    """Executions that were queued lately; of a long history only the end is read."""

    title = pgettext_lazy("filter", "queued")
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The spans."""
        return [
            ("hour", _("in the last hour")),
            ("today", _("today")),
            ("7days", _("in the last 7 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        """Those since then."""
        now = timezone.localtime()
        since = {
            "hour": now - timedelta(hours=1),
            "today": now.replace(hour=0, minute=0, second=0, microsecond=0),
            "7days": now - timedelta(days=7),
        }.get(self.value() or "")
        if since is None:
            return queryset
        return queryset.filter(pk__gt=newest_before(since), queued_at__gte=since)


class ReachFilter(admin.SimpleListFilter):
    """How far back is looked for what no index leads to; it is there only when that is asked for.

    In a long history such a look takes long, and the database is busy meanwhile. What hasn't ended
    is never left out.
    """

    title = _("looked at")
    parameter_name = "reach"
    #: What an index leads to, or what looks for nothing.
    _QUICK = {"state__exact", SinceFilter.parameter_name, "job__id__exact", "p", "o", "e", "reach"}

    @property
    def is_near(self) -> bool:
        """Whether older ones aren't looked at."""
        return self.value() != "all"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """All of them, as the other choice."""
        asked = {name: value for name, value in request.GET.items() if value}
        if asked.keys() <= self._QUICK or asked.get("state__exact") in OPEN:
            return []
        newest = Execution.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self._first = newest - REACH + 1
        return [("all", _("all: may take long"))] if self._first > 1 else []

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The newest ones, or all."""
        newest, everything = super().choices(changelist)
        yield {**newest, "display": _("the newest %d") % REACH}
        yield everything

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        """The newest executions, unless all are wanted."""
        return queryset.filter(pk__gte=self._first) if self.is_near else queryset


class ValuesFilter(admin.AllValuesFieldListFilter):
    """The values that a field has; the empty one has a word, so that its link can be read out."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Each value, and all."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or _("none")}


class NewestValuesFilter(ValuesFilter):
    """The values that the newest rows have, and the one that is chosen: to know all takes long."""

    def __init__(self, field: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, *args, **kwargs)
        newest = field.model._default_manager.order_by("-pk").values_list(field.name, flat=True)
        self.lookup_choices: Any = sorted({*newest[:REACH], *(self.lookup_val or ())})


class ConditionFilter(admin.SimpleListFilter):
    """Rows of which a named condition is true."""

    #: By the word in the address, what the page calls it and what must be true.
    conditions: dict[str, tuple[Promise, Q]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The names."""
        return [(name, label) for name, (label, _condition) in self.conditions.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those of which it is true."""
        chosen = self.conditions.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class MailFilter(ConditionFilter):
    """Messages by what has become of them."""

    title = _("state")
    parameter_name = "state"
    conditions = {
        "unsent": (_("not sent yet"), Q(standing=UNSENT)),
        "given_up": (_("given up"), Q(standing=UNSENT, due_at=None)),
        "sent": (_("sent"), Q(standing=SENT)),
        "dropped": (_("dropped"), Q(standing=DROPPED)),
    }


class AlarmFilter(ConditionFilter):
    """Jobs by their alarms."""

    title = _("alarm")
    parameter_name = "alarm"
    _BAD = Q(alarm__is_bad=True)
    conditions = {
        "bad": (_("bad"), _BAD),
        "open": (_("bad, and nobody is on it"), _BAD & Q(alarm__acknowledged_at=None)),
        "well": (_("well"), Q(alarm__is_bad=False)),
    }


class LastOutcomeFilter(ConditionFilter):
    """Schedules by what became of their last fire time, and those that can't fire."""

    title = _("last time")
    parameter_name = "last"
    conditions = {
        "problem": (_("can't fire"), ~Q(problem="") | Q(enabled=True, job__enabled=False)),
        "missed": (_("missed some"), Q(last_missed__gt=0)),
        "refused": (_("refused"), Q(last_outcome=FireOutcome.REFUSED)),
        "duplicate": (_("duplicate"), Q(last_outcome=FireOutcome.DUPLICATE)),
        "failed": (_("ended badly"), Q(last_execution_state__in=BAD_ENDS)),
        "good": (_("ended well"), Q(last_execution_state=State.SUCCEEDED)),
        "never": (_("never fired"), Q(last_fire_at=None)),
    }
