"""A test kit for hosts: run what was queued inside the test, and assert what was queued.

    from jobqueue.testing import assert_enqueued, drain

    def test_nightly_report(self):
        request_report(day)
        assert_enqueued(["report.py", "2026-01-31"], priority=3)
        [run] = drain()
        assert run.state == "succeeded"

Both work inside the transaction of a ``TestCase``. No cluster is needed, and none should serve the
test's database meanwhile. Logs go to ``JOBQUEUE["DATA_DIR"]``: give tests a directory of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from . import owners, runs, schedules
from . import queue as _queue
from .executor import Executor
from .models import Execution, Fire, Job
from .models.fields import DEFAULT_QUEUE

__all__ = ["assert_enqueued", "assert_not_enqueued", "drain", "fire_schedules"]

_FIELDS = {f.name for f in Execution._meta.get_fields() if f.concrete}


def drain(queue: str = DEFAULT_QUEUE, limit: int = 1000) -> list[Execution]:
    """Run what is ready in a queue, one after another and in its order, as a worker would.

    What becomes ready meanwhile is run as well; requests with a later ``not_before`` keep waiting,
    and in a paused queue nothing starts. The processes are real ones. They can't see what the
    transaction of a ``TestCase`` has written, and on SQLite they can't write until it ends.

    Args:
        queue: the queue's name.
        limit: runs at most, so that a job that queues itself ends some time.

    Returns:
        The Executions that ended, the first one first; empty if nothing was ready.
    """
    ended: list[Execution] = []
    executor = runs.new_executor()
    try:
        while len(ended) < limit and (execution := _queue.claim(queue)) is not None:
            ended.append(_run(execution, executor))
    finally:
        executor.close()
        owners.me().run_path.unlink(missing_ok=True)
    return ended


def fire_schedules(now: datetime) -> list[Fire]:
    """Queue what is due at a moment, as the clock of a worker would; nothing is run.

    A schedule that was saved has its next fire time after the real now, so take a moment that lies
    ahead, such as ``schedule.next_fire_at``.

    Args:
        now: the moment, aware.

    Returns:
        The fire times that came, with their outcomes and Executions.
    """
    return schedules.enqueue_due(now)


def assert_enqueued(command_or_job: Sequence[str] | Job, /, **fields: Any) -> Execution:
    """Assert that a command or a Job waits, with these values in the fields of its Execution.

    Args:
        command_or_job: the argv of a bare command, or a Job.
        **fields: values of any fields of an Execution, such as ``priority=1`` or ``queue="night"``.

    Returns:
        The Execution; of several, the one that would run first.

    Raises:
        AssertionError: none does; the message lists what waits instead.
        TypeError: an Execution has no such field.
    """
    __tracebackhide__ = True
    if found := _waiting(command_or_job, fields):
        return found[0]
    wanted = _describe(command_or_job, fields)
    raise AssertionError(f"Not enqueued: {wanted}\n{_listing(fields)}")


def assert_not_enqueued(
    command_or_job: Sequence[str] | Job | None = None, /, **fields: Any
) -> None:
    """Assert that a command or a Job doesn't wait with these values, or that nothing does.

    Args:
        command_or_job: the argv of a bare command, or a Job; by default any.
        **fields: values of any fields of an Execution.

    Raises:
        AssertionError: it waits; the message says which Executions match.
        TypeError: an Execution has no such field.
    """
    __tracebackhide__ = True
    if found := _waiting(command_or_job, fields):
        lines = "\n".join(_line(execution, fields) for execution in found)
        raise AssertionError(f"Enqueued: {_describe(command_or_job, fields)}\nFound:\n{lines}")


def _run(execution: Execution, executor: Executor) -> Execution:
    run = runs.start(execution, executor)
    runs.announce_started(execution)
    end = runs.watch(execution, run)
    _queue.finish(execution, end)
    runs.announce_finished(execution)
    return execution


def _waiting(command_or_job: Sequence[str] | Job | None, fields: dict[str, Any]) -> list[Execution]:
    if unknown := fields.keys() - _FIELDS:
        raise TypeError(f"An Execution has no field {', '.join(sorted(unknown))}.")
    return [
        execution
        for execution in Execution.objects.waiting().in_order()
        if _is_of(execution, command_or_job)
        and all(getattr(execution, name) == value for name, value in fields.items())
    ]


def _is_of(execution: Execution, command_or_job: Sequence[str] | Job | None) -> bool:
    if command_or_job is None:
        return True
    if isinstance(command_or_job, Job):
        return execution.job_id == command_or_job.pk
    return execution.job_id is None and execution.argv == list(command_or_job)


def _describe(command_or_job: Sequence[str] | Job | None, fields: dict[str, Any]) -> str:
    if isinstance(command_or_job, Job):
        what = f"the Job {command_or_job.name!r}"
    else:
        what = "anything" if command_or_job is None else repr(list(command_or_job))
    return f"{what}{_values(fields)}"


def _listing(fields: dict[str, Any]) -> str:
    lines = [_line(execution, fields) for execution in Execution.objects.waiting().in_order()]
    return "Waiting:\n" + "\n".join(lines) if lines else "Nothing waits."


def _line(execution: Execution, fields: dict[str, Any]) -> str:
    what = f"the Job {execution.job_name!r}" if execution.job_id else repr(execution.argv)
    shown = {"queue": execution.queue, "priority": execution.priority}
    return f"  {what}{_values(shown | {name: getattr(execution, name) for name in fields})}"


def _values(fields: dict[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in fields.items())
