"""What tests need to begin with: plain functions with defaults, each of which can be overridden."""

from __future__ import annotations

import itertools
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from dirmonitor.models import DirMonitor
from jobqueue import conf, launcher, owners, queue, requests
from jobqueue.models import Cluster, Execution, Job, Schedule, Source, State
from jobqueue.owners import Owner

_numbers = itertools.count(1)


def a_command() -> list[str]:
    """The argv of a command that succeeds at once; no two are the same."""
    return ["true", f"number-{next(_numbers)}"]


def a_job(**over: Any) -> Job:
    """A saved Job."""
    return Job.objects.create(**{"name": f"Job {next(_numbers)}", "argv": a_command(), **over})


def a_schedule(**over: Any) -> Schedule:
    """A saved Schedule, every hour on the hour, UTC; with fire times as the clock has left them."""
    cached = {name: over.pop(name) for name in ("next_fire_at", "last_fire_at") if name in over}
    values = {"name": f"Schedule {next(_numbers)}", "expression": "0 * * * *", "timezone": "UTC"}
    schedule = Schedule.objects.create(
        **{**values, "job": over.pop("job", None) or a_job(), **over}
    )
    if not cached:
        return schedule
    Schedule.objects.filter(pk=schedule.pk).update(**cached)
    return Schedule.objects.get(pk=schedule.pk)


def a_request(what: list[str] | Job | None = None, **over: Any) -> Execution:
    """A request that is not queued yet; what is over goes to ``requests.build``."""
    return requests.build(a_command() if what is None else what, **over)


def a_waiting(what: list[str] | Job | None = None, **over: Any) -> Execution:
    """A request that waits in its queue."""
    answer = queue.enqueue(a_request(what, **over))
    assert answer.outcome is queue.ADDED, "it waits already"
    return answer.execution


def a_run(what: list[str] | Job | None = None, **over: Any) -> Execution:
    """A running Execution of this process, without a process of its own."""
    waiting = a_waiting(what, **over)
    claimed = queue.claim(waiting.queue)
    assert claimed is not None, "the queue is busy or paused"
    assert claimed.pk == waiting.pk, "another one was before it"
    return claimed


def a_lost(**over: Any) -> Execution:
    """A lost run on the record."""
    values = {"state": State.LOST, "return_code": None, "reason": "Its process is gone."}
    return an_ended(**{**values, **over})


def a_recovery(**over: Any) -> Execution:
    """The recovery run that waits after an engine was cut off."""
    cut_off = a_run(["bots-engine", "-cprod", "orders"], **over)
    queue.finish(cut_off, an_end(state=State.STOPPED, recovery=["bots-engine", "--cleanup"]))
    return Execution.objects.get(source=Source.RECOVERY)


def a_cluster(**over: Any) -> Cluster:
    """A cluster that is alive, however long the test takes: this process.

    It has a worker for each queue of a test.
    """
    now, me = timezone.now(), owners.me()
    values: dict[str, Any] = {"name": "one", "host": conf.current().HOST, "workers": 9}
    values |= {"pid": me.pid, "owner": str(me)}
    moments = {"started_at": now, "seen_at": now + timedelta(hours=1)}
    return Cluster.objects.create(uuid=uuid.uuid4(), **{**values, **moments, **over})


def a_dead_owner() -> Owner:
    """A process of this place that has ended."""
    with subprocess.Popen(["true"]) as process:
        return Owner(owners.here(), process.pid, launcher.started(process.pid))


def an_end(**over: Any) -> queue.End:
    """How a run ended: well, by default."""
    return queue.End(**{"state": State.SUCCEEDED, "return_code": 0, **over})


def an_ended(**over: Any) -> Execution:
    """A row of the record, put there without a run."""
    now = timezone.now()
    values = {"argv": a_command(), "state": State.SUCCEEDED, "return_code": 0}
    moments = {"queued_at": now, "started_at": now, "ended_at": now}
    return Execution.objects.create(**{**values, **moments, **over})


def log_file(execution: Execution) -> Path:
    """Where the log file of an Execution is; its directory is there."""
    path = conf.current().log_path(execution.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_log(execution: Execution, text: str = "some output\n") -> Execution:
    """A log file for an Execution of the record, and the end of it in its row."""
    path = log_file(execution)
    path.write_text(text)
    execution.log_path, execution.log_tail = str(path), text
    execution.save(update_fields=["log_path", "log_tail"])
    return execution


def a_monitor(path: object, **over: Any) -> DirMonitor:
    """A saved DirMonitor of this directory, which settles quickly."""
    values = {"name": f"Monitor {next(_numbers)}", "path": str(path), "settle": 0.2}
    pace = {"poll_interval": 0.2, "job": over.pop("job", None) or a_job()}
    return DirMonitor.objects.create(**{**values, **pace, **over})
