"""Runs the tests marked ``database`` on each database server that this machine has.

    python -m tests.on_servers [arguments for pytest]

A server that is missing is named and left out; ``JOBQUEUE_TEST_REQUIRE`` makes that a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

from tests import servers

NOTHING_SELECTED = 5  # pytest's exit code
_URLS = {"postgres": servers.POSTGRES_URL, "mariadb": servers.MARIADB_URL}


def main(arguments: list[str]) -> int:
    """The exit code: 0 if all that could be run passed."""
    return max(_run_on(name, arguments) for name in _URLS)


def _run_on(name: str, arguments: list[str]) -> int:
    if reason := servers.why_missing(name):
        required = name in os.environ.get("JOBQUEUE_TEST_REQUIRE", "").split()
        sys.stderr.write(f"{name}: {'MISSING' if required else 'not tested here'}: {reason}\n")
        return int(required)
    sys.stderr.write(f"--- {name}\n")
    # Django puts test_ before the name; two runs at once must not meet.
    url = urlsplit(_URLS[name])._replace(path=f"/jobqueue_{os.getpid()}").geturl()
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "database", *arguments],
        env=os.environ | {"TEST_DATABASE_URL": url},
        check=False,
    ).returncode
    return 0 if code == NOTHING_SELECTED and arguments else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
