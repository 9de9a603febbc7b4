"""All that the library *apprise* reaches: chats, SMS, push services. An extra of the package."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ...models import Message
from ...refusals import Phrase
from ...refusals import gettext_noop as _
from . import Channel, NotSent, Receipt, options_of

KEYS = {"url"}
#: Characters of a text; most services take a few thousand.
LONGEST = 2000
#: What an event is to apprise, which shows it as a colour or a sign.
_TYPES = {"alarm.bad": "failure", "alarm.reminder": "warning", "alarm.good": "success"}
_UNREADABLE = _("apprise can't read the url of this channel.")
_REFUSED = _("apprise says only that it wasn't accepted; its log may say more.")


class AppriseChannel(Channel):
    """``{"url": "slack://…"}``: one of apprise's own addresses."""

    def deliver(self, message: Message) -> Receipt:
        """Hand it to the library, which says only whether it was accepted."""
        import apprise

        url = str(options_of(f"apprise:{self.profile}")["url"])
        service = apprise.Apprise()
        with _hidden(url):
            if not service.add(url):
                raise NotSent(Phrase(_UNREADABLE), closes=True)
            accepted = service.notify(
                title=message.subject,
                body=message.text[:LONGEST],
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=apprise.NotifyType(_TYPES.get(message.data.get("event", ""), "info")),
            )
        if not accepted:
            raise NotSent(Phrase(_REFUSED))
        return Receipt()

    @classmethod
    def problems(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """No library, or an address that it can't read."""
        if unknown := sorted(map(str, set(options) - KEYS)):
            yield f"it has no setting {unknown[0]!r}; known: url"
        if find_spec("apprise") is None:
            yield "apprise isn't installed: pip install 'django-bots-jobqueue[apprise]'"
            return
        import apprise

        url = options.get("url")
        with _hidden(str(url)):
            if not isinstance(url, str) or apprise.Apprise.instantiate(url) is None:
                yield "its url is none that apprise knows"

    @classmethod
    def described(cls, options: Mapping[str, Any]) -> str:
        """The service; all else of such an address may be a secret."""
        return str(options["url"]).partition(":")[0]


@contextmanager
def _hidden(url: str) -> Iterator[None]:
    """Meanwhile the library's log doesn't show this address, which has a secret in it."""

    def hide(record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().replace(url, "***"), ()
        return True

    log = logging.getLogger("apprise")
    log.addFilter(hide)
    try:
        yield
    finally:
        log.removeFilter(hide)
