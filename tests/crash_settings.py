"""The stand-alone site's own settings, as its service is started by the crash tests.

All comes from the environment as in real life. ``TEST_Q_CLUSTER`` and ``TEST_JOBQUEUE`` are JSON:
what to lay over the two dicts. django-q2 says all that it does, so that a test knows which process
is which.
"""

import json
import os

from botsproject.settings import *  # noqa: F403
from botsproject.settings import JOBQUEUE, LOGGING, Q_CLUSTER

Q_CLUSTER |= json.loads(os.environ.get("TEST_Q_CLUSTER", "{}"))
JOBQUEUE |= json.loads(os.environ.get("TEST_JOBQUEUE", "{}"))
LOGGING["loggers"]["django-q"]["filters"] = []
