"""What users do on web pages: asked of the api, told by a message, kept in the admin's log."""

from ..permissions import may, may_run, may_run_again
from .alarms import acknowledge, drop, send_now, test_channel, test_ping, test_profile
from .queues import pause, resume
from .running import run, run_again, run_all_again, run_schedules
from .schedules import disable, enable, tell_next
from .steering import (
    acknowledge_runs,
    cancel,
    left_out,
    set_priority,
    stop,
    tell_not_running,
    tell_not_waiting,
    withdraw_acknowledgement,
)
from .telling import no_cluster, unserved

__all__ = [
    "acknowledge",
    "acknowledge_runs",
    "cancel",
    "disable",
    "drop",
    "enable",
    "left_out",
    "may",
    "may_run",
    "may_run_again",
    "no_cluster",
    "pause",
    "resume",
    "run",
    "run_again",
    "run_all_again",
    "run_schedules",
    "send_now",
    "set_priority",
    "stop",
    "tell_next",
    "tell_not_running",
    "tell_not_waiting",
    "test_channel",
    "test_ping",
    "test_profile",
    "unserved",
    "withdraw_acknowledgement",
]
