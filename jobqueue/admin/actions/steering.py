"""Change what waits, runs or went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from django.contrib import messages
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ... import api, queue
from ...models import Execution, Source, State
from .budget import STEP, Budget, tell_left
from .telling import NAMED, list_of, record, tell, user_name

#: Given rows and who asks, it changes those that it can, and gives these.
Change = Callable[[Sequence[Execution], str], list[Execution]]

_NOT_WAITING = gettext_lazy("Nothing was changed where it doesn't wait any more: {executions}.")
_NONE_WAITS = gettext_lazy("None of them waits any more.")
_NOT_RUNNING = gettext_lazy("Nothing was changed where it doesn't run any more: {executions}.")


def cancel(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Take waiting requests off their queues."""

    def done(count: int) -> str:
        return ngettext(
            "{executions} was cancelled.", "{count} executions were cancelled: {executions}.", count
        )

    change, late = queue.cancel_all, str(_NOT_WAITING)
    _steer(request, executions, change, "Cancelled.", done, late, none=str(_NONE_WAITS))


def stop(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Have running ones stopped by their workers."""

    def done(count: int) -> str:
        return ngettext(
            "{executions} is being stopped; it has 10 seconds to end by itself.",
            "{count} executions are being stopped: {executions}.",
            count,
        )

    change, late = _each(api.request_stop), str(_NOT_RUNNING)
    none = _("None of them runs any more.")
    _steer(request, executions, change, "Stop.", done, late, none=none)


def tell_not_waiting(request: HttpRequest, execution: Execution) -> None:
    """Say that it is too late to cancel it."""
    _tell_late(request, [execution.pk], str(_NOT_WAITING))


def tell_not_running(request: HttpRequest, execution: Execution) -> None:
    """Say that it is too late to stop it."""
    _tell_late(request, [execution.pk], str(_NOT_RUNNING))


def set_priority(request: HttpRequest, executions: Iterable[Execution], priority: int) -> None:
    """Give waiting requests another priority.

    Raises:
        NotQueued: that is no priority.
    """

    def change(this: Execution, by: str) -> bool:
        return api.set_priority(this, priority, by)

    def done(count: int) -> str:
        text = ngettext(
            "{executions} has priority %d now.",
            "{count} executions have priority %d now: {executions}.",
            count,
        )
        return text % priority

    late = _(
        "Nothing was changed where it doesn't wait any more, or is a recovery run, which goes "
        "before all others: {executions}."
    )
    note, none = f"Priority {priority}.", str(_NONE_WAITS)
    _steer(request, executions, _each(change), note, done, late, none=none)


def acknowledge_runs(request: HttpRequest, executions: Iterable[Execution], note: str) -> None:
    """Have colleagues see that somebody is on runs that went wrong."""

    def change(this: Execution, by: str) -> bool:
        return api.acknowledge(this, by, note)

    def done(count: int) -> str:
        return ngettext(
            "{executions} is acknowledged.",
            "{count} executions are acknowledged: {executions}.",
            count,
        )

    logged = f"Acknowledged. {note}".strip()
    late = _("Nothing was changed where nothing has gone wrong: {executions}.")
    none = _("None of them has gone wrong.")
    _steer(request, executions, _each(change), logged, done, late, none=none)


def withdraw_acknowledgement(request: HttpRequest, executions: Iterable[Execution]) -> None:
    """Take acknowledgements back."""

    def done(_count: int) -> str:
        return _("{executions} isn't acknowledged any more.")

    change, note = _each(api.withdraw_acknowledgement), "Acknowledgement taken back."
    late = _("Nothing was changed where nobody has acknowledged: {executions}.")
    _steer(request, executions, change, note, done, late)


def left_out(request: HttpRequest, executions: QuerySet[Execution]) -> SafeString | str:
    """Which of those that were selected aren't meant, and their states; "" if all are."""
    rows = executions.values_list("pk", "state", "source")[: NAMED + 1]
    named = [(pk, ", ".join(_words(state, source))) for pk, state, source in rows]
    return format_html(_("Left out: {}."), list_of(request, named)) if named else ""


def _each(change: Callable[[Execution, str], bool]) -> Change:
    """Change one after the other."""
    return lambda rows, by: [row for row in rows if change(row, by)]


def _words(state: str, source: str) -> Iterator[str]:
    yield str(State(state).label)
    if source == Source.RECOVERY:
        yield str(Source.RECOVERY.label)


def _steer(
    request: HttpRequest,
    executions: Iterable[Execution],
    change: Change,
    note: str,
    done_text: Callable[[int], str],
    late_text: str,
    *,
    none: str = "",
) -> None:
    """Change them, note it, and tell which were changed and which had changed by themselves.

    What doesn't fit into the budget is left as it was, which is told, too; and that there was
    none at all, as where the same was done in another window.
    """
    budget, rows, who = Budget(), list(executions), user_name(request)
    if not rows:
        tell(request, messages.WARNING, none)
        return
    done: list[int] = []
    left: list[Execution] = []
    for start in range(0, len(rows), STEP):
        if start and budget.is_spent:
            rows, left = rows[:start], rows[start:]
            break
        with transaction.atomic(using=router.db_for_write(Execution)):
            changed = change(rows[start : start + STEP], who)
            record(request, changed, note)
        done += [row.pk for row in changed]
    late = sorted({row.pk for row in rows} - set(done))
    if done:
        listed = list_of(request, [(pk, "") for pk in done])
        text = done_text(len(done))
        tell(request, messages.SUCCESS, text, count=len(done), executions=listed)
    if late:
        _tell_late(request, late, late_text)
    tell_left(request, [row.pk for row in left])


def _tell_late(request: HttpRequest, pks: Sequence[int], text: str) -> None:
    """Say of which nothing was changed, and what has become of each."""
    rows = Execution.objects.filter(pk__in=pks[:NAMED])
    states = {row.pk: row.get_state_display() for row in rows}
    listed = list_of(request, [(pk, states.get(pk, _("deleted"))) for pk in pks])
    tell(request, messages.WARNING, text, executions=listed)
