"""A way to a TCP server that a test can block: what stands between a host and its database."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Condition, Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

#: How a host and a port that nobody named are reached.
_PORTS = {"postgres": 5432, "mysql": 3306, "redis": 6379}


class Forwarder:
    """Hands on what comes to ``url`` to the server of another URL; open at first.

    It can be *cut*: connections are closed and new ones refused, as when the server is down. It can
    be *silent*: what is sent disappears without an answer for as long, as when a cable is pulled.
    """

    def __init__(self, url: str) -> None:
        to = urlsplit(url)
        self._target = (to.hostname or "127.0.0.1", to.port or _PORTS[to.scheme])
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        account = f"{to.netloc.rpartition('@')[0]}@" if "@" in to.netloc else ""
        self.url = to._replace(netloc=f"{account}127.0.0.1:{port}").geturl()
        self._change = Condition()
        self._is_cut = self._is_silent = False
        self._connections: set[socket.socket] = set()
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()
        self._socket.close()

    def cut(self) -> None:
        """Close all connections, and each new one at once."""
        with self._change:
            self._is_cut, self._is_silent = True, False
            for connection in self._connections:
                _shut_down(connection)
            self._change.notify_all()

    def fall_silent(self) -> None:
        """Keep all connections open, and hand on nothing."""
        with self._change:
            self._is_silent = True

    def restore(self) -> None:
        """Hand on again, what was held back first."""
        with self._change:
            self._is_cut = self._is_silent = False
            self._change.notify_all()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                Thread(target=self._connect, args=(self._socket.accept()[0],), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self._wait_for_voice()
            with socket.create_connection(self._target) as server:
                self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on in both directions until one side closes."""
        both = {client, server}
        with self._change:
            if self._is_cut:
                return
            self._connections |= both
        back = Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self._change:
            self._connections -= both

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._wait_for_voice()
                target.sendall(data)
        _shut_down(source)
        _shut_down(target)

    def _wait_for_voice(self) -> None:
        with self._change:
            self._change.wait_for(lambda: not self._is_silent)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
