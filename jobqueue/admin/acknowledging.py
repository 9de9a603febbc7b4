"""Acknowledging in the admin: somebody says that he is on what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..commandline import printable
from ..models import Acknowledgement, Execution
from ..models.execution import BAD_ENDS
from . import actions, display
from .pages import ObjectPages, Question, is_confirmed

if TYPE_CHECKING:
    _Base = ObjectPages[Execution]
else:
    _Base = object

_ACKNOWLEDGE = Question(
    gettext_lazy("Acknowledge?"),
    gettext_lazy("Colleagues see that you are on it."),
    gettext_lazy("Acknowledge"),
)


class NoteForm(forms.Form):
    """What is being done about it."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=Acknowledgement.NOTE,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


def in_words(execution: Execution, note_length: int = 90) -> SafeString | str:
    """Who is on a run that went wrong, since when, and what he says; "" if nobody is."""
    found = getattr(execution, "acknowledgement", None)
    if found is None:
        return ""
    by, at = printable(found.acknowledged_by), display.moment(found.acknowledged_at)
    words = format_html(_("{} is on it since {}"), by, at)
    return (
        format_html("{}: {}", words, display.short(found.note, note_length))
        if found.note
        else words
    )


class AcknowledgePages(_Base):
    """Adds what acknowledges executions, and takes that back; ``acknowledge_execution``."""

    def has_acknowledge_permission(
        self, request: HttpRequest, obj: Execution | None = None
    ) -> bool:
        """Whether the user may say that somebody is on it."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "acknowledge_execution", obj)

    def acknowledge_urls(self, request: HttpRequest, execution: Execution) -> dict[str, str]:
        """The addresses of what may be done now."""
        if execution.state not in BAD_ENDS:
            return {}
        if not self.has_acknowledge_permission(request, execution):
            return {}
        found = getattr(execution, "acknowledgement", None)
        names = ("acknowledge",) if found is None else ("acknowledge", "withdraw")
        return {f"{name}_url": self.page_url(request, execution, name) for name in names}

    def acknowledge_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The Acknowledge button: asks for a note."""
        known = getattr(execution, "acknowledgement", None)
        said = {"note": known.note} if known else None
        form = NoteForm(request.POST if is_confirmed(request) else None, initial=said)
        if not form.is_valid():
            return self.ask(request, _ACKNOWLEDGE, [execution], form=form)
        actions.acknowledge_runs(request, [execution], form.cleaned_data["note"])
        return self.to_object(request, execution)

    def withdraw_page(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        """The button that takes it back."""
        if self.is_pressed(request):
            actions.withdraw_acknowledgement(request, [execution])
        return self.to_object(request, execution)

    @admin.action(
        description=gettext_lazy("Acknowledge selected executions"), permissions=("acknowledge",)
    )
    def acknowledge(
        self, request: HttpRequest, queryset: QuerySet[Execution]
    ) -> HttpResponse | None:
        """Say of those that went wrong that somebody is on them."""
        form = NoteForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return self._ask_about(request, queryset, form)
        wrong = self.chosen(request, queryset, state__in=BAD_ENDS)
        chosen = self.permitted(request, "acknowledge", wrong)
        actions.acknowledge_runs(request, chosen, form.cleaned_data["note"])
        return None

    def _ask_about(
        self, request: HttpRequest, queryset: QuerySet[Execution], form: forms.Form
    ) -> HttpResponse | None:
        wrong: Any = queryset.filter(state__in=BAD_ENDS)
        if not wrong.exists():
            messages.warning(request, _("None of them has gone wrong."))
            return None
        return self.ask_for_all(request, _ACKNOWLEDGE, wrong, "acknowledge", form)
