"""Several programs in the foreground, ended together."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def supervise(
    programs: Mapping[str, Sequence[str]],
    *,
    pass_fds: Sequence[int] = (),
    on_stop: Callable[[], None],
    on_impatience: Callable[[], None],
) -> int:
    """Run all until a signal comes or one of them ends; then end the others with SIGTERM.

    The first Ctrl-C (SIGINT, SIGTERM, SIGHUP) stops them and calls ``on_stop``, the second calls
    ``on_impatience``, the third kills.

    Args:
        programs: name to argv.
        pass_fds: file descriptors that the programs inherit.

    Returns:
        0 if they were asked to end and ended well, else 1.
    """
    return asyncio.run(_Supervisor(programs, pass_fds, on_stop, on_impatience).run())


class _Supervisor:
    def __init__(
        self,
        programs: Mapping[str, Sequence[str]],
        pass_fds: Sequence[int],
        on_stop: Callable[[], None],
        on_impatience: Callable[[], None],
    ):
        self.programs = programs
        self.pass_fds = pass_fds
        self.reactions = [on_stop, on_impatience]
        self.signals = 0
        self.asked = asyncio.Event()
        self.running: dict[str, Process] = {}
        self.talks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.on_signal)
        for name, argv in self.programs.items():
            await self.start(name, argv)
        ends = {asyncio.create_task(p.wait(), name=name) for name, p in self.running.items()}
        asked = asyncio.create_task(self.asked.wait())
        done, _ = await asyncio.wait({*ends, asked}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {asked}:
            say(f"{task.get_name()} ended by itself ({task.result()}).")
        self.send(signal.SIGTERM)
        codes = await asyncio.gather(*ends)
        asked.cancel()
        # SIGTERM can come before a program has installed its handler.
        ended_well = all(code in (0, -signal.SIGTERM) for code in codes)
        return 0 if ended_well and not done - {asked} else 1

    async def start(self, name: str, argv: Sequence[str]) -> None:
        # A session of its own: a terminal's Ctrl-C reaches only us, and we say what happens.
        self.running[name] = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=self.pass_fds,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def on_signal(self) -> None:
        self.signals += 1
        if self.signals > len(self.reactions):
            self.send(signal.SIGKILL)
            return
        self.asked.set()
        reaction = self.reactions[self.signals - 1]
        talk = asyncio.create_task(asyncio.to_thread(reaction))
        self.talks.add(talk)
        talk.add_done_callback(self.talks.discard)

    def send(self, number: int) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.send_signal(number)


def _end_with_parent() -> None:
    # If we are killed with SIGKILL, the kernel asks the programs to end.
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
