"""Permissions for single objects, as django-guardian and the like grant them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.backends import BaseBackend
from django.db.models import Model
from django.test import Client
from pytest_django import Settings

from jobqueue.models import Execution, Job
from tests.builders import a_job, a_run
from tests.users import a_user

pytestmark = pytest.mark.django_db
MINE = "mine"
EXECUTION = "/admin/jobqueue/execution"


class OfSingleObjects(BaseBackend):
    """Grants what has to do with the Job "mine" and its runs, to everybody."""

    _GRANTED = (
        *("jobqueue.view_job", "jobqueue.run_job", "jobqueue.change_job"),
        *("jobqueue.view_execution", "jobqueue.stop_execution"),
    )

    def has_perm(self, user_obj: Any, perm: str, obj: Model | None = None) -> bool:
        """Whether it is one of those; never for all objects."""
        name = obj.name if isinstance(obj, Job) else getattr(obj, "job_name", None)
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
