"""The admin: declarations; whatever changes something is a call of :mod:`.actions`.

A host may do without ``django.contrib.admin``: its own pages then use :mod:`.actions` and
:mod:`.links` alone.
"""

from django.apps import apps

if apps.is_installed("django.contrib.admin"):
    from .cluster import ClusterAdmin
    from .execution import ExecutionAdmin
    from .fire import FireAdmin
    from .job import JobAdmin
    from .queue import QueueAdmin
    from .schedule import ScheduleAdmin

    __all__ = [
        "ClusterAdmin",
        "ExecutionAdmin",
        "FireAdmin",
        "JobAdmin",
        "QueueAdmin",
        "ScheduleAdmin",
    ]
