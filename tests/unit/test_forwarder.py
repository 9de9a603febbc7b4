"""The way to a server that a test can block."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.forwarder import Forwarder


@pytest.fixture
def echo() -> Iterator[str]:
    """The URL of a server that sends back what it gets, for each connection once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(connection.recv(100))

        Thread(target=answer, daemon=True).start()
        yield f"postgres://ada:secret@127.0.0.1:{server.getsockname()[1]}/test?x=1"
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def forwarder(echo: str) -> Iterator[Forwarder]:
    with Forwarder(echo) as forwarder:
        yield forwarder


def connect(forwarder: Forwarder) -> socket.socket:
    url = urlsplit(forwarder.url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


def test_its_url(forwarder: Forwarder, echo: str) -> None:
    theirs, ours = urlsplit(echo), urlsplit(forwarder.url)
    assert theirs.port != ours.port
    assert ours._replace(netloc=theirs.netloc) == theirs
    assert (ours.username, ours.password) == ("ada", "secret")


def test_hands_on_both_ways(forwarder: Forwarder) -> None:
    with connect(forwarder) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        assert client.recv(100) == b""


def test_cut(forwarder: Forwarder) -> None:
    with connect(forwarder) as client:
        client.sendall(b"")
        forwarder.cut()
        assert gets_nothing(client)
    with connect(forwarder) as client:
        assert gets_nothing(client)
    forwarder.restore()
    test_hands_on_both_ways(forwarder)


def gets_nothing(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def test_silent_for_a_while(forwarder: Forwarder) -> None:
    with connect(forwarder) as client:
        forwarder.fall_silent()
        client.sendall(b"hello")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        forwarder.restore()
        client.settimeout(60)
        assert client.recv(100) == b"hello"
