"""The environment of a job: that of the service, with what the Job adds."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from django.utils import timezone

from jobqueue import testing
from tests.builders import a_job, a_waiting

pytestmark = pytest.mark.django_db


def what_a_job_sees(name: str, **over: object) -> str:
    a_waiting(a_job(argv=["/bin/sh", "-c", f'echo "${{{name}-unset}}"'], **over))
    [execution] = testing.drain()
    return execution.log_tail.strip()


def test_variables_of_the_service(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.setenv("OF_THE_SERVICE", "yes")
    assert what_a_job_sees("OF_THE_SERVICE") == "yes"


def test_variables_of_the_job_are_over_those(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    monkeypatch.setenv("OF_BOTH", "service")
    assert what_a_job_sees("OF_BOTH", env={"OF_BOTH": "job"}) == "job"


def test_the_day_that_a_run_is_for_is_that_of_the_site(data_dir: Path) -> None:
    with timezone.override("Europe/Amsterdam"):
        day = timezone.make_aware(datetime(2026, 1, 31))  # noqa: DTZ001
        a_waiting(a_job(argv=["/bin/sh", "-c", "echo $JOBQUEUE_TRIGGER"]), trigger=day)
        [execution] = testing.drain()
    assert execution.log_tail == "2026-01-31T00:00:00+01:00\n"


@pytest.mark.parametrize("zone", [None, "Asia/Kolkata"])
def test_the_time_zone_is_the_machines_not_djangos(zone: str | None) -> None:
    """Django puts its TIME_ZONE into TZ; a process of its own shows what the service began with."""
    code = (
        "import django; django.setup()\n"
        "from jobqueue import runs\n"
        "print(runs.new_executor()._environment.get('TZ'))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TZ"}
    environment |= {"DJANGO_SETTINGS_MODULE": "tests.settings"} | ({"TZ": zone} if zone else {})
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == str(zone)
