"""What an operator has to know of one moment: what runs, waits, comes next and went wrong.

``reading`` reads it all; ``queues`` plays each queue ahead by the pure ``forecast``, from how long
the last runs took (``durations``) and the fire times to come (``upcoming``); ``bad_ends`` and
``bad_alarms`` say what isn't well.
"""

from .queues import Coming, QueueDesk, Running, Waiting
from .reading import COUNTED, Counts, Desk, Glance, counts, fingerprint, glance, places, read

__all__ = [
    "COUNTED",
    "Coming",
    "Counts",
    "Desk",
    "Glance",
    "QueueDesk",
    "Running",
    "Waiting",
    "counts",
    "fingerprint",
    "glance",
    "places",
    "read",
]
