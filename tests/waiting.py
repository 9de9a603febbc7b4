"""Waiting in tests: for a fact, never for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T | None], timeout: float, what: str) -> T:
    """The first true value of ``predicate``, asked at most ``timeout`` seconds long.

    Raises:
        AssertionError: it never came true; names ``what`` and the last value.
    """
    deadline = time.monotonic() + timeout
    pause = 0.01
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout:g} s in vain for {what}; last seen: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return value
