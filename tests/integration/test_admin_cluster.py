"""Clusters in the admin: who serves the queues, and who doesn't any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.builders import a_cluster, a_dead_owner
from tests.users import a_client

pytestmark = [pytest.mark.database, pytest.mark.django_db]
LIST = "/admin/jobqueue/cluster/"
THEN = timezone.now() - timedelta(minutes=3)


def test_one_that_is_alive(admin_client: Client) -> None:
    a_cluster(name="fanta-papa", host="edi-<1>", pid=4711)
    text = admin_client.get(LIST).text
    for word in ("fanta-papa", "edi-&lt;1&gt;", "4711", "✓</span> alive"):
        assert word in text
    assert "No cluster runs" not in text


def test_one_that_stops(admin_client: Client) -> None:
    a_cluster(stopping_at=THEN)
    text = admin_client.get(LIST).text
    assert "‖</span> stopping" in text
    assert "The cluster is stopping: nothing more will start until" in text


@pytest.mark.parametrize(
    ("over", "why"),
    [
        ({"owner": None}, "its process is gone"),
        ({"host": "edi-2", "owner": "edi-2:boot.1:7-8", "seen_at": THEN}, "or cut off from"),
        ({"seen_at": THEN}, "or cut off from the database"),
    ],
    ids=["gone", "elsewhere", "silent"],
)
def test_one_that_is_dead(admin_client: Client, over: dict[str, object], why: str) -> None:
    a_cluster(**{**over, **({"owner": a_dead_owner()} if over.get("owner", "") is None else {})})
    text = admin_client.get(LIST).text
    assert "✗</span> dead" in text
    assert why in text
    assert "No cluster runs: nothing will start." in text


def test_nobody_adds_edits_or_deletes(admin_client: Client) -> None:
    row = a_cluster()
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.get(f"{LIST}{row.pk}/change/").status_code == 200
    assert admin_client.post(f"{LIST}{row.pk}/change/", {"name": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in admin_client.get(LIST).text


def test_takes_view_cluster_or_control_queue() -> None:
    for permission, code in (("view_cluster", 200), ("control_queue", 200), ("view_queue", 403)):
        assert a_client(permission).get(LIST).status_code == code
