"""Mail: a connection by one SMTP profile, and what its server answered."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends import smtp

from ...models import Message
from ...refusals import Phrase
from ...refusals import gettext_noop as _
from .. import profiles
from . import Channel, NotSent, Receipt, cut_after

#: Seconds that one mail may take in all.
DEADLINE = 60.0
_OK, _WILL_GET_IT, _SHUTTING_DOWN = 250, (250, 251), 421
_ANSWERED = _("The server answered: %(answer)s")
_AT_LOGIN = _("The server answered: %(answer)s (login)")
_CUT_OFF = _("The server was cut off: it didn't come to an end within %(seconds)s s.")
_Refused = dict[str, tuple[int, bytes]]


class MailChannel(Channel):
    """A connection by one profile, for any number of mails.

    Raises:
        NotSent: there is no such profile, or it is broken.
    """

    def __init__(self, profile: str) -> None:
        super().__init__(profile)
        try:
            self._connection = profiles.connect(profile)
        except profiles.UnusableProfile as error:
            raise NotSent(error.phrase, closes=True) from error

    def deliver(self, message: Message) -> Receipt:
        """Hand a mail over; who was refused is in the receipt, the others will get it."""
        try:
            with self._in_time():
                return self._send(_as_email(message, self.profile))
        except smtplib.SMTPRecipientsRefused as error:
            raise self._not_sent(_listed(error.recipients), _all_for_good(error)) from error
        except smtplib.SMTPAuthenticationError as error:
            raise self._not_sent(_said(error, _AT_LOGIN), closes=True) from error
        except smtplib.SMTPResponseException as error:
            broken = isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError)
            closes = broken or error.smtp_code == _SHUTTING_DOWN
            raise self._not_sent(_said(error), error.smtp_code >= 500, closes) from error
        except (OSError, smtplib.SMTPException) as error:  # all of smtplib's are OSErrors, too
            raise self._not_sent(self._why(error), closes=True) from error
        except Exception as error:  # a backend of the host's, or a mail that can't be written
            words = f"{type(error).__name__}: {error}"
            raise self._not_sent(Phrase("%(words)s", {"words": words})) from error

    def close(self) -> None:
        """Say goodbye, as far as somebody listens."""
        with suppress(Exception), self._in_time():
            self._connection.close()

    def _send(self, email: EmailMultiAlternatives) -> Receipt:
        connection = self._connection
        if not isinstance(connection, smtp.EmailBackend):
            connection.send_messages([email])
            return Receipt()
        connection.open()
        session: Any = connection.connection
        refused, answer = _transact(session, email)
        said = {who: self._without_secrets(_answer(*why)) for who, why in refused.items()}
        return Receipt(answer, said)

    def _in_time(self) -> AbstractContextManager[None]:
        return cut_after(DEADLINE, self._cut)

    def _cut(self) -> None:
        if isinstance(self._connection, profiles.Backend):
            self._connection.cut()

    def _why(self, error: OSError) -> Phrase:
        if getattr(self._connection, "is_cut", False):
            return Phrase(_CUT_OFF, {"seconds": f"{DEADLINE:g}"})
        return Phrase("%(words)s", {"words": str(error) or type(error).__name__})

    def _not_sent(self, problem: Phrase, for_good: bool = False, closes: bool = False) -> NotSent:
        said = {name: self._without_secrets(str(said)) for name, said in problem.values.items()}
        return NotSent(Phrase(problem.text, said), for_good=for_good, closes=closes)

    def _without_secrets(self, problem: str) -> str:
        """A server may say again what it was told."""
        password = str(getattr(self._connection, "password", "") or "")
        user = str(getattr(self._connection, "username", "") or "")
        for secret in filter(None, [password, *_as_sent(user, password)]):
            problem = problem.replace(secret, "***")
        return problem


def _transact(session: Any, email: EmailMultiAlternatives) -> tuple[_Refused, str]:
    """Hand a mail over; who was refused, and what was said to it (RFC 5321, 3.3).

    As ``smtplib`` does, which doesn't tell what was said, nor Django who was refused.
    """
    data = b"\r\n".join([*email.message().as_bytes().splitlines(), b""])
    session.ehlo_or_helo_if_needed()
    size = [f"size={len(data)}"] if session.has_extn("size") else []
    code, said = session.mail(email.from_email, size)
    if code != _OK:
        raise _after_reset(session, smtplib.SMTPSenderRefused(code, said, email.from_email))
    answers = {who: session.rcpt(who) for who in email.to}
    refused = {who: said for who, said in answers.items() if said[0] not in _WILL_GET_IT}
    if len(refused) == len(answers):
        raise _after_reset(session, smtplib.SMTPRecipientsRefused(refused))
    code, said = session.data(data)
    if code != _OK:
        raise _after_reset(session, smtplib.SMTPDataError(code, said))
    return refused, _answer(code, said)


def _after_reset(session: Any, error: smtplib.SMTPException) -> smtplib.SMTPException:
    """The session is ready for the next mail, unless the server has gone."""
    with suppress(smtplib.SMTPServerDisconnected):
        session.rset()
    return error


def _as_email(message: Message, profile: str) -> EmailMultiAlternatives:
    email = EmailMultiAlternatives(
        message.subject,
        message.text,
        profiles.sender(profile),
        message.recipients,
        headers=message.headers,
    )
    if message.html:
        email.attach_alternative(message.html, "text/html")
    return email


def _as_sent(user: str, password: str) -> list[str]:
    """A password as SMTP's AUTH LOGIN and PLAIN carry it (RFC 4616)."""
    plain = f"\0{user}\0{password}"
    return [base64.b64encode(text.encode()).decode() for text in (password, plain) if password]


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"


def _said(error: smtplib.SMTPResponseException, text: str = _ANSWERED) -> Phrase:
    return Phrase(text, {"answer": _answer(error.smtp_code, error.smtp_error)})


def _listed(refused: Mapping[str, tuple[int, bytes]]) -> Phrase:
    said = {_answer(*why) for why in refused.values()}
    text = _("The server refused all recipients: %(answers)s")
    return Phrase(text, {"answers": "; ".join(sorted(said))})


def _all_for_good(error: smtplib.SMTPRecipientsRefused) -> bool:
    return all(code >= 500 for code, _ in error.recipients.values())
