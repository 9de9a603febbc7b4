"""Actions on the list of executions, and who may do what to one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Execution, Source, State
from ..models.execution import FIRST, OPEN
from . import actions, priority
from .pages import ObjectPages, Question, is_confirmed

if TYPE_CHECKING:
    _Base = ObjectPages[Execution]
else:
    _Base = object

STOP = Question(
    gettext_lazy("Stop?"),
    gettext_lazy(
        "The processes get SIGTERM, and SIGKILL when they are still there 10 seconds later."
    ),
    gettext_lazy("Stop"),
    danger=True,
)
CANCEL = Question(
    gettext_lazy("Cancel?"),
    gettext_lazy("This request will not run."),
    gettext_lazy("Cancel this request"),
    danger=True,
)
STOP_RECOVERY = replace(
    STOP,
    warning=gettext_lazy(
        "This stops a recovery run, which mends what a run that was cut off has left. It is queued "
        "again at once, before all others; until it has run through, files may be lost if an "
        "engine is started by hand."
    ),
)
CANCEL_RECOVERY = replace(
    CANCEL,
    warning=gettext_lazy(
        "This cancels a recovery run, which mends what a run that was cut off has left. It isn't "
        "queued again, and files may be lost when an engine is started next."
    ),
)
_CANCEL_SEVERAL = replace(
    CANCEL,
    text=gettext_lazy("These requests will not run."),
    button=gettext_lazy("Cancel these requests"),
)
_CANCEL_SEVERAL_RECOVERY = replace(_CANCEL_SEVERAL, warning=CANCEL_RECOVERY.warning)
_AGAIN = Question(
    gettext_lazy("Run again?"),
    gettext_lazy("This will be queued at priority 5:"),
    gettext_lazy("Run again"),
)
_PRIORITY = Question(
    gettext_lazy("Another priority?"),
    gettext_lazy("The same priority is served in the order of arrival."),
    gettext_lazy("Set"),
)
_ENDS = [state for state in State if state not in OPEN]
_WAITING, _RUNNING = Q(state=State.WAITING), Q(state=State.RUNNING)
_RECOVERS = Q(source=Source.RECOVERY)


class ExecutionActions(_Base):
    """Adds what can be done with many executions at once; each asks first."""

    def has_stop_permission(self, request: HttpRequest, obj: Execution | None = None) -> bool:
        """Whether the user may stop, cancel or reorder it."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "stop_execution", obj)

    def has_run_permission(self, request: HttpRequest, obj: Execution | None = None) -> bool:
        """Whether the user may run it again; without one, whether some can be."""
        if not self.has_view_permission(request, obj):
            return False
        user = request.user
        return actions.may(user, "run_job") if obj is None else actions.may_run_again(user, obj)

    @admin.action(description=gettext_lazy("Cancel selected executions"), permissions=("stop",))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponse | None:
        """Take waiting ones off their queues."""
        if is_confirmed(request):
            actions.cancel(request, self._allowed(request, queryset, state=State.WAITING))
            return None
        recovers = queryset.filter(_WAITING & _RECOVERS).exists()
        question = _CANCEL_SEVERAL_RECOVERY if recovers else _CANCEL_SEVERAL
        return self._ask_for(request, question, queryset, "cancel", _WAITING)

    @admin.action(description=gettext_lazy("Stop selected executions"), permissions=("stop",))
    def stop(self, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponse | None:
        """End running ones."""
        if is_confirmed(request):
            actions.stop(request, self._allowed(request, queryset, state=State.RUNNING))
            return None
        question = STOP_RECOVERY if queryset.filter(_RUNNING & _RECOVERS).exists() else STOP
        return self._ask_for(request, question, queryset, "stop", _RUNNING)

    @admin.action(
        description=gettext_lazy("Change the priority of selected executions"),
        permissions=("stop",),
    )
    def set_priority(
        self, request: HttpRequest, queryset: QuerySet[Execution]
    ) -> HttpResponse | None:
        """Give waiting ones another priority, by default the first; recovery runs keep theirs."""
        form = priority.asked(request, otherwise=FIRST)
        if is_confirmed(request) and form.is_valid():
            chosen = self._allowed(request, queryset.exclude(_RECOVERS), state=State.WAITING)
            actions.set_priority(request, chosen, form.cleaned_data["priority"])
            return None
        return self._ask_for(
            request, _PRIORITY, queryset, "set_priority", _WAITING & ~_RECOVERS, form
        )

    @admin.action(description=gettext_lazy("Run selected executions again"), permissions=("run",))
    def run_again(self, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponse | None:
        """Queue the same requests at priority 5, in the order in which they came."""
        if not is_confirmed(request):
            return self._ask_to_run_again(request, queryset)
        ended = self.chosen(request, queryset, state__in=_ENDS)
        in_order = ended.select_related("job").order_by("pk")
        actions.run_all_again(request, self.permitted(request, "run", in_order))
        return None

    def _ask_to_run_again(
        self, request: HttpRequest, queryset: QuerySet[Execution]
    ) -> HttpResponse | None:
        ended = queryset.filter(state__in=_ENDS)
        if not ended.exists():
            messages.warning(request, _("None of them has ended."))
            return None
        left_out = actions.left_out(request, queryset.filter(state__in=OPEN))
        return self.ask_for_all(request, _AGAIN, ended, "run_again", left_out=left_out)

    def _ask_for(
        self,
        request: HttpRequest,
        question: Question,
        queryset: QuerySet[Execution],
        action: str,
        fitting: Q,
        form: priority.PriorityForm | None = None,
    ) -> HttpResponse | None:
        """Ask about those that fit, and name those that don't."""
        rows, others = queryset.filter(fitting), queryset.exclude(fitting)
        if not rows.exists():
            state = State.RUNNING if fitting is _RUNNING else State.WAITING
            messages.warning(request, _("None of them is %s.") % state.label)
            return None
        left_out = actions.left_out(request, others)
        return self.ask_for_all(request, question, rows, action, form, left_out=left_out)

    def _allowed(
        self, request: HttpRequest, queryset: QuerySet[Execution], **still: Any
    ) -> list[Execution]:
        return self.permitted(request, "stop", self.chosen(request, queryset, **still))
