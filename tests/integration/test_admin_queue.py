"""Queues in the admin: pause and resume."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobqueue import queue
from jobqueue.models import Queue
from tests.builders import a_cluster, a_run, a_waiting
from tests.users import a_client, noted, told

pytestmark = pytest.mark.django_db
LIST = "/admin/jobqueue/queue/"


@pytest.fixture
def etl() -> Queue:
    return Queue.objects.create(name="etl")


@pytest.fixture
def operator() -> Client:
    return a_client("control_queue", username="anna")


def page(row: Queue, name: str) -> str:
    return f"{LIST}{row.pk}/{name}/"


def pause(client: Client, row: Queue, **over: Any) -> Any:
    form = {"confirmed": "yes", "reason": "", "until_0": "", "until_1": "", **over}
    return client.post(page(row, "pause"), form)


def is_paused(row: Queue) -> bool:
    row.refresh_from_db()
    return row.is_paused(timezone.now())


def test_the_list(admin_client: Client) -> None:
    run = a_run(queue="etl")
    a_waiting(queue="etl")
    a_waiting(queue="etl")
    queue.pause("nightly", "anna", "<b>moving</b>")
    answer = admin_client.get(LIST)
    text = answer.text
    assert f">#{run.pk}</a>" in text
    assert '?state__exact=waiting&amp;queue=etl">2</a>' in text
    assert "&lt;b&gt;moving&lt;/b&gt;" in text
    assert "<b>moving" not in text


def test_that_nothing_will_start(etl: Queue, admin_client: Client) -> None:
    pages = (LIST, page(etl, "change"))
    for url in pages:
        assert "No cluster runs: nothing will start." in admin_client.get(url).text
    a_cluster()
    for url in pages:
        assert "No cluster runs" not in admin_client.get(url).text


def test_pause_asks_why_and_until_when(etl: Queue, operator: Client) -> None:
    asked = operator.get(page(etl, "pause"))
    assert 'name="reason"' in asked.text
    assert not is_paused(etl)
    until = timezone.localtime() + timedelta(days=2)
    answer = pause(
        operator, etl, reason="The partner moves.",
        until_0=until.strftime("%Y-%m-%d"), until_1=until.strftime("%H:%M:%S"),
    )  # fmt: skip
    assert is_paused(etl)
    assert (etl.paused_by, etl.pause_reason) == ("anna", "The partner moves.")
    assert etl.paused_until == until.replace(microsecond=0)
    assert "The queue etl is paused." in told(answer)
    assert noted()[0][1].endswith("The partner moves.")


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("day", ["2100-01-01", "9999-12-31"])
def test_a_time_that_is_too_far(
    etl: Queue, operator: Client, settings: Settings, zone: str, day: str
) -> None:
    settings.TIME_ZONE = zone
    answer = pause(operator, etl, until_0=day, until_1="23:59:59")
    assert "more than ten years ahead" in answer.text
    assert not is_paused(etl)


def test_the_log_shows_hostile_reasons_escaped(etl: Queue, operator: Client) -> None:
    pause(operator, etl, reason="\u202egnp.exe")
    assert noted() == [("anna", r"Paused. \u202egnp.exe")]


def test_a_time_that_is_over(etl: Queue, operator: Client) -> None:
    answer = pause(operator, etl, until_0="2020-01-01", until_1="00:00:00")
    assert "This moment is over." in answer.text
    assert not is_paused(etl)


class TestByName:
    """A queue that was never served nor paused, but in which something waits."""

    URL = f"{LIST}pause/?queue=night"
    FORM = {"confirmed": "yes", "reason": "The partner moves.", "until_0": "", "until_1": ""}

    def test_asks_the_same_and_makes_its_row(self, operator: Client) -> None:
        asked = operator.get(self.URL)
        assert "<li>night</li>" in asked.text
        assert 'name="reason"' in asked.text
        assert not Queue.objects.exists()
        answer: Any = operator.post(self.URL, self.FORM)
        row = Queue.objects.get(name="night")
        assert is_paused(row)
        assert (row.paused_by, row.pause_reason) == ("anna", "The partner moves.")
        assert answer.url == page(row, "change")
        assert noted() == [("anna", "Paused. The partner moves.")]

    def test_comes_back_to_the_desk(self, operator: Client) -> None:
        desk = "/admin/jobqueue/execution/desk/"
        answer: Any = operator.post(f"{self.URL}&next={desk}", self.FORM)
        assert answer.url == desk

    def test_one_that_has_a_row_by_now(self, operator: Client, etl: Queue) -> None:
        operator.post(f"{LIST}pause/?queue=etl", self.FORM)
        assert is_paused(etl)
        assert Queue.objects.count() == 1

    @pytest.mark.parametrize("name", ["", "N", "a b", "a" * 65, "<b>", "%00"])
    def test_what_is_no_name(self, operator: Client, name: str) -> None:
        assert operator.get(f"{LIST}pause/", {"queue": name}).status_code == 404
        assert operator.post(f"{LIST}pause/?queue={name}", self.FORM).status_code == 404
        assert not Queue.objects.exists()

    def test_takes_control_queue_and_a_token(self) -> None:
        assert a_client("view_queue", "stop_execution").get(self.URL).status_code == 403
        client = a_client("control_queue", enforce_csrf_checks=True)
        assert client.post(self.URL, self.FORM).status_code == 403
        assert not Queue.objects.exists()

    def test_the_desk_leads_there(self) -> None:
        a_waiting(queue="night")
        desk = "/admin/jobqueue/execution/desk/"
        assert (
            f'href="{self.URL}&amp;next='
            in a_client("view_execution", "control_queue").get(desk).text
        )
        assert "/pause/" not in a_client("view_execution").get(desk).text


def test_resume(etl: Queue, operator: Client) -> None:
    queue.pause("etl", "anna")
    answer = operator.post(page(etl, "resume"))
    assert not is_paused(etl)
    assert "The queue etl goes on." in told(answer)
    assert noted() == [("anna", "Resumed.")]
    assert "wasn't paused" in told(operator.post(page(etl, "resume")))


def test_a_get_changes_nothing(etl: Queue, operator: Client) -> None:
    operator.get(page(etl, "pause"), {"confirmed": "yes"})
    assert not is_paused(etl)
    queue.pause("etl", "anna")
    operator.get(page(etl, "resume"))
    assert is_paused(etl)


def test_takes_control_queue(etl: Queue) -> None:
    client = a_client("view_queue", "change_queue", "delete_queue")
    assert client.get(LIST).status_code == 200
    assert pause(client, etl).status_code == 403
    assert client.post(page(etl, "resume")).status_code == 403
    assert client.post(page(etl, "change"), {"name": "x"}).status_code == 403
    assert client.post(page(etl, "delete"), {"post": "yes"}).status_code == 403
    assert a_client("view_job").get(LIST).status_code == 403


def test_wants_a_token(etl: Queue) -> None:
    client = a_client("control_queue", enforce_csrf_checks=True)
    assert pause(client, etl).status_code == 403
    assert not is_paused(etl)


def test_actions_of_the_list(etl: Queue, operator: Client) -> None:
    other = Queue.objects.create(name="other")
    data = {"action": "pause", "_selected_action": [etl.pk, other.pk]}
    asked = operator.post(LIST, data)
    assert "etl" in asked.text
    assert not is_paused(etl)
    operator.post(LIST, {**data, "confirmed": "yes", "reason": "both"})
    assert is_paused(etl)
    assert is_paused(other)
    assert "Resume?" in operator.post(LIST, {**data, "action": "resume"}).text
    assert is_paused(etl)
    operator.post(LIST, {**data, "action": "resume", "confirmed": "yes"})
    assert not is_paused(etl)
    assert not is_paused(other)


def test_the_buttons(etl: Queue, operator: Client) -> None:
    text = operator.get(page(etl, "change")).text
    assert page(etl, "pause") in text
    queue.pause("etl", "anna")
    text = operator.get(page(etl, "change")).text
    assert f'action="{page(etl, "resume")}"' in text
    assert page(etl, "pause") not in text
    assert page(etl, "resume") not in a_client("view_queue").get(page(etl, "change")).text
