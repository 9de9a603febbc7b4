"""Programs worth looking at in a queue: ``python samples.py NAME [ARG ...]``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable


def count(seconds: str = "120") -> int:
    """Count aloud for some minutes."""
    for second in range(1, int(seconds) + 1):
        print(f"{second} of {seconds}", flush=True)
        time.sleep(1)
    return 0


def quick() -> int:
    """Be done at once."""
    print("Done.")
    return 0


def fail() -> int:
    """Fail, and say why."""
    print("Reading the orders of today ...", flush=True)
    print("error: no connection to the partner's server", file=sys.stderr)
    return 1


def edi() -> int:
    """End as bots-engine does when some files had errors."""
    files = ("orders-1.edi", "orders-2.edi", "invoice-7.edi")
    for number, name in enumerate(files, start=1):
        verdict = "ERROR: unknown partner" if number == len(files) else "ok"
        print(f"{name}: {verdict}", file=sys.stderr, flush=True)
        time.sleep(1)
    return 2


def flood() -> int:
    """Print 30 MB: the queue keeps the end at hand, and the whole in the log file."""
    for number in range(1, 300_001):
        print(f"line {number} {'.' * 86}")
    return 0


def files(directory: str) -> int:
    """Say what lies in a directory."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        print(f"{entry.stat().st_size:>9} bytes  {os.fsencode(entry.name)!r}")
    return 0


def note(name: str, status: str, journal: str, gate: str = "") -> int:
    """Write to a journal when it starts and ends; wait for the file ``gate`` to appear."""
    _write(journal, f"{name} started")
    print(f"{name} at work", flush=True)
    while gate and not os.path.exists(gate):
        time.sleep(0.02)
    _write(journal, f"{name} ended {status}")
    return int(status)


def _write(journal: str, line: str) -> None:
    with open(journal, "a", encoding="utf-8") as file:
        file.write(line + "\n")


SAMPLES: dict[str, Callable[..., int]] = {
    "count": count,
    "quick": quick,
    "fail": fail,
    "edi": edi,
    "flood": flood,
    "files": files,
    "note": note,
}


def main(name: str, *args: str) -> int:
    """Run one of them; returns its exit status."""
    return SAMPLES[name](*args)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
