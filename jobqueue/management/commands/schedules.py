"""``manage.py schedules``: when Jobs are queued."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import router, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from ... import recurrence
from ...commandline import printable
from ...models import Fire, Schedule
from .. import deleting, describing, json_rows, named, schedule_options
from ..base import QueueCommand, one_line, refuse, subcommand, whole_number
from ..console import COLOURS, Cell, ago, lasting
from ..schedule_words import coming, moment, upcoming, words

_EXAMPLES = """examples:
  manage.py schedules create "Night report" --job Report --cron "30 3 * * *"
  manage.py schedules list
  manage.py schedules next                     what comes next
  manage.py schedules disable "Night report"

`manage.py schedules create --help` tells of the kinds of times.
"""
_CREATE = """examples:
  schedules create Orders --job Engine --cron "*/5 7-18 * * MON-FRI" --zone Europe/Amsterdam
  schedules create Poll --job Engine --every 90m --anchor 2026-01-01T06:00
  schedules create Move --job Cleanup --once 2026-01-31T22:00 -p1
  schedules edit Orders --cron "*/10 7-18 * * MON-FRI" --until 2026-12-31

kinds of times; a schedule has one:
  --cron    minute, hour, day, month, weekday; with six fields the second comes first
            lists 1,15, ranges 1-5, steps */10, names MON and JAN, L for the last day, @daily
            if both day and weekday are restricted, either is enough, but with --both-days both
  --every   a length of time, counted from --anchor, else from now; clock changes don't matter
  --once    a moment; afterwards there is no next one

A MOMENT is 2026-01-31 or 2026-01-31T14:30[:SS], in the schedule's zone: --zone, else the site's.
One that a clock change skips is the end of the gap; of one that comes twice the first is meant.

--catch-up, after the service was away or the machine slept:
  latest    one run for the last of the missed times (unless you say otherwise)
  all       one run for each of them
  none      none
--grace says for how long after its time a missed one is still made up; an hour unless you say.
"""
_NEXT = """examples:
  schedules next                      what comes next, of all schedules
  schedules next Orders -n 20
  schedules next --cron "0 6 L * *" --zone Europe/Amsterdam
"""

_NO_SCHEDULES = "There are no schedules yet; `schedules create --help` shows how to make one."
_OF_SCHEDULE = Fire.objects.filter(schedule=OuterRef("pk")).order_by("-fire_at")
_LAST_FIRE = {
    "last_outcome": Subquery(_OF_SCHEDULE.values("outcome")[:1]),
    "last_state": Subquery(_OF_SCHEDULE.values("execution__state")[:1]),
}


class Command(QueueCommand):
    """Sub-commands are methods; each returns its exit code."""

    help = "List and describe schedules, which say when Jobs are queued."
    examples = _EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        """A parser for each sub-command."""
        super().add_arguments(parser)
        parsers = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        self._add_looking(parsers)
        self._add_describing(parsers)

    def _add_looking(self, parsers: Any) -> None:
        sub = subcommand(parsers, "list", "list all schedules")
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=self.list_schedules)
        sub = subcommand(parsers, "show", "show a schedule, its next times and its last ones")
        sub.add_argument("name", metavar="NAME")
        sub.add_argument("--json", action="store_true", help="one object")
        sub.set_defaults(action=self.show)
        sub = subcommand(parsers, "next", "show what comes next", _NEXT)
        sub.add_argument("name", metavar="NAME", nargs="?", help="only of this one")
        sub.add_argument("--cron", metavar="EXPR", help="of an expression instead")
        sub.add_argument("--zone", help="of the expression; by default the site's")
        sub.add_argument("--both-days", action="store_true", help="day and weekday must both match")
        count: Any = {"type": whole_number(1, 10_000), "default": 5, "metavar": "N"}
        sub.add_argument("-n", "--count", help="so many, by default 5", **count)
        sub.add_argument("--json", action="store_true", help="one array of objects")
        sub.set_defaults(action=self.next)

    def _add_describing(self, parsers: Any) -> None:
        describing.add_subcommands(
            parsers,
            self,
            schedule_options.add_arguments,
            about=(
                "create a schedule",
                "delete schedules; the record of runs is kept",
                "let schedules fire, from now on",
                "let schedules fire no more",
            ),
            examples=_CREATE,
            rename=("--rename", "--name"),
        )

    def list_schedules(self, options: Namespace) -> None:
        """All schedules, with what became of their last fire time."""
        schedules = Schedule.objects.select_related("job").order_by("name")
        if options.json:
            self.console.say(json_rows.dumps(json_rows.schedules(schedules)))
        elif not schedules:
            self.console.note(_NO_SCHEDULES)
        else:
            now = timezone.now()
            titles = ["NAME", "JOB", "ENABLED", "NEXT", "LAST", "", "TIMES"]
            rows = (_row(schedule, now) for schedule in schedules.annotate(**_LAST_FIRE))
            self.console.table([titles, *rows])

    def show(self, options: Namespace) -> None:
        """All that a schedule says, the next five times and the last five; 100 with --json."""
        schedule, now = named.find(Schedule, options.name), timezone.now()
        [row] = json_rows.schedules([schedule])
        following = coming(schedule, now, 5) if schedule.enabled else []
        history = Fire.objects.filter(schedule=schedule)
        if options.json:
            row |= {"next": following, "last": json_rows.fires(history[:100])}
            self.console.say(json_rows.dumps(row))
            return
        where = schedule.zone()
        for name, value in row.items():
            self._say(name, _in_words(name, value, where))
        for at in following:
            self._say("next", f"{moment(at, where)} ({ago(at, now)})")
        for fire in history.select_related("execution")[:5]:
            self._say("last", f"{moment(fire.fire_at, where)}: {_outcome(fire)}")

    def next(self, options: Namespace) -> None:
        """The next fire times of an expression, of a schedule, or of all."""
        found = self._next(options)
        if options.json:
            self.console.say(json_rows.dumps([_time_object(*pair) for pair in found]))
        elif not found:
            self.console.note("Nothing comes next.")
        else:
            now, where = timezone.now(), recurrence.zone_info(_zone(options))
            titles = ["AT", "IN", *(["SCHEDULE", "JOB"] if found[0][1] else [])]
            self.console.table([titles, *(_time_row(*pair, where, now) for pair in found)])

    def _next(self, options: Namespace) -> list[tuple[datetime, Schedule | None]]:
        now = timezone.now()
        if options.cron is not None:
            if options.name is not None:
                refuse("Name a schedule or a --cron expression, not both.")
            with one_line("--cron: "):
                fires = recurrence.next_fires(
                    options.cron, now, _zone(options), options.count, both_days=options.both_days
                )
            return [(at, None) for at in fires]
        if options.zone is not None or options.both_days:
            refuse("--zone and --both-days go with --cron: a schedule has its own.")
        if options.name is not None:
            schedules = [named.find(Schedule, options.name)]
            self._note_disabled(schedules[0])
        else:  # none but these can have one of the first times
            schedules = list(Schedule.objects.planned().select_related("job")[: options.count])
        times: list[tuple[datetime, Schedule | None]]
        times = [(at, s) for s in schedules for at in coming(s, now, options.count)]
        return sorted(times, key=lambda pair: pair[0])[: options.count]

    def _note_disabled(self, schedule: Schedule) -> None:
        if not schedule.enabled:
            self.console.note(f"Note: {printable(schedule.name)} is disabled.")

    def create(self, options: Namespace) -> None:
        """Store a new schedule."""
        schedule_options.refuse_without(options)
        schedule = Schedule(name=options.name)
        self._store(options, schedule, "Created")

    def edit(self, options: Namespace) -> None:
        """Store what changes."""
        schedule = named.find(Schedule, options.name)
        schedule.name = schedule.name if options.rename is None else options.rename
        self._store(options, schedule, "Changed")

    def _store(self, options: Namespace, schedule: Schedule, done: str) -> None:
        notes = list(schedule_options.apply(options, schedule))
        named.save(schedule)
        what = f"{printable(schedule.name)} queues {printable(schedule.job.name)}"
        self.console.say(f"{done}: {what} {words(schedule)}; {upcoming(schedule)}")
        if not schedule.job.enabled:
            notes.append(f"the Job {schedule.job} is disabled: it will be refused.")
        for note in notes:
            self.console.note(f"Note: {note}")

    def delete(self, options: Namespace) -> None:
        """Delete them all, or none; their Jobs are kept."""
        deleting.delete(Schedule, options, self.console)

    def enable(self, options: Namespace, *, enabled: bool) -> None:
        """Enable or disable them all, or none if one can't be."""
        schedules = [named.find(Schedule, name) for name in options.names]
        with transaction.atomic(using=router.db_for_write(Schedule)):
            for schedule in schedules:
                schedule.enabled = enabled
                with one_line(f"{printable(schedule.name)}: "):
                    schedule.save()
        for schedule in schedules:
            when = f"; {upcoming(schedule)}" if enabled else ""
            self.console.say(f"{'Enabled' if enabled else 'Disabled'}: {schedule}{when}")

    def _say(self, name: str, value: str) -> None:
        self.console.say(f"{name + ':':<15}{printable(value)}".rstrip())


def _zone(options: Namespace) -> str:
    return options.zone if options.zone is not None else str(settings.TIME_ZONE)


def _row(schedule: Any, now: datetime) -> list[str | Cell]:
    where = schedule.zone()
    last = ago(schedule.last_fire_at, now)
    outcome = (schedule.last_state or schedule.last_outcome or "").replace("_", " ")
    return [
        printable(schedule.name),
        printable(schedule.job.name),
        "yes" if schedule.enabled else Cell("no", "yellow"),
        moment(schedule.next_fire_at, where),
        last,
        Cell(outcome, COLOURS.get(outcome.replace(" ", "_"), "")),
        Cell(_times(schedule), "red" if schedule.problem else ""),
    ]


def _times(schedule: Schedule) -> str:
    disabled = "" if schedule.job.enabled else " (its Job is disabled)"
    return words(schedule) + disabled


def _time_row(at: datetime, schedule: Schedule | None, where: tzinfo, now: datetime) -> list[str]:
    """A line of what comes next: in the zone of the schedule, if it is of one."""
    if schedule is None:
        return [moment(at, where), ago(at, now)]
    names = [printable(schedule.name), printable(schedule.job.name)]
    return [moment(at, schedule.zone()), ago(at, now), *names]


def _time_object(at: datetime, schedule: Schedule | None) -> json_rows.Row:
    if schedule is None:
        return {"at": at}
    return {"at": at, "schedule": schedule.name, "job": schedule.job.name}


def _outcome(fire: Fire) -> str:
    parts = [str(fire.get_outcome_display())]
    if fire.execution is not None:
        state = fire.execution.state.replace("_", " ")
        parts = [f"{parts[0]}, execution {fire.execution.pk} {state}"]
    if fire.missed:
        parts.append(f"{fire.missed} missed")
    if fire.reason:
        parts.append(fire.reason)
    return "; ".join(parts)


def _in_words(name: str, value: Any, where: tzinfo) -> str:
    if name == "misfire_grace":
        return "no limit" if value is None else lasting(value)
    if name == "queue":
        return value or "the Job's"
    if isinstance(value, datetime):
        return moment(value, where)
    if isinstance(value, timedelta):
        return lasting(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
