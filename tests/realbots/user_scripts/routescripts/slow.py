# mypy: ignore-errors
"""Waits between taking files in and sending them out: see RealBots.hold."""

import os
import time

HOLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "hold")


def postincommunication(routedict, *args, **kwargs):
    start = time.monotonic()
    if seconds():
        with open(HOLD + ".pid", "w") as note:
            note.write(str(os.getpid()))
    while time.monotonic() - start < seconds():
        time.sleep(0.02)


def seconds():
    with open(HOLD) as hold:
        return float(hold.read())
