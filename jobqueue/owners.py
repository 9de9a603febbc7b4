"""Who a run belongs to: a process, told from any other on any host at any time.

Its *place* is where process ids mean the same and run files are found: a host since its last start,
within it a namespace of process ids, of which each container has its own, and a data directory.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

from . import conf, launcher

_TEXT = re.compile(r"(.*):(\d+)-(\d+)(/(\d+)-(\d+))?", re.DOTALL)


@dataclass(frozen=True)
class Owner:
    """A process that runs jobs; as text it's in each row that it runs.

    place     host, start of its kernel, namespace of process ids, data directory
    pid       its process id there, and when it was started, in clock ticks after the boot: the
              number may be used again
    launched  the same of the process whose launcher has the run, if that was another one
    """

    place: str
    pid: int
    started: int
    launched: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The owner that a row names; if it names none, nobody, who is at no place."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return cls("", 0, 0)
        launched = (int(match[5]), int(match[6])) if match[4] else None
        return cls(match[1], int(match[2]), int(match[3]), launched)

    def __str__(self) -> str:
        launched = "/{}-{}".format(*self.launched) if self.launched else ""
        return f"{self.place}:{self.pid}-{self.started}{launched}"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process that this one could see."""
        return self.place == here()

    @property
    def lives(self) -> bool:
        """Whether it's still there; to be asked of an owner that is here."""
        stat = launcher.process_stat(self.pid)
        return stat is not None and stat[0] and stat[2] == self.started

    @property
    def run_path(self) -> Path:
        """The run file: which run goes on, and how it ended."""
        pid, started = self.launched or (self.pid, self.started)
        return conf.current().run_dir / f"{short(self.place)}-{pid}-{started}.run"

    def heir(self) -> Owner:
        """This process, with the run of that one."""
        return replace(me(), launched=self.launched or (self.pid, self.started))


def me() -> Owner:
    """This process."""
    pid = os.getpid()
    return Owner(here(), pid, _started(pid))


def here() -> str:
    """This place."""
    settings = conf.current()
    return f"{settings.HOST}:{_boot()}.{_directory(settings.DATA_DIR)}"


def lease_path() -> Path:
    """The file that tells the launchers of this place until when runs may go on."""
    return conf.current().run_dir / f"{short(here())}.lease"


@cache
def short(place: str) -> str:
    """A name for a place or a directory, that fits into others."""
    return sha256(place.encode(errors="surrogateescape")).hexdigest()[:12]


@cache
def _directory(path: Path) -> str:
    return short(os.path.realpath(path))


@cache
def _started(pid: int) -> int:
    return launcher.started(pid)


@cache
def _boot() -> str:
    """The start of the kernel and the namespace of process ids; "" where there is no Linux."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot_id}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
