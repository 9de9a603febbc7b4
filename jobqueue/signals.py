"""Signals for hosts; the app itself never listens to them.

All are sent in the worker (or the command that runs a Job directly), and a cancellation in the
process that cancels, after the state is stored, with ``sender=Execution`` and ``execution`` as the
only argument. An exception in a receiver is logged and changes nothing. A receiver holds up the
bookkeeping of the run, so it should be quick.
"""

from django.dispatch import Signal

#: A run has started.
execution_started = Signal()
#: An Execution reached its end: succeeded, warned, failed, timed out, stopped, cancelled or lost.
execution_finished = Signal()
#: A run takes longer than its maximum run time, and goes on. Sent once in a run.
execution_overdue = Signal()
#: A run was lost three times in a row: it isn't queued again, somebody should look after it.
execution_given_up = Signal()
