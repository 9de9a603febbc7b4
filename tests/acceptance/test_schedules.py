"""Schedules fired by the real service: beside a long run, after a stop, after a crash."""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.commands import program
from tests.service import Role, Service
from tests.waiting import wait_until

PATIENCE = 180  # seconds that a crowded machine is given
SECOND = timedelta(seconds=1)

Row = dict[str, Any]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    service = Service(tmp_path / "var", {"DJANGO_SETTINGS_MODULE": "tests.crash_settings"})
    service.manage("migrate", check=True)
    return service


def schedule(service: Service, name: str, **over: Any) -> None:
    """A schedule of every second, whose Job succeeds at once."""
    values = {"name": name, "expression": "* * * * * *", "timezone": "UTC", **over}
    argv = [sys.executable, "-I", "-S", "-c", "pass", name]
    code = (
        "from jobqueue.api import Job, Schedule;"
        f"job = Job.objects.create(name={name!r}, argv={argv!r});"
        f"Schedule.objects.create(job=job, **{values!r})"
    )
    service.manage("shell", "-c", code, check=True)


def history(service: Service, name: str) -> list[tuple[datetime, str, int]]:
    """Its fire times, what became of them, and how many were missed before, the first one first."""
    code = (
        "import json; from jobqueue.api import Fire;"
        f"fires = Fire.objects.filter(schedule__name={name!r}).order_by('fire_at');"
        "print(json.dumps([(f.fire_at.isoformat(), f.outcome, f.missed) for f in fires]))"
    )
    lines = service.manage("shell", "-v0", "-c", code, check=True).stdout.splitlines()
    return [
        (datetime.fromisoformat(moment), outcome, missed)
        for moment, outcome, missed in json.loads(lines[-1])
    ]


def requests(service: Service, name: str) -> list[Row]:
    """What the schedule has queued, the first one first."""
    rows = service.json("queue", "list", "--limit", "1000")
    return sorted(
        (row for row in rows if row["source"] == "schedule" and row["argv"][-1] == name),
        key=lambda row: row["id"],
    )


def enough(service: Service, name: str, number: int) -> list[tuple[datetime, str, int]]:
    """The history, once it has so many fire times."""
    return wait_until(
        lambda: found if len(found := history(service, name)) >= number else None,
        PATIENCE,
        f"{number} fire times",
    )


def gaps(fired: list[tuple[datetime, str, int]]) -> set[timedelta]:
    moments = [moment for moment, _, _ in fired]
    return {b - a for a, b in itertools.pairwise(moments)}


def accounted_for(fired: list[tuple[datetime, str, int]]) -> int:
    """Fire times that came, those that are said to be missed as well."""
    return sum(missed + (outcome != "missed") for _, outcome, missed in fired)


def test_beside_a_long_run_every_second_is_there_once(service: Service) -> None:
    schedule(service, "Often", priority=3)
    with service:
        service.manage("job2queue", "-p1", *program("sleep", 600), check=True)
        running = wait_until(
            lambda: service.json("queue", "status")[0]["running"], PATIENCE, "the long run"
        )
        # On a slow machine some had come, and were run, before the long run began.
        before = len(history(service, "Often"))
        fired = enough(service, "Often", before + 6)[before:]
        (status,) = service.json("queue", "status")
        service.manage("queue", "stop", str(running["id"]), check=True)

    assert status["running"]["id"] == running["id"]
    assert accounted_for(fired[1:]) == (fired[-1][0] - fired[0][0]) // SECOND
    assert [row["priority"] for row in status["waiting"]] == [3]
    assert "duplicate" in {outcome for _, outcome, _ in fired}


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
def test_stopped_over_three_fire_times(service: Service, catch_up: str) -> None:
    schedule(service, "Often", expression="*/2 * * * * *", catch_up=catch_up)
    with service:
        enough(service, "Often", 1)
    before = history(service, "Often")
    away_from = before[-1][0]
    back = away_from + 8 * SECOND
    wait_until(lambda: datetime.now(UTC) > back, PATIENCE, "three fire times to pass")
    started_at = datetime.now(UTC)
    with service:
        fired = enough(service, "Often", len(before) + (5 if catch_up == "all" else 2))

    after = fired[len(before) :]
    times = [datetime.fromisoformat(row["trigger_at"]) for row in requests(service, "Often")]
    while_away = [moment for moment in times if away_from < moment < started_at - 2 * SECOND]
    assert accounted_for(after) >= 4
    if catch_up == "all":
        assert while_away[:3] == [away_from + n * SECOND for n in (2, 4, 6)]
    else:
        assert while_away == []
        assert after[0][2] >= 3


def test_a_killed_worker_or_cluster_makes_none_fire_twice(service: Service) -> None:
    schedule(service, "Often", catch_up="all")
    with service:
        enough(service, "Often", 2)
        service.kill(service.one(Role.WORKER))
        enough(service, "Often", len(history(service, "Often")) + 2)
        service.kill()
        service.start()
        fired = enough(service, "Often", len(history(service, "Often")) + 3)

    assert gaps(fired) == {SECOND}
    times = [row["trigger_at"] for row in requests(service, "Often")]
    assert len(times) == len(set(times))
    assert len(times) >= len(fired)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_two_hosts_fire_each_time_once(kind: str, tmp_path: Path) -> None:
    servers.need(kind)
    new = {"postgres": servers.new_postgres_database, "mariadb": servers.new_mariadb_database}
    with new[kind]() as url:
        settings = {"DJANGO_SETTINGS_MODULE": "tests.crash_settings", "DATABASE_URL": url}
        one, other = (
            Service(tmp_path / name, {**settings, "JOBQUEUE_HOST": name}) for name in ("a", "b")
        )
        one.manage("migrate", check=True)
        for name in ("Often", "As often"):
            schedule(one, name, catch_up="all")
        with one, other:
            enough(one, "As often", 6)
            fired = {name: history(one, name) for name in ("Often", "As often")}
            rows = {name: requests(one, name) for name in fired}

    for name, moments in fired.items():
        assert gaps(moments) == {SECOND}
        assert {outcome for _, outcome, _ in moments} == {"added"}
        times = Counter(datetime.fromisoformat(row["trigger_at"]) for row in rows[name])
        assert set(times.values()) == {1}
        assert {moment for moment, _, _ in moments} <= set(times)


def test_django_q2_keeps_its_own_schedules(service: Service) -> None:
    """A host's task runs beside ours, in its own way; ours leave no row in its tables."""
    schedule(service, "Ours")
    code = (
        "from django_q.models import Schedule; from django.utils import timezone;"
        "Schedule.objects.create(func='math.copysign', args='2,-2', schedule_type='O',"
        "next_run=timezone.now(), name='theirs')"
    )
    service.manage("shell", "-c", code, check=True)
    look = (
        "from django_q.models import Schedule, Task;"
        "tasks = Task.objects.filter(func='math.copysign');"
        "print(Schedule.objects.count(), [task.result for task in tasks])"
    )
    with service:
        enough(service, "Ours", 2)
        wait_until(
            lambda: "[-2.0]" in service.manage("shell", "-v0", "-c", look).stdout,
            PATIENCE,
            "the host's task",
        )
        assert service.manage("shell", "-v0", "-c", look).stdout.split()[0] in {"0", "1"}
