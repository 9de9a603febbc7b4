"""``manage.py jobs``: Jobs, and runs of them."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from itertools import islice
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from ... import api, queue, requests
from ...commandline import bash_line, join, printable
from ...models import Execution, Job, Schedule
from ...retrying import Plan
from .. import (
    alarm_words,
    asking,
    deleting,
    describing,
    direct,
    job_lines,
    job_options,
    json_rows,
    named,
    own_run,
    times,
)
from ..base import QueueCommand, login_name, one_line, refuse, subcommand
from ..console import Cell, ago, lasting, state
from ..following import follow
from ..job2queue_options import add_request_options
from ..job_lines import MOST_LINES
from ..schedule_words import timing

_EXAMPLES = """examples:
  manage.py jobs create "Bots engine" --codes bots-engine -- /opt/bots/bin/bots-engine -cprod --new
  manage.py jobs edit "Bots engine" --max-runtime 15m --menu
  manage.py jobs run "Bots engine" -p1 --wait
  manage.py jobs list

`manage.py jobs run --help` tells of each sub-command.
"""
_CREATE = """examples:
  jobs create Engine -- bots-engine -cprod --new
      its return codes are read as those of Bots' engine, as the program's name says
  jobs create "Daily report" --environment etl --env LANG=C.UTF-8 --kill-after 1h30m -- report.py
  jobs edit "Daily report" --kill-after 2h
  jobs edit "Daily report" -- report.py --verbose
"""
_RUN = f"""examples:
  jobs run Engine                      queue it for now, at priority 5
  jobs run Report 2026-01-31           queue it *for* that day: JOBQUEUE_TRIGGER says so to the job
  jobs run Report 2026-01-31T06:00:00  for a moment, in the site's time zone
  jobs run --file backlog.txt          a run for each line NAME [TRIGGER]; all lines or none
  jobs run Engine --wait               show the output, exit with its return code
  jobs run Engine --direct             run it here and now; Ctrl-C stops it

a --file, in UTF-8, has up to {MOST_LINES} lines:
  NAME [TRIGGER]   the trigger is the last word, behind spaces or tabs
  # ...            is passed over as an empty line is, unless a Job has that name
When one line is wrong, or there is none, nothing is queued.

exit codes:
  0  queued or moved forward     4  the same request waits already     1  not queued
  3  --direct: another run has the queue's slot
  --wait, --direct: the return code; 127 not found, 126 not executable, 124 timed out, else 1
  --file: 0 if any line was queued or moved forward, 4 if all wait already
"""

#: So many delays before retries are told.
DELAYS = 8
#: To tell the places of more than these takes longer than to queue them.
FEW = 100

_OF_JOB = Execution.objects.filter(job=OuterRef("pk")).order_by("-id")
_LAST_RUN = {
    "last_state": Subquery(_OF_JOB.values("state")[:1]),
    "last_at": Subquery(_OF_JOB.values("queued_at")[:1]),
}


class Command(QueueCommand):
    """Sub-commands are methods; each returns its exit code."""

    help = "List, describe and run Jobs."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """A parser for each sub-command."""
        super().add_arguments(parser)
        parsers: Any = parser.add_subparsers(
            dest="subcommand",
            metavar="SUBCOMMAND",
            required=True,
            parser_class=job_options.CommandLineParser,
        )
        self._add_looking(parsers)
        self._add_describing(parsers)
        self._add_running(parsers)

    def _add_looking(self, parsers: Any) -> None:
        sub = subcommand(parsers, "list", "list all Jobs")
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=self.list_jobs)
        sub = subcommand(parsers, "show", "show a Job and its last runs")
        sub.add_argument("name", metavar="NAME")
        sub.add_argument("--json", action="store_true", help="one object")
        sub.set_defaults(action=self.show)

    def _add_describing(self, parsers: Any) -> None:
        describing.add_subcommands(
            parsers,
            self,
            job_options.add_arguments,
            about=(
                "create a Job",
                "delete Jobs; the record of their runs is kept",
                "let Jobs accept requests",
                "let Jobs accept no requests",
            ),
            examples=_CREATE,
        )

    def _add_running(self, parsers: Any) -> None:
        sub = subcommand(parsers, "run", "queue a run of a Job", _RUN)
        sub.add_argument("name", metavar="NAME", nargs="?")
        sub.add_argument("trigger", metavar="TRIGGER", nargs="?", help="YYYY-MM-DD[THH:MM:SS]")
        sub.add_argument("--file", help="queue a run for each line of it; - is stdin")
        add_request_options(sub)
        sub.add_argument("--direct", action="store_true", help="run it here, in the foreground")
        sub.set_defaults(action=self.run_job)
        for name, about in (
            ("alarm", "inside of a job: raise its Job's alarm and mail it to who is told of it"),
            ("notify", "inside of a job: mail something to who is told of it"),
        ):
            sub = subcommand(parsers, name, about)
            sub.add_argument("text", metavar="TEXT", nargs="+", help="- alone: what stdin says")
            sub.set_defaults(action=partial(self.tell, is_alarm=name == "alarm"))

    def list_jobs(self, options: Namespace) -> None:
        """All Jobs, with how their last run ended."""
        jobs = Job.objects.order_by("name")
        if options.json:
            self.console.say(json_rows.dumps(json_rows.jobs(jobs.select_related("alarm"))))
        elif not jobs:
            self.console.note("There are no Jobs yet; `jobs create --help` shows how to make one.")
        else:
            titles = ["NAME", "QUEUE", "ENABLED", "LAST RUN", "", "COMMAND"]
            self.console.table([titles, *map(_row, jobs.annotate(**_LAST_RUN))])

    def show(self, options: Namespace) -> None:
        """All that a Job says, and its last runs."""
        job = named.find(Job, options.name)
        [row] = json_rows.jobs([job])
        if options.json:
            self.console.say(json_rows.dumps(row))
            return
        row |= {"argv": bash_line(job.argv), "env": join(f"{k}={v}" for k, v in job.env.items())}
        row |= {name: _limit(row[name]) for name in ("max_runtime", "kill_after")}
        row |= {name: _limit(row[name]) for name in row if name.startswith("keep_")}
        row |= {name: lasting(row[name]) for name in ("retry_delay", "retry_max_delay")}
        row["alarm"] = alarm_words.in_words(getattr(job, "alarm", None), timezone.now())
        for name, value in row.items():
            self._fact(name, printable(_in_words(value)))
        if (plan := job.plan()) is not None:
            self._fact("retries", _retries(plan))
        for schedule in Schedule.objects.filter(job=job):
            self._fact("schedule", f"{printable(schedule.name)}: {timing(schedule)}")
        for execution in Execution.objects.filter(job=job).defer("log_tail")[:5]:
            now, took = timezone.now(), lasting(execution.elapsed(timezone.now()))
            words = f"execution {execution.pk}, {ago(execution.queued_at, now)}, took {took}: "
            words += execution.state.replace("_", " ")
            reason = f" ({printable(execution.reason)})" if execution.reason else ""
            self._fact("run", f"{words}{reason}")

    def _fact(self, name: str, words: str) -> None:
        self.console.say(f"{name + ':':<24}{words}".rstrip())

    def create(self, options: Namespace) -> None:
        """Store a new Job."""
        if not options.command:
            refuse("No command: put it behind --, as in `jobs create NAME -- PROGRAM ARG`.")
        job = Job(name=options.name)
        job_options.apply(options, job)
        named.save(job)
        self.console.say(f"Created: {printable(job.name)} runs {bash_line(job.argv)}")

    def edit(self, options: Namespace) -> None:
        """Store what changes."""
        job = named.find(Job, options.name)
        job_options.apply(options, job)
        job.name = job.name if options.rename is None else options.rename
        named.save(job)
        self.console.say(f"Changed: {printable(job.name)} runs {bash_line(job.argv)}")

    def delete(self, options: Namespace) -> None:
        """Delete them all, or none; the record of their runs is kept."""
        deleting.delete(Job, options, self.console)

    def enable(self, options: Namespace, *, enabled: bool) -> None:
        """Enable or disable them all, or none if a name is wrong."""
        jobs = [named.find(Job, name) for name in options.names]
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(enabled=enabled)
        names = ", ".join(printable(job.name) for job in jobs)
        self.console.say(f"{'Enabled' if enabled else 'Disabled'}: {names}")

    def run_job(self, options: Namespace) -> int:
        """Queue one Job, or all of a file, or run one directly."""
        refusal = "not queued: " if options.file is None else "nothing was queued: "
        with one_line(refusal):
            asked = self._requests(options)
        if options.direct:
            return direct.run(asked[0], self.console)
        with one_line(refusal), transaction.atomic():  # all lines or none
            answers = [queue.enqueue(request) for request in asked]
        say = self.console.note if options.wait else self.console.say  # then stdout is the jobs'
        few = len(answers) <= FEW
        codes = [asking.tell(answer, say, with_place=few) for answer in answers]
        for name in sorted({answer.execution.queue for answer in answers}):
            asking.warn(name, self.console)
        if options.wait:
            codes = [follow(answer.execution.pk, self.console) for answer in answers]
            return next((code for code in codes if code), 0)
        return min(codes, default=0)

    def tell(self, options: Namespace, *, is_alarm: bool) -> None:
        """Mail what the run has to say that this is called in."""
        sent = own_run.tell(options.text, is_alarm=is_alarm)
        if sent is None:
            self.console.say(own_run.TOLD)
            return
        people = sum(len(message.recipients) for message in sent)
        s = "" if people == 1 else "s"
        self.console.say(f"To be mailed to {people} recipient{s}." if people else own_run.NOBODY)

    def _requests(self, options: Namespace) -> list[Execution]:
        if (options.file is None) == (options.name is None):
            refuse("Name one Job, or a --file of them.")
        if options.direct and (options.file is not None or options.wait):
            refuse("--direct runs one Job in the foreground: it takes no --file and no --wait.")
        if options.file is not None:
            lines = job_lines.read(options.file)
            return [self._request(options, job, at, f"{where}: ") for where, job, at in lines]
        trigger = None if options.trigger is None else times.trigger(options.trigger)
        return [self._request(options, named.find(Job, options.name), trigger)]

    def _request(self, options: Namespace, job: Job, trigger: Any, where: str = "") -> Execution:
        with one_line(where):
            return requests.build(
                job,
                priority=asking.priority(options.priority),
                queue=options.queue,
                trigger=trigger,
                source=api.Source.COMMAND,
                requested_by=login_name(),
            )


def _row(job: Any) -> list[str | Cell]:
    return [
        printable(job.name),
        job.queue,
        "yes" if job.enabled else Cell("no", "yellow"),
        state(job.last_state) if job.last_state else "-",
        ago(job.last_at, timezone.now()) if job.last_at else "",
        bash_line(job.argv),
    ]


def _retries(plan: Plan) -> str:
    delays = [lasting(delay) for delay in islice(plan.delays(), DELAYS)]
    more = ", …" if plan.attempts - 1 > DELAYS else ""
    return f"after {', '.join(delays)}{more}"


def _limit(value: Any) -> str:
    if value is None:
        return "the site's"
    if isinstance(value, int):
        return str(value)
    return lasting(value) if value else "none"


def _in_words(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
