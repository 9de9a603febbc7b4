"""What other apps add to the text for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

#: Labels and their value.
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Gauge:
    """A metric that goes up and down.

    name     without the ``jobqueue_`` that is put before it
    about    what it means, in a sentence
    samples  the values, each with other labels
    """

    name: str
    about: str
    samples: Iterable[Sample]


Read = Callable[[datetime], Iterable[Gauge]]
_of_apps: dict[str, Read] = {}


def add_gauges(id: str, read: Read) -> None:
    """Have an app's own gauges in the metrics; to be called in ``AppConfig.ready``.

    Args:
        id: a word that stays; the log has it when ``read`` fails, and then its gauges are missing.
        read: given the moment, returns the gauges; asked at each scrape, so it should be quick.
    """
    _of_apps[id] = read


def of_apps() -> list[tuple[str, Read]]:
    """What apps have added."""
    return list(_of_apps.items())
