"""Pings in the form of healthchecks.io: that a run has started, and how it ended.

Source: https://healthchecks.io/docs/http_api/. The address is looked up in the Job when the ping is
sent: it is a secret of a kind, and who corrects it has waiting pings go to the right one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode, urlunsplit

from ... import endpoints
from ...models import Job, Message
from ...refusals import Phrase, told
from ...refusals import gettext_noop as _
from . import Channel, NotSent, Receipt, web

#: Whoever waits for a ping has long complained when it is older.
TRIED_FOR = timedelta(hours=1)


class PingChannel(Channel):
    """Its messages have ``data`` with the Job, the signal and the ``rid`` of the run."""

    tried_for = TRIED_FOR

    def deliver(self, message: Message) -> Receipt:
        """POST the end of the output to the address of the Job with the signal behind it."""
        job = Job.objects.filter(pk=message.data["job"]).first()
        if job is None or not job.ping_url:
            text = _("The Job has no address for pings any more.")
            raise NotSent(Phrase(text), for_good=True)
        url = url_of(job.ping_url, message.data["signal"], message.data["rid"])
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "jobqueue"}
        return Receipt(web.post(url, message.text.encode(errors="replace"), headers).words)


def url_of(base: str, signal: str, rid: str) -> str:
    """The address of one ping.

    Raises:
        NotSent: the address of the Job is none.
    """
    try:
        endpoint = endpoints.parse(base)
    except ValueError as error:
        raise NotSent(told(error), for_good=True) from error
    query = "&".join(filter(None, [endpoint.query, urlencode({"rid": rid})]))
    pinged = replace(endpoint, path=f"{endpoint.path.rstrip('/')}/{signal}", query=query)
    host = f"[{pinged.host}]" if ":" in pinged.host else pinged.host
    return urlunsplit((pinged.scheme, f"{host}:{pinged.port}", pinged.path, pinged.query, ""))
