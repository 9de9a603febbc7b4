"""Many processes that ask for a run in the same instant. Prints their outcomes as JSON."""

from __future__ import annotations

import json
import os
import sys

import django

django.setup()

from django.db import connection  # noqa: E402

from jobqueue.api import enqueue  # noqa: E402


def main() -> None:
    """Fork, have all connect, let them go at once, collect what each says."""
    order = json.loads(sys.argv[1])
    ready, gate, answers = os.pipe(), os.pipe(), os.pipe()
    for number in range(order["count"]):
        if os.fork() == 0:
            os.close(gate[1])
            _ask(order, number, ready[1], gate[0], answers[1])
            os._exit(0)
    for end in (ready[1], gate[0], answers[1]):
        os.close(end)
    for _ in range(order["count"]):
        assert os.read(ready[0], 1), "one of them couldn't connect"
    os.close(gate[1])
    with os.fdopen(answers[0]) as lines:
        sys.stdout.write(json.dumps([line.strip() for line in lines]))


def _ask(order: dict[str, object], number: int, ready: int, gate: int, answers: int) -> None:
    argv, over = order["argv"], order["over"]
    assert isinstance(argv, list)
    assert isinstance(over, dict)
    connection.ensure_connection()
    os.write(ready, b".")
    os.read(gate, 1)  # its end of file is the signal
    try:
        outcome: str = enqueue([*argv, str(number)] if order["different"] else argv, **over).outcome
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}".replace("\n", " ")
    os.write(answers, f"{outcome}\n".encode())


if __name__ == "__main__":
    main()
