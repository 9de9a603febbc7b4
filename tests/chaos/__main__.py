"""The one command: ``python -m tests.chaos --help``."""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

from tests import servers
from tests.chaos import report
from tests.chaos.session import Plan, Result, Session
from tests.chaos.site import BROKERS, DATABASES, new_site
from tests.chaos.victims import WEIGHTS

_ABOUT = """\
Kill anything at any moment, and see that nothing is lost and nothing runs twice at once.

The real service and the real web site get about ten requests a second for jobs that stamp when
they start and end, while processes chosen at random get a SIGKILL about once a second; whatever
main process exits is started again at once, as systemd does it with Restart=always. Then there
is silence: everything must come to its end, the cluster must end by SIGTERM, and the stamps are
held against the rows, the answers that requests got, and the kills.
"""
_MORE = f"""\
examples:
  python -m tests.chaos                                   a hundred kills on SQLite
  python -m tests.chaos --database mariadb --broker redis --seconds 600
  python -m tests.chaos --seed 3fb2                       the same decisions again
  python -m tests.chaos --victim worker --victim job      only these are killed
  make chaos ARGS="--kills 30"

victims: {", ".join(WEIGHTS)}; none: nobody is killed

The seed repeats what is decided: requests, lengths, pauses, victims. It doesn't repeat the
machine's timing, nor which of several workers it is.

Requests come by three ways: `manage.py` (most of them in a process in which Django has started
already, since that takes half a second; one in thirty in a process of its own), `jobqueue.api` in a
process of its own, and the admin, over HTTP. A job begins with flock(1) on a file of its queue:
one that doesn't find its queue to itself exits with 113, whatever the rows say.

Exit code: 0 if everything held; 1 if not, with the evidence; 2 if it couldn't be tried.
"""
#: Seconds between two lines of progress where the output is no terminal.
QUIET = 15.0


class Progress:
    """One line that changes, or a line now and then."""

    def __init__(self) -> None:
        self._begin = self._last = time.monotonic()
        self._shown = False

    def __call__(self, text: str) -> None:
        passed = time.monotonic() - self._begin
        line = f"{passed:5.0f} s: {text}"
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="", flush=True)
            self._shown = True
        elif time.monotonic() - self._last > QUIET:
            self._last = time.monotonic()
            print(line, flush=True)

    def clear(self) -> None:
        """Leave the line free."""
        if self._shown:
            print("\r\033[K", end="", flush=True)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--database", choices=DATABASES, default="sqlite", help="default: %(default)s")
    add("--broker", choices=BROKERS, default="orm", help="of django-q2; default: %(default)s")
    add("--kills", type=int, metavar="N", help="go on until so many; default 100")
    add("--seconds", type=float, metavar="S", help="go on for so long")
    add("--seed", help="what a former one printed; default: a new one")
    choices = [*WEIGHTS, "none"]
    add("--victim", action="append", choices=choices, metavar="VICTIM", help="may be repeated")
    add("--keep", type=Path, metavar="DIR", help="keep everything there: logs, stamps, ledger")
    add("--table", type=Path, metavar="FILE", help="append the figures as a row of Markdown")
    return parser.parse_args()


def plan_of(asked: argparse.Namespace) -> Plan:
    """The plan that was asked for."""
    kills = asked.kills if asked.kills is not None else (inf if asked.seconds else 100)
    named = [name for name in asked.victim or WEIGHTS if name != "none"]
    return Plan(
        database=asked.database,
        broker=asked.broker,
        seed=asked.seed or secrets.token_hex(4),
        kills=kills,
        seconds=asked.seconds or inf,
        victims=tuple(named),
    )


def missing(plan: Plan) -> str | None:
    """Why this can't be tried here."""
    needed = {"postgresql": "postgres", "mariadb": "mariadb"}.get(plan.database)
    for name in filter(None, (needed, "redis" if plan.broker == "redis" else None)):
        if reason := servers.why_missing(name):
            return f"no {name}: {reason}"
    return None if shutil.which("flock") else "no flock(1)"


@contextmanager
def directory_for(keep: Path | None) -> Iterator[Path]:
    """An empty directory; removed at the end unless it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="jobqueue-chaos-") as directory:
            yield Path(directory)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise SystemExit(f"{keep} isn't empty.")
    yield keep.absolute()


def chaos(plan: Plan, directory: Path) -> Result:
    """One session."""
    progress = Progress()
    try:
        with new_site(directory, plan.database, plan.broker) as site:
            return Session(plan, site, directory, progress).run()
    finally:
        progress.clear()


def main() -> int:
    """0 if everything held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleared away
    asked = arguments()
    plan = plan_of(asked)
    if reason := missing(plan):
        print(f"Not tried: {reason}", file=sys.stderr)
        return 2
    print(f"Chaos on {plan.database}, {plan.broker} broker, --seed {plan.seed}", flush=True)
    with directory_for(asked.keep) as directory:
        result = chaos(plan, directory)
        for line in report.lines(result):
            print(line)
        if asked.table:
            with asked.table.open("a") as table:
                table.write(report.table_row(result) + "\n")
        if result.violations and asked.keep is None:
            kept = Path(tempfile.mkdtemp(prefix="jobqueue-chaos-kept-"))
            shutil.copytree(directory, kept, dirs_exist_ok=True)
            print(f"The evidence is in {kept}")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
