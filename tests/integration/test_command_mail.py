"""``manage.py mail``, and what jobs say by ``jobs alarm`` and ``jobs notify``."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from jobqueue.alarms import outbox
from jobqueue.alarms.mails import Mail
from jobqueue.alarms.outbox import Way
from jobqueue.models import Alarm, Job, Message, Notify
from jobqueue.recipients import Audience
from tests.builders import a_job, a_run
from tests.smtpd import Server
from tests.terminal import call, run
from tests.webd import WebServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Settings, mail_server: Server) -> Server:
    profiles = {"ours": mail_server.profile()}
    settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_PROFILES": profiles}
    settings.MANAGERS = ["managers@example.com"]
    return mail_server


def a_message(subject: str = "Engine failed", **over: object) -> Message:
    written = Mail(subject, "text", "", {})
    [message] = outbox.post(written, [Audience("ours", ("a@example.com",))], timezone.now())
    Message.objects.filter(pk=message.pk).update(**over)
    return message


class TestList:
    def test_what_isn_t_sent(self) -> None:
        assert call("mail", "list").err == "All mail was sent.\n"
        waits = a_message("first\x1b[2J")
        given_up = a_message("second", due_at=None, problem="550 no")
        a_message("third", due_at=None, sent_at=timezone.now())
        a_message("fourth", due_at=None, dropped_by="anna")
        out = call("mail", "list").out
        assert [line.split()[0] for line in out.splitlines()] == [
            *("ID", str(given_up.pk), str(waits.pk)),
        ]
        assert "\x1b" not in out
        assert "550 no" in out
        assert len(call("mail", "list", "--all").out.splitlines()) == 5
        rows = json.loads(call("mail", "list", "--json").out)
        assert [row["subject"] for row in rows] == ["second", "first\x1b[2J"]
        assert "text" not in rows[0]

    def test_send_and_drop(self) -> None:
        one, two = a_message(due_at=None), a_message()
        assert call("mail", "send", str(one.pk)).code == 0
        assert Message.objects.get(pk=one.pk).due_at is not None
        assert call("mail", "drop", str(two.pk)).code == 0
        assert Message.objects.get(pk=two.pk).dropped_by
        done = call("mail", "drop", str(two.pk), "999999")
        assert done.code == 1
        assert f"{two.pk}, 999999" in done.err


class TestTest:
    def test_what_the_server_answered(self, server: Server) -> None:
        server.on_data = lambda: "250 2.0.0 queued as 4711"
        done = call("mail", "test", "ours", "--to", "anna@example.com")
        assert done.code == 0
        assert done.out == (
            "Sent to anna@example.com; the server answered: 250 2.0.0 queued as 4711\n"
        )
        assert server.envelopes == [["anna@example.com"]]

    def test_that_it_refused(self, server: Server) -> None:
        server.on_recipient = lambda _: "550 5.1.1 no such user"
        done = call("mail", "test", "ours")
        assert done.code == 1
        assert "Not sent to managers@example.com" in done.err
        assert "550 5.1.1 no such user" in done.err

    def test_that_there_is_none(self, server: Server, settings: Settings) -> None:
        assert "known: 'ours'" in call("mail", "test", "theirs").err
        profiles = {"ours": {**server.profile(), "port": 1}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_PROFILES": profiles}
        assert "refused" in call("mail", "test", "ours").err

    @pytest.mark.parametrize("who", ["a@b\nBcc: c", "nobody", ""])
    def test_to_whom(self, server: Server, settings: Settings, who: str) -> None:
        settings.MANAGERS = []
        done = call("mail", "test", "ours", "--to", who)
        assert done.code == 1
        assert done.err.count("\n") == 1
        assert not server.mails

    def test_a_channel(self, settings: Settings) -> None:
        with WebServer() as web:
            ops = {"url": web.url, "key": "hunter2 hunter2 hunter2"}
            own = {"CHANNELS": {"webhook:ops": ops}, "ALLOWED_NETWORKS": ["127.0.0.1"]}
            settings.JOBQUEUE = {**settings.JOBQUEUE, **own}
            done = call("mail", "test", "webhook:ops")
            assert (done.code, done.out) == (
                0,
                "Sent to webhook:ops; the server answered: 200 OK OK\n",
            )
            assert "--to is for mail" in call("mail", "test", "webhook:ops", "--to", "a@b").err
            assert "known: 'webhook:ops'" in call("mail", "test", "webhook:gone").err
            web.answer = lambda handler: handler.says(403)
            done = call("mail", "test", "webhook:ops")
            assert (done.code, done.err.count("\n")) == (1, 1)
            assert "Not sent to webhook:ops: The server answered: 403 Forbidden" in done.err

    def test_a_ping(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_NETWORKS": ["127.0.0.1"]}
        job = a_job(name="Nightly report")
        done = call("mail", "test", "ping:Nightly report")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "no address for pings" in done.err
        with WebServer() as web:
            Job.objects.filter(pk=job.pk).update(ping_url=web.url)
            done = call("mail", "test", "ping:Nightly report")
            assert (done.code, web.paths) == (0, ["/hook/log"])
            assert done.out.startswith("Sent to the ping address of Nightly report; the server")
            assert "did you mean" in call("mail", "test", "ping:Nightly raport").err

    def test_djangos_own_way(self, server: Server) -> None:
        assert call("mail", "test").out == "Sent to managers@example.com\n"


class TestWhatJobsSay:
    def test_outside_of_a_job(self) -> None:
        done = call("jobs", "alarm", "no orders")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "JOBQUEUE_EXECUTION" in done.err

    @pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 40, "1\n2"])
    def test_of_no_run(self, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
        monkeypatch.setenv("JOBQUEUE_EXECUTION", number)
        done = call("jobs", "notify", "text")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "There is no execution" in done.err

    def test_nobody_is_told(self, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
        monkeypatch.setenv("JOBQUEUE_EXECUTION", str(a_run(a_job(notify=Notify.NEVER)).pk))
        assert "Nobody is told" in call("jobs", "alarm", "no orders").out
        assert Alarm.objects.get().is_bad
        assert not Message.objects.exists()

    def test_nothing_to_say(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JOBQUEUE_EXECUTION", str(a_run(a_job()).pk))
        assert "empty" in call("jobs", "notify", " ").err

    @pytest.mark.django_db(transaction=True)
    def test_from_a_terminal(self) -> None:
        pk = a_run(a_job(recipients="a@example.com")).pk
        done = run("jobs", "notify", "12", "orders", JOBQUEUE_EXECUTION=str(pk))
        assert (done.code, done.out) == (0, "To be mailed to 1 recipient.\n")
        assert "12 orders" in Message.objects.get().subject


class TestJobOptions:
    def test_who_is_told_of_what(self) -> None:
        options = [
            "--notify",
            "each_failure",
            "--alarm-after",
            "3",
            "--recipients",
            "a@b, c@d.example",
        ]
        assert call("jobs", "create", "Engine", *options, "--", "true").code == 0
        job = Job.objects.get()
        assert (job.notify, job.alarm_after, job.recipients) == (
            "each_failure",
            3,
            "a@b, c@d.example",
        )
        url = "https://hc-ping.com/1"
        assert call("jobs", "edit", "Engine", "--ping-url", url).code == 0
        assert Job.objects.get().ping_url == url
        assert "begins with http" in call("jobs", "edit", "Engine", "--ping-url", "ftp://x").err
        assert call("jobs", "edit", "Engine", "--ping-url", "").code == 0
        assert Job.objects.get().ping_url == ""
        done = call("jobs", "edit", "Engine", "--recipients", "a@b\nBcc: c")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "'Bcc: c' is no mail address" in done.err
        assert call("jobs", "edit", "Engine", "--notify", "sometimes").code == 1


def test_nothing_waits_longer_than_it_is_tried() -> None:
    message = a_message(created_at=timezone.now() - outbox.TRIED_FOR - timedelta(hours=1))
    taken = outbox.take(timezone.now(), Way("mail", "ours"))
    assert taken is not None
    outbox.failed(taken, "timed out", timezone.now())
    assert Message.objects.get(pk=message.pk).due_at is None
