"""Ready files become a request and part of the ledger, both or neither."""

from __future__ import annotations

import pytest

from dirmonitor import dispatch, ledger
from dirmonitor.models import DirMonitor
from jobqueue import queue
from jobqueue.api import ADDED, DUPLICATE, PROMOTED, Execution, NotQueued, enqueue
from tests.builders import a_job, a_monitor

pytestmark = [pytest.mark.database, pytest.mark.django_db]

NAME = b"/in/\xff\n'%" + b"x" * 200
FILES = {b"/in/a": (1, 2, 3), NAME: (2**64 - 1, 2**40, 10**18)}


def test_the_ledger_has_what_was_queued() -> None:
    monitor = a_monitor("/in")
    answer = dispatch.hand_over(monitor.pk, FILES, {})
    assert answer is not None
    assert answer.outcome is ADDED
    assert ledger.known(monitor.pk) == FILES
    monitor.refresh_from_db()
    assert monitor.last_execution == answer.execution
    details = Execution.objects.get().details
    assert details == {"files": ["/in/a", "/in/\\xff\n'%" + "x" * 200], "count": 2}


def test_a_run_that_waits_already_serves() -> None:
    monitor = a_monitor("/in")
    dispatch.hand_over(monitor.pk, FILES, {})
    answer = dispatch.hand_over(monitor.pk, {b"/in/b": (1, 1, 1)}, FILES)
    assert answer is not None
    assert answer.outcome is DUPLICATE
    assert set(ledger.known(monitor.pk)) == {*FILES, b"/in/b"}
    details = Execution.objects.get().details
    assert details == {"files": ["/in/a", "/in/\\xff\n'%" + "x" * 200, "/in/b"], "count": 3}


def test_a_run_that_waits_and_is_promoted_names_both() -> None:
    job = a_job()
    waiting = enqueue(job, priority=9, details={"asked by": "hand"}).execution
    monitor = a_monitor("/in", job=job, priority=1)
    answer = dispatch.hand_over(monitor.pk, {b"/in/b": (1, 1, 1)}, {})
    assert answer is not None
    assert (answer.outcome, answer.execution) == (PROMOTED, waiting)
    waiting.refresh_from_db()
    joined = {"files": ["/in/b"], "count": 1, "joined": [monitor.name]}
    assert waiting.details == {"asked by": "hand", **joined}


def test_monitors_that_join_a_request_that_waits_are_named_once() -> None:
    job = a_job()
    for name in ("One", "Two", "Three", "Two", "One"):
        monitor = DirMonitor.objects.filter(name=name).first()
        monitor = monitor or a_monitor("/in", job=job, name=name)
        dispatch.hand_over(monitor.pk, {f"/in/{name}".encode(): (1, 1, 1)}, {})
    execution = Execution.objects.get()
    assert (execution.requested_by, execution.details["joined"]) == ("One", ["Two", "Three"])


def test_a_run_that_goes_on_is_no_longer_added_to() -> None:
    monitor = a_monitor("/in")
    dispatch.hand_over(monitor.pk, FILES, {})
    assert queue.claim("default") is not None
    answer = dispatch.hand_over(monitor.pk, {b"/in/b": (1, 1, 1)}, FILES)
    assert answer is not None
    assert answer.outcome is ADDED
    assert [row.details["count"] for row in Execution.objects.order_by("pk")] == [2, 1]


def test_files_that_are_added_name_a_hundred_in_all() -> None:
    many = {b"/in/%04d" % number: (1, 1, 1) for number in range(99)}
    more = {b"/in/0000": (1, 1, 2), b"/in/z": (1, 1, 1), b"/in/zz": (1, 1, 1)}
    details = dispatch.with_files(dispatch.details(many), more)
    assert (len(details["files"]), details["files"][-1], details["count"]) == (100, "/in/z", 101)


def test_what_another_service_has_handed_over_is_done() -> None:
    monitor = a_monitor("/in")
    dispatch.hand_over(monitor.pk, FILES, {})
    assert dispatch.hand_over(monitor.pk, FILES, {}) is None


def test_what_was_rewritten_and_looks_the_same_is_not() -> None:
    monitor = a_monitor("/in")
    dispatch.hand_over(monitor.pk, FILES, {})
    assert dispatch.hand_over(monitor.pk, FILES, known=FILES) is not None


def test_a_refusal_notes_nothing() -> None:
    monitor = a_monitor("/in", job=a_job(enabled=False))
    with pytest.raises(NotQueued):
        dispatch.hand_over(monitor.pk, FILES, {})
    assert ledger.known(monitor.pk) == {}


def test_a_monitor_that_was_disabled_or_deleted_meanwhile_queues_nothing() -> None:
    monitor = a_monitor("/in")
    DirMonitor.objects.update(enabled=False)
    assert dispatch.hand_over(monitor.pk, FILES, {}) is None
    pk = monitor.pk
    monitor.delete()
    assert dispatch.hand_over(pk, FILES, {}) is None


def test_what_is_gone_is_forgotten() -> None:
    monitor = a_monitor("/in")
    dispatch.hand_over(monitor.pk, FILES, {})
    ledger.forget(monitor.pk, [NAME, b"/in/never"])
    assert set(ledger.known(monitor.pk)) == {b"/in/a"}


def test_a_hundred_files_are_named_and_all_counted() -> None:
    files = {b"/in/%04d" % number: (1, 1, 1) for number in range(1200)}
    details = dispatch.details(files)
    assert (len(details["files"]), details["count"]) == (100, 1200)
