"""The stand-alone site with an app that asks in the worker, and that can break the promise.

The word ``--then=NAME`` in the command of a run that has ended asks for another one, named so; its
number goes into the file ``TEST_CONFIRMED``. ``TEST_DURABLE`` is the PRAGMA synchronous that takes
the place of ``FULL`` where the queue asks for a durable commit: the sabotage that shows that the
tests would notice.
"""

import os
from typing import Any

from django.apps import AppConfig

from botsproject.settings import *  # noqa: F403
from botsproject.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.crashes.power_site.PowerTests"]


class PowerTests(AppConfig):
    """Asks for follow-ups, and sabotages when it is told to."""

    name = "tests.crashes"
    label = "power_tests"

    def ready(self) -> None:
        """Set both up."""
        from jobqueue import signals, statements

        signals.execution_finished.connect(ask_for_follow_up)
        statements.FULL = int(os.environ.get("TEST_DURABLE", statements.FULL))


def ask_for_follow_up(execution: Any, **_: Any) -> None:
    """In the worker, on the connection of its turn, while the next run goes on."""
    from jobqueue.api import enqueue

    names = [word.partition("=")[2] for word in execution.argv if word.startswith("--then=")]
    for name in names:
        pk = enqueue(["true", name]).execution.pk
        with open(os.environ["TEST_CONFIRMED"], "ab", buffering=0) as confirmed:
            confirmed.write(f"{pk}\n".encode())
