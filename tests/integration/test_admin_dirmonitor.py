"""Directory monitors in the admin: list, form, permissions."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from dirmonitor.models import DirMonitor, Service
from tests.builders import a_job, a_monitor, an_ended
from tests.users import a_client, a_user

pytestmark = pytest.mark.django_db
LIST = "/admin/dirmonitor/dirmonitor/"
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"


def a_client_who_may(*permissions: str) -> Client:
    """A browser of a staff user with these permissions on monitors."""
    user = a_user()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, path: str = LIST) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def form(**over: Any) -> dict[str, Any]:
    values = {"name": "In", "path": "/in", "job": a_job().pk, "enabled": "on", "filemask": "*"}
    return {**values, "priority": 5, "settle": 2, "poll_interval": 2, "mode": "auto", **over}


def test_the_list_says_how_each_stands() -> None:
    run = an_ended()
    a_monitor(
        "/in",
        status="unreachable",
        status_since=timezone.now(),
        status_note="It doesn't answer.",
        files_pending=3,
        pending_note="3 settling",
        last_trigger_at=timezone.now(),
        last_execution=run,
    )
    shown = page(a_client_who_may("view_dirmonitor"))
    for words in ("unreachable", "since", "answer", "3 settling", f"#{run.pk}"):
        assert words in shown


def test_hostile_names_are_shown_escaped() -> None:
    monitor = a_monitor("/in/" + HOSTILE, name=HOSTILE, status_note=HOSTILE)
    client = a_client_who_may("view_dirmonitor")
    for path in (LIST, f"{LIST}{monitor.pk}/change/"):
        shown = page(client, path)
        assert "<script>alert(1)" not in shown


def test_a_word_when_nobody_watches() -> None:
    client = a_client_who_may("view_dirmonitor")
    warning = "No directory monitor runs"
    assert warning not in page(client)
    a_monitor("/in")
    assert warning in page(client)
    Service.objects.create(host="here", pid=1)
    assert warning not in page(client)


def test_adding_one() -> None:
    client = a_client_who_may("add_dirmonitor", "view_dirmonitor", "view_job")
    answer = client.post(f"{LIST}add/", form(priority=1))
    assert answer.status_code == 302
    assert DirMonitor.objects.get().priority == 1


def test_what_is_wrong_is_said_at_its_field() -> None:
    client = a_client_who_may("add_dirmonitor", "view_job")
    answer = client.post(f"{LIST}add/", form(path="in", settle=-1))
    assert set(answer.context["adminform"].form.errors) == {"path", "settle"}


def test_saving_keeps_what_the_service_wrote_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = a_monitor("/in", status="watching")
    client = a_client_who_may("change_dirmonitor", "view_dirmonitor", "view_job")
    clean = DirMonitor.clean

    def meanwhile(self: DirMonitor) -> None:
        DirMonitor.objects.update(status="missing")
        clean(self)

    monkeypatch.setattr(DirMonitor, "clean", meanwhile)
    answer = client.post(f"{LIST}{monitor.pk}/change/", form(name="Other", job=monitor.job.pk))
    assert answer.status_code == 302
    monitor.refresh_from_db()
    assert (monitor.name, monitor.status) == ("Other", "missing")


@pytest.mark.parametrize("path", [LIST, f"{LIST}add/"])
def test_others_see_nothing(path: str) -> None:
    assert a_client("view_job").get(path).status_code == 403
