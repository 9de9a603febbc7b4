"""The stand-alone site's own settings, on a database and a directory of their own.

``TEST_DATABASE_URL`` chooses the database; by default a SQLite file. Each pytest worker has its own
``DATA_DIR``, shared with the programs that its tests start.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "JOBQUEUE_TEST_ROOT" not in os.environ:
    os.environ["JOBQUEUE_TEST_ROOT"] = tempfile.mkdtemp(prefix="jobqueue-tests-")
    atexit.register(shutil.rmtree, os.environ["JOBQUEUE_TEST_ROOT"], ignore_errors=True)

_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
_data_dir = Path(os.environ["JOBQUEUE_TEST_ROOT"]) / _worker
for _name in (
    *(
        "ALLOWED_HOSTS",
        "DEBUG",
        "EMAIL_URL",
        "HTTPS",
        "LANGUAGE_CODE",
        "MAIL_FROM",
        "MANAGERS",
        "REDIS_URL",
    ),
    *("SITE_URL", "TIME_ZONE"),
):
    os.environ.pop(_name, None)
os.environ |= {
    "DATA_DIR": str(_data_dir),
    "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
    "SECRET_KEY": "only for tests, so it needs to be neither secret nor random, just long",
}

from botsproject.settings import *  # noqa: E402, F403
from botsproject.settings import DATABASES, Q_CLUSTER  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
Q_CLUSTER["name"] = f"{_data_dir.parent.name}-{_worker}"
# On SQLite a file, as in real life: other processes and threads use it too.
_is_sqlite = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
DATABASES["default"]["TEST"] = {
    "NAME": _data_dir / "test.sqlite3" if _is_sqlite else f"test_{_data_dir.parent.name}"
}
