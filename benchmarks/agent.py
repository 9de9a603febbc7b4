"""A process with Django set up for one installation, which calls functions for us.

Django takes its settings once in a process, and a benchmark has several databases.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from types import TracebackType
from typing import Any, Self

PATIENCE = 300  # seconds for any one call


class Agent:
    """One process, from the first call until the context ends."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._pool = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_enter,
            initargs=(dict(environ),),
        )

    def __call__(self, name: str, *args: Any) -> Any:
        """Call a function there: one of :mod:`benchmarks.inside`, or ``module.function``."""
        return self._pool.submit(_call, name, *args).result(PATIENCE)

    def slowly(self, name: str, *args: Any) -> Any:
        """The same for what may take as long as it likes."""
        return self._pool.submit(_call, name, *args).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        processes = list((self._pool._processes or {}).values())
        if error is not None:  # it may be in the middle of something long
            for process in processes:
                process.terminate()
        self._pool.shutdown(cancel_futures=True)


def _enter(environ: dict[str, str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environ)
    import django

    django.setup()


def _call(name: str, *args: Any) -> Any:
    module, _, function = name.rpartition(".")
    return getattr(import_module(f"benchmarks.{module or 'inside'}"), function)(*args)
