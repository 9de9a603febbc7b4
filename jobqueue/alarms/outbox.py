"""Every change of a message: posted, taken, sent or failed, asked for once more, dropped.

Each is a conditional update, as those of an Execution. A message is *taken* for a while by who
sends it, and the number of its tries tells him apart from one who took it later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from ..commandline import printable
from ..models import Message
from ..models.message import PING
from ..recipients import MAIL, Audience
from .mails import Mail

log = logging.getLogger(__name__)

#: For so long a message belongs to who has taken it; sending one takes far less.
TAKEN = timedelta(minutes=5)
#: After a failure it's tried again; the pause doubles up to the last.
FIRST_PAUSE, LAST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
#: For so long it's tried; then it stays, unsent, for somebody to see to it.
TRIED_FOR = timedelta(days=5)
#: For so long at most when it was refused for good.
REFUSED_FOR = timedelta(days=1)
#: What was sent, or dropped, is kept for so long; and pings that were given up.
KEPT, KEPT_PINGS = timedelta(days=30), timedelta(days=1)
#: So many are looked at, or forgotten, at once.
AT_ONCE = 100


class Way(NamedTuple):
    """Where a message leaves by: a kind of channel, and the name of its settings."""

    channel: str
    profile: str


def post(
    mail: Mail, audiences: Iterable[Audience], now: datetime, due_at: datetime | None = None
) -> list[Message]:
    """Have a message sent to each audience, at the commit or later."""
    messages = unsaved(mail, audiences, now)
    for message in messages:
        message.due_at = due_at or now
    return Message.objects.bulk_create(messages)


def unsaved(mail: Mail, audiences: Iterable[Audience], now: datetime) -> list[Message]:
    """The messages to these audiences: for people HTML, for programs facts."""
    return [
        Message(
            channel=audience.channel,
            profile=audience.profile,
            recipients=list(audience.addresses),
            subject=mail.subject,
            text=mail.text,
            html=mail.html if audience.channel == MAIL else "",
            data=_data_of_mail(mail) if audience.channel == MAIL else mail.data,
            headers=mail.headers,
            created_at=now,
            due_at=now,
        )
        for audience in audiences
    ]


def _data_of_mail(mail: Mail) -> dict[str, Any]:
    """Which run it tells of, for the log; all else is in its text."""
    run = mail.data.get("execution")
    return {"execution": run["id"]} if run else {}


def ways(now: datetime) -> list[Way]:
    """Those on which something is due."""
    found = Message.objects.due(now).values_list("channel", "profile").order_by()
    return [Way(*one) for one in found.distinct()]


def take(now: datetime, way: Way) -> Message | None:
    """The next one that is due on a way, to be sent from here; None if there is none."""
    due = Message.objects.due(now).filter(**way._asdict()).order_by("due_at", "pk")
    for pk, attempts in due.values_list("pk", "attempts")[:AT_ONCE]:
        row = Message.objects.due(now).filter(pk=pk, attempts=attempts)
        if row.update(attempts=attempts + 1, taken_until=now + TAKEN):
            return Message.objects.get(pk=pk)
    return None


def sent(message: Message, refused: Mapping[str, str], now: datetime) -> None:
    """It was accepted, but for some recipients: those get a mail of their own, tried again."""
    accepted = [address for address in message.recipients if address not in refused]
    with transaction.atomic(using=router.db_for_write(Message)):
        done = _mine(message).update(
            sent_at=now, due_at=None, taken_until=None, problem="", recipients=accepted
        )
        if done and message.channel == PING and message.starts is None:
            _of(message).delete()  # there are many, and nobody looks for them
        if done and refused:
            rest = Message.objects.get(pk=message.pk)
            rest.pk, rest.recipients, rest.sent_at = None, sorted(refused), None
            rest.problem = _listed(refused)
            rest.due_at = now + _pause(message.attempts)
            rest.save(force_insert=True)
    if done:
        log.info(
            "message %s sent by %s",
            message.pk,
            _way(message),
            extra={"event": "message.sent", **_about(message)},
        )
    else:
        log.info(
            "message %s was sent from here, and is another's or over meanwhile",
            message.pk,
            extra={"event": "message.not_ours", "message_id": message.pk},
        )


def failed(
    message: Message,
    problem: str,
    now: datetime,
    *,
    for_good: bool = False,
    tried_for: timedelta = TRIED_FOR,
) -> None:
    """It wasn't accepted: it's tried again later, or stays unsent."""
    longest = min(REFUSED_FOR, tried_for) if for_good else tried_for
    given_up = now - message.created_at > longest
    due_at = None if given_up else now + _pause(message.attempts)
    shown = printable(problem)[:1000]
    _mine(message).update(problem=shown, due_at=due_at, taken_until=None)
    log.warning(
        "message %s not sent by %s%s: %s",
        message.pk,
        _way(message),
        " and given up" if given_up else "",
        shown,
        extra={"event": "message.not_sent", **_about(message), "given_up": given_up},
    )


def send_now(message: Message, by: str) -> bool:
    """Try it at once, also one that was given up or dropped; False if it was sent."""
    unsent = Message.objects.filter(pk=message.pk, sent_at=None)
    done = bool(unsent.update(due_at=timezone.now(), dropped_by=""))
    if done:
        log.info(
            "message %s is to be sent now, by %s",
            message.pk,
            printable(by),
            extra={"event": "message.send_now", "message_id": message.pk, "by": by},
        )
    return done


def drop(message: Message, by: str) -> bool:
    """Never try it again; False if it was sent or dropped before."""
    unsent = Message.objects.filter(pk=message.pk, sent_at=None, dropped_by="")
    done = bool(unsent.update(due_at=None, dropped_by=by))
    if done:
        log.info(
            "message %s dropped by %s",
            message.pk,
            printable(by),
            extra={"event": "message.dropped", "message_id": message.pk, "by": by},
        )
    return done


def forget(now: datetime) -> int:
    """Delete some of what was sent or dropped long ago, and old pings; how many."""
    old = Message.objects.filter(sent_at__lt=now - KEPT)
    dropped = Message.objects.filter(due_at=None, created_at__lt=now - KEPT).exclude(dropped_by="")
    late = Message.objects.filter(channel=PING, created_at__lt=now - KEPT_PINGS)
    pings = late.filter(sent_at=None, due_at=None, dropped_by="")
    found = (rows.values_list("pk", flat=True)[:AT_ONCE] for rows in (old, dropped, pings))
    pks = [pk for some in found for pk in some]
    deleted, _ = Message.objects.filter(pk__in=pks).delete()
    return deleted


def _way(message: Message) -> str:
    """What it leaves by, as recipients name it: ``mail``, ``mail:partners``, ``webhook:ops``."""
    return printable(f"{message.channel}:{message.profile}" if message.profile else message.channel)


def _about(message: Message) -> dict[str, Any]:
    """What each line of the log says of it."""
    run = message.data.get("execution")
    return {
        "message_id": message.pk,
        "channel": message.channel,
        "way": _way(message),
        "execution": run.get("id") if isinstance(run, dict) else run,
    }


def _mine(message: Message) -> QuerySet[Message]:
    return _of(message).filter(sent_at=None)


def _of(message: Message) -> QuerySet[Message]:
    return Message.objects.filter(pk=message.pk, attempts=message.attempts)


def _pause(attempts: int) -> timedelta:
    doubled: timedelta = FIRST_PAUSE * 2 ** min(max(attempts, 1) - 1, 20)
    return min(doubled, LAST_PAUSE)


def _listed(refused: Mapping[str, str]) -> str:
    return printable("; ".join(f"{address}: {why}" for address, why in refused.items()))[:1000]
