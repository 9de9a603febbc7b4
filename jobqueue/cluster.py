"""What we know of the django-q2 cluster that this process belongs to, and mend in it.

django-q2 tells its workers neither that the cluster is stopping nor that other tasks wait for
them. Both are in the arguments of its processes, which a forked worker can read.

A cluster of which a process is killed must neither wait for it nor live on in parts: its locks
are ones that the kernel takes back, and its processes die with the one that started them. The jobs
live on, see :mod:`jobqueue.launcher`.

All knowledge of django-q2's insides is in this module, and ``tests/integration/test_cluster.py``
holds it against the installed version.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from .locks import KernelLock


@dataclass(frozen=True)
class Identity:
    """A cluster: django-q2's id of it, and the process id of ``manage.py qcluster``."""

    uuid: UUID
    pid: int


#: What a wake-up has a worker call.
TURN = "jobqueue.worker.take_turn"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_stop_event: Any = None
_identity: Identity | None = None
_sentinel: int | None = None
_busy = False
_at_the_end: Callable[[], None] | None = None


def identity() -> Identity | None:
    """The cluster that this worker belongs to; None outside of one."""
    return _identity


def name(cluster: Identity) -> str:
    """The name that django-q2 gives this cluster in its own log."""
    from django_q.humanhash import humanize

    return str(humanize(cluster.uuid.hex))


def workers() -> int:
    """How many workers this cluster has."""
    from django_q.conf import Conf

    return int(Conf.WORKERS)


def serves(name: str | None) -> bool:
    """Whether this process is of the cluster that the wake-ups go to (None: the default one)."""
    from django_q.conf import Conf

    return bool((name or default_name()) == Conf.CLUSTER_NAME)


def default_name() -> str:
    """The name of the host's own cluster, also as seen from one of its ``ALT_CLUSTERS``."""
    from django_q.conf import Conf

    return str(getattr(settings, "Q_CLUSTER", {}).get("cluster_name", Conf.PREFIX))


def stopping() -> bool:
    """Whether the cluster was asked to stop; False outside of one.

    Without the event's lock: nobody gives it back if a worker is killed that holds it.
    """
    return _stop_event is not None and bool(_stop_event._flag.get_value())


def wanted() -> bool:
    """Whether another task, or the order to stop, waits for a worker. True if that is unknown."""
    try:
        return not multiprocessing.current_process()._args[0].empty()  # type: ignore[attr-defined]
    except (AttributeError, IndexError, OSError):
        return True


class OwnTasks:
    """In a worker, to send tasks to: as django-q2's brokers, but past the other clusters.

    What is sent through a broker may be taken by a cluster whose workers are all busy.
    """

    list_key = "this cluster"

    def enqueue(self, package: str) -> None:
        """Have a worker of this cluster take the task.

        Raises:
            queue.Full: as many wait as there is room for.
        """
        from django_q.conf import Conf
        from django_q.signing import SignedPackage

        task = SignedPackage.loads(package)
        task["cluster"] = Conf.CLUSTER_NAME
        multiprocessing.current_process()._args[0].put_nowait(task)  # type: ignore[attr-defined]


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


def _before_fork() -> None:
    process = multiprocessing.current_process()
    if getattr(getattr(process, "_target", None), "__name__", "") == "Sentinel":
        _prepare_sentinel(process)
    elif (main := _main()) is not None:
        _prepare_main(main)


def _after_fork_in_child() -> None:
    """In what the sentinel has forked: a worker, the pusher or the monitor."""
    global _sentinel
    if _sentinel is None:
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # django-q2 terminates some of them
    _die_with(_sentinel)
    _sentinel = None  # what a worker forks is its own business


def _main() -> Any:
    """django-q2's Cluster object, in the main process of ``manage.py qcluster``."""
    handler = signal.getsignal(signal.SIGTERM)
    owner = getattr(handler, "__self__", None)
    return owner if type(owner).__module__ == "django_q.cluster" else None


def _prepare_main(main: Any) -> None:
    """In the main process, before it forks the sentinel."""
    from django_q import cluster

    cluster.Queue, cluster.Value = _sturdy_queue(cluster.Queue), _sturdy_value

    def stop_once(number: int, frame: Any) -> None:
        for other in (signal.SIGTERM, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)  # a second one in the midst of it would hang it
        main.sig_handler(number, frame)
        if _at_the_end is not None:
            _at_the_end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop_once)


def _prepare_sentinel(process: Any) -> None:
    """In the sentinel, before it forks: keep what its workers must know."""
    global _stop_event, _identity, _sentinel
    if _sentinel is not None:
        return
    stop_event, _start_event, uuid = process._args[:3]
    _sentinel = os.getpid()
    _stop_event, _identity = stop_event, Identity(uuid, process._parent_pid)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as SIGINT: main tells it when to stop
    _die_with(process._parent_pid)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent has died."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it had died before


def _sturdy_queue(queue: Any) -> Any:
    """django-q2's queue with locks that a killed process gives back."""

    def new(*arguments: Any, **options: Any) -> Any:
        made = queue(*arguments, **options)
        made._rlock, made._wlock = KernelLock(), KernelLock()
        made.size.count = _sturdy_value("i", 0)
        return made

    return new


def _sturdy_value(kind: str, value: float) -> Any:
    lock: Any = KernelLock()
    return multiprocessing.Value(kind, value, lock=lock)


def _set_busy(**_: object) -> None:
    global _busy
    _busy = True


def _set_idle(**_: object) -> None:
    global _busy
    _busy = False


def watch(at_the_end: Callable[[], None]) -> None:
    """Start to watch, once in a process that may become a cluster.

    Args:
        at_the_end: called in its main process when all others have ended in good order.
    """
    global _at_the_end
    _at_the_end = at_the_end
    from django_q.signals import post_execute_in_worker, pre_execute

    pre_execute.connect(_set_busy, dispatch_uid="jobqueue.busy")
    post_execute_in_worker.connect(_set_idle, dispatch_uid="jobqueue.idle")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
