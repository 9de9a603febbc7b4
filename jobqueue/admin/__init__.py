"""The admin: declarations; whatever changes something is a call of :mod:`jobqueue.actions`."""

from .execution import ExecutionAdmin
from .job import JobAdmin
from .queue import QueueAdmin

__all__ = ["ExecutionAdmin", "JobAdmin", "QueueAdmin"]
