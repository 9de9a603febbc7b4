"""The example site's settings; its cluster has a name that no other one in the same Redis has."""

import os

from benchmarks import counting
from botsproject.settings import *  # noqa: F403
from botsproject.settings import Q_CLUSTER

#: Names the cluster. (django-q2's own Q_CLUSTER_NAME asks for ALT_CLUSTERS in the settings.)
VARIABLE = "BENCHMARK_CLUSTER"
Q_CLUSTER = {**Q_CLUSTER, "name": os.environ[VARIABLE]}
counting.start()
