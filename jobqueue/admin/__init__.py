"""The admin: declarations; whatever changes something is a call of :mod:`.actions`.

A host may do without ``django.contrib.admin``: its own pages then use :mod:`.actions` and
:mod:`.links` alone.
"""

from django.apps import apps

if apps.is_installed("django.contrib.admin"):
    from .alarm import AlarmAdmin
    from .cluster import ClusterAdmin
    from .execution import ExecutionAdmin
    from .fire import FireAdmin
    from .job import JobAdmin
    from .message import MessageAdmin
    from .queue import QueueAdmin
    from .schedule import ScheduleAdmin

    __all__ = [
        "AlarmAdmin",
        "ClusterAdmin",
        "ExecutionAdmin",
        "FireAdmin",
        "JobAdmin",
        "MessageAdmin",
        "QueueAdmin",
        "ScheduleAdmin",
    ]
