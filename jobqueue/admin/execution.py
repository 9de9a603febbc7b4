"""Executions in the admin: a record that nobody edits, and what can be done with one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from ..models import Execution, Source, State
from ..output import readable
from . import actions, live_output, log_file, priority
from .acknowledging import AcknowledgePages
from .desk.pages import DeskPages
from .execution_actions import (
    CANCEL,
    CANCEL_RECOVERY,
    STOP,
    STOP_RECOVERY,
    ExecutionActions,
)
from .execution_record import ExecutionRecord
from .pages import NotEdited, is_confirmed


@admin.register(Execution)
class ExecutionAdmin(
    DeskPages, ExecutionActions, AcknowledgePages, ExecutionRecord, NotEdited[Execution]
):
    """To see executions takes ``view_execution``.

    ``stop_execution`` is needed to stop, to cancel and to change a priority: each decides what
    doesn't run now. To run something again takes ``run_job``, with ``view_job`` where it has a Job,
    ``acknowledge_execution`` to say that somebody is on it. Nobody adds, edits or deletes one here;
    the service forgets old ones with their logs.
    """

    actions = ("cancel", "stop", "set_priority", "run_again", "acknowledge")
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
        js = (
            "jobqueue/copy.js",
            "jobqueue/watches.js",
            "jobqueue/live_output.js",
            "jobqueue/execution.js",
        )

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
            "priorities": priority.CHOICES,
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
        """The Cancel button: asks before the request is cancelled."""
        if is_confirmed(request):
            actions.cancel(request, [execution])
        elif execution.state == State.WAITING:
            recovers = execution.source == Source.RECOVERY
            return self.ask(request, CANCEL_RECOVERY if recovers else CANCEL, [execution])
        else:
            actions.tell_not_waiting(request, execution)
        return self.to_object(request, execution)

    def stop_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The Stop button: asks before the run is stopped."""
        if is_confirmed(request):
            actions.stop(request, [execution])
        elif execution.state == State.RUNNING:
            recovers = execution.source == Source.RECOVERY
            return self.ask(request, STOP_RECOVERY if recovers else STOP, [execution])
        else:
            actions.tell_not_running(request, execution)
        return self.to_object(request, execution)

    def priority_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The choice of a priority."""
        form = priority.PriorityForm(request.POST)
        if self.is_pressed(request) and form.is_valid():
            actions.set_priority(request, [execution], form.cleaned_data["priority"])
        elif request.method == "POST":
            messages.error(request, priority.NO_PRIORITY)
        return self.to_object(request, execution)

    def again_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The button Run again."""
        if self.is_pressed(request):
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
