"""The tables: fields, constraints, states and the querysets that read them."""

from .cluster import Cluster
from .execution import Execution, Source, State
from .job import Codes, Job
from .lease import Lease
from .queue import Queue

__all__ = ["Cluster", "Codes", "Execution", "Job", "Lease", "Queue", "Source", "State"]
