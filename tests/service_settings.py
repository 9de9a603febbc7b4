"""The settings of the tests, with changes from the environment, for the services that they start.

``TEST_Q_CLUSTER`` and ``TEST_JOBQUEUE`` are JSON: what to lay over the two dicts; null takes a key
out. ``TEST_INSTALLED_APPS`` are apps to add.
"""

import json
import os
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, JOBQUEUE, Q_CLUSTER


def _changed(given: dict[str, Any], variable: str) -> dict[str, Any]:
    both = given | json.loads(os.environ.get(variable, "{}"))
    return {key: value for key, value in both.items() if value is not None}


INSTALLED_APPS = [*INSTALLED_APPS, *os.environ.get("TEST_INSTALLED_APPS", "").split()]
Q_CLUSTER = _changed(Q_CLUSTER, "TEST_Q_CLUSTER")
JOBQUEUE = _changed(JOBQUEUE, "TEST_JOBQUEUE")
