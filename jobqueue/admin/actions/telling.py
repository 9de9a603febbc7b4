"""What became of it: a message for the user, and words for the admin's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest
from django.utils import formats
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy

from ...commandline import printable
from ...languages import in_english
from ...models import Cluster
from .. import links

#: So many are named in one message.
NAMED = 10
NO_CLUSTER = gettext_lazy(
    "No cluster runs: nothing will start. Start one with “manage.py qcluster”."
)
STOPPING = gettext_lazy(
    "The cluster is stopping: nothing more will start until “manage.py qcluster” is started again."
)


def no_cluster() -> str:
    """What is to be said when no cluster starts what waits; else ""."""
    clusters = Cluster.objects.living()
    is_served = any(cluster.stopping_at is None for cluster in clusters)
    return unserved(is_served=is_served, is_stopping=bool(clusters))


def unserved(*, is_served: bool, is_stopping: bool) -> str:
    """The same where that is known."""
    if is_served:
        return ""
    return str(STOPPING if is_stopping else NO_CLUSTER)


def tell(request: HttpRequest, level: int, text: str, **values: object) -> None:
    """Show a message on the next page; the values go into its places, escaped.

    Counts are written as on the page that has asked: 1,200.
    """
    shown = {
        name: formats.number_format(value, force_grouping=True) if isinstance(value, int) else value
        for name, value in values.items()
    }
    told = format_html(text, **shown) if shown else text
    messages.add_message(request, level, told, fail_silently=True)


def record(request: HttpRequest, objects: Sequence[Model], text: str) -> None:
    """In the admin's log, in English: others read it."""
    if objects and apps.is_installed("django.contrib.admin"):
        from django.contrib.admin.models import CHANGE, LogEntry

        user: Any = request.user
        entries: Any = LogEntry.objects  # django-stubs wants a QuerySet; any sequence will do
        with in_english():  # it asks what the objects are called
            entries.log_actions(user.pk, objects, CHANGE, printable(text))


def user_name(request: HttpRequest) -> str:
    """The login name, as long as it can be stored."""
    return str(request.user.get_username())[:254]


def shortened(name: str) -> str:
    """In one line, whatever is in it."""
    return Truncator(printable(name)).chars(100)


def list_of(request: HttpRequest, rows: Sequence[tuple[int, str]]) -> SafeString:
    """Executions by number, with a word on each; the first ones, if they are many."""
    shown = (
        (links.to_execution(request, pk), f" ({word})" if word else "") for pk, word in rows[:NAMED]
    )
    listed = format_html_join(", ", "{}{}", shown)
    return format_html("{}, …", listed) if len(rows) > NAMED else listed
