"""What we know of the django-q2 cluster that this process belongs to.

django-q2 tells its workers neither that the cluster is stopping nor that other tasks wait for
them. Both are in the arguments of its processes, which a forked worker can read; all knowledge of
its insides is in this module, and ``tests/integration/test_cluster.py`` holds it against the
installed version.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings


@dataclass(frozen=True)
class Identity:
    """A cluster: django-q2's id of it, and the process id of ``manage.py qcluster``."""

    uuid: UUID
    pid: int


#: What a wake-up has a worker call.
TURN = "jobqueue.worker.take_turn"

_stop_event: Any = None
_identity: Identity | None = None
_busy = False


def identity() -> Identity | None:
    """The cluster that this worker belongs to; None outside of one."""
    return _identity


def name(cluster: Identity) -> str:
    """The name that django-q2 gives this cluster in its own log."""
    from django_q.humanhash import humanize

    return str(humanize(cluster.uuid.hex))


def serves(name: str | None) -> bool:
    """Whether this process is of the cluster that the wake-ups go to (None: the default one)."""
    from django_q.conf import Conf

    return bool((name or default_name()) == Conf.CLUSTER_NAME)


def default_name() -> str:
    """The name of the host's own cluster, also as seen from one of its ``ALT_CLUSTERS``."""
    from django_q.conf import Conf

    return str(getattr(settings, "Q_CLUSTER", {}).get("cluster_name", Conf.PREFIX))


def stopping() -> bool:
    """Whether the cluster was asked to stop; False outside of one."""
    return _stop_event is not None and _stop_event.is_set()


def wanted() -> bool:
    """Whether another task, or the order to stop, waits for a worker. True if that is unknown."""
    try:
        return not multiprocessing.current_process()._args[0].empty()  # type: ignore[attr-defined]
    except (AttributeError, IndexError, OSError):
        return True


def idle() -> bool:
    """Whether this worker has no task, ours or another, at the moment."""
    return not _busy


def hold_on() -> None:
    """In a worker: let a SIGTERM to the whole process group end the cluster in good order.

    It is for the main process, which then has the jobs end in their own time. A task of the host
    can still be terminated.
    """
    from django_q.signals import post_execute_in_worker, pre_execute

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pre_execute.connect(_be_terminable, dispatch_uid="jobqueue.terminable")
    post_execute_in_worker.connect(_ignore_sigterm, dispatch_uid="jobqueue.ignore")


def _be_terminable(*, task: dict[str, Any], **_: object) -> None:
    if task.get("func") != TURN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _ignore_sigterm(**_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _restore_sigterm() -> None:
    """After a fork of the sentinel: its pusher and monitor can be terminated as ever."""
    if _identity is not None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _remember_sentinel() -> None:
    """Before a fork: if this process is the sentinel, keep what its workers must know."""
    global _stop_event, _identity
    process = multiprocessing.current_process()
    if getattr(getattr(process, "_target", None), "__name__", "") == "Sentinel":
        stop_event, _start_event, uuid = process._args[:3]  # type: ignore[attr-defined]
        _stop_event, _identity = stop_event, Identity(uuid, os.getppid())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as SIGINT: main tells it when to stop


def _set_busy(**_: object) -> None:
    global _busy
    _busy = True


def _set_idle(**_: object) -> None:
    global _busy
    _busy = False


def watch() -> None:
    """Start to watch, once in a process that may become a cluster."""
    from django_q.signals import post_execute_in_worker, pre_execute

    pre_execute.connect(_set_busy, dispatch_uid="jobqueue.busy")
    post_execute_in_worker.connect(_set_idle, dispatch_uid="jobqueue.idle")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_remember_sentinel, after_in_child=_restore_sigterm)
