"""Messages that are due leave by a thread for each way: what is slow holds up only what goes there.

A *way* is a kind of channel with its settings: an SMTP profile, a webhook, the host of pings.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from datetime import datetime, timedelta
from functools import partial

from django.db import connections
from django.utils import timezone

from ..models import Job, Message
from ..recipients import MAIL, Audience
from ..refusals import Phrase
from ..refusals import gettext_noop as _
from . import channels, mails, outbox, pings
from .channels import Channel, NotSent
from .outbox import Way

log = logging.getLogger(__name__)

#: So many messages are sent before it is asked again which ways are open.
AT_ONCE = 20
#: So many ways of one kind are served at a time.
WAYS = 5
#: Seconds for which nothing is tried where the receiver is out of order; doubles to the last.
CLOSED, CLOSED_MAX = 5.0, 300.0


class Sending:
    """The ways of one worker; what it has taken, no other worker sends."""

    def __init__(self) -> None:
        #: Of the monotonic clock: after that nothing more is taken.
        self.ends_at = math.inf
        self._threads: dict[Way, threading.Thread] = {}
        #: For each way that is out of order: until when nothing is tried, and for how long.
        self._closed: dict[Way, tuple[float, float]] = {}

    def start(self, now: datetime) -> None:
        """Have a thread send what is due, for each way that has none yet."""
        self._threads = {way: one for way, one in self._threads.items() if one.is_alive()}
        for way in self.open_ways(now):
            served = sum(other.channel == way.channel for other in self._threads)
            if way not in self._threads and served < WAYS:
                thread = threading.Thread(
                    name=f"jobqueue {way.channel}", target=partial(self._serve, way), daemon=True
                )
                self._threads[way] = thread
                thread.start()

    def join(self, seconds: float) -> None:
        """Wait for what is under way, so long at most."""
        until = time.monotonic() + seconds
        for thread in list(self._threads.values()):
            thread.join(max(0.0, until - time.monotonic()))

    def open_ways(self, now: datetime) -> list[Way]:
        """Those that have something due and aren't out of order."""
        moment = time.monotonic()
        return [way for way in outbox.ways(now) if self._closed.get(way, (0.0, 0.0))[0] <= moment]

    def _serve(self, way: Way) -> None:
        try:
            while self.send(way) == AT_ONCE:
                pass
        except Exception as error:  # the database may be away; what was taken comes again
            log.warning(
                "sending: %s", error, extra={"event": "sending.failed", "channel": way.channel}
            )
        finally:
            connections.close_all()

    def send(self, way: Way) -> int:
        """Send what is due on a way, or some of it; how many were tried."""
        try:
            channel = channels.open_channel(*way)
        except NotSent as error:
            return self._fail_next(way, error)
        try:
            return self._send_by(channel, way)
        finally:
            channel.close()

    def _send_by(self, channel: Channel, way: Way) -> int:
        for tried in range(AT_ONCE):
            is_over = time.monotonic() >= self.ends_at
            message = None if is_over else outbox.take(timezone.now(), way)
            if message is None:
                return tried
            if not self._hand_over(message, channel, way):
                return tried + 1
        return AT_ONCE

    def _hand_over(self, message: Message, channel: Channel, way: Way) -> bool:
        """Whether the way is open for the next one."""
        try:
            receipt = _delivered(channel, message)
        except NotSent as error:
            self._failed(message, way, error, channel.tried_for)
            return not error.closes
        outbox.sent(message, receipt.refused, timezone.now())
        self._closed.pop(way, None)
        return True

    def _fail_next(self, way: Way, error: NotSent) -> int:
        message = outbox.take(timezone.now(), way)
        if message is None:
            return 0
        self._failed(message, way, error, Channel.tried_for)
        return 1

    def _failed(self, message: Message, way: Way, error: NotSent, tried_for: timedelta) -> None:
        now, for_good = timezone.now(), error.for_good
        outbox.failed(message, str(error), now, for_good=for_good, tried_for=tried_for)
        if error.closes:
            _, pause = self._closed.get(way, (0.0, CLOSED))
            self._closed[way] = time.monotonic() + pause, min(pause * 2, CLOSED_MAX)


def test(audience: Audience) -> str:
    """Send a test message at once, past the outbox; what the receiver answered.

    Raises:
        NotSent: it wasn't accepted, or not for all.
    """
    words = audience.profile if audience.channel == MAIL else audience.addresses[0]
    [message] = outbox.unsaved(mails.test_mail(words), [audience], timezone.now())
    return _try(message)


def test_ping(job: Job) -> str:
    """Ping with ``/log``, which changes nothing for who receives it; what he answered.

    Raises:
        NotSent: it wasn't accepted.
    """
    return _try(pings.test_of(job))


def _try(message: Message) -> str:
    channel = channels.open_channel(message.channel, message.profile)
    try:
        receipt = _delivered(channel, message)
    finally:
        channel.close()
    if receipt.refused:
        raise NotSent("; ".join(f"{who}: {why}" for who, why in receipt.refused.items()))
    return receipt.answer


def _delivered(channel: Channel, message: Message) -> channels.Receipt:
    try:
        return channel.deliver(message)
    except NotSent:
        raise
    except Exception as error:  # a class of the host's may raise anything, with a secret in it
        text = _("The channel failed: %(why)s.")
        raise NotSent(Phrase(text, {"why": type(error).__name__})) from error
