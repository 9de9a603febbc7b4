"""The signals that ask the service to end.

A thread hears them: while the main one waits for a lock of SQLite, no handler would be called.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

#: Seconds that an end takes at most.
_PATIENCE = 1.8
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_signal(stop: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT call `stop`, in a thread, and end the process if that isn't enough.

    To be called once, by the main thread.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    # Python's own part of the handling writes the number at once, whatever the main thread does.
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_hear, args=(heard, stop), name="ending", daemon=True).start()


def _hear(heard: socket.socket, stop: Callable[[], None]) -> None:
    while heard.recv(1)[0] not in _SIGNALS:  # the other signals that have a handler
        pass
    stop()
    # A database that doesn't answer can't be told; what it wasn't told is seen again.
    time.sleep(_PATIENCE)
    os._exit(0)
