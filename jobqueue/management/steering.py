"""``queue cancel``, ``stop``, ``priority`` and ``ack``: each execution is told of in one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from .. import api
from ..commandline import printable
from ..models import Execution, Source, State
from .base import login_name
from .console import Console

#: Seconds for which `stop` waits: a job gets ten between SIGTERM and SIGKILL.
PATIENCE, LOOK = 15.0, 0.2
#: What becomes of a recovery run, and of the files that it's there for.
_IF_STOPPED = (
    "stopped, it is queued again at once, and until it has run through, files may be lost if an "
    "engine is started by hand"
)
_IF_CANCELLED = (
    "cancelled, it isn't queued again, and files may be lost when an engine is started next"
)


def cancel(ids: Sequence[str], console: Console, force: bool) -> int:
    """Take waiting ones off their queues; 1 if that couldn't be done with all."""
    found = (e for e in _find(ids, console) if force or _may_end(e, State.WAITING, console))
    done = [_cancel(execution, console) for execution in found]
    return _code(done, ids)


def stop(ids: Sequence[str], console: Console, wait: bool, force: bool) -> int:
    """Have running ones stopped, and see to their end; 1 if that couldn't be done with all."""
    found = (e for e in _find(ids, console) if force or _may_end(e, State.RUNNING, console))
    asked = [e for e in found if _ask_to_stop(e, console)]
    done = [_see_to_end(e, console) for e in asked] if wait else [True for _ in asked]
    return _code(done, ids)


def set_priority(typed_id: str, priority: int, console: Console) -> int:
    """Give a waiting one another priority."""

    def change(execution: Execution) -> bool:
        return api.set_priority(execution, priority, login_name())

    for execution in _find([typed_id], console):
        if execution.source == Source.RECOVERY and execution.state == State.WAITING:
            console.note(f"Execution {execution.pk} is a recovery run: it goes before all others.")
        elif _change(execution, change, State.WAITING, console):
            console.say(f"Execution {execution.pk} has priority {priority} now.")
            return 0
    return 1


def acknowledge(ids: Sequence[str], note: str, console: Console) -> int:
    """Note that somebody is on runs that went wrong; 1 if that couldn't be done with all.

    Raises:
        ValueError: the note can't be stored.
    """

    def change(execution: Execution) -> bool:
        return api.acknowledge(execution, login_name(), note)

    return _tell_each(ids, console, change, "Acknowledged", "it has not gone wrong")


def withdraw(ids: Sequence[str], console: Console) -> int:
    """Take acknowledgements back; 1 if that couldn't be done with all."""

    def change(execution: Execution) -> bool:
        return api.withdraw_acknowledgement(execution, login_name())

    return _tell_each(ids, console, change, "Taken back", "it isn't acknowledged")


def _tell_each(
    ids: Sequence[str],
    console: Console,
    change: Callable[[Execution], bool],
    done: str,
    obstacle: str,
) -> int:
    changed = []
    for execution in _find(ids, console):
        what = f"execution {execution.pk} ({printable(execution.label)})"
        if change(execution):
            console.say(f"{done}: {what}.")
            changed.append(True)
        else:
            console.note(f"Nothing was changed of {what}: {obstacle}.")
    return _code(changed, ids)


def _find(ids: Sequence[str], console: Console) -> Iterator[Execution]:
    """The executions with these numbers; what is none gets its line."""
    for typed in ids:
        pk = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 19 else None
        execution = Execution.objects.defer("log_tail").filter(pk=pk).first() if pk else None
        if execution is None:
            console.note(f"There is no execution {printable(typed)}.")
        else:
            yield execution


def _may_end(execution: Execution, state: State, console: Console) -> bool:
    """Whether it can be ended without another word: a recovery run in this state can't."""
    if execution.source != Source.RECOVERY or execution.state != state:
        return True
    then = _IF_STOPPED if state == State.RUNNING else _IF_CANCELLED
    console.note(f"Execution {execution.pk} is a recovery run: {then}. --force does it.")
    return False


def _cancel(execution: Execution, console: Console) -> bool:
    def change(this: Execution) -> bool:
        return api.cancel(this, login_name())

    done = _change(execution, change, State.WAITING, console)
    if done:
        console.say(f"Cancelled: execution {execution.pk} ({printable(execution.label)}).")
    return done


def _ask_to_stop(execution: Execution, console: Console) -> bool:
    def change(this: Execution) -> bool:
        return api.request_stop(this, login_name())

    done = _change(execution, change, State.RUNNING, console)
    if done:
        what = f"execution {execution.pk} ({printable(execution.label)})"
        console.say(f"Stopping {what}: SIGTERM now, SIGKILL to what is left in 10 s.")
    return done


def _change(
    execution: Execution, change: Callable[[Execution], bool], wanted: State, console: Console
) -> bool:
    """Make a change; a line on why it can't be made."""
    if change(execution):
        return True
    execution.refresh_from_db(fields=["state"])
    hint = {
        State.RUNNING: f"; `queue stop {execution.pk}` stops it",
        State.WAITING: f"; `queue cancel {execution.pk}` takes it off the queue",
    }.get(State(execution.state), "")
    is_now = {State.RUNNING: "runs", State.WAITING: "waits"}.get(
        State(execution.state), f"has ended ({execution.state.replace('_', ' ')})"
    )
    needed = "waits" if wanted == State.WAITING else "runs"
    console.note(f"Execution {execution.pk} {is_now}: that can be done while one {needed}{hint}.")
    return False


def _see_to_end(execution: Execution, console: Console) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        execution.refresh_from_db(fields=["state", "reason"])
        if not execution.is_open:
            state = execution.state.replace("_", " ")
            reason = f": {printable(execution.reason)}" if execution.reason else ""
            console.say(f"Execution {execution.pk} {state}{reason}.")
            return True
        console.progress(f"Waiting for the end of execution {execution.pk}.")
        time.sleep(LOOK)
    console.note(
        f"Execution {execution.pk} has not ended yet: its worker may be away. "
        "The order to stop stays; look at `queue status`."
    )
    return False


def _code(done: Sequence[bool], ids: Sequence[str]) -> int:
    return 0 if sum(done) == len(ids) else 1
