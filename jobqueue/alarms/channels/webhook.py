"""Webhooks: a message as JSON to an address of the settings, signed with a key that both know.

The body and how to check the signature are documented in docs/alarms.md; what changes there in a
way that a receiver would notice gets another ``VERSION``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from ... import conf, endpoints
from ...models import Message
from . import Channel, Receipt, options_of, web

VERSION = 1
KEYS = {"url", "key"}
#: Characters of a key.
SHORTEST = 16


class WebhookChannel(Channel):
    """``{"url": "https://chat.example.com/hook", "key": "a secret"}``."""

    def deliver(self, message: Message) -> Receipt:
        """POST it."""
        options = options_of(f"webhook:{self.profile}")
        body = json.dumps(body_of(message), sort_keys=True).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "jobqueue",
            "Jobqueue-Delivery": name_of(message),
            **signature(str(options["key"]), body, int(time.time())),
        }
        return Receipt(web.post(str(options["url"]), body, headers).words)

    @classmethod
    def problems(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """A wrong address, or no key."""
        if unknown := sorted(map(str, set(options) - KEYS)):
            yield f"it has no setting {unknown[0]!r}; known: {', '.join(sorted(KEYS))}"
        try:
            endpoints.parse(str(options.get("url", "")))
        except ValueError as error:
            yield f"its url: {str(error).rstrip('.')}"
        key = options.get("key")
        if not isinstance(key, str) or len(key) < SHORTEST:
            yield f"its key isn't a secret of {SHORTEST} characters or more"

    @classmethod
    def described(cls, options: Mapping[str, Any]) -> str:
        """The host: the rest of such an address is often a secret, too."""
        return endpoints.parse(str(options["url"])).place


def body_of(message: Message) -> dict[str, Any]:
    """What is sent."""
    return {
        "alarms": [],
        "execution": None,
        "url": "",
        **message.data,
        "version": VERSION,
        "id": name_of(message),
        "at": message.created_at.astimezone(UTC).isoformat(),
        "host": conf.current().HOST,
        "subject": message.subject,
        "text": message.text,
    }


def name_of(message: Message) -> str:
    """What tells it from all others, the same each time that it's tried."""
    return str(message.headers.get("Message-ID", "")).strip("<>")


def signature(key: str, body: bytes, at: int) -> dict[str, str]:
    """The headers that say when it was sent (seconds since 1970), and that the key was known."""
    signed = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return {"Jobqueue-Timestamp": str(at), "Jobqueue-Signature": f"sha256={signed.hexdigest()}"}
