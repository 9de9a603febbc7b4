"""The form of a Job: its command as people write it, its variables one in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import commandline, conf
from ..languages import translated
from ..models import Job
from ..models.fields import validate_argv, validate_env

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Job]
else:
    _ModelForm = forms.ModelForm


class _LinesField(forms.CharField):
    """A value that is written in lines."""

    widget = forms.Textarea

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it was edited; browsers turn all line ends into those of the network."""
        return _lines(self.prepare_value(initial)) != _lines(data)


class CommandLineField(_LinesField):
    """A list of strings, written as a command line."""

    def prepare_value(self, value: Any) -> Any:
        """The command line of an argv; what was typed as it is."""
        return commandline.join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The argv of a command line."""
        line = super().to_python(value) or ""
        try:
            return commandline.split(line)
        except ValueError as error:
            raise ValidationError(translated(error), code="invalid") from None


class VariablesField(_LinesField):
    """A dict of strings, written as one ``NAME=value`` in a line."""

    def prepare_value(self, value: Any) -> Any:
        """One line for each variable; what was typed as it is."""
        if not isinstance(value, Mapping):
            return value
        return "\n".join(f"{name}={text}" for name, text in value.items())

    def to_python(self, value: Any) -> Any:
        """The variables that the lines name."""
        variables: dict[str, str] = {}
        lines = _lines(super().to_python(value)).split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, equals, text = line.partition("=")
            name = name.strip()
            if not equals:
                raise ValidationError(_("Line %d has no “=”: write NAME=value.") % number)
            if name in variables:
                raise ValidationError(
                    _("Line %(n)d: %(name)s is there twice.")
                    % {
                        "n": number,
                        "name": commandline.printable(name),
                    }
                )
            variables[name] = text
        return variables


#: The name of the button that has a Job checked, and not saved.
CHECK = "_check"


class JobForm(_ModelForm):
    """A Job as its editors see it."""

    argv = CommandLineField(
        label=gettext_lazy("Command"),
        strip=False,
        validators=[validate_argv],
        widget=forms.Textarea(
            attrs={"rows": 2, "class": "vLargeTextField jobqueue-line", "spellcheck": "false"}
        ),
        help_text=gettext_lazy(
            "The program and its arguments as in a terminal. Quotes keep words together; no shell "
            "reads it, so | > * and $NAME are plain text."
        ),
    )
    environment = forms.ChoiceField(
        label=gettext_lazy("Environment"),
        required=False,
        help_text=gettext_lazy("Adds words before the command, variables and a directory."),
    )
    env = VariablesField(
        label=gettext_lazy("Environment variables"),
        required=False,
        strip=False,
        validators=[validate_env],
        widget=forms.Textarea(
            attrs={"rows": 3, "class": "vLargeTextField jobqueue-line", "spellcheck": "false"}
        ),
        help_text=gettext_lazy("One NAME=value in a line, over those of the service."),
    )

    class Meta:
        model = Job
        fields = "__all__"
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
            "working_directory": forms.TextInput(attrs={"class": "vLargeTextField jobqueue-line"}),
            "recipients": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
            "ping_url": forms.URLInput(attrs={"class": "vLargeTextField", "spellcheck": "false"}),
        }
        help_texts = {
            "retry_delay": gettext_lazy(
                "Between a run that went wrong and the next attempt. Seconds, or HH:MM:SS; up to a "
                "tenth is added by chance."
            ),
            "retry_max_delay": gettext_lazy(
                "Exponential delays grow no further. Seconds, or HH:MM:SS."
            ),
            "max_runtime": gettext_lazy(
                "A longer run raises one alert and goes on. Seconds, or HH:MM:SS. "
                "Empty: the site's limit; 0: none."
            ),
            "kill_after": gettext_lazy(
                "A longer run is ended. Seconds, or HH:MM:SS. Empty: the site's limit; 0: never."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["environment"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = self._environments()
        self._defaults = {
            each.name: each.get_default()
            for each in Job._meta.concrete_fields
            if each.has_default() and each.name in self.fields and self.fields[each.name].required
        }
        for name in self._defaults:
            self.fields[name].required = False

    def is_valid(self) -> bool:
        """Whether it may be saved: not what is sent only to be checked."""
        return super().is_valid() and CHECK not in self.data

    def clean(self) -> dict[str, Any]:
        """What was emptied has its default again: a Job needs a name and a command, no more."""
        super().clean()
        for name, default in self._defaults.items():
            is_there = self.add_prefix(name) in self.data
            if is_there and self.cleaned_data.get(name, default) in (None, ""):
                self.cleaned_data[name] = default
        return self.cleaned_data

    def _environments(self) -> list[tuple[str, str]]:
        """The names in the settings, and the Job's own if it isn't there any more."""
        known = [(name, name) for name in sorted(conf.current().ENVIRONMENTS)]
        stored = self.instance.environment
        if stored and stored not in conf.current().ENVIRONMENTS:
            known.append((stored, _("%s (not in the settings)") % commandline.printable(stored)))
        return [("", _("none")), *known]

    def clean_argv(self) -> list[str]:
        """The command; as it is stored if nobody edited it, line ends included."""
        argv: list[str] = self._unless_edited("argv")
        return argv

    def clean_env(self) -> dict[str, str]:
        """The variables; as they are stored if nobody edited them, line ends included."""
        env: dict[str, str] = self._unless_edited("env")
        return env

    def _unless_edited(self, name: str) -> Any:
        edited = name in self.changed_data or self.instance.pk is None
        return self.cleaned_data[name] if edited else getattr(self.instance, name)


def _lines(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").replace("\r", "\n")
