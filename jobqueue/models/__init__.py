"""The tables: fields, constraints, states and the querysets that read them."""

from .acknowledgement import Acknowledgement
from .alarm import Alarm
from .cluster import Cluster
from .execution import Execution, Source, State
from .job import Backoff, Codes, Job, Notify
from .lease import Lease
from .message import Message
from .queue import Queue
from .schedule import CatchUp, Fire, FireOutcome, Kind, Schedule
from .tally import Tally

__all__ = [
    "Acknowledgement",
    "Alarm",
    "Backoff",
    "CatchUp",
    "Cluster",
    "Codes",
    "Execution",
    "Fire",
    "FireOutcome",
    "Job",
    "Kind",
    "Lease",
    "Message",
    "Notify",
    "Queue",
    "Schedule",
    "Source",
    "State",
    "Tally",
]
