"""Executions in the admin: a record that nobody edits, and what can be done with one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import api
from ..languages import translated
from ..models import Execution, Source, State
from ..models.execution import FIRST, LAST, OPEN
from ..output import readable
from . import actions, live_output, log_file
from .acknowledging import AcknowledgePages
from .desk import DeskPages
from .execution_record import ExecutionRecord
from .pages import NotEdited, Question, is_confirmed

_STOP = Question(
    gettext_lazy("Stop?"),
    gettext_lazy(
        "The processes get SIGTERM, and SIGKILL when they are still there 10 seconds later."
    ),
    gettext_lazy("Stop"),
    danger=True,
)
_CANCEL = Question(
    gettext_lazy("Cancel?"),
    gettext_lazy("These requests will not run."),
    gettext_lazy("Cancel these requests"),
    danger=True,
)
_ENDS = [state for state in State if state not in OPEN]
_AGAIN = Question(
    gettext_lazy("Run again?"),
    gettext_lazy("This will be queued at priority 5:"),
    gettext_lazy("Run again"),
)

_STOP_RECOVERY = replace(
    _STOP,
    warning=gettext_lazy(
        "This stops a recovery run, which mends what a run that was cut off has left. It is queued "
        "again at once, before all others; until it has run through, files may be lost if an "
        "engine is started by hand."
    ),
)
_CANCEL_RECOVERY = replace(
    _CANCEL,
    warning=gettext_lazy(
        "This cancels a recovery run, which mends what a run that was cut off has left. It isn't "
        "queued again, and files may be lost when an engine is started next."
    ),
)


@admin.register(Execution)
class ExecutionAdmin(DeskPages, AcknowledgePages, ExecutionRecord, NotEdited[Execution]):
    """To see executions takes ``view_execution``.

    ``stop_execution`` is needed to stop, to cancel and to change a priority: each decides what
    doesn't run now. ``run_job`` is needed to run something again, ``acknowledge_execution`` to say
    that somebody is on it. Nobody adds, edits or deletes one here; the service forgets old ones
    with their logs.
    """

    actions = ("cancel", "stop", "run_again", "acknowledge")
    object_pages = {
        "cancel": ("cancel_page", "stop"),
        "stop": ("stop_page", "stop"),
        "priority": ("priority_page", "stop"),
        "again": ("again_page", "run"),
        "acknowledge": ("acknowledge_page", "acknowledge"),
        "withdraw": ("withdraw_page", "acknowledge"),
        "log": ("log_page", "view"),
        "output": ("output_page", "view"),
    }
    json_pages = ("output",)

    class Media:
        css = {"all": ("jobqueue/admin.css",)}
        js = ("jobqueue/live_output.js", "jobqueue/execution.js")

    def has_stop_permission(self, request: HttpRequest, obj: Execution | None = None) -> bool:
        """Whether the user may stop, cancel or reorder it."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "stop_execution", obj)

    def has_run_permission(self, request: HttpRequest, obj: Execution | None = None) -> bool:
        """Whether the user may run it again."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "run_job", obj.job if obj else None)

    # The page of one

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The record, its output, and buttons for what the user may do about it."""
        execution: Execution = kwargs["obj"]
        path = log_file.of(execution)
        context |= {
            "title": _("Execution %s") % execution,
            "subtitle": None,
            "output": readable(execution.log_tail),
            "output_url": self.page_url(request, execution, "output"),
            "output_is_longer": log_file.is_longer(execution, path),
            "log_url": self.page_url(request, execution, "log") if path else "",
            "priorities": range(FIRST, LAST + 1),
            **self._buttons(request, execution),
            **self.acknowledge_urls(request, execution),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _buttons(self, request: HttpRequest, execution: Execution) -> dict[str, str]:
        """The addresses of what may be done now, such as ``stop_url``."""
        names = {State.WAITING: ("cancel", "priority"), State.RUNNING: ("stop",)}
        wanted = names.get(State(execution.state), ("again",))
        if execution.source == Source.RECOVERY:  # it goes before all others
            wanted = tuple(name for name in wanted if name != "priority")
        may = self.has_stop_permission if execution.is_open else self.has_run_permission
        if not may(request, execution):
            return {}
        return {f"{name}_url": self.page_url(request, execution, name) for name in wanted}

    def cancel_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The Cancel button; asks before a recovery run is cancelled."""
        recovers = execution.source == Source.RECOVERY and execution.state == State.WAITING
        if recovers and not is_confirmed(request):
            return self.ask(request, _CANCEL_RECOVERY, [execution])
        if request.method == "POST":
            actions.cancel(request, [execution])
        return self.to_object(request, execution)

    def stop_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The Stop button: asks before the run is stopped."""
        if is_confirmed(request):
            actions.stop(request, [execution])
        elif execution.state == State.RUNNING:
            recovers = execution.source == Source.RECOVERY
            return self.ask(request, _STOP_RECOVERY if recovers else _STOP, [execution])
        return self.to_object(request, execution)

    def priority_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The choice of a priority."""
        if request.method == "POST":
            typed = request.POST.get("priority", "")
            try:
                actions.set_priority(request, execution, typed)
            except api.NotQueued as error:
                messages.error(request, translated(error))
        return self.to_object(request, execution)

    def again_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The button Run again."""
        if request.method == "POST":
            actions.run_again(request, execution)
        return self.to_object(request, execution)

    def output_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """JSON: a part of the output; see :mod:`.live_output`."""
        return live_output.answer(request, execution)

    def log_page(self, request: HttpRequest, execution: Execution) -> HttpResponseBase:
        """The whole log file, where this host has it."""
        path = log_file.of(execution)
        try:
            file = path.open("rb") if path else None
        except OSError:
            file = None
        if file is None:
            raise Http404(_("The log file isn't on this host, or can't be read."))
        name = f"execution-{execution.pk}.log"
        response = FileResponse(
            file, as_attachment=True, filename=name, content_type="text/plain; charset=utf-8"
        )
        response["X-Content-Type-Options"] = "nosniff"
        return response

    # Actions of the list

    @admin.action(description=gettext_lazy("Cancel selected executions"), permissions=("stop",))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponse | None:
        """Take waiting ones off their queues."""
        if not is_confirmed(request):
            return self._ask_for(
                request, _CANCEL, _CANCEL_RECOVERY, queryset, "cancel", State.WAITING
            )
        actions.cancel(request, self._allowed(request, queryset, State.WAITING))
        return None

    @admin.action(description=gettext_lazy("Stop selected executions"), permissions=("stop",))
    def stop(self, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponse | None:
        """End running ones."""
        if not is_confirmed(request):
            return self._ask_for(request, _STOP, _STOP_RECOVERY, queryset, "stop", State.RUNNING)
        actions.stop(request, self._allowed(request, queryset, State.RUNNING))
        return None

    @admin.action(description=gettext_lazy("Run selected executions again"), permissions=("run",))
    def run_again(self, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponse | None:
        """Queue the same requests at priority 5, in the order in which they came."""
        if not is_confirmed(request):
            return self._ask_to_run_again(request, queryset)
        ended = self.chosen(request, queryset, state__in=_ENDS)
        chosen = list(ended.select_related("job").order_by("pk"))
        if not all(self.has_run_permission(request, execution) for execution in chosen):
            raise PermissionDenied
        actions.run_all_again(request, chosen)
        return None

    def _ask_to_run_again(
        self, request: HttpRequest, queryset: QuerySet[Execution]
    ) -> HttpResponse | None:
        ended = queryset.filter(state__in=_ENDS)
        if not ended.exists():
            messages.warning(request, _("None of them has ended."))
            return None
        return self.ask_for_all(request, _AGAIN, ended, "run_again")

    def _ask_for(
        self,
        request: HttpRequest,
        question: Question,
        of_recovery: Question,
        queryset: QuerySet[Execution],
        action: str,
        state: State,
    ) -> HttpResponse | None:
        fitting = queryset.filter(state=state)
        if not fitting.exists():
            messages.warning(request, _("None of them is %s.") % state.label)
            return None
        if fitting.filter(source=Source.RECOVERY).exists():
            question = of_recovery
        return self.ask_for_all(request, question, fitting, action)

    def _allowed(
        self, request: HttpRequest, queryset: QuerySet[Execution], state: State
    ) -> list[Execution]:
        chosen = list(self.chosen(request, queryset, state=state))
        if not all(self.has_stop_permission(request, execution) for execution in chosen):
            raise PermissionDenied
        return chosen
