"""Signals for hosts; the app itself never listens to them.

Those of executions are sent in the worker (or the command that runs a Job directly), and a
cancellation in the process that cancels, after the state is stored, with ``sender=Execution`` and
``execution`` as the only argument. A receiver holds up the bookkeeping of the run, so it should be
quick. An exception in one is logged and changes nothing.
"""

from dataclasses import dataclass

from django.dispatch import Signal

#: A run has started.
execution_started = Signal()
#: An Execution reached its end: succeeded, warned, failed, timed out, stopped, cancelled or lost.
execution_finished = Signal()
#: A run takes longer than its maximum run time, and goes on. Sent once in a run.
execution_overdue = Signal()
#: A run was lost three times in a row: it isn't queued again, somebody should look after it.
execution_given_up = Signal()
#: The desk is drawn for ``user``: receivers return what else to tell there, a list of ``DeskLine``.
#: Sent in the web process, with ``sender=Execution``; each open desk waits for the answer.
desk_drawn = Signal()


@dataclass(frozen=True)
class DeskLine:
    """What a host, or another app, has to tell on the desk; plain text."""

    is_good: bool
    what: str
    text: str
