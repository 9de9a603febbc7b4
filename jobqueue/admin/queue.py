"""Queues in the admin: what waits and runs in each, and its pause."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..commandline import printable
from ..models import Execution, Queue
from ..models.fields import validate_queue_name
from ..models.queue import LONGEST_PAUSE
from . import actions, display, links, planned
from .pages import NotEdited, Question, is_confirmed

_PAUSE = Question(
    gettext_lazy("Pause?"),
    gettext_lazy("What runs goes on; nothing else starts, and requests are accepted."),
    gettext_lazy("Pause"),
)
_RESUME = Question(
    gettext_lazy("Resume?"),
    gettext_lazy("What waits there starts, one after another."),
    gettext_lazy("Resume"),
)
_DATE, _TIME = gettext_lazy("Date"), gettext_lazy("Time")


class MomentWidget(AdminSplitDateTime):
    """Django's, with a name for each of its two fields, which screen readers read out."""

    def __init__(self) -> None:
        super().__init__()
        for part, name in zip(self.widgets, (_DATE, _TIME), strict=True):
            part.attrs["aria-label"] = name


class PauseForm(forms.Form):
    """Why, and for how long."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    until = forms.SplitDateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=MomentWidget,
        help_text=gettext_lazy("Then it goes on by itself. Empty: until somebody resumes it."),
    )

    def clean_until(self) -> Any:
        """A pause must end in the future, and not in a far one."""
        until = self.cleaned_data["until"]
        now = timezone.now()
        if until is not None and until <= now:
            raise forms.ValidationError(_("This moment is over."))
        if until is not None and until > now + LONGEST_PAUSE:
            text = _(
                "This is more than ten years ahead; leave it empty for a pause without an end."
            )
            raise forms.ValidationError(text)
        return until


@admin.register(Queue)
class QueueAdmin(NotEdited[Queue]):
    """To see queues takes ``view_queue`` or ``control_queue``; to pause and resume the latter.

    A queue appears when it is first served or paused, and is never added or deleted here.
    """

    list_display = ("name", "shown_state", "running", "waiting", "by", "since", "until", "reason")
    search_fields = ("name",)
    actions = ("pause", "resume")
    object_pages = {"pause": ("pause_page", "control"), "resume": ("resume_page", "control")}
    fieldsets = ((None, {"fields": list_display}),)

    class Media:
        css = {"all": ("jobqueue/admin.css",)}

    def has_view_permission(self, request: HttpRequest, obj: Queue | None = None) -> bool:
        """Who may control queues sees them."""
        return super().has_view_permission(request, obj) or actions.may(
            request.user, "control_queue", obj
        )

    def has_control_permission(self, request: HttpRequest, obj: Queue | None = None) -> bool:
        """Whether the user may pause and resume it."""
        return actions.may(request.user, "control_queue", obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Queue]:
        """Queues with what runs and how much waits in each."""
        here = Execution.objects.filter(queue=OuterRef("name")).order_by()
        waiting = here.waiting().values("queue").annotate(n=Count("pk")).values("n")
        queues: QuerySet[Queue] = super().get_queryset(request)
        return queues.annotate(
            running_pk=Subquery(here.running().values("pk")[:1]),
            waiting_count=Coalesce(Subquery(waiting), Value(0)),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below a word on it when no cluster serves them."""
        context = {**(extra_context or {}), "no_cluster": actions.no_cluster()}
        return super().changelist_view(request, context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page, with the buttons for those who may."""
        queue: Queue = kwargs["obj"]
        context |= {"title": _("Queue %s") % queue.name, "subtitle": None}
        context["no_cluster"] = actions.no_cluster()
        context["planned"] = planned.of_queue(request, queue.name)
        if self.has_control_permission(request, queue):
            name = "resume" if queue.is_paused(timezone.now()) else "pause"
            context[f"{name}_url"] = self.page_url(request, queue, name)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """The page that pauses a queue by its name beside the usual ones."""
        view = self.admin_site.admin_view(self.pause_by_name_page)
        return [path("pause/", view, name="jobqueue_queue_pause_by_name"), *super().get_urls()]

    def pause_by_name_page(self, request: HttpRequest) -> HttpResponse:
        """The same as the Pause button, for a queue that was never served nor paused."""
        name = request.GET.get("queue", "")
        try:
            validate_queue_name(name)
        except ValidationError as error:
            raise Http404(error.message) from None
        queue = self.get_queryset(request).filter(name=name).first()
        if not self.has_control_permission(request, queue):
            raise PermissionDenied
        return self.pause_page(request, queue or Queue(name=name))

    def pause_page(self, request: HttpRequest, queue: Queue) -> HttpResponse:
        """The Pause button: asks why and for how long."""
        form = PauseForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return self.ask(request, _PAUSE, [queue], form=form)
        (queue,) = actions.pause(request, [queue], **form.cleaned_data)
        return self.to_object(request, queue)

    def resume_page(self, request: HttpRequest, queue: Queue) -> HttpResponse:
        """The Resume button."""
        if self.is_pressed(request):
            actions.resume(request, [queue])
        return self.to_object(request, queue)

    @admin.action(description=gettext_lazy("Pause selected queues"), permissions=("control",))
    def pause(self, request: HttpRequest, queryset: QuerySet[Queue]) -> HttpResponse | None:
        """Start nothing in them; what runs goes on."""
        form = PauseForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return self.ask_for_all(request, _PAUSE, queryset, "pause", form)
        actions.pause(request, self.chosen(request, queryset), **form.cleaned_data)
        return None

    @admin.action(description=gettext_lazy("Resume selected queues"), permissions=("control",))
    def resume(self, request: HttpRequest, queryset: QuerySet[Queue]) -> HttpResponse | None:
        """Let them start runs again."""
        if not is_confirmed(request):
            return self.ask_for_all(request, _RESUME, queryset, "resume")
        actions.resume(request, self.chosen(request, queryset))
        return None

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, queue: Queue) -> str:
        if queue.is_paused(timezone.now()):
            return display.signed("paused", "‖", _("paused"))
        return display.signed("open", "►", _("open"))

    @admin.display(description=gettext_lazy("running"))
    def running(self, queue: Any) -> str:
        if queue.running_pk is None:
            return display.EMPTY
        pk = queue.running_pk
        return links.linked(self.admin_site.name, "jobqueue_execution_change", pk, f"#{pk}")

    @admin.display(description=gettext_lazy("waiting"), ordering="waiting_count")
    def waiting(self, queue: Any) -> str:
        url = links.in_site(self.admin_site.name, "jobqueue_execution_changelist")
        query = f"?state__exact=waiting&queue={queue.name}"
        return format_html('<a href="{}{}">{}</a>', url, query, queue.waiting_count)

    @admin.display(description=gettext_lazy("paused by"))
    def by(self, queue: Queue) -> str:
        return _if_paused(queue, display.short(queue.paused_by or display.EMPTY, 30))

    @admin.display(description=gettext_lazy("since"))
    def since(self, queue: Queue) -> str:
        return _if_paused(queue, display.moment(queue.paused_at))

    @admin.display(description=gettext_lazy("until"))
    def until(self, queue: Queue) -> str:
        return _if_paused(queue, display.moment(queue.paused_until))

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, queue: Queue) -> str:
        return _if_paused(queue, printable(queue.pause_reason) or display.EMPTY)


def _if_paused(queue: Queue, shown: str) -> str:
    return shown if queue.is_paused(timezone.now()) else display.EMPTY
