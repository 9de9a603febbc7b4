"""POST requests to addresses that others have named, by a server that may do anything.

It is connected to the very address that was looked up and found to be allowed, so a name that
changes its address in between leads nowhere. Redirects aren't followed, no proxy is asked, little
of the answer is read, and all of it takes no longer than ``DEADLINE``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from ... import endpoints
from ...commandline import printable
from ...endpoints import Endpoint
from ...refusals import Phrase, told
from ...refusals import gettext_noop as _
from . import NotSent, cut_after

#: Seconds that a server may be silent, and that a request may take in all.
SILENCE, DEADLINE = 5.0, 15.0
#: Bytes of an answer that are read, characters that are shown, and addresses of a host tried.
READ, SHOWN, TRIED = 4096, 200, 4
_LATER = (408, 425, 429)


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    words: str


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a request, and have it accepted.

    Raises:
        NotSent: it wasn't, or may not be sent there.
    """
    try:
        endpoint = endpoints.parse(url)
    except ValueError as error:
        raise NotSent(told(error), for_good=True) from error
    answer, location = _exchange(endpoint, body, headers)
    _raise_unless_accepted(answer, location)
    return answer


def _exchange(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, str]:
    """The answer, and where it leads."""
    connection = _Connection(endpoint)
    try:
        with cut_after(DEADLINE, connection.cut):
            connection.request("POST", endpoint.target, body, dict(headers))
            response = connection.getresponse()
            connection.raise_if_cut()  # what came of its headers looks like all of them
            said = b""
            with suppress(OSError, HTTPException):  # it has answered; how it goes on is the same
                said = response.read(READ)
            words = f"{response.status} {response.reason} {said.decode(errors='replace')}"
            answer = Answer(response.status, printable(" ".join(words.split()))[:SHOWN])
            return answer, response.getheader("Location") or ""
    except (OSError, HTTPException, ValueError) as error:
        raise NotSent(connection.why(error), closes=True) from error
    finally:
        connection.close()


def _raise_unless_accepted(answer: Answer, location: str) -> None:
    if 200 <= answer.status < 300:
        return
    said = Phrase(_("The server answered: %(answer)s"), {"answer": answer.words})
    if 300 <= answer.status < 400:
        place = printable(location)[:SHOWN] or Phrase(_("elsewhere"))
        text = _("The server answered %(status)s and sends us to %(place)s; nobody goes.")
        raise NotSent(Phrase(text, {"status": answer.status, "place": place}), for_good=True)
    passes = answer.status >= 500 or answer.status in _LATER
    raise NotSent(said, for_good=not passes, closes=passes)


class _Connection(HTTPConnection):
    """Connects only to addresses that are allowed."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=SILENCE)
        self.default_port = endpoint.usual_port
        self._endpoint = endpoint
        self._is_cut = False

    def connect(self) -> None:
        """Connect, and with https see whose certificate it is."""
        self.sock = _connected(self._endpoint)
        self.raise_if_cut()  # before there was a socket to cut
        if self._endpoint.is_tls:
            context = ssl.create_default_context()
            # In two steps, so that a handshake that never ends can be cut, too.
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self._endpoint.host, do_handshake_on_connect=False
            )
            self.raise_if_cut()
            self.sock.do_handshake()

    def cut(self) -> None:
        """End it, from another thread."""
        self._is_cut = True
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def raise_if_cut(self) -> None:
        """Raise a TimeoutError if it was ended."""
        if self._is_cut:
            raise TimeoutError

    def why(self, error: Exception) -> str | Phrase:
        """Why it failed, in words; those of the system as they are."""
        if self._is_cut:
            return Phrase(_("No answer within %(seconds)s s."), {"seconds": f"{DEADLINE:g}"})
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return printable(f"{self._endpoint.place}: {words}")


def _connected(endpoint: Endpoint) -> socket.socket:
    """A connection to the first address that takes one, of those that are allowed."""
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    allowed = [info for info in found if endpoints.is_allowed(str(info[4][0]))]
    if not allowed:
        raise NotSent(endpoints.refusal(endpoint.host), for_good=True)
    failed: OSError | None = None
    for family, kind, protocol, _name, address in allowed[:TRIED]:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(SILENCE)
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            failed = error
    assert failed is not None
    raise failed
