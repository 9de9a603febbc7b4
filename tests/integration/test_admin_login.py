"""A button that is pressed after the session has ended: the login leads to its address by a GET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobqueue import queue
from jobqueue.models import Execution
from tests.builders import a_job, a_schedule, a_waiting, an_ended
from tests.users import a_user, told

pytestmark = pytest.mark.django_db
UNDONE = "Nothing was done: press the button again."
PLACES: dict[str, tuple[str, Callable[[], Any]]] = {
    "job/{}/run": ("job", a_job),
    "job/{}/ping": ("job", a_job),
    "schedule/{}/run": ("schedule", a_schedule),
    "execution/{}/priority": ("execution", a_waiting),
    "execution/{}/again": ("execution", an_ended),
    "execution/{}/withdraw": ("execution", lambda: an_ended(state="failed")),
    "queue/{}/resume": ("queue", lambda: queue.pause("default", "ben")),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_user_is_told_to_press_it_again(client: Client, place: str) -> None:
    kind, make = PLACES[place]
    row = make()
    url = f"/admin/jobqueue/{place.format(row.pk)}/"
    before = Execution.objects.count()
    to_login = client.post(url, {"priority": "1"})
    a_user(username="ben", password="word", is_superuser=True)
    known = client.post(to_login["Location"], {"username": "ben", "password": "word"})
    assert known["Location"] == url
    answer = client.get(url)
    assert answer["Location"] == f"/admin/jobqueue/{kind}/{row.pk}/change/"
    assert told(answer) == UNDONE
    assert Execution.objects.count() == before


@pytest.mark.parametrize("name", ["cancel", "acknowledge"])
def test_a_page_that_asks_asks(admin_client: Client, name: str) -> None:
    row = a_waiting() if name == "cancel" else an_ended(state="failed")
    answer = admin_client.get(f"/admin/jobqueue/execution/{row.pk}/{name}/")
    assert "?</h1>" in answer.text
    assert told(answer) == ""
