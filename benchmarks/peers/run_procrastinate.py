"""procrastinate: ``run_procrastinate.py URL NUMBER``; notes come from `task`."""

from __future__ import annotations

import asyncio
import sys

import procrastinate  # type: ignore[import-not-found]
from task import run  # type: ignore[import-not-found]

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1]))
task = app.task(name="run")(run)


async def main(number: int) -> None:
    """Queue so many, then have one worker run them."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for i in range(number):
            await task.defer_async(argv=["true", str(i)])
        await app.run_worker_async(concurrency=1, wait=False, install_signal_handlers=False)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[2])))
