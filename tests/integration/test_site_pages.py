"""What the site serves beside the admin of the app."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.test import Client

from botsproject.demo import data
from jobqueue.api import Execution, Job


def test_the_root_leads_to_the_admin(client: Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_static_files_need_no_collectstatic(client: Client) -> None:
    answer = client.get("/static/admin/css/base.css")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/css")
    assert b"DJANGO Admin" in answer.getvalue()


@pytest.mark.django_db
def test_the_first_page(admin_client: Client) -> None:
    answer = admin_client.get("/admin/")
    assert answer.status_code == 200
    assert b"Bots job queue" in answer.content


@pytest.mark.django_db
class TestDemonstration:
    def test_login(self, tmp_path: Path) -> None:
        file = tmp_path / "login.txt"
        assert data.create_login(file)
        words = dict(line.split() for line in file.read_text().splitlines())
        user = authenticate(username=words["user"], password=words["password"])
        assert user is not None
        assert user.is_superuser
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_users_of_ones_own_are_left_alone(self, tmp_path: Path, admin_user: object) -> None:
        assert not data.create_login(tmp_path / "login.txt")
        assert not (tmp_path / "login.txt").exists()

    def test_jobs_are_made_and_queued_once(self) -> None:
        assert data.create_jobs()
        assert Job.objects.count() == Execution.objects.waiting().count() == len(data.JOBS)
        assert not data.create_jobs()
        assert Job.objects.count() == len(data.JOBS)

    def test_jobs_of_ones_own_are_left_alone(self) -> None:
        Job.objects.create(name="mine", argv=["true"])
        assert not data.create_jobs()
