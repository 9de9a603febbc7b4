"""``manage.py queue doctor``: what goes wrong in real life, and what to do about it.

Each check is a function that yields what is wrong. It changes nothing.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from django.core.checks import ERROR as DJANGO_S_ERROR
from django.core.checks import CheckMessage
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now
from django.utils import timezone

from . import broker, checks, cluster, hearing, host, queue
from .commandline import printable
from .findings import Check, Finding, Level, error, of_apps, warning
from .models import Cluster, Execution, Message, Queue, Schedule
from .owners import Owner

#: Clocks that differ by more are told of, and what stands still for longer.
CLOCKS_DIFFER, STANDS_STILL = timedelta(seconds=5), timedelta(minutes=1)
#: More wake-ups on the broker than come about by themselves; each queue has one or two at most.
WAKE_UPS = 50
#: What waits for longer to be sent isn't just greylisted.
UNSENT = timedelta(hours=1)
#: Seconds for which a queue is watched that seems to stand still.
FREE_FOR = 2.0
_OURS = ("jobqueue", "django_q")
#: Elsewhere no service runs, so nothing of such a host matters.
_ON_LINUX = sys.platform.startswith("linux")


def examine() -> Iterator[Finding]:
    """Ask all questions, one after the other; those about the database only if it is there."""
    yield from _ask(Check("settings", "The settings fit.", _settings))
    answers = list(_ask(Check("database", "The database is there, with all tables.", _database)))
    yield from answers
    there = all(finding.level is not Level.ERROR for finding in answers)
    for check in _CHECKS if there else _WITHOUT_DATABASE:
        yield from _ask(check)
    for check in of_apps() if there else ():
        yield from _ask(check)


def _ask(check: Check) -> Iterator[Finding]:
    found = False
    try:
        for finding in check.look():
            found = True
            yield replace(finding, id=finding.id or check.id)
    except Exception as failure:  # one that fails must not hide what the others find
        found = True
        what = f"This couldn't be checked: {type(failure).__name__}: {failure}"
        yield replace(error(printable(what), "", "Mend that, then ask again."), id=check.id)
    if not found:
        yield Finding(Level.OK, check.fine, id=check.id)


def _settings() -> Iterator[Finding]:
    """What ``manage.py check`` says of them."""
    asked = (checks.check_settings, checks.check_host, checks.check_cluster, checks.check_told)
    messages = [message for check in asked for message in check()]
    yield from _as_findings(messages)


def _as_findings(messages: list[CheckMessage]) -> Iterator[Finding]:
    for message in messages:
        if not message.is_silenced():
            is_error = message.is_serious(DJANGO_S_ERROR) or message.id == checks.BROKEN_MAIL
            level = Level.ERROR if is_error else Level.WARNING
            yield Finding(level, printable(message.msg), do=message.hint or "", id=message.id or "")


def _database() -> Iterator[Finding]:
    alias = router.db_for_write(Execution)
    connection = connections[alias]
    try:
        executor = MigrationExecutor(connection)
    except (DatabaseError, InterfaceError) as failure:
        what = f"The database can't be used: {failure}"
        do = "Start it, or mend its address in DATABASES."
        yield error(printable(" ".join(what.split())), "Nothing is queued and nothing starts.", do)
        return
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] in _OURS]
    if missing := [str(migration) for migration, _ in executor.migration_plan(leaves)]:
        what = f"The database lacks {len(missing)} migrations, {missing[0]} first."
        yield error(what, "The code and its tables don't fit.", "Run `manage.py migrate`.")
    yield from _as_findings(checks.check_databases(databases=[alias]))


def _service() -> Iterator[Finding]:
    if not Cluster.objects.living():
        do = "Start `manage.py qcluster`, by systemd for good: see deploy/README.md."
        yield error("No service runs.", "What is queued waits, no schedule fires.", do)
    elif not Cluster.objects.serving():
        why = "What is queued waits until it has ended and is started again."
        do = "If nobody restarts it: start `manage.py qcluster`."
        yield warning("The service is stopping, and starts nothing more.", why, do)
    for dead in Cluster.objects.dead():
        what = f"Cluster {printable(dead.name)} on {printable(dead.host)} is silent."
        why = "It was killed, or its host can't reach the database."
        yield warning(what, why, "Look at that host. If it's gone for good, this passes in a day.")


def _two_services() -> Iterator[Finding]:
    at: dict[str, list[Cluster]] = defaultdict(list)
    for one in Cluster.objects.serving():  # while one stops, the next may run already
        at[Owner.parse(one.owner).place].append(one)
    for place, several in at.items():
        if place and len(several) > 1:
            pids = ", ".join(str(one.pid) for one in several)
            what = f"{len(several)} services run on {printable(several[0].host)}: processes {pids}."
            why = "Nothing runs twice, but which one is stopped or upgraded is left to chance."
            yield warning(what, why, "Stop all but the one that systemd knows.")


def _clocks() -> Iterator[Finding]:
    if connections[router.db_for_write(Cluster)].vendor == "sqlite":
        return  # a file, and so one host with one clock
    for one in Cluster.objects.alive().annotate(now=Now()):
        if one.clock_at is not None:
            yield from _clock_of(f"host {printable(one.host)}", one.clock_at - one.seen_at)
    asked_at = timezone.now()
    database_s = Cluster.objects.alive().values_list(Now(), flat=True).first()
    if database_s is not None:
        yield from _clock_of("this host", asked_at - database_s)


def _clock_of(whose: str, ahead: timedelta) -> Iterator[Finding]:
    if abs(ahead) > CLOCKS_DIFFER:
        seconds, way = abs(ahead).total_seconds(), "ahead of" if ahead > timedelta(0) else "behind"
        what = f"The clock of {whose} is {seconds:.0f} s {way} the database's."
        why = "Schedules fire by it, and times on the pages contradict each other."
        yield warning(what, why, "Have both set by NTP (timedatectl set-ntp true).")


def _queues() -> Iterator[Finding]:
    now = timezone.now()
    paused = {row.name: row for row in Queue.objects.paused(now)}
    serves = bool(Cluster.objects.serving())
    for name in queue.with_requests():
        if name in paused:
            row = paused[name]
            what = f"Queue {name} is paused by {printable(row.paused_by) or 'somebody'}."
            why = f"What waits there doesn't start. {printable(row.pause_reason)}".strip()
            yield warning(what, why, f"`manage.py queue resume -q {name}`, when it may go on.")
        elif serves and _stands_still(name, now):
            what = f"Queue {name} stands still: requests wait, nothing runs, nobody paused it."
            do = "See the service's own words (journalctl -u jobqueue), and restart it."
            yield error(what, "No worker looks at it.", do)


def _stands_still(name: str, now: datetime) -> bool:
    """Whether it could have started something for long; free for a moment any queue is."""
    before = now - STANDS_STILL
    waiting = Execution.objects.filter(queue=name, queued_at__lt=before).ready(before)
    if not (queue.could_start(name, before) and waiting.exists()):
        return False
    until = time.monotonic() + FREE_FOR
    while queue.is_free(name):
        if time.monotonic() > until:
            return True
        time.sleep(FREE_FOR / 20)
    return False


def _runs() -> Iterator[Finding]:
    for run in queue.running():
        if run.details.get("overdue"):
            what = f"Execution {run.pk} ({printable(run.label)[:80]}) runs longer than it should."
            why = f"All that waits in queue {run.queue} waits for it."
            yield warning(
                what, why, f"Look at its output; `manage.py queue stop {run.pk}` ends it."
            )


def _schedules() -> Iterator[Finding]:
    enabled = Schedule.objects.filter(enabled=True)
    for schedule in enabled.exclude(problem=""):
        what = f"Schedule {schedule} can't be understood: {printable(schedule.problem)}"
        yield error(what, "It doesn't fire.", "Mend it, or disable it.")
    late = enabled.filter(next_fire_at__lt=timezone.now() - STANDS_STILL)
    if Cluster.objects.living() and (count := late.count()):
        what = (
            f"{count} schedules are due and don't fire, {late.order_by('next_fire_at')[0]} first."
        )
        do = "See the service's own words (journalctl -u jobqueue), and restart it."
        yield error(what, "No worker's clock looks at them.", do)


def _wake_ups() -> Iterator[Finding]:
    try:
        count = broker.outstanding()
    except Exception as failure:  # whatever the broker raises
        what = f"django-q2's broker can't be used: {printable(str(failure))}"
        why = "Requests are accepted, but start only when a worker's clock looks."
        yield error(what, why, "Start it (Redis?), or mend Q_CLUSTER.")
        return
    if count > WAKE_UPS and Cluster.objects.living():
        what = f"{count} messages wait on django-q2's broker."
        why = f"No worker takes them: the queue's own are for cluster {cluster.default_name()!r}."
        do = "See that the cluster of that name runs, and its workers aren't busy with other tasks."
        yield warning(what, why, do)


def _messages() -> Iterator[Finding]:
    do = "`manage.py mail list` says why; `manage.py mail test` tries the way."
    if count := Message.objects.given_up().count():
        what = f"Messages that were given up: {count}."
        yield warning(
            what, "Somebody wasn't told.", f"{do} Then `manage.py mail send ID`, or drop."
        )
    if count := Message.objects.waiting().filter(created_at__lt=timezone.now() - UNSENT).count():
        what = f"Messages that have waited for more than an hour: {count}."
        yield warning(what, "Somebody isn't told of what goes wrong.", do)


_WITHOUT_DATABASE = (
    (
        Check("disk", "There is room on the disk.", host.disk),
        Check("directories", "The service may write where it must.", host.directories),
    )
    if _ON_LINUX
    else ()
)
_OF_SERVICE = (
    (
        Check("user", "The service has a user of its own.", host.user),
        Check("programs", "The programs of all Jobs are there.", host.programs),
    )
    if _ON_LINUX
    else ()
)
_CHECKS = (
    Check("service", "A cluster serves the queues.", _service),
    Check("two-services", "No host has two services by mistake.", _two_services),
    Check("clocks", "The clocks agree.", _clocks),
    Check("queues", "No queue stands still.", _queues),
    Check("runs", "No run takes longer than it should.", _runs),
    Check("schedules", "All schedules fire.", _schedules),
    Check("wake-ups", "Wake-ups are taken.", _wake_ups),
    Check("messages", "Mails and other messages leave.", _messages),
    Check("recipients", "All recipients of Jobs are known.", hearing.unknown_recipients),
    Check("told", "Somebody is told when a Job goes wrong.", hearing.nobody_told),
    Check("mail-backend", "Mails go to a server.", hearing.mail_backend),
    *_WITHOUT_DATABASE,
    *_OF_SERVICE,
)
