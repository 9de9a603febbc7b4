"""A real HTTP server for tests, that can be as unkind as those of real life."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What somebody has sent."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class WebServer:
    """Accepts all POST requests on 127.0.0.1, until told otherwise; a context manager.

    Args:
        certificate: a file with key and certificate, for https.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        #: What it was asked, in that order, whatever it answered.
        self.requests: list[Request] = []
        #: What it answers: a method of :class:`Handler` by default.
        self.answer: Callable[[Handler], None] = Handler.ok
        #: Set when whoever it keeps waiting is to be let go.
        self.is_over = threading.Event()
        self._certificate = certificate

    def __enter__(self) -> Self:
        bound = type("BoundHandler", (Handler,), {"web": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
        self._server.daemon_threads = True
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}/hook"

    @property
    def paths(self) -> list[str]:
        """Of all requests, without what follows a question mark."""
        return [request.path.partition("?")[0] for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Its methods are the ways to answer."""

    web: WebServer

    def do_POST(self) -> None:
        """Note the request, and answer as the server is told to."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.web.requests.append(Request(self.path, dict(self.headers), body))
        with suppress(OSError):
            self.web.answer(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        """One who goes away is no error."""
        with suppress(OSError):
            super().handle_one_request()

    # Ways to answer

    def ok(self) -> None:
        """200."""
        self.says(200, b"OK")

    def says(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Any status."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drops(self) -> None:
        """Nothing: it hangs up."""
        self.close_connection = True

    def stalls(self) -> None:
        """Nothing, until the server is told that it's over."""
        self.web.is_over.wait(100)

    def drips(self) -> None:
        """Headers without an end, one now and then."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.web.is_over.wait(0.05):
            self.wfile.write(b"X")

    def floods(self) -> None:
        """100 MB."""
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x" * 1024 * 1024)
        self.close_connection = True
