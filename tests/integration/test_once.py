"""A form that is sent twice: a double click where no script holds the second one back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from pytest_django import Settings

from jobqueue import api, queue
from jobqueue.models import Execution, Job, Queue
from tests.builders import a_job, a_run, a_schedule, a_waiting, an_end, an_ended
from tests.smtpd import Server
from tests.users import a_client, noted, told
from tests.webd import WebServer

pytestmark = pytest.mark.django_db
ADMIN = "/admin/jobqueue"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
TWICE = "sent twice"


@pytest.fixture
def client() -> Client:
    """A browser of a superuser, with tokens."""
    return a_client(is_superuser=True, enforce_csrf_checks=True, username="anna", email="a@x.org")


def a_form(client: Client, url: str, **values: Any) -> dict[str, Any]:
    """What a form of this page sends."""
    found = _TOKEN.search(client.get(url).text)
    assert found, "a page without a form"
    return {"csrfmiddlewaretoken": found[1], **values}


def start_and_end() -> None:
    """What waits runs, and has ended before the second click is heard."""
    run = queue.claim("default")
    assert run is not None
    queue.finish(run, an_end())


def of_jobs(name: str, *pks: int, **more: str) -> dict[str, Any]:
    return {"action": name, ACTION_CHECKBOX_NAME: list(pks), **more}


class TestTheSecondClickQueuesNothingThoughTheFirstHasStarted:
    def test_run(self, client: Client) -> None:
        url = f"{ADMIN}/job/{a_job().pk}"
        form = a_form(client, f"{url}/change/", priority="3")
        assert TWICE not in told(client.post(f"{url}/run/", form))
        start_and_end()
        answer = client.post(f"{url}/run/", form)
        assert answer.status_code == 302
        assert TWICE in told(answer)
        assert Execution.objects.count() == len(noted()) == 1

    def test_what_is_asked_for_on_another_page_is_queued(self, client: Client) -> None:
        url = f"{ADMIN}/job/{a_job().pk}"
        for count in (1, 2):
            client.post(f"{url}/run/", a_form(client, f"{url}/change/"))
            start_and_end()
            assert Execution.objects.count() == count

    def test_another_job_of_the_same_run_menu_is_queued(self, client: Client) -> None:
        jobs = [a_job(in_run_menu=True), a_job(in_run_menu=True)]
        form = a_form(client, "/admin/")
        for job in jobs:
            client.post(f"/jobqueue/run/{job.pk}/", form)
        assert Execution.objects.count() == 2
        start_and_end()
        client.post(f"/jobqueue/run/{jobs[0].pk}/", form)
        assert Execution.objects.count() == 2

    def test_run_of_a_job_that_asks_first(self, client: Client) -> None:
        url = f"{ADMIN}/job/{a_job(ask_first=True).pk}"
        form = a_form(client, f"{url}/change/")
        for _ in range(2):
            asked = client.post(f"{url}/run/", form)
            assert "Run?" in asked.text
        confirmed = {**form, "confirmed": "yes"}
        client.post(f"{url}/run/", confirmed)
        start_and_end()
        client.post(f"{url}/run/", confirmed)
        assert Execution.objects.count() == 1

    def test_run_again(self, client: Client) -> None:
        url = f"{ADMIN}/execution/{an_ended().pk}"
        form = a_form(client, f"{url}/change/")
        client.post(f"{url}/again/", form)
        start_and_end()
        assert TWICE in told(client.post(f"{url}/again/", form))
        assert Execution.objects.count() == 2

    def test_run_now_of_a_schedule(self, client: Client) -> None:
        url = f"{ADMIN}/schedule/{a_schedule().pk}"
        form = a_form(client, f"{url}/change/")
        client.post(f"{url}/run/", form)
        start_and_end()
        assert TWICE in told(client.post(f"{url}/run/", form))
        assert Execution.objects.count() == 1

    @pytest.mark.parametrize("kind", ["job", "schedule", "execution"])
    def test_the_action_of_a_list(self, client: Client, kind: str) -> None:
        makers: dict[str, Any] = {"job": a_job, "schedule": a_schedule, "execution": an_ended}
        pks = [makers[kind]().pk, makers[kind]().pk]
        before, name = Execution.objects.count(), "run_again" if kind == "execution" else "run"
        form = a_form(client, f"{ADMIN}/{kind}/", **of_jobs(name, *pks, confirmed="yes"))
        client.post(f"{ADMIN}/{kind}/", form)
        start_and_end()
        start_and_end()
        answer = client.post(f"{ADMIN}/{kind}/", form)
        assert told(answer).count(TWICE) == 1
        assert Execution.objects.count() == before + 2

    def test_what_no_page_sends_is_no_click(self) -> None:
        job, client = a_job(), a_client("view_job", "run_job")
        client.cookies["csrftoken"] = token = "a" * 32
        for _ in range(2):
            client.post(f"{ADMIN}/job/{job.pk}/run/", {"csrfmiddlewaretoken": token})
            start_and_end()
        assert Execution.objects.count() == 2


class TestWhatDidNothingMayBeSentAgain:
    def test_a_job_that_was_disabled(self, client: Client) -> None:
        job = a_job(enabled=False)
        url = f"{ADMIN}/job/{job.pk}"
        form = a_form(client, f"{url}/change/")
        for _ in range(2):
            answer = client.post(f"{url}/run/", form)
            assert "is disabled" in told(answer)
            assert TWICE not in told(answer)
        Job.objects.update(enabled=True)
        assert TWICE not in told(client.post(f"{url}/run/", form))
        assert TWICE in told(client.post(f"{url}/run/", form))
        assert Execution.objects.count() == 1

    def test_one_of_several(self, client: Client) -> None:
        jobs = [a_job(), a_job(enabled=False)]
        form = a_form(client, f"{ADMIN}/job/", **of_jobs("run", *(job.pk for job in jobs)))
        client.post(f"{ADMIN}/job/", form)
        assert TWICE in told(client.post(f"{ADMIN}/job/", form))

    @pytest.mark.parametrize("kind", ["schedule", "execution"])
    def test_the_action_of_a_list(self, client: Client, kind: str) -> None:
        job = a_job(enabled=False)
        row: Any = a_schedule(job=job) if kind == "schedule" else an_ended(job=job)
        name = "run_again" if kind == "execution" else "run"
        form = a_form(client, f"{ADMIN}/{kind}/", **of_jobs(name, row.pk, confirmed="yes"))
        client.post(f"{ADMIN}/{kind}/", form)
        assert TWICE not in told(client.post(f"{ADMIN}/{kind}/", form))

    def test_run_again(self, client: Client) -> None:
        for old in (an_ended(job=a_job(enabled=False)), an_ended(job_name="gone"), a_run()):
            url = f"{ADMIN}/execution/{old.pk}"
            form = a_form(client, f"{url}/change/")
            for _ in range(2):
                assert TWICE not in told(client.post(f"{url}/again/", form))

    def test_what_raises(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_args: object, **_kwargs: object) -> None:
            raise RuntimeError

        url = f"{ADMIN}/job/{a_job().pk}"
        form = a_form(client, f"{url}/change/")
        with monkeypatch.context() as patch:
            patch.setattr(api, "enqueue", broken)
            with pytest.raises(RuntimeError):
                client.post(f"{url}/run/", form)
        assert TWICE not in told(client.post(f"{url}/run/", form))
        assert Execution.objects.count() == 1

    def test_a_ping_that_was_not_sent(self, client: Client, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_NETWORKS": ["127.0.0.1"]}
        url = f"{ADMIN}/job/{a_job(ping_url='http://127.0.0.1:1/').pk}"
        form = a_form(client, f"{url}/change/")
        for _ in range(2):
            answer = client.post(f"{url}/ping/", form)
            assert "not sent" in told(answer)
            assert TWICE not in told(answer)


class TestClicksOfOneInstant:
    """Each has read the session before another one wrote there."""

    def click(self, client: Client, url: str, form: dict[str, Any]) -> str:
        answer = told(client.post(url, form))
        session = client.session
        session.pop("jobqueue_sent", None)
        session.save()
        return answer

    def test_one_is_heeded(self, client: Client) -> None:
        url = f"{ADMIN}/job/{a_job().pk}"
        form = a_form(client, f"{url}/change/")
        assert TWICE not in self.click(client, f"{url}/run/", form)
        start_and_end()
        for _ in range(2):
            assert TWICE in self.click(client, f"{url}/run/", form)
        assert Execution.objects.count() == 1

    @pytest.mark.parametrize("backend", ["dummy.DummyCache", "redis.RedisCache"])
    def test_without_a_cache_that_works_all_is_as_before(
        self, client: Client, settings: Settings, backend: str
    ) -> None:
        cache = {"BACKEND": f"django.core.cache.backends.{backend}"}
        settings.CACHES = {"default": {**cache, "LOCATION": "redis://127.0.0.1:1"}}
        url = f"{ADMIN}/job/{a_job().pk}"
        form = a_form(client, f"{url}/change/")
        assert TWICE not in told(client.post(f"{url}/run/", form))
        start_and_end()
        assert TWICE in told(client.post(f"{url}/run/", form))
        assert Execution.objects.count() == 1


class TestTheSecondClickSendsNothing:
    def test_a_test_mail(self, client: Client, settings: Settings) -> None:
        with Server() as server:
            settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_PROFILES": {"ours": server.profile()}}
            url = f"{ADMIN}/message/profiles/"
            form = a_form(client, url, profile="ours")
            assert "sent to a@x.org" in client.post(url, form).text
            assert TWICE in client.post(url, form).text
            assert len(server.envelopes) == 1

    def test_a_ping(self, client: Client, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_NETWORKS": ["127.0.0.1"]}
        with WebServer() as server:
            url = f"{ADMIN}/job/{a_job(ping_url=server.url).pk}"
            form = a_form(client, f"{url}/change/")
            client.post(f"{url}/ping/", form)
            assert TWICE in told(client.post(f"{url}/ping/", form))
            assert len(server.requests) == 1


class TestTheSecondClickFindsNothingToSteer:
    """These aren't held back: what they ask for is so already, or has changed by itself."""

    @pytest.mark.parametrize("name", ["cancel", "priority", "stop", "acknowledge", "withdraw"])
    def test_an_execution(self, client: Client, name: str) -> None:
        if name == "stop":
            execution = a_run()
        elif name in ("acknowledge", "withdraw"):
            execution = an_ended(state="failed", reason="code 1")
        else:
            execution = a_waiting()
        url = f"{ADMIN}/execution/{execution.pk}"
        form = a_form(client, f"{url}/change/", confirmed="yes", priority="2", note="on it")
        left_out = ("stop_requested_at", "ended_at")

        def row() -> dict[str, Any]:
            found = Execution.objects.filter(pk=execution.pk).values().get()
            return {key: value for key, value in found.items() if key not in left_out}

        client.post(f"{url}/{name}/", form)
        first = row()
        client.post(f"{url}/{name}/", form)
        assert row() == first
        assert Execution.objects.count() == 1

    @pytest.mark.parametrize("name", ["pause", "resume"])
    def test_a_queue(self, client: Client, name: str) -> None:
        row = queue.pause("default", "ben") if name == "resume" else Queue.objects.create(name="q")
        url = f"{ADMIN}/queue/{row.pk}"
        form = a_form(client, f"{url}/change/", confirmed="yes", reason="why")
        for _ in range(2):
            client.post(f"{url}/{name}/", form)
            row.refresh_from_db()
            assert (row.paused_at is not None) == (name == "pause")
            assert row.pause_reason == ("why" if name == "pause" else "")
