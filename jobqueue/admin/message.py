"""Messages in the admin: what waits, what couldn't be sent, and the ways that they go."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import recipients
from ..alarms import channels
from ..alarms import profiles as smtp_profiles
from ..commandline import printable
from ..models import Message
from ..output import readable
from ..recipients import MAIL
from . import actions, display, links
from .filters import MailFilter, NewestValuesFilter
from .history import NewestPaginator
from .pages import NotEdited, Question, is_confirmed

_DROP = Question(
    gettext_lazy("Drop?"),
    gettext_lazy("These messages won't be sent. They stay on the list for a while."),
    gettext_lazy("Drop"),
    danger=True,
)
#: So many recipients a list names.
NAMED = 2


@admin.register(Message)
class MessageAdmin(NotEdited[Message]):
    """To see messages takes ``view_message``; to send, drop and test ``change_message`` as well."""

    list_display = (
        "id", "shown_subject", "shown_recipients", "shown_state", "created", "attempts",
    )  # fmt: skip
    list_filter = (MailFilter, ("channel", NewestValuesFilter), ("profile", NewestValuesFilter))
    search_fields = ("subject", "recipients", "problem")
    #: What isn't sent yet, what was dropped, what was sent; each the newest first.
    ordering = ("-standing", "-id")
    paginator = NewestPaginator
    show_facets = admin.ShowFacets.NEVER  # they count all, once for each choice
    list_per_page = 50
    show_full_result_count = False
    actions = ("send_now", "drop")
    fieldsets = (
        (None, {"fields": ("shown_state", "shown_subject", "all_recipients", "way")}),
        (None, {"fields": ("created", "attempts", "shown_text")}),
    )

    class Media:
        css = {"all": ("jobqueue/admin.css",)}

    def get_urls(self) -> list[URLPattern]:
        """The page of SMTP profiles and channels beside the usual ones."""
        view = self.admin_site.admin_view(self.profiles_page)
        return [path("profiles/", view, name="jobqueue_message_profiles"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Without what only the message itself shows."""
        rows: QuerySet[Message] = super().get_queryset(request)
        return rows.defer("html", "headers", "data", "text")

    def has_send_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        """Whether the user may send and drop."""
        may_see = self.has_view_permission(request, obj)
        return may_see and actions.may(request.user, "change_message", obj)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with the way to the profiles for those who may test them."""
        context = {"title": _("Messages"), **(extra_context or {})}
        if self.has_send_permission(request):
            context["profiles_url"] = links.to_admin(request, "jobqueue_message_profiles")
        return super().changelist_view(request, context)

    def profiles_page(self, request: HttpRequest) -> HttpResponse:
        """SMTP profiles and channels of the settings, without secrets; a POST tests one."""
        if not self.has_send_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self._test(request)
        context = {
            "title": _("Mail and channels"),
            "channels": [(word, channels.described(word)) for word in channels.names()],
            "profiles": [smtp_profiles.described(name) for name in smtp_profiles.names()],
            "to": getattr(request.user, "email", ""),
        }
        return self.rendered(request, "admin/jobqueue/message/profiles.html", context)

    def _test(self, request: HttpRequest) -> None:
        word, profile = request.POST.get("channel"), request.POST.get("profile")
        if word in channels.names():
            actions.test_channel(request, str(word))
        elif profile in smtp_profiles.names():
            actions.test_profile(request, str(profile))
        else:
            raise Http404

    @admin.action(description=gettext_lazy("Send selected messages now"), permissions=("send",))
    def send_now(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Also those that were given up or dropped."""
        actions.send_now(request, queryset.filter(sent_at=None))

    @admin.action(description=gettext_lazy("Drop selected messages"), permissions=("send",))
    def drop(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse | None:
        """Never send them."""
        unsent = queryset.filter(sent_at=None)
        if not is_confirmed(request):
            return self.ask_for_all(request, _DROP, unsent, "drop")
        actions.drop(request, self.chosen(request, queryset, sent_at=None))
        return None

    @admin.display(description=gettext_lazy("subject"), ordering="subject")
    def shown_subject(self, message: Message) -> str:
        return display.short(message.subject, 90)

    @admin.display(description=gettext_lazy("to"))
    def shown_recipients(self, message: Message) -> str:
        more = len(message.recipients) - NAMED
        named = ", ".join(map(str, message.recipients[:NAMED]))
        shown = display.short(named + (_(" and %d more") % more if more > 0 else ""))
        is_plain = message.channel == MAIL and not message.profile
        is_said = recipients.is_channel(named)  # such as webhook:ops
        return display.two_lines(shown, "" if is_plain or is_said else self.way(message))

    @admin.display(description=gettext_lazy("to"))
    def all_recipients(self, message: Message) -> str:
        return printable(", ".join(map(str, message.recipients)))

    @admin.display(description=gettext_lazy("way"))
    def way(self, message: Message) -> str:
        return printable(" ".join(filter(None, (message.channel, message.profile))))

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, message: Message) -> str:
        if message.sent_at is not None:
            sent = display.signed("succeeded", "✓", _("sent"))
            return display.two_lines(sent, display.moment(message.sent_at))
        if message.dropped_by:
            dropped = display.signed("cancelled", "⊘", _("dropped"))
            return display.two_lines(dropped, printable(message.dropped_by))
        if message.due_at is None:
            given_up = display.signed("failed", "✗", _("given up"))
            return display.two_lines(given_up, display.short(message.problem, 200))
        waits = display.signed("waiting", "○", _("waits"))
        if not message.problem:
            return waits
        again = format_html(_("again at {}"), display.moment(message.due_at))
        problem = format_html("{} ({})", display.short(message.problem, 200), again)
        return display.two_lines(waits, problem)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, message: Message) -> str:
        return display.moment(message.created_at)

    @admin.display(description=gettext_lazy("text"))
    def shown_text(self, message: Message) -> str:
        return format_html('<pre class="jobqueue-output">{}</pre>', readable(message.text))
