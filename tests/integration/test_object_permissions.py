"""Permissions for single objects, as django-guardian and the like grant them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.backends import BaseBackend
from django.db.models import Model
from django.test import Client
from pytest_django import Settings

from dirmonitor.models import DirMonitor
from jobqueue.models import Execution, Job
from tests.builders import a_job, a_monitor, a_run
from tests.users import a_user

pytestmark = pytest.mark.django_db
MINE = "mine"
EXECUTION = "/admin/jobqueue/execution"


class OfSingleObjects(BaseBackend):
    """Grants what has to do with the Job "mine", its runs and its monitors, to everybody."""

    _GRANTED = (
        *("jobqueue.view_job", "jobqueue.run_job", "jobqueue.change_job"),
        *("jobqueue.view_execution", "jobqueue.stop_execution"),
        *("dirmonitor.change_dirmonitor", "dirmonitor.delete_dirmonitor"),
    )

    def has_perm(self, user_obj: Any, perm: str, obj: Model | None = None) -> bool:
        """Whether it is one of those; never for all objects."""
        job = obj.job if isinstance(obj, DirMonitor) else obj
        name = job.name if isinstance(job, Job) else getattr(job, "job_name", None)
        return perm in self._GRANTED and name == MINE


@pytest.fixture
def client(settings: Settings, data_dir: Path) -> Client:
    own = "django.contrib.auth.backends.ModelBackend"
    settings.AUTHENTICATION_BACKENDS = [own, f"{__name__}.OfSingleObjects"]
    client = Client()
    client.force_login(a_user(), backend=own)
    return client


def test_what_the_run_menu_offers_runs(client: Client) -> None:
    mine, other = a_job(name=MINE, in_run_menu=True), a_job(in_run_menu=True)
    assert client.post(f"/admin/jobqueue/job/{mine.pk}/run/").status_code == 302
    assert client.post(f"/admin/jobqueue/job/{other.pk}/run/").status_code == 403
    assert Execution.objects.get().job == mine


def test_the_page_of_a_job_is_edited(client: Client) -> None:
    mine, other = a_job(name=MINE), a_job()
    assert 'name="_save"' in client.get(f"/admin/jobqueue/job/{mine.pk}/change/").text
    assert client.get(f"/admin/jobqueue/job/{other.pk}/change/").status_code == 403
    assert client.get("/admin/jobqueue/job/").status_code == 403
    assert client.post(f"/admin/jobqueue/job/{mine.pk}/delete/").status_code == 403


def test_a_run_is_seen_and_stopped(client: Client) -> None:
    run = a_run(a_job(name=MINE))
    for page in ("change", "output", "stop"):
        assert client.get(f"{EXECUTION}/{run.pk}/{page}/").status_code == 200, page
    client.post(f"{EXECUTION}/{run.pk}/stop/", {"confirmed": "yes"})
    run.refresh_from_db()
    assert run.stop_requested_at is not None


def test_no_other_run_is(client: Client) -> None:
    run = a_run(a_job())
    for page in ("change", "output", "log", "stop"):
        assert client.get(f"{EXECUTION}/{run.pk}/{page}/").status_code == 403, page


def test_a_monitor_is_edited_and_deleted(client: Client) -> None:
    mine, other = a_monitor("/in/mine", job=a_job(name=MINE)), a_monitor("/in/other")
    monitors = "/admin/dirmonitor/dirmonitor"
    assert 'name="_save"' in client.get(f"{monitors}/{mine.pk}/change/").text
    for page in ("change", "delete"):
        assert client.get(f"{monitors}/{other.pk}/{page}/").status_code == 403, page
    assert client.get(f"{monitors}/").status_code == 403
    assert client.get(f"{monitors}/add/").status_code == 403
    client.post(f"{monitors}/{mine.pk}/delete/", {"post": "yes"})
    assert DirMonitor.objects.get() == other
