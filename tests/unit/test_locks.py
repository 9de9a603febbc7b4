"""Locks between processes that are killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jobqueue.locks import KernelLock

PATIENCE = 90  # seconds that a slow machine is given
_FORK: Any = multiprocessing.get_context("fork")


def hold(lock: KernelLock, taken: Any) -> None:
    lock.acquire()
    taken.set()
    signal.pause()


@contextmanager
def another_process(does: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    process = _FORK.Process(target=does, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def test_only_one_process_has_it() -> None:
    lock, taken = KernelLock(), _FORK.Event()
    with another_process(hold, lock, taken):
        assert taken.wait(PATIENCE)
        assert not lock.acquire(block=False)
        assert not lock.acquire(timeout=0.05)


def test_only_one_thread_has_it() -> None:
    lock, tries = KernelLock(), []
    with lock:
        other = threading.Thread(target=lambda: tries.append(lock.acquire(timeout=0.05)))
        other.start()
        other.join()
    assert tries == [False]
    assert lock.acquire(block=False)


def test_a_new_process_does_not_have_it_because_a_thread_of_the_old_one_has() -> None:
    lock, taken = KernelLock(), _FORK.Event()
    with lock:
        starts = another_process(hold, lock, taken)
        process = threading.Thread(target=starts.__enter__)
        process.start()
        process.join()
    try:
        assert taken.wait(PATIENCE)
    finally:
        starts.__exit__(None, None, None)


def test_one_that_was_killed_gives_it_back() -> None:
    lock, taken = KernelLock(), _FORK.Event()
    with another_process(hold, lock, taken) as process:
        assert taken.wait(PATIENCE)
        os.kill(process.pid, signal.SIGKILL)
        assert lock.acquire(timeout=PATIENCE)


def test_it_can_be_taken_again_by_the_one_who_has_it() -> None:
    lock, taken = KernelLock(), _FORK.Event()
    with lock, lock:
        pass
    with another_process(hold, lock, taken):
        assert taken.wait(PATIENCE)


def test_given_back_as_often_as_it_was_taken() -> None:
    lock, taken = KernelLock(), _FORK.Event()
    with lock, another_process(hold, lock, taken):
        with lock:
            pass
        assert not taken.wait(0.2)


def test_it_guards_a_shared_value() -> None:
    value = multiprocessing.Value("i", 5, lock=KernelLock())  # type: ignore[call-overload]
    with value.get_lock():
        value.value += 1
    assert value.value == 6
