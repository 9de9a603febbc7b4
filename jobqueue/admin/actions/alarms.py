"""Acknowledge alarms, send and drop messages, and test the ways that they go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import recipients
from ...alarms import judging, outbox, sending
from ...alarms.channels import NotSent
from ...commandline import printable
from ...languages import translated
from ...models import Alarm, Job, Message
from ...recipients import Audience
from .. import alarm_record
from .once import once
from .telling import record, shortened, tell, user_name


def acknowledge(request: HttpRequest, alarm: Alarm, note: str) -> None:
    """Have colleagues see that somebody is on it."""
    values = {"name": shortened(str(alarm))}
    if judging.acknowledge(alarm, user_name(request), note, timezone.now()):
        record(request, [alarm], f"Acknowledged. {note}".strip())
        text = _("The alarm of “{name}” is acknowledged, until all is well again.")
        tell(request, messages.SUCCESS, text, **values)
    else:
        text = _("“{name}” is well by now: there was nothing to acknowledge.")
        tell(request, messages.WARNING, text, **values)


def send_now(request: HttpRequest, mails: Iterable[Message]) -> None:
    """Have messages sent at once, also those that were given up or dropped."""

    def done(count: int) -> str:
        return ngettext("{count} message is sent now.", "{count} messages are sent now.", count)

    _change_mails(request, mails, outbox.send_now, "Send now.", done)


def drop(request: HttpRequest, mails: Iterable[Message]) -> None:
    """Never send them."""

    def done(count: int) -> str:
        return ngettext("{count} message won't be sent.", "{count} messages won't be sent.", count)

    _change_mails(request, mails, outbox.drop, "Dropped.", done)


def _change_mails(
    request: HttpRequest,
    mails: Iterable[Message],
    change: Callable[[Message, str], bool],
    note: str,
    done_text: Callable[[int], str],
) -> None:
    rows, who = list(mails), user_name(request)
    done = [row for row in rows if change(row, who)]
    record(request, done, note)
    if done:
        tell(request, messages.SUCCESS, done_text(len(done)), count=len(done))
    if late := len(rows) - len(done):
        text = ngettext(
            "{count} message was sent or dropped already.",
            "{count} messages were sent or dropped already.",
            late,
        )
        tell(request, messages.WARNING, text, count=late)


@once
def test_profile(request: HttpRequest, profile: str) -> bool:
    """Send a test mail to the user's own address, and tell what the server answered."""
    name = profile or _("Django's own settings")
    try:
        to = recipients.address(getattr(request.user, "email", "") or "")
    except ValueError:
        tell(request, messages.ERROR, _("Your account has no mail address to send a test to."))
        return False
    return _test(request, name, Audience(profile, (to,)))


@once
def test_channel(request: HttpRequest, word: str) -> bool:
    """Send a test by a channel of the settings, and tell what its receiver answered."""
    return _test(request, _("Channel"), recipients.of_channel(word))


@once
def test_ping(request: HttpRequest, job: Job) -> bool:
    """Ping for a Job in a way that changes nothing, and tell what the receiver answered."""
    place = alarm_record.ping_place(job)
    return _try(request, partial(sending.test_ping, job), name=_("Ping"), to=place)


def _test(request: HttpRequest, name: str, audience: Audience) -> bool:
    return _try(request, partial(sending.test, audience), name=name, to=audience.addresses[0])


def _try(request: HttpRequest, test: Callable[[], str], **values: str) -> bool:
    """Whether it was sent."""
    try:
        answer = printable(test())
    except NotSent as error:
        text = _("{name}: not sent to {to}. {why}")
        tell(request, messages.ERROR, text, why=printable(translated(error.problem)), **values)
        return False
    text = _("{name}: sent to {to}. {answer}")
    tell(request, messages.SUCCESS, text, answer=answer, **values)
    return True
