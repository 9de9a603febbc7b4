"""The tables: fields, constraints, states and the querysets that read them."""

from .cluster import Cluster
from .execution import Execution, Source, State
from .job import Codes, Job
from .lease import Lease
from .queue import Queue
from .schedule import CatchUp, Fire, FireOutcome, Kind, Schedule

__all__ = [
    "CatchUp",
    "Cluster",
    "Codes",
    "Execution",
    "Fire",
    "FireOutcome",
    "Job",
    "Kind",
    "Lease",
    "Queue",
    "Schedule",
    "Source",
    "State",
]
