"""huey with its SQLite storage: ``run_huey.py DIRECTORY NUMBER``; notes come from `task`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from huey import SqliteHuey  # type: ignore[import-not-found]
from task import run  # type: ignore[import-not-found]

huey = SqliteHuey(filename=str(Path(sys.argv[1]) / "huey.sqlite3"))
task = huey.task()(run)


def main(number: int) -> None:
    """Queue so many, then have one worker run them."""
    results = [task(["true", str(i)]) for i in range(number)]
    consumer = huey.create_consumer(workers=1, periodic=False)
    consumer.start()
    results[-1].get(blocking=True, timeout=60)
    while huey.pending_count():
        time.sleep(0.05)
    consumer.stop(graceful=True)


if __name__ == "__main__":
    main(int(sys.argv[2]))
