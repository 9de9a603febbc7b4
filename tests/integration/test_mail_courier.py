"""Mail on its way: a real SMTP server that refuses, stalls, drops, greylists and lies."""

from __future__ import annotations

import smtplib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from jobqueue.alarms import courier, outbox
from jobqueue.alarms import profiles as smtp_profiles
from jobqueue.alarms.channels import mail as channel
from jobqueue.alarms.courier import ToDo
from jobqueue.alarms.mails import Mail
from jobqueue.alarms.outbox import Way
from jobqueue.alarms.sending import Sending
from jobqueue.models import Message
from jobqueue.recipients import Audience
from tests.smtpd import Flood, Server, a_certificate, a_dripping_handshake, a_dripping_server
from tests.waiting import wait_until

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def profiles(settings: Settings, mail_server: Server) -> dict[str, Any]:
    profiles = {"ours": mail_server.profile(), "other": mail_server.profile()}
    settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_PROFILES": profiles}
    return profiles


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(smtp_profiles, "SILENCE", 90.0)
    monkeypatch.setattr(channel, "DEADLINE", 120.0)


def post(*people: str, profile: str = "ours", subject: str = "Engine failed") -> Message:
    headers = {"Message-ID": "<1@edi>", "Auto-Submitted": "auto-generated"}
    written = Mail(subject, "text\n.\nFrom here\n", "<p>html</p>", headers)
    people = people or ("a@example.com",)
    return outbox.post(written, [Audience(profile, people)], timezone.now())[0]


def now(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def due_again() -> None:
    """Time passes until all that wait are due."""
    Message.objects.filter(due_at__isnull=False).update(due_at=timezone.now())


def look(one: Sending | None = None) -> None:
    """What a worker's threads do, one after another."""
    sending = one or Sending()
    for way in sending.open_ways(timezone.now()):
        sending.send(way)


def take(now: datetime | None = None) -> Message | None:
    return outbox.take(now or timezone.now(), Way("mail", "ours"))


def test_a_mail_arrives_as_it_was_written(mail_server: Server) -> None:
    message = post("a@example.com", "b@example.com")
    look()
    [arrived] = mail_server.mails
    assert mail_server.envelopes == [["a@example.com", "b@example.com"]]
    assert arrived["From"] == "queue@here.example"
    assert arrived["To"] == "a@example.com, b@example.com"
    assert arrived["Message-ID"] == "<1@edi>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    plain, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == ["text", ".", "From here"]
    assert html.get_content().strip() == "<p>html</p>"
    assert now(message).sent_at is not None
    look()
    assert len(mail_server.mails) == 1


def test_many_go_by_one_connection(mail_server: Server) -> None:
    for _ in range(5):
        post()
    look()
    assert (len(mail_server.mails), mail_server.connections) == (5, 1)


def test_no_server_loses_nothing_and_is_left_alone_for_a_while(
    mail_server: Server, profiles: dict[str, Any]
) -> None:
    profiles["ours"] = mail_server.profile(port=1)
    message, second = post(), post()
    there = post(profile="other")
    one = Sending()
    look(one)
    assert "refused" in now(message).problem
    assert now(message).due_at is not None
    assert now(second).attempts == 0  # the next one isn't tried just to hear the same
    assert now(there).sent_at is not None
    due_at = now(message).due_at
    assert due_at is not None
    assert due_at > timezone.now() + timedelta(seconds=30)
    profiles["ours"] = mail_server.profile()
    due_again()
    look(one)
    assert now(second).attempts == 0  # still left alone
    look(Sending())
    assert {now(message).sent_at is None, now(second).sent_at is None} == {False}
    assert now(message).problem == ""


def test_it_refuses(mail_server: Server) -> None:
    mail_server.on_recipient = lambda _: "550 no such user"
    message = post()
    look()
    assert now(message).problem == "The server refused all recipients: 550 no such user"
    assert now(message).due_at is not None
    Message.objects.update(created_at=timezone.now() - timedelta(days=2))
    due_again()
    look()
    given_up = now(message)
    assert (given_up.due_at, given_up.sent_at) == (None, None)
    assert list(Message.objects.unsent()) == [given_up]
    mail_server.on_recipient = lambda _: "250 OK"
    assert outbox.send_now(given_up, "anna")
    look()
    assert now(message).sent_at is not None
    assert not Message.objects.unsent().exists()


def test_it_refuses_one_of_them(mail_server: Server) -> None:
    mail_server.on_recipient = lambda who: "450 later" if who.startswith("b") else "250 OK"
    message = post("a@example.com", "b@example.com", "c@example.com")
    look()
    assert now(message).recipients == ["a@example.com", "c@example.com"]
    rest = Message.objects.exclude(pk=message.pk).get()
    assert rest.recipients == ["b@example.com"]
    assert rest.problem == "b@example.com: 450 later"
    mail_server.on_recipient = lambda _: "250 OK"
    due_again()
    look()
    assert mail_server.asked == {"a@example.com": 1, "b@example.com": 2, "c@example.com": 1}
    assert mail_server.envelopes[-1] == ["b@example.com"]


def test_it_greylists(mail_server: Server) -> None:
    def greylisted(who: str) -> str:
        return "450 4.2.0 greylisted" if mail_server.asked[who] < 3 else "250 OK"

    mail_server.on_recipient = greylisted
    message = post()
    for _ in range(3):
        assert now(message).sent_at is None
        due_again()
        look()
    assert now(message).sent_at is not None
    assert len(mail_server.mails) == 1


@pytest.mark.parametrize("answer", ["", None], ids=["drops", "stalls"])
def test_it_drops_or_stalls_at_the_end_of_a_mail(
    mail_server: Server, answer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_server.on_data = lambda: answer
    message, second = post(), post()
    with monkeypatch.context() as hasty:
        if answer is None:
            hasty.setattr(smtp_profiles, "SILENCE", 1.0)
        look()
    assert now(message).sent_at is None
    assert now(message).problem
    assert now(second).attempts == 0
    mail_server.on_data = lambda: "250 OK"
    due_again()
    look()
    assert now(message).sent_at is not None
    assert now(second).sent_at is not None


def test_it_never_comes_to_the_point(
    profiles: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_dripping_server() as port:
        profiles["ours"]["port"] = port
        message, other, one = post(), post(profile="other"), Sending()
        for way in one.open_ways(timezone.now()):
            with monkeypatch.context() as hasty:
                if way.profile == "ours":
                    hasty.setattr(channel, "DEADLINE", 0.5)
                one.send(way)
        cut_off = "The server was cut off: it didn't come to an end within 0.5 s."
        assert now(message).problem == cut_off
        assert now(other).sent_at is not None


@pytest.mark.parametrize(
    ("tls", "words"),
    [("ssl", []), ("starttls", ["220 welcome", "250-here\r\n250 STARTTLS", "220 go on"])],
)
def test_it_never_comes_to_the_end_of_the_handshake(
    profiles: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tls: str, words: list[str]
) -> None:
    """However long a socket may wait for something."""
    monkeypatch.setattr(smtp_profiles, "SILENCE", 600.0)
    monkeypatch.setattr(channel, "DEADLINE", 1.0)
    with a_dripping_handshake(*words) as port:
        profiles["ours"] |= {"port": port, "tls": tls}
        message, other = post(), post(profile="other")
        look()
        cut_off = "The server was cut off: it didn't come to an end within 1 s."
        assert now(message).problem == cut_off
        assert now(other).sent_at is not None


def test_what_is_cut_off_before_it_shakes_hands_stays_so(
    profiles: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the host is looked up, there is nothing to cut."""
    monkeypatch.setattr(smtp_profiles, "SILENCE", 600.0)
    with a_dripping_handshake() as port:
        profiles["ours"] |= {"port": port, "tls": "ssl"}
        connection: Any = smtp_profiles.connect("ours")
        connection.cut()
        with pytest.raises(TimeoutError):
            connection.open()


def test_it_never_stops_answering(profiles: dict[str, Any]) -> None:
    flood = Flood()
    with flood.listening() as port:
        profiles["ours"]["port"] = port
        message, other = post(), post(profile="other")
        look()
        wait_until(lambda: flood.hung_up, 60, "the server to see that nobody listens")
        assert flood.hung_up == [True]
        too_long = "The server's answer is longer than 64 KiB: it was cut off."
        assert now(message).problem == too_long
        assert now(other).sent_at is not None


def test_what_is_cut_off_before_it_is_connected_stays_so() -> None:
    connection = smtp_profiles.connect("ours")
    assert isinstance(connection, smtp_profiles.Backend)
    connection.cut()
    with pytest.raises(smtplib.SMTPServerDisconnected, match="cut off"):
        connection.open()


def test_an_answer_may_have_many_lines(mail_server: Server) -> None:
    mail_server.features = [f"250-X-{number} {'x' * 400}" for number in range(100)]
    message = post()
    look()
    assert now(message).sent_at is not None


def test_what_it_does_to_one_mail_holds_up_no_other(mail_server: Server) -> None:
    answers = iter(["554 looks like spam", "250 OK"])
    mail_server.on_data = lambda: next(answers)
    message, second = post(), post()
    look()
    assert now(message).problem == "The server answered: 554 looks like spam"
    assert now(second).sent_at is not None


def test_a_password_is_never_shown(settings: Settings, profiles: dict[str, Any]) -> None:
    with Server(user="queue", password="hunter2 and more") as server:
        profiles["ours"] = server.profile(user="queue", password="hunter2 and less")
        message = post()
        look()
        assert "(login)" in now(message).problem
        assert "hunter2" not in now(message).problem
        profiles["ours"]["password"] = "hunter2 and more"
        due_again()
        look()
        assert now(message).sent_at is not None


@pytest.mark.parametrize("tls", ["starttls", "ssl"])
def test_only_a_certificate_that_is_trusted_will_do(
    tls: str, tmp_path: Path, profiles: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = a_certificate(tmp_path)
    with Server(tls=tls, certificate=certificate) as server:
        profiles["ours"] = server.profile(tls=tls)
        message = post()
        look()
        assert "CERTIFICATE_VERIFY_FAILED" in now(message).problem
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        due_again()
        look()
        assert now(message).sent_at is not None
        assert len(server.mails) == 1


def test_a_profile_that_is_gone(mail_server: Server, profiles: dict[str, Any]) -> None:
    message = post(profile="ours")
    del profiles["ours"]
    look()
    assert now(message).problem == "JOBQUEUE['MAIL_PROFILES'] has no 'ours' any more."
    profiles["ours"] = mail_server.profile()
    due_again()
    look()
    assert now(message).sent_at is not None


def test_a_profile_that_is_broken(profiles: dict[str, Any]) -> None:
    profiles["ours"]["port"] = "smtp"
    message, other = post(), post(profile="other")
    look()
    broken = "JOBQUEUE['MAIL_PROFILES']['ours'] is broken: its port isn't a number from 1 to 65535."
    assert now(message).problem == broken
    assert now(other).sent_at is not None


@pytest.mark.parametrize("slip", [{"tls": "yes"}, {"tsl": "starttls"}])
def test_a_slip_in_the_word_that_hides_a_password_sends_nothing(
    profiles: dict[str, Any], mail_server: Server, slip: dict[str, str]
) -> None:
    profiles["ours"] = mail_server.profile(user="queue", password="hunter2", **slip)
    message = post()
    look()
    assert "is broken" in now(message).problem
    assert mail_server.connections == 0


def test_a_profile_that_is_no_dict(profiles: dict[str, Any]) -> None:
    profiles["ours"] = "smtp.example.com"
    message = post()
    look()
    assert "it isn't a dict" in now(message).problem
    assert smtp_profiles.described("ours")["host"] == ""


def test_without_a_profile_it_goes_djangos_way() -> None:
    message = post(profile="")
    look()
    assert mail.outbox[-1].subject == "Engine failed"
    assert mail.outbox[-1].from_email == "root@localhost"
    assert now(message).sent_at is not None


def test_a_subject_of_two_lines_is_never_sent(mail_server: Server) -> None:
    message = post(subject="Engine\nBcc: c@example.com")
    look()
    assert not mail_server.mails
    assert now(message).problem.startswith(("BadHeaderError", "ValueError"))


class TestSeveralCouriers:
    def test_a_mail_that_is_taken_is_left_to_who_has_it(self, mail_server: Server) -> None:
        message = post()
        taken = take()
        assert taken == message
        assert take() is None
        outbox.send_now(message, "anna")  # not even then
        assert take() is None

    def test_of_one_who_was_killed_another_sends_it(self, mail_server: Server) -> None:
        message = post()
        take()
        assert take(_in(outbox.TAKEN)) == message

    def test_one_who_comes_too_late_changes_nothing(self, mail_server: Server) -> None:
        message = post()
        late = take()
        other = take(_in(outbox.TAKEN))
        assert late is not None
        assert other is not None
        outbox.failed(late, "timed out", timezone.now())
        assert now(message).problem == ""
        outbox.sent(other, {}, timezone.now())
        assert now(message).sent_at is not None

    def test_two_of_them_have_each_mail_once(self, mail_server: Server) -> None:
        for _ in range(10):
            post()
        first, second = Sending(), Sending()
        taken = [take() for _ in range(3)]
        look(first)
        look(second)
        assert len(mail_server.mails) == 7
        assert all(taken)


class TestDropping:
    def test_what_is_dropped_is_never_sent(self, mail_server: Server) -> None:
        message = post()
        assert outbox.drop(message, "anna")
        assert not outbox.drop(message, "anna")
        look()
        assert not mail_server.mails
        assert not Message.objects.unsent().exists()
        assert outbox.send_now(message, "bert")
        look()
        assert len(mail_server.mails) == 1
        assert not outbox.send_now(message, "bert")
        assert not outbox.drop(message, "bert")

    def test_only_old_ones_that_are_over_are_forgotten(self) -> None:
        old = timezone.now() - outbox.KEPT - timedelta(days=1)
        sent, dropped, stuck, young = (post(subject=name) for name in ("s", "d", "u", "y"))
        Message.objects.update(created_at=old)
        Message.objects.filter(pk=sent.pk).update(sent_at=old, due_at=None)
        outbox.drop(dropped, "anna")
        outbox.failed(take() or stuck, "no", timezone.now())
        Message.objects.filter(pk=young.pk).update(sent_at=timezone.now(), due_at=None)
        assert outbox.forget(timezone.now()) == 2
        assert set(Message.objects.values_list("subject", flat=True)) == {"u", "y"}


def test_pauses_between_tries_grow_up_to_an_hour() -> None:
    message = post()
    pauses = []
    for _ in range(8):
        due_again()
        taken = take()
        assert taken is not None
        at = timezone.now()
        outbox.failed(taken, "no", at)
        due_at = now(message).due_at
        assert due_at is not None
        pauses.append((due_at - at).total_seconds() / 60)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_time_for_which_one_is_taken_is_longer_than_sending_can_take() -> None:
    assert outbox.TAKEN.total_seconds() > 2 * channel.DEADLINE


def test_what_the_question_asks_is_what_is_done(mail_server: Server) -> None:
    assert not any(courier.to_do(timezone.now()))
    post()
    assert courier.to_do(timezone.now()) == ToDo(False, False, due=True, started=False)


def _in(length: timedelta) -> datetime:
    return timezone.now() + length + timedelta(seconds=1)
