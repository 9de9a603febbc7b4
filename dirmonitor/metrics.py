"""What Prometheus is told of monitors, by two questions however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from jobqueue.api import Gauge

from .models import GOOD, DirMonitor, Service, Status


def gauges(now: datetime) -> Iterator[Gauge]:
    """How enabled monitors stand, as the service said last, and whether it's there."""
    hosts = Counter(Service.objects.alive().values_list("host", flat=True))
    monitors = list(
        DirMonitor.objects.filter(enabled=True)
        .order_by("name")
        .only("name", "status", "files_pending", "last_trigger_at")
    )
    yield Gauge(
        "dirmonitor_services",
        "Services that watch directories.",
        [({"host": host}, count) for host, count in sorted(hosts.items())],
    )
    yield Gauge(
        "dirmonitor_up",
        "Whether an enabled monitor watches its directory.",
        [({"monitor": m.name}, bool(hosts) and m.status in GOOD) for m in monitors],
    )
    yield Gauge(
        "dirmonitor_state",
        "Which state it is in, as the service said last.",
        [({"monitor": m.name, "state": s}, m.status == s) for m in monitors for s in Status.values],
    )
    yield Gauge(
        "dirmonitor_pending_files",
        "Files that have queued nothing yet.",
        [({"monitor": m.name}, m.files_pending) for m in monitors],
    )
    yield Gauge(
        "dirmonitor_seconds_since_trigger",
        "How long ago it has queued its Job; nothing before the first time.",
        [
            ({"monitor": m.name}, max(0.0, (now - m.last_trigger_at).total_seconds()))
            for m in monitors
            if m.last_trigger_at
        ],
    )
