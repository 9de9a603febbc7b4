"""The service and other channels: a real ``qcluster``, and HTTP servers that are none too kind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from jobqueue.api import enqueue
from jobqueue.models import Execution, Job, Message, Notify
from tests.builders import a_job
from tests.commands import program
from tests.service import Service
from tests.site import a_service, wait_for_end
from tests.smtpd import Server
from tests.waiting import wait_until
from tests.webd import Handler, WebServer

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 180


def service(web_server: WebServer, **over: Any) -> Service:
    ops = {"url": web_server.url, "key": "hunter2 hunter2 hunter2"}
    ours = {"CHANNELS": {"webhook:ops": ops}, "ALLOWED_NETWORKS": ["127.0.0.1"]}
    return a_service(jobqueue={**ours, "ALARM_QUIET": 0, **over})


def wait_for(web_server: WebServer, path: str) -> None:
    wait_until(lambda: path in web_server.paths, SECONDS, path)


def wait_for_all_sent() -> None:
    """Until nothing waits; what wasn't accepted is tried again after minutes, which pass."""
    waiting = Message.objects.filter(sent_at=None, taken_until=None)

    def is_sent() -> bool:
        waiting.update(due_at=timezone.now())
        return not Message.objects.filter(sent_at=None).exists()

    wait_until(is_sent, SECONDS, "all to be sent")


def a_patient_job(gate: Path, **over: Any) -> Job:
    """One that runs until there is a file."""
    script = 'until [ -e "$1" ]; do sleep 0.05; done; echo 12 orders'
    return a_job(argv=["sh", "-c", script, "sh", str(gate)], notify=Notify.NEVER, **over)


@pytest.mark.database
def test_a_start_and_an_end_are_pinged(web_server: WebServer, tmp_path: Path) -> None:
    job = a_patient_job(tmp_path / "gate", ping_url=web_server.url)
    with service(web_server):
        enqueue(job)
        wait_for(web_server, "/hook/start")
        (tmp_path / "gate").touch()
        wait_for(web_server, "/hook/0")
        wait_for_all_sent()
    assert not Message.objects.exists()
    start, end = web_server.requests[0], web_server.requests[-1]
    assert list(dict.fromkeys(web_server.paths)) == ["/hook/start", "/hook/0"]
    assert start.path.partition("?")[2] == end.path.partition("?")[2]
    assert end.body == b"12 orders"


def test_pings_survive_a_kill(web_server: WebServer, tmp_path: Path) -> None:
    job = a_patient_job(tmp_path / "gate", ping_url=web_server.url)
    ours = service(web_server)
    with ours:
        enqueue(job)
        wait_for(web_server, "/hook/start")
        # Its answer may not have been given yet.
        wait_until(lambda: Message.objects.get().sent_at, SECONDS, "the start to be told")
        web_server.answer = Handler.stalls
        (tmp_path / "gate").touch()
        wait_for(web_server, "/hook/0")
        ours.kill()
        before = len(web_server.requests)
        web_server.answer = Handler.ok
        # What was taken is left alone for minutes: they pass.
        Message.objects.update(taken_until=timezone.now() - timedelta(seconds=1))
        ours.start()
        wait_for_all_sent()
    assert len(web_server.requests) > before
    assert not Message.objects.exists()
    assert list(dict.fromkeys(web_server.paths)) == ["/hook/start", "/hook/0"]


def test_a_webhook_that_stalls_holds_up_neither_jobs_nor_mail(web_server: WebServer) -> None:
    web_server.answer = Handler.stalls
    with Server() as smtp:
        told = {"to": ["anna@example.com", "webhook:ops"], "profile": "ours"}
        more = {"MAIL_PROFILES": {"ours": smtp.profile()}, "RECIPIENTS": {"team": told}}
        job = a_job(argv=program("fail", 7), recipients="team", notify=Notify.EACH_FAILURE)
        with service(web_server, **more):
            enqueue(job)
            wait_until(lambda: web_server.requests, SECONDS, "a webhook that stalls")
            enqueue(job)
            wait_for_end()
            wait_until(lambda: len(smtp.mails) == 2, SECONDS, "the mails")
            web_server.answer = Handler.ok
            web_server.is_over.set()
            wait_for_all_sent()
    assert {request.json["execution"]["id"] for request in web_server.requests} == set(
        Execution.objects.values_list("pk", flat=True)
    )
