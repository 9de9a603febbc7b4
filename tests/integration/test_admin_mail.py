"""Alarms and mails in the admin: who is on it, what waits, what a server answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobqueue import queue
from jobqueue.alarms import judging, outbox, telling
from jobqueue.alarms.mails import Mail
from jobqueue.models import Alarm, Job, Message, State
from jobqueue.recipients import Audience
from tests.builders import a_cluster, a_job, a_run, an_end
from tests.smtpd import Server
from tests.users import a_client, noted, told
from tests.webd import WebServer

pytestmark = [pytest.mark.database, pytest.mark.django_db]
MAILS = "/admin/jobqueue/message/"


@pytest.fixture(autouse=True)
def managers(settings: Settings) -> None:
    settings.MANAGERS = ["managers@example.com"]


def a_bad_alarm(**over: Any) -> Alarm:
    job = a_job(**over)
    ended(job, State.FAILED)
    return Alarm.objects.get(job=job)


def ended(job: Job, state: str) -> None:
    queue.finish(a_run(job), an_end(state=state, reason="<b>why</b>", log_tail="<i>out"))
    judging.judge(timezone.now())
    telling.tell(timezone.now())


def a_message(subject: str = "Engine failed", **over: Any) -> Message:
    written = Mail(subject, "some <b>text</b>", "<b>html</b>", {})
    [message] = outbox.post(written, [Audience("", ("a@example.com",))], timezone.now())
    Message.objects.filter(pk=message.pk).update(**over)
    return message


def page(alarm: Alarm, name: str = "change") -> str:
    return f"/admin/jobqueue/alarm/{alarm.pk}/{name}/"


class TestMessages:
    def test_those_that_are_not_sent_are_seen_first(self, admin_client: Client) -> None:
        now = timezone.now()
        a_message("waits")
        a_message("given up", due_at=None, problem="550 no")
        for number in range(60):
            a_message(f"sent {number}", due_at=None, sent_at=now)
        a_message("dropped", due_at=None, dropped_by="anna")
        shown = admin_client.get(MAILS).context["cl"].result_list
        first = [message.subject for message in shown[:3]]
        assert first == ["given up", "waits", "dropped"]

    def test_the_desk_tells_of_those_that_do_not_get_through(self, admin_client: Client) -> None:
        desk = "/admin/jobqueue/execution/desk/"
        a_message("waits")
        a_cluster()
        shown = admin_client.get(desk).text
        assert "t sent</a>" not in shown
        assert "All is well" in shown
        a_message("waits again", problem="450 later")
        assert f'<a href="{MAILS}?state=unsent">1 message isn' in admin_client.get(desk).text
        assert "All is well" not in admin_client.get(desk).text
        a_message("given up", due_at=None, problem="550 no")
        assert f'<a href="{MAILS}?state=unsent">2 messages aren' in admin_client.get(desk).text
        assert "?state=unsent" not in a_client("view_execution").get(desk).text


class TestAlarms:
    def test_lists_and_pages_show_hostile_text_as_text(self, admin_client: Client) -> None:
        alarm = a_bad_alarm(name="<script>x")
        for url in (
            *("/admin/jobqueue/alarm/", page(alarm), MAILS, f"{MAILS}?q=managers"),
            f"{MAILS}{Message.objects.get().pk}/change/",
            f"/admin/jobqueue/job/{alarm.job_id}/change/",
        ):
            text = admin_client.get(url).text
            assert "&lt;script&gt;x" in text, url
            assert "<script>x" not in text
            assert "<b>why" not in text

    def test_the_page_of_a_job_says_how_it_is_and_who_is_told(self, admin_client: Client) -> None:
        alarm = a_bad_alarm()
        url = f"/admin/jobqueue/job/{alarm.job_id}/change/"
        text = admin_client.get(url).text
        assert f'href="/admin/jobqueue/alarm/{alarm.pk}/change/"' in text
        assert "managers@example.com" in text
        assert f'href="{url}"' in admin_client.get(page(alarm)).text
        Job.objects.update(recipients="anna@example.com")
        assert "anna@example.com" in admin_client.get(url).text

    def test_where_pings_go_is_shown_to_editors_only(self, admin_client: Client) -> None:
        job = a_job(ping_url="https://hc-ping.com/secret-uuid", recipients="a@example.com")
        url = f"/admin/jobqueue/job/{job.pk}/change/"
        assert "https://hc-ping.com/secret-uuid" in admin_client.get(url).text
        looks = a_client("view_job").get(url).text
        assert "hc-ping.com" in looks
        assert "secret-uuid" not in looks

    def test_the_button_pings_without_changing_anything(self, settings: Settings) -> None:
        own = {"ALLOWED_NETWORKS": ["127.0.0.1"]}
        settings.JOBQUEUE = {**settings.JOBQUEUE, **own}
        with WebServer() as server:
            job = a_job(ping_url=server.url)
            url = f"/admin/jobqueue/job/{job.pk}/ping/"
            edits = a_client("view_job", "change_job")
            assert url in edits.get(f"/admin/jobqueue/job/{job.pk}/change/").text
            edits.get(url)
            assert not server.requests
            answer = edits.post(url)
            assert f"Ping: sent to 127.0.0.1:{server.port}. 200 OK" in told(answer)
            assert server.paths == ["/hook/log"]
            server.answer = lambda handler: handler.says(404)
            assert "not sent to 127.0.0.1" in told(edits.post(url))
            assert a_client("view_job").post(url).status_code == 403
            assert not Message.objects.exists()

    def test_an_address_for_pings_that_is_none_is_refused_where_it_is_typed(
        self, admin_client: Client
    ) -> None:
        form = {
            "name": "Engine", "argv": "true", "queue": "default", "enabled": "on",
            "notify": "on_change", "alarm_after": "1", "ping_url": "http://169.254.169.254/x",
        }  # fmt: skip
        answer = admin_client.post("/admin/jobqueue/job/add/", form)
        assert "169.254.169.254 is in a private network" in answer.text
        admin_client.post("/admin/jobqueue/job/add/", {**form, "ping_url": "https://hc.example/1"})
        assert Job.objects.get().ping_url == "https://hc.example/1"

    def test_a_recipient_that_is_none_is_refused_where_it_is_typed(
        self, admin_client: Client
    ) -> None:
        form = {
            "name": "Engine", "argv": "true", "queue": "default", "enabled": "on",
            "notify": "on_change", "alarm_after": "1", "recipients": "a@b\nBcc: c",
            "max_retries": "0", "retry_on": "failed", "retry_delay": "60",
            "retry_backoff": "fixed", "retry_max_delay": "60",
        }  # fmt: skip
        answer = admin_client.post("/admin/jobqueue/job/add/", form)
        assert "&#x27;Bcc: c&#x27; is no mail address" in answer.text
        assert not Job.objects.exists()
        admin_client.post("/admin/jobqueue/job/add/", {**form, "recipients": "a@b, c@d.example"})
        assert Job.objects.get().recipients == "a@b, c@d.example"

    def test_somebody_is_on_it_until_it_is_good_again(self) -> None:
        alarm = a_bad_alarm(name="Engine")
        anna = a_client("acknowledge_alarm", username="anna")
        assert page(alarm, "acknowledge") in anna.get(page(alarm)).text
        assert 'name="note"' in anna.get(page(alarm, "acknowledge")).text
        assert Alarm.objects.get().acknowledged_at is None
        form = {"confirmed": "yes", "note": "the partner is told"}
        answer = anna.post(page(alarm, "acknowledge"), form)
        assert "The alarm of “Engine” is acknowledged" in told(answer)
        assert noted() == [("anna", "Acknowledged. the partner is told")]
        text = anna.get(page(alarm)).text
        assert "anna is on it" in text
        assert "the partner is told" in text
        assert alarm.job is not None
        ended(alarm.job, State.SUCCEEDED)
        alarm = Alarm.objects.get()
        assert (alarm.acknowledged_by, alarm.acknowledged_at, alarm.note) == ("", None, "")
        answer = anna.post(page(alarm, "acknowledge"), form)
        assert "nothing to acknowledge" in told(answer)

    def test_it_goes_with_its_job(self) -> None:
        alarm = a_bad_alarm()
        may = a_client("view_job", "delete_job")
        url = f"/admin/jobqueue/job/{alarm.job_id}/delete/"
        assert "Are you sure" in may.get(url).text
        may.post(url, {"post": "yes"})
        assert not Job.objects.exists()
        assert not Alarm.objects.exists()

    def test_who_only_looks_acknowledges_nothing(self) -> None:
        alarm = a_bad_alarm()
        looks = a_client("view_alarm")
        assert page(alarm, "acknowledge") not in looks.get(page(alarm)).text
        form = {"confirmed": "yes", "note": ""}
        assert looks.post(page(alarm, "acknowledge"), form).status_code == 403
        assert a_client("view_job").get(page(alarm)).status_code == 403


class TestMails:
    def act(self, client: Client, action: str, *messages: Message, **more: str) -> Any:
        chosen = {"action": action, "_selected_action": [str(m.pk) for m in messages], **more}
        return client.post(MAILS, chosen)

    def test_send_now(self, admin_client: Client) -> None:
        given_up = a_message(due_at=None, problem="<b>no</b>")
        sent = a_message(sent_at=timezone.now(), due_at=None)
        assert "&lt;b&gt;no" in admin_client.get(MAILS).text
        self.act(admin_client, "send_now", given_up, sent)
        assert Message.objects.get(pk=given_up.pk).due_at is not None
        assert Message.objects.get(pk=sent.pk).due_at is None
        assert noted() == [("admin", "Send now.")]

    def test_drop_asks_first(self, admin_client: Client) -> None:
        message = a_message()
        assert "won&#x27;t be sent" in self.act(admin_client, "drop", message).text
        assert Message.objects.get().due_at is not None
        self.act(admin_client, "drop", message, confirmed="yes")
        dropped = Message.objects.get()
        assert (dropped.due_at, dropped.dropped_by) == (None, "admin")

    def test_filters(self, admin_client: Client) -> None:
        a_message("one that waits")
        a_message("one given up", due_at=None)
        a_message("one that was sent", due_at=None, sent_at=timezone.now())
        a_message("one dropped", due_at=None, dropped_by="anna")
        for state, count in (("unsent", 2), ("given_up", 1), ("sent", 1), ("dropped", 1)):
            text = admin_client.get(MAILS, {"state": state}).text
            assert text.count('class="field-shown_subject') == count, state

    def test_who_only_looks_changes_nothing(self) -> None:
        message = a_message()
        looks = a_client("view_message")
        assert looks.get(MAILS).status_code == 200
        self.act(looks, "drop", message, confirmed="yes")
        self.act(looks, "send_now", message)
        assert Message.objects.get().dropped_by == ""
        assert looks.get(f"{MAILS}profiles/").status_code == 403
        assert looks.post(f"{MAILS}profiles/", {"profile": ""}).status_code == 403


class TestProfiles:
    def test_a_test_says_what_the_server_answered(
        self, settings: Settings, admin_client: Client
    ) -> None:
        with Server(user="queue", password="hunter2 and more") as server:
            account = {"user": "queue", "password": "hunter2 and more"}
            profiles = {"ours": server.profile(**account)}
            settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_PROFILES": profiles}
            server.on_data = lambda: "250 2.0.0 queued as 4711"
            page = admin_client.get(f"{MAILS}profiles/").text
            assert f"127.0.0.1:{server.port}" in page
            assert "with password" in page
            assert "hunter2" not in page
            assert not server.mails  # to look at it sends nothing
            answer = admin_client.post(f"{MAILS}profiles/", {"profile": "ours"})
            assert "sent to admin@example.com. 250 2.0.0 queued as 4711" in answer.text
            assert server.envelopes == [["admin@example.com"]]
            profiles["ours"]["password"] = "hunter2 and less"
            answer = admin_client.post(f"{MAILS}profiles/", {"profile": "ours"})
            assert "(login)" in answer.text
            assert "hunter2" not in answer.text

    def test_it_goes_nowhere_without_an_address(self, admin_client: Client) -> None:
        get_user_model().objects.update(email="")
        answer = admin_client.post(f"{MAILS}profiles/", {"profile": ""})
        assert "no mail address to send a test to" in answer.text
        assert admin_client.post(f"{MAILS}profiles/", {"profile": "gone"}).status_code == 404

    def test_a_channel_is_shown_without_its_secrets_and_tested(
        self, settings: Settings, admin_client: Client
    ) -> None:
        with WebServer() as server:
            hook = {"url": f"{server.url}?token=hunter2", "key": "hunter2 hunter2 hunter2"}
            settings.JOBQUEUE = {
                **settings.JOBQUEUE,
                "CHANNELS": {"webhook:ops": hook, "webhook:broken": {"url": "hunter2"}},
                "ALLOWED_NETWORKS": ["127.0.0.1"],
            }
            page = admin_client.get(f"{MAILS}profiles/").text
            assert f"127.0.0.1:{server.port}" in page
            assert "webhook:broken" in page
            assert "hunter2" not in page
            assert not server.requests
            answer = admin_client.post(f"{MAILS}profiles/", {"channel": "webhook:ops"})
            assert "sent to webhook:ops. 200 OK" in answer.text
            assert len(server.requests) == 1
            answer = admin_client.post(f"{MAILS}profiles/", {"channel": "webhook:broken"})
            assert "not sent to webhook:broken. The channel failed: KeyError" in answer.text
            answer = admin_client.post(f"{MAILS}profiles/", {"channel": "webhook:gone"})
            assert answer.status_code == 404

    def test_it_takes_a_token(self) -> None:
        client = a_client("view_message", "change_message", enforce_csrf_checks=True)
        assert client.post(f"{MAILS}profiles/", {"profile": ""}).status_code == 403
