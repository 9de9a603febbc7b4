"""``manage.py export_crontab``: the schedules as a crontab, as far as cron can express them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from itertools import groupby

from django.core.management.base import CommandParser

from ... import crontab
from ...commandline import printable
from ...definitions import Definition
from ...models import Kind, Schedule
from ...models.execution import DEFAULT_PRIORITY
from ...models.fields import DEFAULT_QUEUE
from ..base import QueueCommand, refuse

_EXAMPLES = """examples:
  manage.py export_crontab > crontab.txt              for crontab(1)
  manage.py export_crontab --system bots > jobs       for /etc/cron.d, to run as the user bots

What cron can't express stands there as a comment with the reason: intervals, seconds, L and #,
both days at once, first and last moments, named environments, working directories. import_crontab
finds the same schedules in it again. Debian's cron passes over CRON_TZ: its zone is the machine's.
"""


class Command(QueueCommand):
    """Goes through the schedules, those without variables first: cron can't take one back."""

    help = "Write the schedules as a crontab."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """For whom."""
        super().add_arguments(parser)
        parser.add_argument("--system", metavar="USER", help="with a column for this user")

    def run(self, options: Namespace) -> None:
        """Print it."""
        user = options.system or ""
        if options.system is not None and (not user.isprintable() or len(user.split()) != 1):
            refuse(f"{options.system!r} is no name of a user.")
        self.console.say("# Made by export_crontab.")
        for line in _lines(list(Schedule.objects.select_related("job")), user):
            self.console.say(line)


def _lines(schedules: list[Schedule], user: str) -> Iterator[str]:
    env: dict[str, str] = {}
    left: list[tuple[Schedule, str]] = []
    for (zone, _), group in groupby(sorted(schedules, key=_order), key=_state):
        is_announced = False
        for schedule in group:
            try:
                new = _more(env, schedule.job.env)
                entry = crontab.line(_definition(schedule), user)
                assigned = list(crontab.assignments(new))
            except ValueError as error:
                left.append((schedule, str(error)))
                continue
            if not is_announced:
                yield from ("", f"CRON_TZ={zone}")
            is_announced = True
            env |= new
            yield from ("", *assigned, *_heading(schedule), entry)
    for schedule, reason in left:
        yield from ("", f"# Not for cron: {printable(schedule.name)}: {printable(reason)}.")


def _order(schedule: Schedule) -> tuple[object, ...]:
    env = schedule.job.env
    return (len(env), sorted(env.items()), schedule.timezone, schedule.name)


def _state(schedule: Schedule) -> tuple[str, list[tuple[str, str]]]:
    """What lines before an entry must have said."""
    return schedule.timezone, sorted(schedule.job.env.items())


def _more(env: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """The variables to set, beside those that hold already."""
    if not env.keys() <= wanted.keys():
        raise ValueError("it lacks variables of other entries, and cron can't take them back")
    return {name: value for name, value in wanted.items() if env.get(name) != value}


def _definition(schedule: Schedule) -> Definition:
    """What cron would have to run.

    Raises:
        ValueError: it can't, for a reason that isn't in the command or the times.
    """
    job = schedule.job
    reasons = {
        "it is disabled": not schedule.enabled,
        "its Job is disabled": not job.enabled,
        "cron has no intervals": schedule.kind == Kind.INTERVAL,
        "cron runs nothing just once": schedule.kind == Kind.ONCE,
        "cron has no first and no last moment": schedule.first_at or schedule.last_at,
        f"it runs in the environment {job.environment}": job.environment,
        f"it runs in {job.working_directory}": job.working_directory,
    }
    for reason, applies in reasons.items():
        if applies:
            raise ValueError(reason)
    return Definition(
        line=0,
        name=schedule.name,
        argv=job.argv,
        expression=schedule.expression,
        zone=schedule.timezone,
        both_days=schedule.both_days,
        env=job.env,
    )


def _heading(schedule: Schedule) -> Iterator[str]:
    """Comments: the name, which an import takes, and what cron doesn't know."""
    yield f"# {printable(schedule.name)}"
    queue = schedule.queue or schedule.job.queue
    if (schedule.priority, queue) != (DEFAULT_PRIORITY, DEFAULT_QUEUE):
        yield f"# In the queue {queue} it had priority {schedule.priority}."
