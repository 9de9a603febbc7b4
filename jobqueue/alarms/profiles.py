"""SMTP profiles: the servers that the settings name beside Django's own.

``JOBQUEUE["MAIL_PROFILES"]`` maps names to dicts with ``host``, ``port``, ``tls`` (``none``,
``starttls``, ``ssl``; by default what the port is for), ``user``, ``password`` and ``sender``.
They stay in the settings, which read the password from wherever it is safe: it is never stored in
the database nor shown, and who may edit Jobs can't have it sent to a server of his own. The name
``""`` stands for Django's own settings.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, BinaryIO

import django
from django.conf import settings
from django.core import mail
from django.core.mail.backends import smtp
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.functional import cached_property

from .. import conf
from ..recipients import problem_of_sender
from ..refusals import Refusal
from ..refusals import gettext_noop as _

#: Seconds that a server may be silent.
SILENCE = 15.0
#: Bytes of an answer that are read. A line of it has 512 at most (RFC 5321, 4.5.3.1.5).
LONGEST_ANSWER = 64 * 1024
TLS = ("none", "starttls", "ssl")
KEYS = {"host", "port", "tls", "user", "password", "sender"}
_SETTING = "JOBQUEUE['MAIL_PROFILES']"
_TLS_OF_PORT = {465: "ssl", 587: "starttls"}


class UnusableProfile(Refusal):
    """The settings have no profile of this name, or it is broken."""


class _Reader:
    """What a server says: of each answer no more than ``LONGEST_ANSWER``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = 0

    def readline(self, limit: int) -> bytes:
        """As of a file that ends where the answer has become too long."""
        line = self._file.readline(min(limit, self.left))
        self.left -= len(line)
        return line

    def close(self) -> None:
        """Close it."""
        self._file.close()


class _Session(smtplib.SMTP):
    """Python's, which gathers an answer that never ends until there is no memory left."""

    def getreply(self) -> tuple[int, bytes]:
        """The next answer.

        Raises:
            smtplib.SMTPServerDisconnected: there is none, or it is too long.
        """
        reader = self._limited()
        try:
            answer: tuple[int, bytes] = super().getreply()
        except smtplib.SMTPServerDisconnected:
            if reader.left:
                raise
        else:
            if reader.left:
                return answer
        self.close()
        words = f"The server's answer is longer than {LONGEST_ANSWER // 1024} KiB: it was cut off."
        raise smtplib.SMTPServerDisconnected(words)

    def _limited(self) -> _Reader:
        """What is read by; a new one after STARTTLS."""
        session: Any = self
        if session.file is None:
            session.file = _Reader(session.sock.makefile("rb"))
        reader: _Reader = session.file
        reader.left = LONGEST_ANSWER
        return reader


class Backend(smtp.EmailBackend):
    """Django's, which knows a session only when the server has greeted."""

    #: The last one that was begun.
    session: smtplib.SMTP | None = None
    #: What shakes hands for TLS, or has: the session knows it only afterwards.
    tls: ssl.SSLSocket | None = None
    #: Whether it was ended by :meth:`cut`.
    is_cut = False

    def cut(self) -> None:
        """End what is going on, from another thread, even if there is no socket yet."""
        self.is_cut = True
        for raw in (getattr(self.session, "sock", None), self.tls):
            if isinstance(raw, socket.socket):
                with suppress(OSError):
                    socket.socket.shutdown(raw, socket.SHUT_RDWR)

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Django's, with sockets that can be cut while they shake hands."""
        context: ssl.SSLContext = super().ssl_context
        backend = self

        class Socket(ssl.SSLSocket):
            def do_handshake(self, block: bool = False) -> None:
                backend.tls = self
                if backend.is_cut:
                    raise TimeoutError
                super().do_handshake(block)

        context.sslsocket_class = Socket
        return context

    @classmethod
    def like(cls, other: smtp.EmailBackend) -> Backend:
        """One with the settings of another."""
        new = cls.__new__(cls)
        new.__dict__.update(other.__dict__)
        return new

    @property
    def connection_class(self) -> Any:
        """That of Django, which tells that it begins, and reads no answer without end."""
        usual: Any = super().connection_class
        backend = self

        class Session(_Session, usual):  # type: ignore[misc]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                backend.session = self
                super().__init__(*args, **kwargs)

            def getreply(self) -> tuple[int, bytes]:
                if backend.is_cut:
                    self.close()
                    raise smtplib.SMTPServerDisconnected("It was cut off.")
                return super().getreply()

        return Session


def names() -> list[str]:
    """Of all profiles; the first one, ``""``, is Django's own."""
    return ["", *conf.current().MAIL_PROFILES]


def sender(profile: str) -> str:
    """The address that mails of a profile come from."""
    own = _given(profile).get("sender")
    return str(own or conf.current().MAIL_FROM or settings.SERVER_EMAIL)


def described(profile: str) -> dict[str, object]:
    """What may be shown of a profile."""
    given = _given(profile)
    port = given.get("port", 25)
    shown: dict[str, object] = {
        "name": profile, "sender": sender(profile), "host": "", "port": "", "tls": "", "user": "",
        "has_password": False,
    }  # fmt: skip
    if profile:
        shown |= {"host": given.get("host", ""), "port": port, "user": given.get("user", "")}
        shown |= {"tls": _tls(given)}
        shown |= {"has_password": bool(given.get("password"))}
    return shown


def problems(profile: object) -> Iterator[str]:
    """What is wrong with a profile in the settings, in words; without its values."""
    if not isinstance(profile, Mapping):
        yield "it isn't a dict"
        return
    if unknown := sorted(map(str, set(profile) - KEYS)):
        yield f"it has no setting {unknown[0]!r}; known: {', '.join(sorted(KEYS))}"
    if not profile.get("host"):
        yield "it names no host"
    elif any(not char.isprintable() or char.isspace() for char in str(profile["host"])):
        yield "its host has blanks or control characters"
    for key in ("user", "password"):
        if not isinstance(profile.get(key, ""), str):
            yield f"its {key} isn't text"
    port = profile.get("port", 25)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        yield "its port isn't a number from 1 to 65535"
    yield from _tls_problems(profile.get("tls", "none"), port)
    if (own := profile.get("sender")) and (wrong := problem_of_sender(str(own))):
        yield f"its sender: {wrong}"


def _tls_problems(tls: object, port: object) -> Iterator[str]:
    usual = _TLS_OF_PORT.get(port) if isinstance(port, int) else None
    if tls not in TLS:
        yield f"its tls is none of {', '.join(TLS)}"
    elif usual and tls not in ("none", usual):
        yield f"its tls is {tls}, but port {port} is for {usual}"


def shows_password(profile: object) -> bool:
    """Whether a password goes to another host for all to see who are on the way."""
    if not isinstance(profile, Mapping) or not profile.get("password"):
        return False
    return _tls(profile) == "none" and not _is_this_host(str(profile.get("host", "")))


def connect(profile: str) -> BaseEmailBackend:
    """What hands mails of a profile over; it isn't open yet.

    Raises:
        UnusableProfile: there is no such profile (any more), or it is broken.
    """
    connection = _of_profile(profile) if profile else _of_django()
    if type(connection) is not smtp.EmailBackend:
        return connection
    connection = Backend.like(connection)
    connection.timeout = connection.timeout or SILENCE
    return connection


def _of_django() -> BaseEmailBackend:
    """By ``EMAIL_…``; from Django 6.1 on by ``MAILERS``."""
    mailers: Any = getattr(mail, "mailers", None)
    connection: BaseEmailBackend = mailers.default if mailers else mail.get_connection()
    return connection


def _of_profile(profile: str) -> BaseEmailBackend:
    profiles = conf.current().MAIL_PROFILES
    if profile not in profiles:
        text = _("%(setting)s has no %(name)s any more.")
        raise UnusableProfile(text, setting=_SETTING, name=repr(profile))
    # A password must not go out openly for a slip in the word that hides it.
    if wrong := next(problems(profiles[profile]), ""):
        text = _("%(setting)s is broken: %(problem)s.")
        raise UnusableProfile(text, setting=f"{_SETTING}[{profile!r}]", problem=wrong)
    given = _given(profile)
    tls = _tls(given)
    # From Django 6.1 on, a backend without a name reads the settings of before.
    named: Any = {"alias": profile} if django.VERSION >= (6, 1) else {}
    return smtp.EmailBackend(
        host=str(given["host"]),
        port=given.get("port", 25),
        username=str(given.get("user", "")),
        password=str(given.get("password", "")),
        use_tls=tls == "starttls",
        use_ssl=tls == "ssl",
        timeout=SILENCE,
        **named,
    )


def _given(profile: str) -> Mapping[str, Any]:
    """The settings of a profile; none if they aren't a dict."""
    given = conf.current().MAIL_PROFILES.get(profile)
    return given if isinstance(given, Mapping) else {}


def _tls(profile: Mapping[str, Any]) -> str:
    return str(profile.get("tls") or _TLS_OF_PORT.get(profile.get("port", 25), "none"))


def _is_this_host(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
