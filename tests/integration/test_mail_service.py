"""The service and its mail: a real ``qcluster`` and a real SMTP server."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobqueue.api import enqueue
from jobqueue.models import Alarm, Execution, Message, Notify, State
from tests.builders import a_job
from tests.commands import Notes, program
from tests.service import CHECKOUT, Service
from tests.site import a_service, wait_for_end
from tests.smtpd import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 180


def service(mail_server: Server, **over: Any) -> Service:
    told = {"to": ["anna@example.com"], "profile": "ours"}
    return a_service(
        jobqueue={
            "MAIL_PROFILES": {"ours": mail_server.profile()},
            "RECIPIENTS": {"team": told},
            "QUEUE_RECIPIENTS": {"default": ["team"]},
            "ALARM_QUIET": 0,
            **over,
        }
    )


def wait_for_mails(mail_server: Server, count: int) -> list[str]:
    """The subjects without where it was, when so many have come."""
    wait_until(lambda: len(mail_server.mails) >= count, SECONDS, f"{count} mails")
    return [subject.partition("] ")[2] for subject in mail_server.subjects]


@pytest.mark.database
def test_a_job_fails_and_is_well_again(mail_server: Server) -> None:
    job = a_job(name="Engine", argv=program("fail", 7))
    with service(mail_server):
        enqueue(job)
        assert wait_for_mails(mail_server, 1) == ["Engine failed: return code 7"]
        enqueue(job)
        wait_for_end()
        job.argv = ["true"]
        job.save()
        enqueue(job)
        _, last = wait_for_mails(mail_server, 2)
        assert last.startswith("Engine is well again after ")
        wait_until(lambda: not Message.objects.filter(sent_at=None).exists(), SECONDS, "the end")
    assert len(mail_server.mails) == 2
    assert mail_server.mails[1]["In-Reply-To"] == mail_server.mails[0]["Message-ID"]
    assert not Execution.objects.filter(unjudged__isnull=False).exists()


def test_what_ends_just_before_a_stop_is_told_before_it(mail_server: Server) -> None:
    job = a_job(name="Engine", argv=program("fail", 7))
    with service(mail_server) as ours:
        enqueue(job)
        wait_for_end()
        assert ours.stop() == 0
    assert [subject.partition("] ")[2] for subject in mail_server.subjects] == [
        "Engine failed: return code 7"
    ]


def test_a_server_that_keeps_silent_holds_up_no_job(mail_server: Server, notes: Notes) -> None:
    mail_server.on_data = lambda: None
    job = a_job(name="Engine", argv=program("fail", 7))
    with service(mail_server):
        enqueue(job)
        wait_until(lambda: mail_server.stalled, SECONDS, "a mail that stalls")
        for number in range(5):
            enqueue(notes.command(number))
        wait_for_end()
        assert len(notes.names()) == 5
        assert not mail_server.mails
        mail_server.on_data = lambda: "250 OK"
        # On a slow machine the first try has timed out; minutes pass until the next.
        waiting = Message.objects.filter(sent_at=None, taken_until=None)

        def has_come() -> bool:
            waiting.update(due_at=timezone.now())
            return bool(mail_server.mails)

        wait_until(has_come, SECONDS, "the mail")


def test_a_mail_that_was_on_its_way_when_all_was_killed_is_sent_by_the_next(
    mail_server: Server,
) -> None:
    mail_server.on_data = lambda: None
    job = a_job(name="Engine", argv=program("fail", 7))
    ours = service(mail_server)
    with ours:
        enqueue(job)
        wait_until(lambda: mail_server.stalled, SECONDS, "a mail on its way")
        ours.kill()
        message = Message.objects.get()
        assert message.sent_at is None
        assert message.taken_until is not None
        mail_server.on_data = lambda: ""
        # What was taken is left alone for minutes: they pass.
        Message.objects.update(taken_until=timezone.now() - timedelta(seconds=1))
        mail_server.on_data = lambda: "250 OK"
        ours.start()
        wait_for_mails(mail_server, 1)
        wait_until(lambda: Message.objects.get().sent_at, SECONDS, "that to be noted")
    assert mail_server.asked == {"anna@example.com": 2}
    assert mail_server.mails[0]["Message-ID"] == message.headers["Message-ID"]


def test_an_end_that_nobody_judged_before_all_was_killed_is_judged_by_the_next(
    mail_server: Server,
) -> None:
    job = a_job(name="Engine", argv=program("fail", 7))
    ours = service(mail_server)
    with ours:
        ours.kill()
        done = ours.manage("jobs", "run", "Engine", "--direct")  # ends without any courier
        assert done.returncode == 7
        assert Execution.objects.get().unjudged == job.pk
        assert not Alarm.objects.exists()
        ours.start()
        assert wait_for_mails(mail_server, 1) == ["Engine failed: return code 7"]


def test_what_jobs_say_themselves(mail_server: Server) -> None:
    manage = [sys.executable, str(CHECKOUT / "manage.py"), "jobs"]
    job = a_job(name="Report", argv=[*manage, "notify", "12", "orders"], notify=Notify.ON_CHANGE)
    with service(mail_server):
        enqueue(job)
        assert wait_for_mails(mail_server, 1) == ["Report: 12 orders"]
        job.argv = [*manage, "alarm", "no orders since noon"]
        job.save()
        enqueue(job)
        assert wait_for_mails(mail_server, 2)[1] == "ALARM: Report: no orders since noon"
        [_, run] = wait_for_end()
        assert run.state == State.SUCCEEDED
        assert run.log_tail == "To be mailed to 1 recipient.\n"
        assert Alarm.objects.get().is_bad
