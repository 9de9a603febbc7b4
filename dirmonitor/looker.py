"""The processes that look at shares. One that hangs holds up neither the service nor its end.

Run as a program it takes orders from the socket that is its input, and answers them. It ends with
the service, at the latest when the share that it waits for answers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from dirmonitor.looking import Order, Seen, look

_PR_SET_PDEATHSIG = 1
#: Seconds until those that were killed, all together, count as hanging.
_PATIENCE = 0.5


class Lookers:
    """Such a process for each thread that asks; all end with :meth:`kill`."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_over = False

    def look(self, order: Order) -> Seen:
        """Have an order carried out by this thread's process; it must be polled."""
        seen = Seen(order, 0.0)
        try:
            connection = getattr(self._mine, "connection", None) or self._start()
            connection.send(order)
            seen = connection.recv()
        except Exception as error:  # a thread that dies would look like a share that hangs
            self._mine.connection = None
            seen.error = OSError(f"The process that looks at it has ended: {error!r}")
        # It is compared by identity.
        seen.order = order
        return seen

    def kill(self) -> None:
        """End them all; one that hangs ends when its share answers, nobody waits for that."""
        with self._lock:
            self._is_over = True
            for process in self._processes:
                process.kill()
            for process in self._processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_PATIENCE / len(self._processes))

    def _start(self) -> Connection[Order, Seen]:
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            if self._is_over:
                raise EOFError("the service ends")
            self._processes = [p for p in self._processes if p.poll() is None]
            self._processes.append(_started(theirs))
        connection: Connection[Order, Seen] = Connection(ours.detach())
        self._mine.connection = connection
        return connection


def _started(theirs: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "dirmonitor.looker", str(os.getpid())],
        stdin=theirs.fileno(),
        # It may outlive us: whoever reads our output to its end would wait for it.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def main() -> None:
    """Carry orders out until there are no more."""
    # What ends the service, such as Ctrl-C, is for the service, which ends us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    connection: Connection[Seen, Order] = Connection(sys.stdin.fileno())
    with suppress(EOFError, OSError):
        while os.getppid() == int(sys.argv[1]):
            connection.send(look(connection.recv(), None))


if __name__ == "__main__":
    main()
