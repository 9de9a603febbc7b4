"""One run, from its claim to its end: the command is built, started and watched.

The worker runs one after another, ``manage.py jobs run --direct`` just one.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import Error, connections
from django.utils import timezone

from . import codes, conf, environments, output, signals
from .commandline import printable
from .executor import Command, Executor, Outcome, Run
from .models import Execution, State
from .queue import End

log = logging.getLogger("jobqueue.runs")

#: Seconds until a run is looked at first, and between two looks.
FIRST_LOOK, LOOK = 0.1, 0.5
#: A run that is lost this often in a row is not queued again.
LOST_IN_A_ROW = 3


def new_executor() -> Executor:
    """An executor whose runs get the environment that the service was started with.

    Django has set ``TZ`` to the site's ``TIME_ZONE`` meanwhile, which is nothing to the jobs.
    """
    environment = dict(os.environ)
    environment.pop("TZ", None)
    with suppress(OSError):
        started_with = Path("/proc/self/environ").read_bytes().split(b"\0")
        for zone in [line for line in started_with if line.startswith(b"TZ=")]:
            environment["TZ"] = os.fsdecode(zone[3:])
    return Executor(environment)


def start(execution: Execution, executor: Executor) -> Run | Outcome:
    """Start the process; an Outcome says why it can't be."""
    try:
        run = executor.start(command_for(execution))
    except ValueError as error:
        return Outcome(return_code=None, error="launch_failed", message=str(error))
    except OSError as error:  # the launcher itself could not be started
        return Outcome(return_code=None, error="no_resources", message=f"{error}.")
    execution.pid = run.pid
    return run


def command_for(execution: Execution) -> Command:
    """What is started for an Execution.

    Raises:
        ValueError: its environment is unknown or broken, or its program isn't allowed.
    """
    settings = conf.current()
    resolved = environments.resolve(
        execution.environment, execution.argv, execution.env, execution.working_directory
    )
    kill_after = _limit(execution.kill_after, settings.KILL_AFTER)
    return Command(
        argv=resolved.argv,
        cwd=resolved.working_directory,
        env={**resolved.env, **_variables(execution)},
        log_path=str(log_path(execution.pk)),
        run_path=str(run_path()),
        log_limit=settings.LOG_LIMIT,
        kill_after=kill_after.total_seconds() if kill_after else None,
        note={"execution": execution.pk, "owner": execution.owner},
    )


def log_path(pk: int) -> Path:
    """The log file of an Execution; a thousand share a directory."""
    return conf.current().log_dir / str(pk // 1000) / f"{pk}.log"


def run_path() -> Path:
    """This process's run file: which run goes on, and how it ended, until its row says so."""
    return conf.current().run_dir / f"{os.getpid()}.run"


def watch(execution: Execution, run: Run | Outcome) -> End:
    """Wait for a run's end. Meanwhile keep its row up to date, and look for an order to stop it."""
    if isinstance(run, Outcome):
        return _end(execution, run)
    seconds, stored = FIRST_LOOK, {"pid": None, "log_tail": ""}
    while (outcome := run.wait(seconds)) is None:
        seconds = LOOK
        try:
            _look(execution, run, stored)
        except Error as error:
            log.warning("%s runs on, its row can't be kept up to date: %s", execution.pk, error)
            connections.close_all()
    return _end(execution, outcome)


def announce_started(execution: Execution) -> None:
    """Log and signal that its process has started, if it has."""
    if execution.pid is None:
        return
    log.info("%s started: %s", execution.pk, printable(execution.label))
    signals.execution_started.send_robust(sender=Execution, execution=execution)


def announce_finished(execution: Execution) -> None:
    """Log and signal an end."""
    took = execution.elapsed(timezone.now()) or timedelta(0)
    reason = printable(execution.reason).rstrip(".") or f"return code {execution.return_code}"
    log.info("%s %s: %s, %.3f s", execution.pk, execution.state, reason, took.total_seconds())
    if again := execution.details.get("queued_again_as"):
        log.info("%s queued again as %s", execution.pk, again)
    signals.execution_finished.send_robust(sender=Execution, execution=execution)


def _variables(execution: Execution) -> dict[str, str]:
    return {
        "JOBQUEUE_EXECUTION": str(execution.pk),
        "JOBQUEUE_JOB": execution.job_name,
        "JOBQUEUE_QUEUE": execution.queue,
        # In the site's zone: a run *for* a day shall be told of that day.
        "JOBQUEUE_TRIGGER": timezone.localtime(
            execution.trigger_at or execution.queued_at
        ).isoformat(),
    }


def _limit(own: timedelta | None, default: timedelta | None) -> timedelta | None:
    """A limit of this run: its own, else the site's; zero means none."""
    return (default if own is None else own) or None


def _look(execution: Execution, run: Run, stored: dict[str, Any]) -> None:
    """Store what changed since the last look, raise the alert when due, obey an order to stop."""
    row = Execution.objects.filter(pk=execution.pk)
    order = row.values_list("stop_requested_at", "stop_requested_by").first()
    if order is None:
        _put_back(execution)
    elif order[0]:
        execution.stop_requested_by = order[1]
        run.stop()
    path = log_path(execution.pk)
    seen = {"pid": run.pid, "log_tail": output.tail(path, conf.current().LOG_TAIL)}
    if seen != stored:
        row.update(**seen, log_path=str(path) if seen["log_tail"] else "")
        stored.update(seen)
    if _is_overdue(execution):
        execution.details = {**execution.details, "overdue": True}
        row.update(details=execution.details)
        _alert_overdue(execution)


def _put_back(execution: Execution) -> None:
    """Somebody deleted the row of a run that goes on: without it, its slot would be free."""
    log.warning("%s was deleted while it runs; its row is put back", execution.pk)
    loaded = execution.__dict__
    names = [f.attname for f in Execution._meta.concrete_fields if not f.generated]
    known = {name: loaded[name] for name in names if name in loaded}
    Execution(**known).save(force_insert=True)


def _is_overdue(execution: Execution) -> bool:
    limit = _limit(execution.max_runtime, conf.current().MAX_RUNTIME)
    elapsed = execution.elapsed(timezone.now())
    return bool(limit and elapsed and elapsed > limit and not execution.details.get("overdue"))


def _alert_overdue(execution: Execution) -> None:
    limit = _limit(execution.max_runtime, conf.current().MAX_RUNTIME)
    log.warning("%s runs longer than %s, and goes on", execution.pk, limit)
    signals.execution_overdue.send_robust(sender=Execution, execution=execution)


def _end(execution: Execution, outcome: Outcome) -> End:
    path = log_path(execution.pk)
    reading, again = _read(execution, outcome)
    return End(
        state=reading.state,
        reason=reading.reason,
        return_code=outcome.return_code,
        pid=execution.pid,
        log_path=str(path) if outcome.log else "",
        log_tail=output.tail(path, conf.current().LOG_TAIL) if outcome.log else "",
        details=_details(outcome),
        again_after=again,
    )


def _read(execution: Execution, outcome: Outcome) -> tuple[codes.Reading, timedelta | None]:
    """State and reason of a run, and the delay after which it's queued again, if it is."""
    if outcome.ended_by == "kill_after":
        limit = _limit(execution.kill_after, conf.current().KILL_AFTER)
        return codes.Reading(State.TIMED_OUT, f"ended after {limit}, its limit (kill after)"), None
    if outcome.ended_by == "stop":
        who = execution.__dict__.get("stop_requested_by") or "an operator"
        return codes.Reading(State.STOPPED, f"stopped by {who}"), None
    if outcome.error:
        passes = outcome.error == "no_resources"
        again_after = _busy_delay(execution) if passes else None
        return codes.Reading(State.FAILED, outcome.message), again_after
    if outcome.return_code is None:
        again = execution.rerun_if_lost and _in_a_row(execution, state=State.LOST) < LOST_IN_A_ROW
        return codes.Reading(State.LOST, outcome.message), timedelta(0) if again else None
    reading = codes.read(execution.codes, outcome.return_code, outcome.signal)
    return reading, _busy_delay(execution) if reading.busy else None


def _busy_delay(execution: Execution) -> timedelta | None:
    """How long to wait before the next attempt; None after the last."""
    settings, attempt = conf.current(), _in_a_row(execution, state=State.FAILED)
    if attempt >= settings.BUSY_ATTEMPTS:
        return None
    doubled: timedelta = settings.BUSY_DELAY * 2 ** min(attempt - 1, 20)
    return min(doubled, settings.BUSY_DELAY_MAX)


def _in_a_row(execution: Execution, state: State) -> int:
    """How often in a row this request came to this end, now included.

    While the database is away, as far as that is known: the end itself must get through.
    """
    count = 1
    try:
        before = execution.retry_of
        while before is not None and before.state == state:
            count, before = count + 1, before.retry_of
    except Error as error:
        log.warning("%s: its earlier attempts can't be looked up: %s", execution.pk, error)
        connections.close_all()
    return count


def _details(outcome: Outcome) -> dict[str, Any]:
    found = {"error": outcome.error, "log_cut": outcome.log_cut, "leftovers": outcome.leftovers}
    if outcome.message and not outcome.error:
        found["note"] = outcome.message
    return {name: value for name, value in found.items() if value}
