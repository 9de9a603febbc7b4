"""Tasks of a host project, run by django-q2 itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from jobqueue import cluster


def note(file: str, name: str) -> None:
    """Write down that this task ran, and when."""
    now = time.monotonic()
    line = {"name": name, "start": now, "end": now, "pid": os.getpid()}
    with Path(file).open("a") as lines:
        lines.write(json.dumps(line) + "\n")


def tell_of_cluster(file: str) -> None:
    """Write down what this worker knows of its cluster, again and again until that stops."""
    while True:
        identity = cluster.identity()
        facts = {
            "worker": os.getpid(),
            "stopping": cluster.stopping(),
            "wanted": cluster.wanted(),
            "idle": cluster.idle(),
            "uuid": identity and str(identity.uuid),
            "pid": identity and identity.pid,
            "name": identity and cluster.name(identity),
        }
        Path(file + ".new").write_text(json.dumps(facts))
        Path(file + ".new").rename(file)
        if facts["stopping"]:
            return
        time.sleep(0.05)
