"""Every state change of an Execution.

A request is *enqueued* (waiting), *claimed* (running) and *finished* (its end), or *cancelled*.
Each change is a conditional update: one row changed means that it was ours to make, none that
somebody was first, which is a normal answer and no error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from django.db import IntegrityError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, F, Min, Q
from django.utils import timezone

from . import broker, conf, owners, signals
from . import statements as sql
from .commandline import printable
from .models import Execution, Job, Queue, Source, State
from .models.execution import FIRST, RECOVERY_PRIORITY
from .requests import aware, priority_number, queue_name
from .retrying import Plan

log = logging.getLogger(__name__)

#: Rows that a statement names. SQLite may take no more than 999 parameters; and where each row
#: gets a value of its own, more of them take longer than several statements.
_BATCH = 100

#: What a run adds to the details that its request came with.
DETAILS_OF_A_RUN = {
    *("adopted", "error", "leftovers", "log_cut", "not_queued_again", "note", "overdue"),
    *("queued_again_as", "recovered_by", "retried", "retry_cancelled", "also_repeats"),
}


class Outcome(StrEnum):
    """What became of a request."""

    ADDED = "added"
    DUPLICATE = "duplicate"
    PROMOTED = "promoted"


ADDED, DUPLICATE, PROMOTED = Outcome


@dataclass(frozen=True)
class Enqueued:
    """The answer to a request: what became of it, and the Execution that serves it."""

    outcome: Outcome
    execution: Execution


@dataclass(frozen=True, kw_only=True)
class End:
    """How a run ended."""

    state: str
    reason: str = ""
    return_code: int | None = None
    pid: int | None = None
    log_path: str = ""
    log_tail: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    #: The same request is queued again, to start after this delay.
    again_after: timedelta | None = None
    #: That is another attempt which its Job asks for, at this place of its plan.
    retry: Plan | None = None
    #: A command that must run before all that waits in the queue.
    recovery: list[str] = field(default_factory=list)

    def in_ascii(self) -> End:
        """The same for tables that don't take each character."""
        return replace(self, log_tail=_in_ascii(self.log_tail), reason=_in_ascii(self.reason))

    @property
    def queues_more(self) -> bool:
        """Whether something has to be queued together with it."""
        return self.again_after is not None or bool(self.recovery)


# Asking


def enqueue(request: Execution) -> Enqueued:
    """Queue a request from :mod:`jobqueue.requests`; durable when the transaction has committed.

    In a transaction, a request that found the same one waiting asks again at the commit: the one
    that waits now may have started by then.
    """
    connection = _connection()
    answer, needs_wake = _add_or_find(connection, request)
    _follow_up(connection, request, answer, needs_wake)
    return answer


def enqueue_all(requests: Sequence[Execution]) -> list[Enqueued]:
    """Queue several requests in few statements, in a transaction that is :func:`durable`.

    Returns:
        The answers in the order of the requests.

    Raises:
        IntegrityError: somebody asked for one of them at this very moment; roll back.
    """
    connection = _connection()
    slots = [sql.slot_of_waiting(request.queue, request.digest) for request in requests]
    serving = {row.slot: row for row in Execution.objects.filter(slot__in=slots)}
    answers = [
        _answer(request, serving.setdefault(slot, request))
        for slot, request in zip(slots, requests, strict=True)
    ]
    Execution.objects.bulk_create(a.execution for a in answers if a.outcome is ADDED)
    woken: set[str] = set()
    for request, answer in zip(requests, answers, strict=True):
        # The first one wakes for all; of each it must be asked after the commit.
        _follow_up(connection, request, answer, False if request.queue in woken else None)
        if answer.outcome is ADDED:
            woken.add(request.queue)
    return answers


def _follow_up(
    connection: BaseDatabaseWrapper, request: Execution, answer: Enqueued, needs_wake: bool | None
) -> None:
    """At the commit: tell of it, wake for it, or ask again for what only found a duplicate."""
    connection.on_commit(partial(_log, answer, request))
    if answer.outcome is ADDED:
        connection.on_commit(partial(_wake_for, answer.execution, needs_wake))
    elif connection.in_atomic_block and not _added_here(connection, answer.execution):
        connection.on_commit(partial(_add_or_find_again, request))


def _answer(request: Execution, serving: Execution) -> Enqueued:
    """What becomes of a request that this one serves: itself, another new one, or a waiting one."""
    if serving is request:
        return Enqueued(ADDED, request)
    if not serving._state.adding:
        return Enqueued(_promote(serving, request), serving)
    outcome = PROMOTED if request.priority < serving.priority else DUPLICATE
    serving.priority = min(serving.priority, request.priority)
    return Enqueued(outcome, serving)


def _add_or_find(
    connection: BaseDatabaseWrapper, request: Execution
) -> tuple[Enqueued, bool | None]:
    """The answer, and whether a wake-up is needed; None if that must be asked after the commit."""
    # In a transaction, MariaDB would keep a lock on the duplicate until its end.
    waiting = _same_waiting(request) if connection.in_atomic_block else None
    while waiting is None:
        values = sql.prepare_request(connection, request)
        accepted = sql.statements(connection).accept(connection, values)
        if accepted is not None:
            request.pk, needs_wake = accepted
            request._state.adding, request._state.db = False, connection.alias
            return Enqueued(ADDED, request), needs_wake
        # None if it has started meanwhile. A transaction of MariaDB may see an older state, unless
        # it asks for the lock.
        waiting = _same_waiting(request, lock=connection.in_atomic_block)
    with sql.statements(connection).durable(connection):
        return Enqueued(_promote(waiting, request), waiting), False


def _added_here(connection: BaseDatabaseWrapper, execution: Execution) -> bool:
    """Whether this very transaction has added it: then it can't start before the commit."""
    hooks: Any = (hook[1] for hook in connection.run_on_commit)
    added = (hook.args[0] for hook in hooks if getattr(hook, "func", None) is _wake_for)
    return any(other.pk == execution.pk for other in added)


def _add_or_find_again(request: Execution) -> None:
    if _same_waiting(request) is None:
        enqueue(request)


def _same_waiting(request: Execution, lock: bool = False) -> Execution | None:
    slot = sql.slot_of_waiting(request.queue, request.digest)
    rows = Execution.objects.filter(slot=slot)
    return (rows.select_for_update() if lock else rows).first()


def _promote(waiting: Execution, request: Execution) -> Outcome:
    """Give a waiting one what a request for the same has better: its priority, and no delay."""
    promoted = _hasten(waiting) if request.not_before is None else False
    priority, from_worse = request.priority, request.priority + 1
    if waiting.priority > priority and _change(
        waiting, State.WAITING, from_worse, priority=priority
    ):
        waiting.priority, promoted = priority, True
    return PROMOTED if promoted else DUPLICATE


def _hasten(waiting: Execution) -> bool:
    """Let a retry of a Job that still has its delay before it start now: it is asked for now."""
    is_delayed = waiting.not_before is not None and waiting.not_before > timezone.now()
    if not (waiting.starts_when_asked and is_delayed):
        return False
    if not _change(waiting, State.WAITING, not_before=None):
        return False
    waiting.not_before = None
    transaction.on_commit(partial(wake_if_ready, waiting.queue), _alias())
    return True


def _wake_for(execution: Execution, needed: bool | None) -> None:
    """After the commit: a wake-up, unless the queue is busy or was woken for an older request."""
    if needed is False:
        return
    connection, now = _connection(), timezone.now()
    if execution.not_before is not None and execution.not_before > now:
        return  # the clock wakes for it when its time has come
    if needed is None:
        needed = sql.statements(connection).needs_wake(connection, execution, now)
    if needed:
        broker.wake(execution.queue)


# Running


def relaxed() -> AbstractContextManager[None]:
    """For a turn: its claims and ends need not reach the disk at once, what it enqueues does."""
    connection = _connection()
    return sql.statements(connection).relaxed(connection)


def durable() -> AbstractContextManager[None]:
    """What is committed in it is on the disk; for a transaction of several requests."""
    connection = _connection()
    return sql.statements(connection).durable(connection)


def impatient() -> AbstractContextManager[None]:
    """In it, what another transaction holds raises OperationalError after a second of waiting."""
    connection = _connection()
    return sql.statements(connection).impatient(connection)


def claim(queue: str) -> Execution | None:
    """Start the best waiting request; None if there is none, one runs already, or it is paused."""
    connection = _connection()
    Queue.objects.get_or_create(name=queue)
    try:
        row = sql.statements(connection).claim(connection, _claimant(connection, queue))
    except IntegrityError:
        return None  # another process took the slot in the same instant
    return _claimed(connection, row)


def claimed_unawares(queue: str) -> Execution | None:
    """What this process has claimed without knowing it: the answer to a commit was lost.

    To be asked only while nothing of this process runs there.
    """
    row = Execution.objects.running().filter(queue=queue, owner=str(owners.me()))
    return row.filter(pid=None).first()


def claim_this(request: Execution) -> Execution | None:
    """Start a request that never waited; None if the slot of its queue is taken."""
    request.state, request.started_at = State.RUNNING, timezone.now()
    request.host, request.owner = conf.current().HOST, str(owners.me())
    try:
        with transaction.atomic(using=_alias()):
            request.save(force_insert=True)
    except IntegrityError:
        return None
    return request


def finish(execution: Execution, end: End) -> bool:
    """End a run, and queue it again if its end says so; False if it wasn't mine any more."""
    connection = _connection()
    end = _unless_unwanted(execution, end)
    statements = sql.statements(connection)
    # What is queued again is a request: whoever asks for the same is told that it waits already.
    with statements.durable(connection), transaction.atomic(using=connection.alias):
        mine = statements.finish(connection, _ended(connection, execution, end))
        if mine and end.again_after is not None:
            _queue_again(execution, end)
        if mine and end.recovery:
            _queue_recovery(execution, end)
    if mine:
        _apply(execution, end)
    return mine


def finish_and_claim(execution: Execution, end: End) -> Execution | None:
    """End a run and start the best waiting request of its queue, in one transaction."""
    if end.queues_more:
        finish(execution, end)
        return claim(execution.queue)
    connection = _connection()
    ended = _ended(connection, execution, end)
    try:
        mine, row = sql.statements(connection).finish_and_claim(
            connection, ended, _claimant(connection, execution.queue)
        )
    except IntegrityError:
        mine, row = finish(execution, end), None
    if mine:
        _apply(execution, end)
    # A request whose transaction committed during ours was seen by neither: look once more.
    return _claimed(connection, row) or claim(execution.queue)


def _claimant(connection: BaseDatabaseWrapper, queue: str) -> dict[str, Any]:
    host, now = conf.current().HOST, timezone.now()
    return sql.parameters_of_claim(connection, queue, now, host, str(owners.me()))


def _claimed(connection: BaseDatabaseWrapper, row: sql.Row | None) -> Execution | None:
    if row is None:
        return None
    execution = sql.execution_from_row(connection, row)
    if not execution.rerun_if_lost:
        _harden(connection, execution)
    return execution


def _harden(connection: BaseDatabaseWrapper, execution: Execution) -> None:
    """Have this claim on the disk before its process starts: it must never run twice."""
    with sql.statements(connection).durable(connection):
        Execution.objects.filter(pk=execution.pk).update(state=State.RUNNING)


def _ended(connection: BaseDatabaseWrapper, execution: Execution, end: End) -> dict[str, Any]:
    return sql.prepare(
        connection,
        id=execution.pk,
        owner=execution.owner,
        state=end.state,
        ended_at=timezone.now(),
        return_code=end.return_code,
        reason=end.reason,
        pid=end.pid,
        log_path=end.log_path,
        log_tail=end.log_tail,
        details={**execution.details, **end.details},
    )


def _apply(execution: Execution, end: End) -> None:
    """Have the instance say what its row says."""
    execution.state, execution.reason = end.state, end.reason
    execution.details = {**execution.details, **end.details}
    execution.return_code, execution.pid = end.return_code, end.pid
    execution.log_path, execution.log_tail = end.log_path, end.log_tail
    execution.ended_at = timezone.now()


def _unless_unwanted(execution: Execution, end: End) -> End:
    """The end; without another run, and saying so, if its Job or an operator wants none."""
    why = _obstacle(execution, end) if end.again_after is not None else ""
    if not why:
        return end
    reason = f"{end.reason.rstrip('.')}; not queued again: {why}"
    details = {**end.details, "not_queued_again": why}
    return replace(end, again_after=None, retry=None, reason=reason, details=details)


def _obstacle(execution: Execution, end: End) -> str:
    """Why it isn't queued again; "" if it is. What was accepted needs no Job, a retry does."""
    found = Job.objects.filter(pk=execution.job_id or 0).values_list("enabled", flat=True)
    enabled = found.first()
    if enabled is False:
        return "the Job is disabled"
    if end.retry is not None and enabled is None:
        return "the Job was deleted"
    row = Execution.objects.filter(pk=execution.pk, stop_requested_at__isnull=False)
    by = row.values_list("stop_requested_by", flat=True).first() if end.retry else None
    return "" if by is None else f"{by or 'an operator'} had asked to stop it"


def _queue_again(execution: Execution, end: End) -> None:
    """The same request, at its priority and time of arrival; the one that waits already serves."""
    again = Execution.objects.get(pk=execution.pk)
    again.pk, again.state, again.source = None, State.WAITING, Source.RETRY
    again.retry_of_id, again.attempt = execution.pk, execution.attempt + 1
    again.not_before = timezone.now() + end.again_after if end.again_after else None
    if end.retry is not None:
        again.retry, end.details["retried"] = asdict(end.retry), True
    again.details = {k: v for k, v in execution.details.items() if k not in DETAILS_OF_A_RUN}
    serving = _queue_because(execution, again, end, "queued_again_as")
    if serving.retry_of_id != execution.pk:
        _note_repeated(serving, execution)


def _note_repeated(serving: Execution, run: Execution) -> None:
    """Have a request that waited already say that it repeats this run, too."""
    details = {**serving.details, "also_repeats": [*_also_repeated(serving.details), run.pk]}
    Execution.objects.filter(pk=serving.pk).update(details=details)


def _also_repeated(details: dict[str, Any]) -> list[int]:
    """Runs beside its ``retry_of`` that a request repeats; what a host put there is none."""
    found = details.get("also_repeats")
    ids = [pk for pk in found if isinstance(pk, int)] if isinstance(found, list) else []
    return [pk for pk in ids if 0 < pk <= BigIntegerField.MAX_BIGINT]


def _queue_recovery(execution: Execution, end: End) -> None:
    """The command that mends what this end has left, before all others and without a time limit."""
    recovery = Execution.objects.get(pk=execution.pk)
    recovery.pk, recovery.state, recovery.source = None, State.WAITING, Source.RECOVERY
    recovery.argv, recovery.priority = end.recovery, RECOVERY_PRIORITY
    recovery.kill_after = timedelta(0)
    recovery.trigger_at = recovery.not_before = recovery.retry_of = recovery.retry = None
    recovery.attempt, recovery.queued_at = 1, timezone.now()
    recovery.details = {"recovers": execution.pk}
    recovery.digest = recovery.request_digest()
    serving = _queue_because(execution, recovery, end, "recovered_by")
    # Somebody may have asked for the same before, at another priority and with a limit.
    asked = Execution.objects.filter(pk=serving.pk, state=State.WAITING)
    asked.update(priority=recovery.priority, source=recovery.source, kill_after=recovery.kill_after)


def _queue_because(ended: Execution, request: Execution, end: End, relation: str) -> Execution:
    """Queue what an end asks for, and note which Execution serves it: perhaps one that waits.

    That one is locked: until the end is committed, nobody cancels it unnoticed.
    """
    connection, serving = _connection(), None
    values = sql.prepare_request(connection, request)
    while serving is None:
        request.pk = sql.statements(connection).insert(connection, values)
        serving = request if request.pk else _same_waiting(request, lock=True)
    end.details[relation] = serving.pk
    details = {**ended.details, **end.details}
    Execution.objects.filter(pk=ended.pk).update(details=details)
    return serving


# Recovering


def running() -> list[Execution]:
    """What is running, in all queues and on all hosts."""
    # In no order: to have them sorted, SQLite may read the whole record by its key.
    return list(Execution.objects.using(_alias()).running().defer("log_tail").order_by())


def adopt(execution: Execution, pid: int) -> bool:
    """Have this process look after a run whose owner died; False if somebody was first."""
    heir = str(owners.Owner.parse(execution.owner).heir())
    details = {**execution.details, "adopted": execution.details.get("adopted", 0) + 1}
    with transaction.atomic(using=_alias()):
        row = Execution.objects.using(_alias()).filter(pk=execution.pk)
        now = row.select_for_update().values_list("state", "owner").first()
        if now != (State.RUNNING, execution.owner):
            return False
        row.update(owner=heir, pid=pid, details=details)
    execution.owner, execution.pid, execution.details = heir, pid, details
    log.warning(
        "%s goes on though its worker died; looked after from here",
        execution.pk,
        extra={"event": "run.adopted", "execution": execution.pk},
    )
    return True


# Steering


def cancel(execution: Execution, by: str) -> bool:
    """Take a waiting request off its queue; False if it doesn't wait (any more)."""
    return bool(cancel_all([execution], by))


def cancel_all(executions: Sequence[Execution], by: str) -> list[Execution]:
    """Take requests off their queues in one transaction; those of them that did wait."""
    end = _cancelled(f"cancelled by {by}")
    with transaction.atomic(using=_alias()):
        done = [execution for execution in executions if _change(execution, State.WAITING, **end)]
        _not_queued_again([execution.pk for execution in done])
    for execution in done:
        log.info(
            "%s cancelled by %s",
            execution.pk,
            printable(by),
            extra={"event": "request.cancelled", "execution": execution.pk, "by": by},
        )
        _announce_cancelled(pk=execution.pk)
    return done


def set_priority(execution: Execution, priority: int, by: str) -> bool:
    """Give a waiting request another priority; False if it doesn't wait (any more).

    A recovery run keeps its own, which is better than all of them: False, too.
    """
    done = _change(execution, State.WAITING, FIRST, priority=priority_number(priority))
    if done:
        log.info(
            "%s priority %s by %s",
            execution.pk,
            priority,
            printable(by),
            extra={
                "event": "request.priority",
                "execution": execution.pk,
                "priority": priority,
                "by": by,
            },
        )
    return done


def amend(execution: Execution, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
    """Change the details of a waiting request; False if it doesn't wait (any more).

    Args:
        change: given the details as they are now, what others have just added included; in a
            transaction nobody changes or starts the request until its end.
    """
    with transaction.atomic(using=_alias()):
        row = Execution.objects.using(_alias()).filter(pk=execution.pk)
        now = row.select_for_update().values_list("state", "details").first()
        if now is None or now[0] != State.WAITING:
            return False
        execution.details = change(now[1])
        row.update(details=execution.details)
    return True


def request_stop(execution: Execution, by: str) -> bool:
    """Have a running one stopped by its worker: SIGTERM, SIGKILL 10 s later; False if it ended."""
    now = timezone.now()
    done = _change(execution, State.RUNNING, stop_requested_at=now, stop_requested_by=by)
    if done:
        log.info(
            "%s stop requested by %s",
            execution.pk,
            printable(by),
            extra={"event": "run.stop_requested", "execution": execution.pk, "by": by},
        )
    return done


def clear(queue: str, by: str) -> int:
    """Cancel all that waits in a queue; how many that were."""
    end = _cancelled(f"cleared by {by}")
    waiting = Execution.objects.filter(queue=queue_name(queue)).waiting()
    with transaction.atomic(using=_alias()):
        repeats = Q(retry_of__isnull=False) | Q(details__has_key="also_repeats")
        retries = list(waiting.filter(repeats).values_list("pk", flat=True))
        if sql.statements(_connection()).moves_by_index:
            count = sum(_change(row, State.WAITING, **end) for row in waiting.only("pk"))
        else:
            count = waiting.update(**end)
        _not_queued_again(retries)
    log.info(
        "queue %s cleared by %s: %s cancelled",
        queue,
        printable(by),
        count,
        extra={"event": "queue.cleared", "queue": queue, "by": by, "cancelled": count},
    )
    _announce_cancelled(queue=queue, ended_at=end["ended_at"])
    return count


def _cancelled(reason: str) -> dict[str, Any]:
    return {"state": State.CANCELLED, "ended_at": timezone.now(), "reason": reason}


def _not_queued_again(requests: Sequence[int]) -> None:
    """Have the runs that were to be repeated by these, now cancelled, say so and be judged."""
    for part in _batches(requests):
        rows = Execution.objects.filter(pk__in=part, state=State.CANCELLED)
        cancelled = rows.only("retry_of", "details", "reason").in_bulk()
        repeated = sorted({pk for again in cancelled.values() for pk in _repeated(again)})
        for runs in _batches(repeated):
            _let_be_judged(runs, cancelled)


def _let_be_judged(runs: Sequence[int], cancelled: dict[int, Execution]) -> None:
    """Have those of these runs say so that were queued again as one of the cancelled requests."""
    rows = Execution.objects.filter(pk__in=runs, details__queued_again_as__in=list(cancelled))
    found = []
    for run in rows.order_by("pk").select_for_update().only("reason", "details"):
        again = cancelled[run.details["queued_again_as"]]
        if run.pk not in _repeated(again):
            continue
        why = f"execution {again.pk} was {again.reason}"
        said = {k: v for k, v in run.details.items() if k != "queued_again_as"}
        run.reason = f"{run.reason.rstrip('.')}; not queued again: {why}"
        run.details = {**said, "not_queued_again": why, "retry_cancelled": again.pk}
        found.append(run)
    Execution.objects.bulk_update(found, ["reason", "details"])
    Execution.objects.filter(pk__in=[run.pk for run in found]).update(unjudged=F("job"))


def _repeated(again: Execution) -> list[int]:
    """The runs that a request repeats."""
    first = [] if again.retry_of_id is None else [again.retry_of_id]
    return [*first, *_also_repeated(again.details)]


def _batches(pks: Sequence[int]) -> Iterator[Sequence[int]]:
    return (pks[start : start + _BATCH] for start in range(0, len(pks), _BATCH))


def _announce_cancelled(**which: Any) -> None:
    """Signal these ends, at the commit."""
    if not signals.execution_finished.has_listeners(Execution):
        return

    def announce() -> None:
        for execution in Execution.objects.filter(state=State.CANCELLED, **which).order_by("pk"):
            signals.execution_finished.send_robust(sender=Execution, execution=execution)

    transaction.on_commit(announce, _alias())


def pause(queue: str, by: str, reason: str = "", until: datetime | None = None) -> Queue:
    """Start nothing in this queue, until it is resumed or until a time; what runs goes on."""
    values = {
        "paused_at": timezone.now(),
        "paused_by": by,
        "pause_reason": reason,
        "paused_until": aware(until),
    }
    row, _ = Queue.objects.update_or_create(name=queue_name(queue), defaults=values)
    log.info(
        "queue %s paused by %s: %s",
        queue,
        printable(by),
        printable(reason),
        extra={"event": "queue.paused", "queue": queue, "by": by},
    )
    return row


def resume(queue: str, by: str) -> bool:
    """Let a queue start runs again; False if it wasn't paused."""
    paused = Queue.objects.filter(name=queue_name(queue)).paused(timezone.now())
    values = {"paused_at": None, "paused_until": None, "paused_by": "", "pause_reason": ""}
    done = bool(paused.update(**values))
    if done:
        log.info(
            "queue %s resumed by %s",
            queue,
            printable(by),
            extra={"event": "queue.resumed", "queue": queue, "by": by},
        )
        transaction.on_commit(partial(wake_if_ready, queue), _alias())
    return done


def _change(execution: Execution, was: State, from_priority: int = 0, /, **values: Any) -> bool:
    """Change a row if it is (still) in this state, with this priority or a worse one."""
    row = Execution.objects.filter(pk=execution.pk)
    if not sql.statements(_connection()).moves_by_index:
        return bool(row.filter(state=was, priority__gte=from_priority).update(**values))
    with transaction.atomic(using=_alias()):
        now = row.select_for_update().values_list("state", "priority").first()
        done = now is not None and now[0] == was and now[1] >= from_priority
        return done and bool(row.update(**values))


# Looking


def is_free(queue: str) -> bool:
    """Whether nothing runs in this queue."""
    return not Execution.objects.filter(slot=sql.slot_of_running(queue)).exists()


def is_ready(queue: str) -> bool:
    """Whether a run could start in this queue at this moment."""
    return could_start(queue, timezone.now()) and is_free(queue)


def could_start(queue: str, moment: datetime) -> bool:
    """Whether neither a delay nor a pause holds up all that waits in this queue at that moment."""
    return (
        Execution.objects.filter(queue=queue).ready(moment).exists()
        and not Queue.objects.filter(name=queue).paused(moment).exists()
    )


def wake_if_ready(queue: str) -> None:
    """A wake-up, if a run could start."""
    if is_ready(queue):
        broker.wake(queue)


def with_requests() -> Iterator[str]:
    """The names of the queues in which something waits, by one look-up in the index for each."""
    waiting = Execution.objects.waiting()
    name = waiting.aggregate(first=Min("queue"))["first"]
    while name is not None:
        yield name
        name = waiting.filter(queue__gt=name).aggregate(first=Min("queue"))["first"]


def ready() -> list[str]:
    """The names of the queues in which something could start now."""
    return [name for name in with_requests() if is_ready(name)]


def _log(answer: Enqueued, request: Execution) -> None:
    if log.isEnabledFor(logging.INFO):
        by = f"by {request.source} {request.requested_by}".strip()
        where = f"priority {request.priority}, queue {request.queue}, {by}"
        text = f"{answer.execution.pk} {answer.outcome}: {where}: {request.label}"
        log.info(
            "%s",
            printable(text),
            extra={
                "event": "request.answered",
                "execution": answer.execution.pk,
                "outcome": str(answer.outcome),
                "queue": request.queue,
                "priority": request.priority,
            },
        )


def _alias() -> str:
    return router.db_for_write(Execution)


def _connection() -> BaseDatabaseWrapper:
    connection: BaseDatabaseWrapper = connections[_alias()]
    return connection


def _in_ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
