"""Other channels than mail: real HTTP servers that refuse, stall, redirect, flood and drop."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.utils import timezone
from django.utils.translation import override
from pytest_django import Settings

from jobqueue import queue
from jobqueue.alarms import courier, judging, outbox, pings, sending, telling
from jobqueue.alarms.channels import Channel, NotSent, Receipt, ping, web
from jobqueue.alarms.mails import Mail
from jobqueue.alarms.sending import Sending
from jobqueue.languages import translated
from jobqueue.models import Alarm, Execution, Job, Message, Notify, State
from jobqueue.recipients import audiences, of_channel
from tests.builders import a_job, a_recovery, a_run, an_end
from tests.smtpd import a_certificate, a_dripping_handshake
from tests.waiting import wait_until
from tests.webd import Handler, WebServer

pytestmark = [pytest.mark.database, pytest.mark.django_db]

KEY = "hunter2 hunter2 hunter2"
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture(autouse=True)
def ways(settings: Settings, web_server: WebServer) -> dict[str, Any]:
    """The channels of the settings, which may be changed."""
    ways: dict[str, Any] = {
        "webhook:ops": {"url": f"{web_server.url}?token=hunter2", "key": KEY},
        "webhook:other": {"url": web_server.url, "key": KEY},
    }
    settings.MANAGERS = []
    settings.JOBQUEUE = {
        **settings.JOBQUEUE,
        "CHANNELS": ways,
        "ALLOWED_NETWORKS": LOOPBACK,
        "SITE_URL": "https://edi.example.com",
    }
    return ways


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(web, "SILENCE", 60.0)
    monkeypatch.setattr(web, "DEADLINE", 90.0)


def post(*words: str, subject: str = "Engine failed") -> Message:
    written = Mail(subject, "text", "<p>html</p>", {"Message-ID": "<1@edi>"}, {"event": "test"})
    return outbox.post(written, audiences(words or ["webhook:ops"]), timezone.now())[0]


def now(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def look(one: Sending | None = None) -> None:
    """What a worker's threads do, one after another."""
    sending = one or Sending()
    for way in sending.open_ways(timezone.now()):
        sending.send(way)


def due_again() -> None:
    Message.objects.filter(due_at__isnull=False).update(due_at=timezone.now())


def ended(job: Job, state: str = State.FAILED, **over: Any) -> Execution:
    """A run of the Job that ended so, and was judged and told."""
    codes = {"return_code": 0} if state == State.SUCCEEDED else {"return_code": 7, "reason": "why"}
    run = a_run(job)
    assert queue.finish(run, an_end(**{"state": state, **codes, **over}))
    judging.judge(timezone.now())
    telling.tell(timezone.now())
    return run


class TestWebhook:
    def test_what_is_sent_says_all_that_a_program_needs(self, web_server: WebServer) -> None:
        job = a_job(name="Engine", recipients="webhook:ops")
        run = ended(job, log_tail="out\n")
        look()
        [request] = web_server.requests
        assert request.path == "/hook?token=hunter2"
        assert request.headers["Content-Type"] == "application/json"
        said = request.json
        assert (said["version"], said["event"]) == (1, "alarm.bad")
        assert said["subject"].endswith("Engine failed: why")
        assert said["execution"] == {
            "id": run.pk,
            "job": "Engine",
            "queue": "default",
            "state": "failed",
            "reason": "why",
            "return_code": 7,
            "attempt": 1,
            "host": said["host"],
            **{name: said["execution"][name] for name in ("queued_at", "started_at", "ended_at")},
            "url": f"https://edi.example.com/admin/jobqueue/execution/{run.pk}/change/",
        }
        [alarm] = said["alarms"]
        assert (alarm["job"], alarm["is_bad"], alarm["failures"]) == ("Engine", True, 1)
        assert now(Message.objects.get()).sent_at is not None

    def test_who_has_the_key_knows_that_it_is_ours(self, web_server: WebServer) -> None:
        post()
        look()
        [request] = web_server.requests
        at = request.headers["Jobqueue-Timestamp"]
        signed = hmac.new(KEY.encode(), at.encode() + b"." + request.body, hashlib.sha256)
        assert request.headers["Jobqueue-Signature"] == f"sha256={signed.hexdigest()}"
        assert abs(int(at) - timezone.now().timestamp()) < 1000

    def test_a_second_try_has_the_same_name(self, web_server: WebServer) -> None:
        web_server.answer = lambda handler: handler.says(503)
        message = post()
        look()
        assert now(message).problem.startswith("The server answered: 503")
        web_server.answer = Handler.ok
        due_again()
        look()
        assert now(message).sent_at is not None
        first, second = web_server.requests
        assert first.json["id"] == second.json["id"] == "1@edi"
        assert first.headers["Jobqueue-Delivery"] == second.headers["Jobqueue-Delivery"]

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (lambda h: h.says(404, b"no such hook \x1b[2J"), "The server answered: 404 Not Found"),
            (
                lambda h: h.says(302, Location="http://127.0.0.1/x"),
                "sends us to http://127.0.0.1/x",
            ),
            (lambda h: h.says(500), "The server answered: 500"),
            (Handler.drops, "127.0.0.1"),
            (Handler.stalls, "timed out"),
        ],
        ids=["refuses", "redirects", "fails", "drops", "stalls"],
    )
    def test_what_isn_t_accepted_is_tried_again(
        self, web_server: WebServer, answer: Any, problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web_server.answer = answer
        message = post()
        with monkeypatch.context() as hasty:
            if answer == Handler.stalls:
                hasty.setattr(web, "SILENCE", 0.5)
            look()
        assert problem in now(message).problem
        assert "\x1b" not in now(message).problem
        assert now(message).due_at is not None
        web_server.answer = Handler.ok
        due_again()
        look()
        assert now(message).sent_at is not None

    def test_one_that_never_comes_to_the_point_is_cut_off(
        self, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web, "DEADLINE", 0.5)
        web_server.answer = Handler.drips
        message = post()
        look()
        assert now(message).problem == "No answer within 0.5 s."

    @pytest.mark.parametrize(
        ("language", "words"),
        [
            ("en", "The server answered: 404 Not Found no such hook"),
            ("de", "Der Server antwortete: 404 Not Found no such hook"),
            ("nl", "De server antwoordde: 404 Not Found no such hook"),
        ],
    )
    def test_our_words_are_those_of_the_reader_and_the_answer_stays(
        self, web_server: WebServer, language: str, words: str
    ) -> None:
        web_server.answer = lambda handler: handler.says(404, b"no such hook")
        with pytest.raises(NotSent) as failed, override(language):
            sending.test(of_channel("webhook:ops"))
        with override(language):
            assert translated(failed.value.problem) == words
            assert str(failed.value) == "The server answered: 404 Not Found no such hook"

    def test_one_that_never_comes_to_the_end_of_the_handshake(
        self, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long a socket may wait for something."""
        monkeypatch.setattr(web, "DEADLINE", 1.0)
        with a_dripping_handshake() as port:
            ways["webhook:ops"]["url"] = f"https://127.0.0.1:{port}/hook"
            message = post()
            look()
        assert now(message).problem == "No answer within 1 s."

    def test_one_that_takes_too_long_to_be_found_is_cut_off_then(
        self, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web, "DEADLINE", 0.2)
        is_cut, cut = threading.Event(), web._Connection.cut

        def noted(connection: Any) -> None:
            cut(connection)
            is_cut.set()

        def slow(*_: Any, **__: Any) -> list[Any]:
            assert is_cut.wait(60)
            return [(2, 1, 6, "", ("127.0.0.1", web_server.port))]

        monkeypatch.setattr(web._Connection, "cut", noted)
        monkeypatch.setattr("socket.getaddrinfo", slow)
        web_server.answer = Handler.drips
        message = post()
        look()
        assert now(message).problem == "No answer within 0.2 s."

    def test_an_answer_of_100_mb_harms_nothing(self, web_server: WebServer) -> None:
        web_server.answer = Handler.floods
        message = post()
        look()
        assert now(message).sent_at is not None

    def test_what_is_out_of_order_is_left_alone_for_a_while(
        self, web_server: WebServer, ways: dict[str, Any]
    ) -> None:
        ways["webhook:ops"]["url"] = "http://127.0.0.1:1/"
        message, second, other = post(), post(), post("webhook:other")
        one = Sending()
        look(one)
        assert "refused" in now(message).problem
        assert now(second).attempts == 0
        assert now(other).sent_at is not None
        ways["webhook:ops"]["url"] = web_server.url
        due_again()
        look(one)
        assert now(second).attempts == 0
        look()
        assert now(second).sent_at is not None

    def test_one_that_is_gone_from_the_settings(self, ways: dict[str, Any]) -> None:
        message = post()
        del ways["webhook:ops"]
        look()
        assert now(message).problem == "JOBQUEUE['CHANNELS'] has no 'webhook:ops' any more."
        assert audiences(["webhook:ops"]) == []

    def test_only_a_certificate_that_is_trusted_will_do(
        self, tmp_path: Path, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate = a_certificate(tmp_path)
        with WebServer(certificate) as server:
            ways["webhook:ops"]["url"] = server.url
            message = post()
            look()
            assert "CERTIFICATE_VERIFY_FAILED" in now(message).problem
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            due_again()
            look()
            assert now(message).sent_at is not None

    def test_secrets_are_neither_stored_nor_logged(
        self, web_server: WebServer, ways: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        web_server.answer = lambda handler: handler.says(500, b"no")
        post()
        look()
        ways["webhook:ops"]["url"] = "http://127.0.0.1:1/?token=hunter2"
        due_again()
        look()
        ways["webhook:ops"]["url"] = "http://127.0.0.1:x/?token=hunter2"
        due_again()
        look()
        stored = [*Message.objects.values_list("problem", "recipients", "data", "headers")]
        assert "hunter2" not in f"{stored} {caplog.text}"


class TestPrivateNetworks:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_they_are_refused_where_nothing_allows_them(
        self, web_server: WebServer, settings: Settings, ways: dict[str, Any], host: str
    ) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_NETWORKS": []}
        ways["webhook:ops"]["url"] = web_server.url.replace("127.0.0.1", host)
        message = post()
        look()
        assert now(message).problem == (
            f"{host} is in a private network, which JOBQUEUE['ALLOWED_NETWORKS'] doesn't allow."
        )
        assert not web_server.requests

    def test_a_name_that_changes_its_address_leads_nowhere(
        self, web_server: WebServer, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is asked of is what is connected to: the name is looked up once."""
        asked = []

        def rebinding(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            address = ("10.9.8.7", port) if len(asked) == 1 else ("127.0.0.1", port)
            return [(2, 1, 6, "", address)]

        monkeypatch.setattr("socket.getaddrinfo", rebinding)
        ways["webhook:ops"]["url"] = f"http://evil.example:{web_server.port}/"
        message = post()
        look()
        assert asked == ["evil.example"]
        assert "private network" in now(message).problem
        assert not web_server.requests


class TestSeveralWays:
    @pytest.mark.django_db(transaction=True)
    def test_one_that_stalls_holds_up_no_other(
        self, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web, "SILENCE", 100.0)
        monkeypatch.setattr(web, "DEADLINE", 100.0)
        is_let_go = threading.Event()

        def answer(handler: Handler) -> None:
            if "token" in handler.path:
                is_let_go.wait(100)
            handler.ok()

        web_server.answer = answer
        slow, other = post(), post("webhook:other")
        threads = Sending()
        threads.start(timezone.now())
        wait_until(lambda: now(other).sent_at, 60, "the other one")
        threads.start(timezone.now())  # it's under way already
        assert now(slow).sent_at is None
        is_let_go.set()
        wait_until(lambda: now(slow).sent_at, 60, "the slow one")
        threads.join(60)
        assert len(web_server.requests) == 2


class TestTest:
    def test_what_the_receiver_answered(self, web_server: WebServer) -> None:
        assert sending.test(of_channel("webhook:ops")) == "200 OK OK"
        [request] = web_server.requests
        assert request.json["event"] == "test"
        assert "arrive by webhook:ops" in request.json["text"]
        assert not Message.objects.exists()

    def test_that_it_refused(self, web_server: WebServer) -> None:
        web_server.answer = lambda handler: handler.says(403)
        with pytest.raises(NotSent, match="403 Forbidden"):
            sending.test(of_channel("webhook:ops"))


class Sms(Channel):
    """A kind of the host's own."""

    sent: ClassVar[list[str]] = []

    def deliver(self, message: Message) -> Receipt:
        if message.subject == "broken":
            raise RuntimeError("password hunter2 refused")
        self.sent.append(f"{self.profile}: {message.subject}")
        return Receipt("queued")


class TestKindsOfTheHost:
    @pytest.fixture(autouse=True)
    def kinds(self, settings: Settings, ways: dict[str, Any]) -> Iterator[None]:
        ways["sms:night"] = {}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "CHANNEL_KINDS": {"sms": f"{__name__}.Sms"}}
        yield
        Sms.sent.clear()

    def test_one_is_a_class(self) -> None:
        message = post("sms:night")
        look()
        assert Sms.sent == ["night: Engine failed"]
        assert now(message).sent_at is not None

    def test_one_that_fails_tells_no_secret(self) -> None:
        message = post("sms:night", subject="broken")
        look()
        assert now(message).problem == "The channel failed: RuntimeError."

    def test_one_that_is_gone(self, settings: Settings) -> None:
        message = post("sms:night")
        settings.JOBQUEUE = {**settings.JOBQUEUE, "CHANNEL_KINDS": {"sms": "no.such.Sms"}}
        look()
        assert now(message).problem == (
            "It has no way: the kind of channel 'sms' can't be imported."
        )


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by a dependency
@pytest.mark.skipif(importlib.util.find_spec("apprise") is None, reason="an extra")
class TestApprise:
    def test_it_goes_by_the_library(self, web_server: WebServer, ways: dict[str, Any]) -> None:
        ways["apprise:chat"] = {
            "url": f"json://127.0.0.1:{web_server.port}/?cto=60&rto=60&token=hunter2"
        }
        message = post("apprise:chat")
        look()
        [request] = web_server.requests
        assert (request.json["title"], request.json["message"]) == ("Engine failed", "text")
        assert now(message).sent_at is not None

    def test_it_isn_t_accepted(
        self, web_server: WebServer, ways: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        web_server.answer = lambda handler: handler.says(500)
        ways["apprise:chat"] = {"url": f"json://user:hunter2@127.0.0.1:{web_server.port}/?rto=60"}
        message = post("apprise:chat")
        look()
        assert "wasn't accepted" in now(message).problem
        ways["apprise:chat"]["url"] = "nonsense://hunter2"
        due_again()
        look()
        assert "can't read" in now(message).problem
        assert "hunter2" not in caplog.text


class TestPings:
    def test_a_start_and_an_end_belong_together(self, web_server: WebServer) -> None:
        job = a_job(name="Engine", ping_url=f"{web_server.url}?create=1")
        run = a_run(job)
        pings.tell_starts(timezone.now())
        pings.tell_starts(timezone.now())
        look()
        queue.finish(run, an_end(log_tail="12 orders\n"))
        judging.judge(timezone.now())
        look()
        assert web_server.paths == ["/hook/start", "/hook/0"]
        start, end = web_server.requests
        assert start.path.partition("?")[2] == end.path.partition("?")[2]
        assert start.path.startswith(f"/hook/start?create=1&rid={pings.rid_of(run)}")
        assert end.body == b"12 orders"
        assert not Message.objects.exists()

    @pytest.mark.parametrize(
        ("over", "signal"),
        [
            ({"state": State.SUCCEEDED, "return_code": 0}, "0"),
            ({"state": State.FAILED, "return_code": 7}, "7"),
            ({"state": State.WARNED, "return_code": 2}, "2"),
            ({"state": State.FAILED, "return_code": 137}, "137"),
            ({"state": State.FAILED, "return_code": None}, "fail"),
            ({"state": State.TIMED_OUT, "return_code": 143}, "fail"),
            ({"state": State.LOST, "return_code": None}, "fail"),
            ({"state": State.STOPPED, "return_code": 143}, "log"),
            ({"state": State.FAILED, "return_code": 3, "again_after": timedelta(0)}, "log"),
        ],
    )
    def test_what_is_told_of_an_end(
        self, web_server: WebServer, over: dict[str, Any], signal: str
    ) -> None:
        ended(a_job(ping_url=web_server.url, notify=Notify.NEVER), **over)
        look()
        assert web_server.paths == [f"/hook/{signal}"]

    def test_of_a_recovery_run_that_ends_well_only_that_is_noted(
        self, web_server: WebServer
    ) -> None:
        argv = ["bots-engine", "-cprod"]
        job = a_job(argv=argv, ping_url=web_server.url)
        queue.finish(a_run(job), an_end(state=State.STOPPED, recovery=["bots-engine"]))
        recovery = queue.claim("default")
        assert recovery is not None
        pings.tell_starts(timezone.now())
        queue.finish(recovery, an_end())
        judging.judge(timezone.now())
        look()
        assert web_server.paths == ["/hook/log", "/hook/log"]

    def test_a_start_isn_t_told_when_the_run_has_ended(self, web_server: WebServer) -> None:
        web_server.answer = lambda handler: handler.says(503)
        run = a_run(a_job(ping_url=web_server.url))
        pings.tell_starts(timezone.now())
        look()
        queue.finish(run, an_end())
        judging.judge(timezone.now())
        web_server.answer = Handler.ok
        due_again()
        look()
        assert web_server.paths == ["/hook/start", "/hook/0"]
        pings.tell_starts(timezone.now())
        assert not Message.objects.exists()

    def test_an_end_that_is_tried_again_gives_way_to_the_next_one(
        self, web_server: WebServer
    ) -> None:
        web_server.answer = lambda handler: handler.says(503)
        job = a_job(ping_url=web_server.url, notify=Notify.NEVER)
        other = a_job(ping_url=web_server.url, notify=Notify.NEVER)
        ended(other)
        ended(job)
        look()
        look()  # the first 503 has closed the way for the other one
        ended(job, State.SUCCEEDED)
        web_server.answer = Handler.ok
        due_again()
        look()
        assert sorted(web_server.paths) == ["/hook/0", "/hook/7", "/hook/7", "/hook/7"]
        assert web_server.paths[-1] == "/hook/0"
        assert not Message.objects.exists()

    def test_two_ends_that_were_not_tried_yet_are_both_told(self, web_server: WebServer) -> None:
        job = a_job(ping_url=web_server.url, notify=Notify.NEVER)
        ended(job)
        ended(job, State.SUCCEEDED)
        look()
        assert web_server.paths == ["/hook/7", "/hook/0"]

    def test_an_end_waits_for_a_start_that_is_on_its_way(self, web_server: WebServer) -> None:
        run = a_run(a_job(ping_url=web_server.url))
        pings.tell_starts(timezone.now())
        [way] = outbox.ways(timezone.now())
        taken = outbox.take(timezone.now(), way)
        assert taken is not None
        moment = timezone.now()
        queue.finish(run, an_end())
        judging.judge(moment)
        end = Message.objects.get()
        assert end.due_at == moment + pings.UNDER_WAY
        outbox.sent(taken, {}, timezone.now())
        assert Message.objects.get() == end

    def test_without_an_address_nothing_is_told(self) -> None:
        run = a_run(a_job(notify=Notify.NEVER))
        assert not courier.to_do(timezone.now()).started
        pings.tell_starts(timezone.now())
        queue.finish(run, an_end())
        judging.judge(timezone.now())
        assert not Message.objects.exists()

    def test_the_question_is_whether_a_start_is_to_be_told(self, web_server: WebServer) -> None:
        run = a_run(a_job(ping_url=web_server.url))
        assert courier.to_do(timezone.now()).started
        pings.tell_starts(timezone.now())
        assert not courier.to_do(timezone.now()).started
        look()
        assert not courier.to_do(timezone.now()).started
        queue.finish(run, an_end())
        assert not courier.to_do(timezone.now()).started

    def test_who_corrects_the_address_has_those_that_wait_go_there(
        self, web_server: WebServer
    ) -> None:
        job = a_job(ping_url="http://127.0.0.1:1/wrong", notify=Notify.NEVER)
        ended(job)
        look()
        assert "refused" in Message.objects.get().problem
        Job.objects.update(ping_url=web_server.url)
        due_again()
        look()
        assert web_server.paths == ["/hook/7"]

    def test_one_is_tried_for_an_hour_and_forgotten_after_a_day(self) -> None:
        job = a_job(ping_url="http://127.0.0.1:1/", notify=Notify.NEVER)
        ended(job)
        Message.objects.update(created_at=timezone.now() - ping.TRIED_FOR - timedelta(minutes=1))
        look()
        assert list(Message.objects.unsent()) == [Message.objects.get(due_at=None)]
        assert outbox.forget(timezone.now()) == 0
        assert outbox.forget(timezone.now() + outbox.KEPT_PINGS) == 1

    def test_an_address_that_is_none_any_more_is_said(self, settings: Settings) -> None:
        job = a_job(ping_url="http://127.0.0.1:1/", notify=Notify.NEVER)
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_NETWORKS": []}
        ended(job)
        look()
        assert "private network" in Message.objects.get().problem
        Job.objects.update(ping_url="")
        due_again()
        look()
        assert "no address for pings any more" in Message.objects.get().problem

    def test_recoveries_have_no_start(self) -> None:
        a_recovery()
        queue.claim("default")
        assert not courier.to_do(timezone.now()).started


class TestReminders:
    @pytest.fixture(autouse=True)
    def daily(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "REMIND_AFTER": timedelta(days=1)}

    def subjects(self, days: float) -> list[str]:
        """What was told by then, without where."""
        telling.tell(timezone.now() + timedelta(days=days))
        rows = Message.objects.order_by("pk").values_list("subject", flat=True)
        return [subject.partition("] ")[2] for subject in rows]

    def test_what_stays_bad_is_told_again(self) -> None:
        ended(a_job(name="Engine", recipients="a@example.com"))
        assert "You are reminded of it after 1 d 0 h" in Message.objects.get().text
        assert len(self.subjects(0.9)) == 1
        assert self.subjects(1.1)[1] == "Engine is still bad since 1 d 2 h: why"
        assert len(self.subjects(1.2)) == 2
        assert len(self.subjects(2.2)) == 3

    def test_nobody_is_reminded_when_somebody_is_on_it(self) -> None:
        ended(a_job(name="Engine", recipients="a@example.com"))
        judging.acknowledge(Alarm.objects.get(), "anna", "", timezone.now())
        assert len(self.subjects(2)) == 1

    def test_nobody_is_reminded_when_it_is_well_again(self) -> None:
        job = a_job(name="Engine", recipients="a@example.com")
        ended(job)
        ended(job, State.SUCCEEDED)
        assert [words.split(" after")[0] for words in self.subjects(0.1)[1:]] == [
            "Engine is well again"
        ]
        assert len(self.subjects(3)) == 2

    def test_nobody_is_reminded_when_that_was_switched_off(self, settings: Settings) -> None:
        ended(a_job(name="Engine", recipients="a@example.com"))
        settings.JOBQUEUE = {**settings.JOBQUEUE, "REMIND_AFTER": None}
        assert len(self.subjects(2)) == 1
        assert not courier.to_do(timezone.now() + timedelta(days=9)).changed

    def test_many_come_in_one_digest(self) -> None:
        for number in range(5):
            ended(a_job(name=f"Job {number}", recipients="a@example.com"))
        self.subjects(0.1)
        assert self.subjects(1.5)[-1] == "5 alarms: 5 still bad"
