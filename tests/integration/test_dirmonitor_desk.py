"""Monitors on the desk of the job queue."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Permission

from dirmonitor import desk
from dirmonitor.models import DirMonitor, Service, Status
from jobqueue.api import DeskLine, desk_drawn
from tests.builders import a_monitor
from tests.users import a_client, a_user

pytestmark = pytest.mark.django_db


def lines() -> list[tuple[bool, str]]:
    return [(line.is_good, line.text) for line in desk.lines(a_user(is_superuser=True))]


def test_nothing_is_told_without_monitors(tmp_path: Path) -> None:
    assert lines() == []
    a_monitor(tmp_path, enabled=False)
    assert lines() == []


def test_no_service(tmp_path: Path) -> None:
    a_monitor(tmp_path)
    [(is_good, text)] = lines()
    assert not is_good
    assert "none runs" in text


def test_which_do_not_watch(tmp_path: Path) -> None:
    Service.objects.create(host="edi-1", pid=1)
    for status in Status.values:
        a_monitor(tmp_path, name=f"a {status}")
        note = "no such directory" if status == Status.MISSING else ""
        DirMonitor.objects.filter(name=f"a {status}").update(status=status, status_note=note)
    assert lines() == [
        (False, "path missing: no such directory"),
        (False, "unreachable"),
        (True, "2 watch their directories"),
    ]


def test_takes_view_dirmonitor(tmp_path: Path) -> None:
    a_monitor(tmp_path)
    user = a_user("view_execution")
    assert desk.lines(user) == []
    user.user_permissions.add(Permission.objects.get(codename="view_dirmonitor"))
    assert desk.lines(type(user).objects.get(pk=user.pk)) != []


def test_on_the_page(tmp_path: Path) -> None:
    a_monitor(tmp_path)
    text = a_client(is_superuser=True).get("/admin/jobqueue/execution/desk/").text
    assert "Directory monitors: none runs" in text
    assert "Directory monitors!" in text


def test_a_receiver_that_fails_hides_nothing() -> None:
    def broken(**_kwargs: object) -> list[DeskLine]:
        raise RuntimeError("a host's mistake")

    def good(**_kwargs: object) -> list[DeskLine]:
        return [DeskLine(False, "<b>Portal</b>", "is down")]

    desk_drawn.connect(broken)
    desk_drawn.connect(good)
    try:
        text = a_client("view_execution").get("/admin/jobqueue/execution/desk/").text
    finally:
        desk_drawn.disconnect(broken)
        desk_drawn.disconnect(good)
    assert "&lt;b&gt;Portal&lt;/b&gt;: is down" in text
