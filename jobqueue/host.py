"""What the doctor asks this host: room, rights, programs."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from django.db import Error, connections, router

from . import conf, environments
from .commandline import printable
from .findings import Finding, error, warning
from .models import Cluster, Execution, Job

#: Bytes, and a part of the whole, that a disk should have free; with a tenth of that it is full.
ROOM, PART = 2 * 1024**3, 0.05
#: Of many of a kind, so many are told of one by one.
SHOWN = 10


@dataclass(frozen=True)
class Service:
    """The service of this host as its process shows it; without one, as it would be from here."""

    runs: bool
    uid: int
    groups: frozenset[int]
    #: Where it looks for programs, and where a bare command runs.
    path: str
    directory: str

    @classmethod
    def of_this_host(cls) -> Self:
        """The one that is alive here."""
        with suppress(Error, OSError, KeyError, ValueError):
            for one in Cluster.objects.alive():
                if one.is_here and not one.is_gone:
                    return cls._of_process(Path(f"/proc/{one.pid}"))
        groups = frozenset((os.getegid(), *os.getgroups()))
        return cls(False, os.geteuid(), groups, os.environ.get("PATH", os.defpath), os.getcwd())

    @classmethod
    def _of_process(cls, at: Path) -> Self:
        """As proc_pid_status(5) has it: of the ids, the second is the effective one."""
        lines = (at / "status").read_text().splitlines()
        said = {name: words.split() for name, _, words in (line.partition(":") for line in lines)}
        groups = frozenset(map(int, (said["Gid"][1], *said["Groups"])))
        path, directory = os.environ.get("PATH", os.defpath), os.getcwd()
        with suppress(OSError):  # of another user, as only root may look
            variables = (at / "environ").read_bytes().split(b"\0")
            path = next((os.fsdecode(v[5:]) for v in variables if v.startswith(b"PATH=")), path)
            directory = os.readlink(at / "cwd")
        return cls(True, int(said["Uid"][1]), groups, path, directory)

    def may_write(self, path: Path) -> bool:
        """By the bits of its mode, and as the kernel says if this process is of that user."""
        if self.uid == os.geteuid():
            return os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0))
        about = path.stat()
        shift = 6 if about.st_uid == self.uid else 3 if about.st_gid in self.groups else 0
        needed = 0o3 if stat.S_ISDIR(about.st_mode) else 0o2
        return self.uid == 0 or (about.st_mode >> shift) & needed == needed


def disk() -> Iterator[Finding]:
    """Room for logs, run files and, on SQLite, the database."""
    seen = set[int]()
    for path in filter(None, (_existing(conf.current().DATA_DIR), _database_file())):
        if (device := path.stat().st_dev) not in seen:
            seen.add(device)
            yield from _room(path)


def _room(path: Path) -> Iterator[Finding]:
    total, _, free = shutil.disk_usage(path)
    short = min(ROOM, PART * total)
    inodes = os.statvfs(path)
    if inodes.f_files and inodes.f_favail < PART * inodes.f_files / 10:
        what = f"The disk of {path} has hardly an inode left."
        yield error(what, "No log file can be made.", "Delete files, many of them.")
    if free >= short:
        return
    what = f"The disk of {path} has {free / 1024**3:.1f} GiB left of {total / 1024**3:.0f}."
    why = "Without room, output is lost and, on SQLite, nothing is queued."
    do = "Make room: `manage.py queue prune --days 7` goes before what the settings keep."
    yield (error if free < short / 10 else warning)(what, why, do)


def directories() -> Iterator[Finding]:
    """Whether the service may write its logs, run files and, on SQLite, the database."""
    settings, service = conf.current(), Service.of_this_host()
    places = [settings.DATA_DIR, settings.run_dir, settings.log_dir, *_newest(settings.log_dir)]
    if (database := _database_file()) is not None:
        beside = [database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm")]
        places += [database.parent, database, *(path for path in beside if path.exists())]
    for path in dict.fromkeys(map(_existing, places)):
        if not service.may_write(path):
            what = f"The service's user (uid {service.uid}) may not write to {path}."
            why = "A command of another user, such as root, has made it; or the disk is read-only."
            yield error(what, why, f"chown -R it to that user: chown -R '#{service.uid}' {path}")


def _newest(log_dir: Path) -> list[Path]:
    """The directories that logs are written to just now."""
    with suppress(OSError):
        numbers = sorted(int(p.name) for p in log_dir.iterdir() if p.name.isdecimal())
        return [log_dir / str(number) for number in numbers[-2:]]
    return []


def user() -> Iterator[Finding]:
    """That it isn't root."""
    service = Service.of_this_host()
    if service.runs and service.uid == 0:
        what = "The service runs as root."
        why = "So does each job: whoever may edit one may do anything to this host."
        yield warning(what, why, "Give it a user of its own: see deploy/README.md.")


def programs() -> Iterator[Finding]:
    """That those of all Jobs are on this host, as far as can be seen without running them."""
    jobs, service = Job.objects.filter(enabled=True), Service.of_this_host()
    broken = (finding for job in jobs for finding in _program(job, service))
    yield from islice(broken, SHOWN)
    if more := sum(1 for _ in broken):
        what = f"{more} more Jobs can't be started either."
        yield warning(what, "Their runs would fail.", "Mend the first ones, then ask again.")


def _program(job: Job, service: Service) -> Iterator[Finding]:
    try:
        run = environments.resolve(job.environment, job.argv, job.env, job.working_directory)
    except ValueError as refusal:
        what = f"Job {job} is refused: {printable(str(refusal))}"
        yield error(what, "No run of it starts.", "Mend the Job, or the settings.")
        return
    directory, program = run.working_directory or service.directory, run.argv[0]
    why = "Its runs would fail here."
    do = "Install it, mend the Job, or disable it. If it's on another host only, ask there."
    if not os.path.isdir(directory):
        yield warning(f"Job {job}: there is no directory {printable(directory)}.", why, do)
    elif run.find_program(directory, service.path) is None:
        what = f"there is no program {printable(program)} in PATH"
        if "/" in program:
            what = f"{printable(os.path.join(directory, program))} is no program"
        yield warning(f"Job {job}: {what}.", why, do)


def _existing(path: Path) -> Path:
    """It, or what it would be made in."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _database_file() -> Path | None:
    connection = connections[router.db_for_write(Execution)]
    name = Path(str(connection.settings_dict["NAME"]))
    return name.absolute() if connection.vendor == "sqlite" and name.exists() else None
