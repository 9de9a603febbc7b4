"""``manage.py job2queue``: queue a command."""

from __future__ import annotations

from argparse import Namespace

from ... import api
from ..asking import priority, tell, warn
from ..base import login_name, one_line
from ..following import follow
from ..job2queue_options import Job2QueueOptions, job_s_own


class Command(Job2QueueOptions):
    """Parsed in `Job2QueueOptions`."""

    def run(self, options: Namespace) -> int:
        """Queue it, say what came of it, and wait if that is wanted."""
        if options.bots_directory is not None:
            self.console.note("Note: -c is ignored before PROGRAM; behind it, it is the job's.")
        with one_line(self.refusal):
            answer = api.enqueue(
                job_s_own(options.command),
                priority=priority(options.priority),
                queue=options.queue,
                source=api.Source.COMMAND,
                requested_by=login_name(),
            )
        # With --wait, stdout is the job's.
        code = tell(answer, self.console.note if options.wait else self.console.say)
        warn(answer.execution.queue, self.console)
        return follow(answer.execution.pk, self.console) if options.wait else code
