"""The genuine Bots engine for acceptance tests: bots-ediint from PyPI, with routes to run.

``python tests/realbots/install.py DIR`` makes ``DIR`` and prints command lines to try; it may be
repeated. Tests call :func:`install`. The virtual environment is shared and kept (``$REALBOTS``,
else in the checkout's ``.venv``, else in the temporary directory); all else is in ``DIR``.

Bots 3.3.1 needs Django 2.2, so a Python from 3.7 to 3.11: ``$REALBOTS_PYTHON``, or one from PATH
or pyenv.
"""

from __future__ import annotations

import fcntl
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.7")
#: Bots imports what Django 3 no longer has.
PACKAGES = ("bots-ediint==3.3.1", "Django==2.2.*")

ORDERS_EDIFACT = (
    "UNB+UNOA:2+BUYER+SUPPLIER+260105:0815+77'UNH+1+ORDERS:D:96A:UN'"
    "BGM+220+4711+9'UNT+3+1'UNZ+1+77'\n"
)
ORDERS_CSV = "4711,SCREW-M4,200\n4712,NUT-M4,50\n"
#: What the route ``translate`` makes of ORDERS_CSV.
PICKLIST_CSV = "SCREW-M4;200;4711\nNUT-M4;50;4712\n"

#: Route -> the name and text of a file for it.
SAMPLES = {
    "copy": ("orders.edi", ORDERS_EDIFACT),
    "pieces": ("orders.edi", ORDERS_EDIFACT),
    "slow": ("orders.edi", ORDERS_EDIFACT),
    "translate": ("orders.csv", ORDERS_CSV),
    "faulty": ("picklist.csv", PICKLIST_CSV),
}

_SETTINGS = """\
from bots.config.settings import *

DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {database!r}}}}}
MANAGERS = ()
TIME_ZONE = 'UTC'
SECRET_KEY = 'of a test'
"""
_BOTS_INI = """\
[settings]
port = {port}
log_console = True
log_file_number = 10
sendreportiferror = False
sendreportifprocesserror = False

[webserver]
environment = development

[jobqueue]
enabled = True

[dirmonitor1]
path = {directory}/in/copy
filemask = *.edi
route = copy

[dirmonitor2]
path = {directory}/in/pieces
route = pieces

[directories]
botssys = {directory}/data
usersys = usersys

[charsets]
unoc = latin_1
unoy = utf_8
"""


class NotInstallableError(Exception):
    """Bots can't be had on this machine; says why in one line."""


@dataclass(frozen=True)
class RealBots:
    """An installed Bots: what to run, and where its files are."""

    directory: Path
    #: The TCP port on 127.0.0.1 that an engine holds while it runs.
    port: int

    @property
    def ini(self) -> Path:
        """The bots.ini of the configuration that works."""
        return self.directory / "conf" / "bots.ini"

    def engine(self, *words: str, configuration: str = "conf") -> list[str]:
        """The argv of bots-engine with these options and routes."""
        program = self.directory / "venv" / "bin" / "bots-engine"
        return [str(program), f"-c{self.directory / configuration}", *words]

    def new(self, *routes: str) -> list[str]:
        """The argv that takes in new files, of these routes or of all."""
        return self.engine("--new", *routes)

    def without_database(self) -> list[str]:
        """The argv of a run that ends with return code 1."""
        return self.engine("--new", configuration="nodatabase")

    def inbox(self, route: str) -> Path:
        """The directory where a route looks for files."""
        return self.directory / "in" / route

    def outbox(self, route: str) -> Path:
        """The directory where a route puts files, by the name that they came with."""
        return self.directory / "out" / route

    def send(self, route: str, prefix: str = "") -> Path:
        """Let a route's sample file arrive; where it comes out."""
        name, content = SAMPLES[route]
        written = self.directory / f"{prefix}{name}.part"
        written.write_text(content)
        written.rename(self.inbox(route) / f"{prefix}{name}")
        return self.outbox(route) / f"{prefix}{name}"

    def hold(self, seconds: float) -> None:
        """How long the route ``slow`` waits once its files are in; one that waits obeys as well."""
        written = self.directory / "hold.part"
        written.write_text(str(seconds))
        (self.directory / "hold.pid").unlink(missing_ok=True)
        written.rename(self.directory / "hold")

    def held(self) -> int | None:
        """The process id of the engine that began to wait in ``slow`` since ``hold`` was called."""
        note = self.directory / "hold.pid"
        return int(note.read_text() or 0) or None if note.exists() else None


def install(directory: Path) -> RealBots:
    """Bots in ``directory``, made if it isn't there, with a free port and empty routes.

    Raises:
        NotInstallableError: no Python that fits, or PyPI can't be reached.
    """
    directory = directory.absolute()
    environment = _cached_environment()
    for way in ("in", "out"):
        for route in SAMPLES:
            (directory / way / route).mkdir(parents=True, exist_ok=True)
    _link(directory / "venv", environment)
    bots = RealBots(directory, _port(directory))
    bots.hold(0)
    _write_configuration(bots, "conf", directory / "data" / "botsdb")
    _write_configuration(bots, "nodatabase", directory / "nowhere" / "botsdb")
    shutil.copytree(HERE / "user_scripts", directory / "usersys", dirs_exist_ok=True)
    _run([environment / "bin" / "python", HERE / "make_rows.py", directory])
    return bots


def find_python() -> str | None:
    """A Python that Bots runs on, from ``$REALBOTS_PYTHON``, else from PATH or pyenv."""
    if chosen := os.environ.get("REALBOTS_PYTHON"):
        return _fitting(chosen, PYTHONS)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in PYTHONS:
        installed = map(str, pyenv.glob(f"{version}.*/bin/python"))
        for candidate in (f"python{version}", "python3", *installed):
            if path := _fitting(candidate, (version,)):
                return path
    return None


def _fitting(python: str, versions: tuple[str, ...]) -> str | None:
    """The real path of this Python if it has one of these versions and all that a venv needs."""
    probe = (
        "import ensurepip, sqlite3, ssl, sys, venv;"
        "print('%d.%d' % sys.version_info[:2], sys.executable)"
    )
    if not (program := shutil.which(python)):
        return None
    told = subprocess.run([program, "-c", probe], check=False, capture_output=True, text=True)
    version, _, path = told.stdout.strip().partition(" ")
    return path if told.returncode == 0 and version in versions else None


def _cached_environment() -> Path:
    """The virtual environment with Bots, made once for all; safe in parallel."""
    cache = _cache_directory()
    environment, mark = cache / "venv", cache / "complete"
    wanted = "\n".join(PACKAGES)
    with _locked(cache / "lock"):
        if not mark.exists() or mark.read_text() != wanted:
            mark.unlink(missing_ok=True)
            shutil.rmtree(environment, ignore_errors=True)
            _make_environment(environment)
            mark.write_text(wanted)
    return environment


def _cache_directory() -> Path:
    local = HERE.parents[1] / ".venv"
    if chosen := os.environ.get("REALBOTS"):
        cache = Path(chosen).absolute()
    elif local.is_dir():
        cache = local / ".realbots"
    else:
        cache = Path(tempfile.gettempdir(), f"realbots-{os.getuid()}")
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    if cache.stat().st_uid != os.getuid():
        raise NotInstallableError(f"{cache} belongs to somebody else; set REALBOTS to a directory")
    return cache


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_environment(environment: Path) -> None:
    if not (python := find_python()):
        raise NotInstallableError(
            "no Python 3.7 to 3.11 (with venv, ssl and sqlite3) on PATH or in pyenv; "
            "REALBOTS_PYTHON can name one"
        )
    _run([python, "-m", "venv", environment])
    try:
        _run([environment / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES])
    except RuntimeError as error:
        reasons = [line for line in str(error).splitlines() if line.startswith("ERROR: ")]
        raise NotInstallableError(" ".join(["pip failed.", *reasons])) from error


def _run(argv: list[str | Path]) -> None:
    # Settings for the Python of the tests, such as PYTHONPATH, aren't meant for Bots'.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(argv, check=False, env=environ, capture_output=True, text=True)
    if done.returncode:
        command = shlex.join(map(str, argv))
        raise RuntimeError(f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}")


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)


def _port(directory: Path) -> int:
    """The port of this directory, chosen when it is first asked for."""
    kept = directory / "port"
    if not kept.exists():
        kept.write_text(str(_free_port()))
    return int(kept.read_text())


def _free_port() -> int:
    # Below the range from which Linux takes ports for connections, any of which would look to
    # Bots like a second engine. Not the shared generator: test runs seed it alike in each worker.
    for port in random.SystemRandom().sample(range(10_000, 32_768), 100):
        with socket.socket() as attempt, suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            return port
    raise NotInstallableError("no free TCP port from 10000 to 32767")


def _write_configuration(bots: RealBots, name: str, database: Path) -> None:
    package = bots.directory / name
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(_SETTINGS.format(database=str(database)))
    (package / "bots.ini").write_text(_BOTS_INI.format(port=bots.port, directory=bots.directory))


def main(arguments: list[str]) -> None:
    """Install into the directory that is named and show what can be run there."""
    if len(arguments) != 1:
        sys.exit("usage: python tests/realbots/install.py DIR")
    try:
        bots = install(Path(arguments[0]))
    except NotInstallableError as reason:
        sys.exit(f"Bots can't be installed: {reason}")
    commands = bots.new(), *map(bots.new, SAMPLES), bots.without_database()
    sys.stdout.writelines(f"{shlex.join(argv)}\n" for argv in commands)


if __name__ == "__main__":
    main(sys.argv[1:])
