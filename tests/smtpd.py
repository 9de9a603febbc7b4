"""A real SMTP server for tests, that can be as unkind as those of real life."""

from __future__ import annotations

import asyncio
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def a_certificate(path: Path) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself, in one file; skips without OpenSSL."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl is installed")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    key, certificate = path / "key.pem", path / "certificate.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program, "req", *kind, *names, *files], check=True, capture_output=True)
    both = path / "both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return both


@contextmanager
def a_dripping_server() -> Iterator[int]:
    """The port of one that says a little now and then, and never comes to the point."""
    is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not is_over.wait(0.05):
            connection.sendall(b"220-welcome\r\n")

    with _a_server(drip) as port:
        try:
            yield port
        finally:
            is_over.set()


@contextmanager
def a_dripping_handshake(*words: str) -> Iterator[int]:
    """The port of one that begins to shake hands for TLS byte by byte, and never has.

    Args:
        words: what it answers before, each to one of the client's, the first unasked.
    """
    is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        for number, word in enumerate(words):
            if number:
                connection.recv(1000)
            connection.sendall(f"{word}\r\n".encode())
        connection.recv(1000)
        # A record of TLS (RFC 8446, 5.1) of 16 KiB: nothing is known before its last byte.
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not is_over.wait(0.05):
            connection.sendall(b"\x02")

    with _a_server(drip) as port:
        try:
            yield port
        finally:
            is_over.set()


class Flood:
    """A server whose answer to the first word has no end, but for what a test can bear."""

    #: Bytes; far more than the buffers of two sockets.
    MOST = 128 * 1024 * 1024

    def __init__(self) -> None:
        #: Whether each client that came has hung up before all was said.
        self.hung_up: list[bool] = []

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Its port."""
        with _a_server(self._flood) as port:
            yield port

    def _flood(self, connection: socket.socket) -> None:
        connection.sendall(b"220 welcome\r\n")
        connection.recv(1000)
        lines = b"250-MORE\r\n" * 100_000
        try:
            for _ in range(self.MOST // len(lines)):
                connection.sendall(lines)
        except OSError:
            self.hung_up.append(True)
        else:
            self.hung_up.append(False)


@contextmanager
def _a_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of one that does this with each connection, until it is hung up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                serve(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _OnAnyPort(Controller):
    """The library's own asks port 0 whether it listens, and leaves connections open at its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._made: list[SMTP] = []

    def factory(self) -> SMTP:
        """What serves a connection."""
        made: SMTP = super().factory()
        self._made.append(made)
        return made

    def stop(self, no_assert: bool = False) -> None:
        """End it; what is still open would be complained of in whichever test comes next."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(60)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        for _ in range(10):  # what was just accepted, and what follows from closing it
            transports: list[Any] = [made.transport for made in self._made]
            for transport in filter(None, transports):
                transport.abort()
            await asyncio.sleep(0)

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Server:
    """Listens on a port of this machine while it is entered; what it does can be changed."""

    def __init__(
        self,
        *,
        user: str = "",
        password: str = "",
        tls: str = "none",
        certificate: Path | None = None,
    ) -> None:
        self.mails: list[EmailMessage] = []
        #: The recipients of each mail, as they were told to the server.
        self.envelopes: list[list[str]] = []
        #: How often each recipient was named, accepted or not.
        self.asked: Counter[str] = Counter()
        self.connections = 0
        #: Above 0 while a client waits for its answer in vain.
        self.stalled = 0
        #: The answer to a recipient; by default all are accepted.
        self.on_recipient: Callable[[str], str] = lambda _: "250 OK"
        #: The answer to a mail; "" drops the connection, None keeps silent until it changes.
        self.on_data: Callable[[], str | None] = lambda: "250 OK"
        #: More lines of its answer to EHLO.
        self.features: list[str] = []
        self._accounts = {user: password} if user else {}
        self._tls = tls
        self._certificate = certificate

    def __enter__(self) -> Self:
        self._controller = _OnAnyPort(
            self, hostname="127.0.0.1", port=0, ready_timeout=120, **self._options()
        )
        self._controller.start()
        self.port: int = self._controller.port
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._controller.stop()

    @property
    def subjects(self) -> list[str]:
        """Of all mails, in the order in which they came."""
        return [str(mail["Subject"]) for mail in self.mails]

    def profile(self, **over: Any) -> dict[str, Any]:
        """A profile by which it is reached."""
        return {"host": "127.0.0.1", "port": self.port, "sender": "queue@here.example", **over}

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self._accounts:
            options |= {"authenticator": self._login, "auth_require_tls": False}
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            is_at_once = self._tls == "ssl"
            options |= {"ssl_context": context} if is_at_once else {"tls_context": context}
            options["require_starttls"] = not is_at_once
        return options

    def _login(self, _s: Any, _e: Any, _s2: Any, mechanism: str, data: Any) -> AuthResult:
        if isinstance(data, LoginPassword):
            name, password = data.login.decode(), data.password.decode()
            if self._accounts.get(name) == password:
                return AuthResult(success=True)
            # One that says again what it was told.
            return AuthResult(success=False, handled=False, message=f"535 not {password!r}")
        return AuthResult(success=False, handled=False)

    # What aiosmtpd calls

    async def handle_EHLO(
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return [*answers[:-1], *self.features, *answers[-1:]]

    async def handle_RCPT(
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        self.asked[address] += 1
        answer = self.on_recipient(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.stalled = 0
        while (answer := self.on_data()) is None:
            self.stalled += 1
            await asyncio.sleep(0.05)
        if not answer:
            transport: Any = server.transport
            transport.abort()
            return "421 gone"
        if answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.envelopes.append(list(envelope.rcpt_tos))
        return answer
