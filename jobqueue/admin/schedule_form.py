"""The form of a Schedule: its moments are local times of its own zone, not of the one who types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import formats
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import recurrence
from ..languages import translated
from ..models import Schedule
from .priority import PriorityField

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Schedule]
else:
    _ModelForm = forms.ModelForm

#: What the fire times depend on; the last four are moments.
TIMING = ("kind", "expression", "both_days", "interval", "timezone")
MOMENTS = ("once_at", "first_at", "last_at", "anchor_at")


@cache
def _zone_names() -> list[str]:
    """The names to choose from: places, and UTC."""
    return ["UTC", *sorted(name for name in available_timezones() if _is_place(name))]


def _is_place(name: str) -> bool:
    return "/" in name and not name.startswith(("Etc/", "SystemV/"))


class ZoneInput(forms.TextInput):
    """A text field that proposes the names of zones, with or without JavaScript."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The field and its list."""
        list_id = f"{name}-names"
        field = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        names = format_html_join("", '<option value="{}">', ((name,) for name in _zone_names()))
        return format_html('{}<datalist id="{}">{}</datalist>', field, list_id, names)


class LocalTimeField(forms.DateTimeField):
    """A local time, without a zone: which one is meant depends on another field."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"type": "datetime-local", "step": "1", "class": "vTextField"}
        widget = forms.DateTimeInput(attrs=attrs, format="%Y-%m-%dT%H:%M:%S")
        super().__init__(**{"required": False, "widget": widget, **kwargs})

    def to_python(self, value: Any) -> datetime | None:
        """The naive time."""
        if value in self.empty_values:
            return None
        try:
            moment = parse_datetime(str(value).strip())
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is not None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return moment


def _moment_field(label: Any, help_text: Any = "") -> LocalTimeField:
    return LocalTimeField(label=label, help_text=help_text)


class TimingForm(_ModelForm):
    """What the fire times depend on."""

    once_at = _moment_field(gettext_lazy("Once at"))
    first_at = _moment_field(gettext_lazy("Not before"))
    last_at = _moment_field(gettext_lazy("Not after"))
    anchor_at = _moment_field(
        gettext_lazy("Counted from"),
        gettext_lazy("An interval is counted from here. Empty: from now."),
    )

    class Meta:
        model = Schedule
        fields: Any = (*TIMING, *MOMENTS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What became of local times that clocks don't show, or show twice; after cleaning.
        self.notes: list[str] = []
        if "timezone" in self.fields:
            # Django has it for what has a function as its default; here the stored one counts.
            self.fields["timezone"].show_hidden_initial = False
        zone = self.instance.zone()
        for name in MOMENTS:
            if moment := getattr(self.instance, name):
                self.initial[name] = moment.astimezone(zone).replace(tzinfo=None)
        for name in {*MOMENTS} & {*self.fields}:
            self.fields[name].help_text = self._moment_help(self.fields[name].help_text)

    def _moment_help(self, text: Any) -> SafeString:
        zone = self["timezone"].value() if "timezone" in self.fields else self.instance.timezone
        shown = _("Local time in {}.")
        return format_html(
            "{} {}", text, format_html(shown, format_html('<b data-zone="">{}</b>', zone or "UTC"))
        )

    def clean(self) -> dict[str, Any]:
        """The moments, of the local times that were typed."""
        super().clean()
        zone = self.cleaned_data.get("timezone") or self.instance.timezone
        for name in {*MOMENTS} & {*self.cleaned_data}:
            self.cleaned_data[name] = self._moment(name, self.cleaned_data[name], zone)
        return self.cleaned_data

    def _moment(self, name: str, local: datetime | None, zone: str) -> datetime | None:
        """The moment that is meant; as it is stored if nobody edited it nor the zone."""
        if local is None or not {name, "timezone"} & {*self.changed_data}:
            stored: datetime | None = getattr(self.instance, name)
            return stored if local else None
        try:
            moment = recurrence.local_moment(local, zone)
        except ValueError as error:
            if zone in available_timezones():  # an unknown one is refused by the model
                self.add_error(name, translated(error))
            return local.replace(tzinfo=UTC)
        self.notes += _odd(local, moment, zone)
        return moment

    def add_error(self, field: str | None, error: Any) -> None:
        """One error in a field: what is empty since it couldn't be read isn't missing."""
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            left = {k: v for k, v in error.error_dict.items() if k not in self.errors}
            known = {k if k in self.fields else NON_FIELD_ERRORS: v for k, v in left.items()}
            error = ValidationError(known) if known else None
        if error is not None:
            super().add_error(field, error)


class ScheduleForm(TimingForm):
    """A Schedule as its editors see it."""

    priority = PriorityField()

    class Meta(TimingForm.Meta):
        fields = "__all__"
        widgets = {
            "timezone": ZoneInput(attrs={"class": "vTextField", "spellcheck": "false"}),
            "expression": forms.TextInput(
                attrs={"class": "vTextField jobqueue-line", "spellcheck": "false"}
            ),
        }
        help_texts = {
            "interval": gettext_lazy(
                "From one run to the next. Seconds, or HH:MM:SS, with days before it: 14 00:00:00. "
                "Clock changes don't matter."
            ),
            "misfire_grace": gettext_lazy(
                "What was missed for longer isn't made up. Seconds, or HH:MM:SS. Empty: no limit."
            ),
        }


def _odd(local: datetime, moment: datetime, zone: str) -> Iterator[str]:
    """What is to be said on a local time that clocks don't show, or show twice."""
    texts = {
        "gap": _("Clocks skip %(local)s: %(moment)s is taken."),
        "fold": _("Clocks show %(local)s twice: the first is taken, %(moment)s."),
    }
    if oddity := recurrence.oddity(local, zone):
        shown = moment.astimezone(recurrence.zone_info(zone))
        yield texts[oddity] % {
            "local": formats.date_format(local, "Y-m-d H:i:s"),
            "moment": formats.date_format(shown, "Y-m-d H:i:s T"),
        }
