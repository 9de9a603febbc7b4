"""The service with ``LOG_FORMAT=json``: each line an object, no event twice, and no secret."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from jobqueue.api import enqueue
from jobqueue.models import Message
from tests.builders import a_job
from tests.commands import program
from tests.site import a_service, wait_for_end
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "hunter2 hunter2 hunter2"
NOBODY = {"host": "127.0.0.1", "port": 1, "user": "bots", "password": SECRET}


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_that_fails_and_messages_that_can_t_be_sent() -> None:
    hook = {"url": f"http://127.0.0.1:1/{SECRET.replace(' ', '-')}", "key": SECRET}
    told = {"to": ["anna@example.com", "webhook:ops"], "profile": "ours"}
    given = {
        "MAIL_PROFILES": {"ours": NOBODY},
        "CHANNELS": {"webhook:ops": hook},
        "ALLOWED_NETWORKS": ["127.0.0.1"],
        "RECIPIENTS": {"team": told},
    }
    ping_url = f"http://127.0.0.1:1/{SECRET.replace(' ', '-')}"
    job = a_job(
        name="Engine",
        argv=program("fail", 7),
        env={"PASSWORD": SECRET},
        recipients="team",
        ping_url=ping_url,
    )
    log = settings.JOBQUEUE["DATA_DIR"] / "logs" / "jobqueue.log"
    pk = enqueue(job).execution.pk  # noted in the same file, by this process
    service = a_service(jobqueue=given, LOG_FORMAT="json")
    before = {path: text_of(path) for path in (log, service.output)}
    with service:
        wait_for_end()
        untried = Message.objects.filter(problem="")
        wait_until(lambda: Message.objects.count() == 3, 90, "the messages")
        wait_until(lambda: not untried.exists(), 90, "a try of each")
        assert service.stop() == 0
    written, console = (lines_of(text_of(path).removeprefix(before[path])) for path in before)
    for lines in (console, written):
        events = Counter(line["event"] for line in lines if line.get("execution") == pk)
        assert events["run.started"] == events["run.ended"] == events["alarm.bad"] == 1
        ways = {line["way"] for line in lines if line["event"] == "message.not_sent"}
        assert {"mail:ours", "webhook:ops"} < ways
        assert events["message.not_sent"] >= 3  # all three say which run they tell of
        assert {line["channel"] for line in lines if line["event"] == "message.not_sent"} == {
            *("mail", "webhook", "ping"),
        }
    [ended] = [line for line in written if line["event"] == "run.ended"]
    assert (ended["state"], ended["return_code"], ended["job"]) == ("failed", 7, "Engine")
    shown = json.dumps([console, written])
    assert SECRET not in shown
    assert "hunter2-hunter2" not in shown
