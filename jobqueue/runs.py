"""One run, from its claim to its end: the command is built, started and watched.

The worker runs one after another, ``manage.py jobs run --direct`` just one.
"""

from __future__ import annotations

import itertools
import logging
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import Error, connections
from django.db.models import F
from django.utils import timezone

from . import conf, environments, output, owners, signals, tallies
from .commandline import printable
from .ends import LOST_IN_A_ROW, end_of, in_a_row, limit
from .executor import AdoptedRun, Command, Executor, Outcome, Run
from .models import Execution, State
from .queue import End

log = logging.getLogger("jobqueue.runs")

#: Seconds until a run is looked at first, and between two looks.
FIRST_LOOK, LOOK = 0.1, 0.5
#: So many looks, ten seconds, store what is new of the output; after them one of so many does.
ALL_STORE, ONE_STORES = 20, 4


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
    return Executor(owners.me().run_path, owners.lease_path(), environment)


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
    kill_after = limit(execution.kill_after, settings.KILL_AFTER)
    return Command(
        argv=resolved.argv,
        cwd=resolved.working_directory,
        env={**resolved.env, **_variables(execution)},
        log_path=str(conf.current().log_path(execution.pk)),
        log_limit=settings.LOG_LIMIT,
        kill_after=kill_after.total_seconds() if kill_after else None,
        note={"execution": execution.pk, "owner": execution.owner},
    )


def watch(execution: Execution, run: Run | Outcome) -> End:
    """Wait for a run's end. Meanwhile keep its row up to date, and look for an order to stop it."""
    if isinstance(run, Outcome):
        return end_of(execution, run)
    seconds, stored, looks = FIRST_LOOK, {"pid": None, "log_tail": ""}, itertools.count()
    while (outcome := run.wait(seconds)) is None:
        seconds = LOOK
        try:
            number = next(looks)
            with_output = number < ALL_STORE or number % ONE_STORES == 0
            look(execution, run, stored, with_output)
        except Error as error:
            log.warning(
                "%s runs on, its row can't be kept up to date: %s",
                execution.pk,
                error,
                extra={"event": "run.not_kept_up", "execution": execution.pk},
            )
            connections.close_all()
    return end_of(execution, outcome)


def announce_started(execution: Execution) -> None:
    """Log and signal that its process has started, if it has."""
    if execution.pid is None:
        return
    about = {"event": "run.started", **_about(execution), "pid": execution.pid}
    log.info("%s started: %s", execution.pk, printable(execution.label), extra=about)
    signals.execution_started.send_robust(sender=Execution, execution=execution)


def announce_finished(execution: Execution) -> None:
    """Count, log and signal an end."""
    tallies.note(execution)
    _log_end(execution)
    signals.execution_finished.send_robust(sender=Execution, execution=execution)
    if _is_given_up(execution):
        log.error(
            "%s was lost %s times in a row",
            execution.pk,
            LOST_IN_A_ROW,
            extra={"event": "run.given_up", "execution": execution.pk},
        )
        signals.execution_given_up.send_robust(sender=Execution, execution=execution)


def _is_given_up(execution: Execution) -> bool:
    lost = execution.state == State.LOST and not execution.details.get("retried")
    return lost and in_a_row(execution, State.LOST) >= LOST_IN_A_ROW


def _log_end(execution: Execution) -> None:
    pk, state = execution.pk, execution.state
    seconds = (execution.elapsed(timezone.now()) or timedelta(0)).total_seconds()
    reason = printable(execution.reason).rstrip(".") or f"return code {execution.return_code}"
    how = {"state": str(state), "return_code": execution.return_code, "seconds": round(seconds, 3)}
    about = _about(execution)
    ended = {"event": "run.ended", **about, **how}
    log.info("%s %s: %s, %.3f s", pk, state, reason, seconds, extra=ended)
    if again := execution.details.get("queued_again_as"):
        extra = {"event": "run.queued_again", **about, "again": again}
        log.info("%s queued again as %s", pk, again, extra=extra)
    if recovery := execution.details.get("recovered_by"):
        extra = {"event": "run.recovery_queued", **about, "recovery": recovery}
        log.info("%s needs a recovery run, queued as %s", pk, recovery, extra=extra)


def _about(execution: Execution) -> dict[str, Any]:
    """What each line on a start or an end has for programs."""
    return {"execution": execution.pk, "queue": execution.queue, "job": execution.job_name}


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


def look(
    execution: Execution,
    run: Run | AdoptedRun,
    stored: dict[str, Any],
    with_output: bool = True,
) -> None:
    """Obey an order to stop, store what changed since the last look, raise the alert when due."""
    row = Execution.objects.filter(pk=execution.pk, state=State.RUNNING, owner=execution.owner)
    order = row.values_list("stop_requested_at", "stop_requested_by").first()
    if order is None:
        if Execution.objects.filter(pk=execution.pk).exists():
            log.error(
                "%s was taken over by another host; its process is killed",
                execution.pk,
                extra={"event": "run.taken_over", "execution": execution.pk},
            )
            run.kill()
            return
        _put_back(execution)
    elif order[0]:
        execution.stop_requested_by = order[1]
        run.stop()
    path = conf.current().log_path(execution.pk)
    seen = {"log_tail": "", **stored, "pid": run.pid}
    if with_output:
        seen["log_tail"] = output.tail(path, conf.current().LOG_TAIL)
    if seen != stored:
        row.update(**seen, log_path=str(path) if seen["log_tail"] else "")
        stored.update(seen)
    if _is_overdue(execution):
        execution.details = {**execution.details, "overdue": True}
        row.update(details=execution.details, unjudged=F("job"))
        _alert_overdue(execution)


def _put_back(execution: Execution) -> None:
    """Somebody deleted the row of a run that goes on: without it, its slot would be free."""
    log.warning(
        "%s was deleted while it runs; its row is put back",
        execution.pk,
        extra={"event": "run.row_put_back", "execution": execution.pk},
    )
    loaded = execution.__dict__
    names = [f.attname for f in Execution._meta.concrete_fields if not f.generated]
    known = {name: loaded[name] for name in names if name in loaded}
    Execution(**known).save(force_insert=True)


def _is_overdue(execution: Execution) -> bool:
    longest = limit(execution.max_runtime, conf.current().MAX_RUNTIME)
    elapsed = execution.elapsed(timezone.now())
    return bool(longest and elapsed and elapsed > longest and not execution.details.get("overdue"))


def _alert_overdue(execution: Execution) -> None:
    longest = limit(execution.max_runtime, conf.current().MAX_RUNTIME)
    log.warning(
        "%s runs longer than %s, and goes on",
        execution.pk,
        longest,
        extra={"event": "run.overdue", "execution": execution.pk},
    )
    signals.execution_overdue.send_robust(sender=Execution, execution=execution)
