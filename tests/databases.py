"""The tests that use the database, on each database server that this machine has.

``python -m tests.databases [PYTEST ARGUMENT ...]``
"""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

from tests import addresses, servers

SERVERS = {"postgres": addresses.POSTGRES_URL, "mariadb": addresses.MARIADB_URL}


def main(arguments: list[str]) -> int:
    """0 if the tests passed on all that are there, and all that are required are there."""
    codes = [run_on(name, url, arguments) for name, url in SERVERS.items()]
    return max(codes)


def run_on(name: str, url: str, arguments: list[str]) -> int:
    """Pytest's exit status; 0 if there is no such server and none is required."""
    if reason := servers.why_missing(name):
        required = servers.is_required(name)
        print(f"{name}: {'MISSING' if required else 'not tested on this machine'}: {reason}")
        return int(required)
    print(f"The same on {name}:", flush=True)
    # Django puts test_ before the name; two runs at once must not meet.
    url = urlsplit(url)._replace(path=f"/jobqueue_{os.getpid()}").geturl()
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env=os.environ | {"TEST_DATABASE_URL": url},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
