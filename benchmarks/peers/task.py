"""The task that a peer runs: a program, with the moment noted at which it is started."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

#: In the environment: the file for the notes.
VARIABLE = "BENCHMARK_NOTES"


def run(argv: Sequence[str]) -> int:
    """Run a program as the raw loop does; its return code."""
    note = f"{time.time():.6f}\n".encode()
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    os.write(file, note)
    os.close(file)
    return subprocess.run(argv, check=True).returncode
