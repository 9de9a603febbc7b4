"""The choice of a priority in forms."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from ..models.execution import DEFAULT_PRIORITY, FIRST, LAST

FIELD = "priority"
NO_PRIORITY = gettext_lazy("A priority is a number from 1 (first) to 9 (last).")
CHOICES = [
    (FIRST, gettext_lazy("1 (first)")),
    *((number, str(number)) for number in range(FIRST + 1, LAST)),
    (LAST, gettext_lazy("9 (last)")),
]


class PriorityField(forms.TypedChoiceField):
    """One of 1 (first) to 9 (last), as an int; 5 unless another one is chosen."""

    def __init__(self, **kwargs: Any) -> None:
        given = {"label": gettext_lazy("Priority"), "initial": DEFAULT_PRIORITY, **kwargs}
        wrong = dict.fromkeys(("required", "invalid_choice"), NO_PRIORITY)
        super().__init__(coerce=int, choices=CHOICES, error_messages=wrong, **given)


class PriorityForm(forms.Form):
    """At which priority something is queued, or waits."""

    priority = PriorityField()


def asked(request: HttpRequest, otherwise: int = DEFAULT_PRIORITY) -> PriorityForm:
    """What a form asks for; buttons of the Run menu ask for no priority."""
    return PriorityForm({FIELD: request.POST.get(FIELD) or otherwise})
