"""Directory monitors in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobqueue.admin.deletion import NamesWhatGoes
from jobqueue.admin.permissions import ObjectPermissions
from jobqueue.api import printable

from .models import DirMonitor, Status, lacks_service

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[DirMonitor]
else:
    _ModelForm = forms.ModelForm

EMPTY = "-"
#: The colour that the style sheet has for it, and a sign.
_SIGNS = {
    Status.WATCHING: ("alive", "✓"),
    Status.POLLING: ("alive", "↻"),
    Status.MISSING: ("failed", "✗"),
    Status.UNREACHABLE: ("failed", "✗"),
}


class DirMonitorForm(_ModelForm):
    """A monitor as its editors see it."""

    priority = forms.TypedChoiceField(
        label=gettext_lazy("Priority"),
        coerce=int,
        initial=5,
        choices=[
            (1, gettext_lazy("1 (first)")),
            *((number, str(number)) for number in range(2, 9)),
            (9, gettext_lazy("9 (last)")),
        ],
    )

    class Meta:
        model = DirMonitor
        fields = "__all__"
        widgets = {
            "path": forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
            "filemask": forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
        }


@admin.register(DirMonitor)
class DirMonitorAdmin(NamesWhatGoes, ObjectPermissions[DirMonitor]):
    """To see and edit monitors takes Django's own permissions; who may add one lets its Job run."""

    form = DirMonitorForm
    list_display = (
        "shown_name", "shown_path", "shown_job", "shown_status", "shown_pending", "last_trigger",
        "enabled",
    )  # fmt: skip
    list_filter = ("enabled", "status", "mode")
    list_select_related = ("job",)
    search_fields = ("name", "path", "job__name")
    search_help_text = gettext_lazy("Name, path or Job")
    readonly_fields = ("shown_status", "shown_pending", "last_trigger")
    fieldsets = (
        (None, {"fields": ("name", "job", "enabled")}),
        (gettext_lazy("Files"), {"fields": ("path", "filemask", "recursive")}),
        (gettext_lazy("Request"), {"fields": ("priority", "queue")}),
        (gettext_lazy("Watching"), {"fields": ("settle", "mode", "poll_interval")}),
        (gettext_lazy("Status"), {"fields": readonly_fields}),
    )

    class Media:
        css = {"all": ("jobqueue/admin.css",)}

    def get_fieldsets(self, request: HttpRequest, obj: DirMonitor | None = None) -> Any:
        """A new one has no status."""
        fieldsets: Any = super().get_fieldsets(request, obj)
        return fieldsets if obj is not None else fieldsets[:-1]

    def save_model(self, request: HttpRequest, obj: DirMonitor, form: Any, change: bool) -> None:
        """Save what was edited, and not the status as it was when the page was made."""
        if change:
            obj.save(update_fields=[name for name in form.fields if hasattr(obj, name)])
        else:
            obj.save()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below a word on it when monitors are enabled and nobody watches."""
        if request.method == "GET" and (warning := no_service()):
            self.message_user(request, warning, level="WARNING")
        return super().changelist_view(request, extra_context)

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def shown_name(self, monitor: DirMonitor) -> str:
        return _short(monitor.name)

    @admin.display(description=gettext_lazy("path"), ordering="path")
    def shown_path(self, monitor: DirMonitor) -> str:
        return _two_lines(_short(monitor.path), _short(monitor.filemask))

    @admin.display(description=gettext_lazy("Job"), ordering="job__name")
    def shown_job(self, monitor: DirMonitor) -> str:
        link = self._link("jobqueue_job_change", monitor.job_id, _short(monitor.job.name))
        if monitor.job.enabled:
            return link
        return _two_lines(link, _signed("paused", "!", _("disabled")))

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def shown_status(self, monitor: DirMonitor) -> str:
        if not monitor.enabled:
            return _signed("cancelled", "‖", _("off"))
        if monitor.status not in Status.values:
            return _signed("waiting", "○", _("not seen yet"))
        status = Status(monitor.status)
        shown = _signed(*_SIGNS[status], status.label)
        if status in (Status.MISSING, Status.UNREACHABLE):
            shown = format_html(_("{} since {}"), shown, _moment(monitor.status_since))
        return _two_lines(shown, _short(monitor.status_note, 120))

    @admin.display(description=gettext_lazy("pending"), ordering="files_pending")
    def shown_pending(self, monitor: DirMonitor) -> str:
        if not monitor.files_pending:
            return EMPTY
        return _two_lines(str(monitor.files_pending), _short(monitor.pending_note))

    @admin.display(description=gettext_lazy("last trigger"), ordering="last_trigger_at")
    def last_trigger(self, monitor: DirMonitor) -> str:
        number = monitor.last_execution_id
        link = self._link("jobqueue_execution_change", number, f"#{number}") if number else ""
        return _two_lines(_moment(monitor.last_trigger_at), link)

    def _link(self, page: str, pk: Any, shown: str) -> str:
        try:
            url = reverse(f"admin:{page}", args=[pk], current_app=self.admin_site.name)
        except NoReverseMatch:
            return shown
        return format_html('<a href="{}">{}</a>', url, shown)


def no_service() -> str:
    """What is to be said where monitors are enabled and no service is alive; else ""."""
    if not lacks_service():
        return ""
    return _("No directory monitor runs: files wait until “manage.py dirmonitor” is started.")


def _signed(name: str, sign: str, word: object) -> SafeString:
    mark = '<span class="jobqueue-state jobqueue-{}"><span aria-hidden="true">{}</span> {}</span>'
    return format_html(mark, name, sign, word)


def _short(text: str, length: int = 60) -> SafeString:
    """One line of text, whatever is in it; the whole as its title."""
    shown = printable(text)
    cut = Truncator(shown).chars(length)
    return format_html('<span title="{}">{}</span>', shown[:1000], cut) if shown else SafeString()


def _two_lines(first: str, second: str) -> str:
    if not second:
        return first
    return format_html('{}<div class="jobqueue-second">{}</div>', first, second)


def _moment(value: Any) -> str:
    return formats.date_format(timezone.localtime(value), "Y-m-d H:i:s") if value else EMPTY
