"""No page shows a word that translators never see.

All pages are drawn in a language in which each text that can be translated is in brackets. What is
left outside of them must be data: names, commands, reasons, zones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from jobqueue import queue
from jobqueue.admin import filters, run_menu
from jobqueue.ends import end_of
from jobqueue.executor import Outcome
from jobqueue.models import (
    Acknowledgement,
    Alarm,
    Cluster,
    Execution,
    Fire,
    Job,
    Message,
    Queue,
    Schedule,
    State,
)
from tests import pseudo
from tests.builders import (
    a_cluster,
    a_job,
    a_lost,
    a_monitor,
    a_recovery,
    a_run,
    a_schedule,
    a_waiting,
    an_ended,
)

pytestmark = pytest.mark.django_db

#: Data (the user, zones, the name of a queue), and what is the same in all languages.
DATA = {
    "zzz",
    "admin",
    "default",
    "localhost",
    "Europe",
    "Berlin",
    "CET",
    "CEST",
    "UTC",
    "min",
    "ms",
    "root",
}
#: Words of Django's and of its dates in that language, and the name of django-q2.
DATA |= {"Django", "True", "False", "Search", "ID", "de"}
#: Kinds of channels, as recipients and settings name them.
DATA |= {"mail", "webhook"}
LISTS = (*("job", "schedule", "execution", "queue", "cluster", "alarm", "message", "fire"),)


@pytest.fixture
def browser(admin_client: Client, settings: Settings) -> Iterator[Client]:
    settings.LANGUAGES = [(pseudo.LANGUAGE, "zzz")]
    settings.LANGUAGE_CODE = pseudo.LANGUAGE
    settings.JOBQUEUE = {**settings.JOBQUEUE, "HOST": "zzz", "ENVIRONMENTS": {"zzz": {}}}
    with pseudo.spoken():
        yield admin_client


def a_retry() -> Execution:
    """One that waits for its next attempt."""
    again = {"max_retries": 9, "retry_on": "1, 75-78", "ping_url": "https://zzz/zzz"}
    run = a_run(a_job(name="zzz zzz", argv=["zzz"], **again), queue="zzz")
    queue.finish(run, end_of(run, Outcome(return_code=1)))
    Execution.objects.filter(pk=run.pk).update(reason="zzz")
    return Execution.objects.waiting().get(retry_of=run)


@pytest.fixture
def scene() -> dict[str, Any]:
    """One of everything that pages tell of."""
    now = timezone.now()
    job = a_job(name="zzz", argv=["zzz"], environment="", in_run_menu=True, notify="each_run")
    for minutes, state in enumerate(State.values[2:]):
        moments = {
            "queued_at": now,
            "started_at": now,
            "ended_at": now + timedelta(minutes=minutes),
        }
        an_ended(job=job, job_name="zzz", argv=["zzz"], state=state, reason="zzz", **moments)
    schedule = a_schedule(name="zzz", job=job, expression="0 3 * * 1-5", timezone="Europe/Berlin")
    fire = Fire.objects.create(
        schedule=schedule, fire_at=now, outcome="missed", missed=3, reason="zzz"
    )
    retry = a_retry()
    paused = {"paused_at": now, "paused_by": "zzz", "pause_reason": "zzz"}
    Queue.objects.update_or_create(name="zzz", defaults=paused)
    waiting = a_waiting(job, requested_by="zzz")
    run = a_run(["zzz", "1"], priority=1)
    lost = a_lost(argv=["zzz"], reason="zzz", details={"queued_again_as": waiting.pk})
    Acknowledgement.objects.create(execution=lost, acknowledged_by="zzz", note="zzz")
    alarm = Alarm.objects.create(
        job=job, is_bad=True, since=now, failures=2, reason="zzz", execution=lost
    )
    mail = Message.objects.create(recipients=["zzz@zzz"], subject="zzz", text="zzz")
    Message.objects.create(
        channel="webhook", profile="zzz", recipients=["webhook:zzz"], subject="zzz", text="zzz"
    )
    return {
        "job": job, "schedule": schedule, "fire": fire, "alarm": alarm, "message": mail,
        "queue": Queue.objects.get(name="zzz"), "cluster": a_cluster(name="zzz", host="zzz"),
        "execution": lost, "waiting": waiting, "run": run, "retry": retry,
        "retried": retry.retry_of, "job_with_retries": retry.job,
    }  # fmt: skip


def forgotten(answer: Any) -> set[str]:
    return pseudo.Shown(answer.content.decode()).forgotten - DATA


def in_admin(page: str, *args: object) -> str:
    return reverse(f"admin:{page}", args=args)


class TestEachPageIsInBrackets:
    @pytest.mark.parametrize("model", LISTS)
    def test_lists(self, browser: Client, scene: dict[str, Any], model: str) -> None:
        assert not forgotten(browser.get(in_admin(f"jobqueue_{model}_changelist")))

    @pytest.mark.parametrize("model", LISTS)
    def test_pages_of_one(self, browser: Client, scene: dict[str, Any], model: str) -> None:
        assert not forgotten(browser.get(in_admin(f"jobqueue_{model}_change", scene[model].pk)))

    @pytest.mark.parametrize("name", ["waiting", "run", "retry", "retried"])
    def test_executions(self, browser: Client, scene: dict[str, Any], name: str) -> None:
        page = in_admin("jobqueue_execution_change", scene[name].pk)
        assert not forgotten(browser.get(page))

    def test_of_a_job_with_retries_and_pings(self, browser: Client, scene: dict[str, Any]) -> None:
        page = in_admin("jobqueue_job_change", scene["job_with_retries"].pk)
        assert not forgotten(browser.get(page))

    def test_of_a_long_history(self, browser: Client) -> None:
        an_ended(pk=filters.REACH + 1, argv=["zzz"])
        page = in_admin("jobqueue_execution_changelist")
        assert not forgotten(browser.get(page, {"q": "zzz"}))

    @pytest.mark.parametrize("days", [1, 2, 9000])
    def test_of_a_day(self, browser: Client, days: int) -> None:
        moment = timezone.now() - timedelta(days=days)
        moments = dict.fromkeys(("queued_at", "started_at", "ended_at"), moment)
        an_ended(argv=["zzz"], state=State.FAILED, **moments)
        shown = {"day": str(timezone.localdate(moment))}
        assert not forgotten(browser.get(in_admin("jobqueue_execution_timeline"), shown))

    @pytest.mark.parametrize("typed", ["2000-01-01", "zzz"])
    def test_of_a_day_of_which_nothing_is_known(self, browser: Client, typed: str) -> None:
        page = in_admin("jobqueue_execution_timeline")
        assert not forgotten(browser.get(page, {"day": typed}, follow=True))

    def test_of_channels(self, browser: Client, settings: Settings) -> None:
        channels = {"webhook:zzz": {"url": "https://zzz/zzz", "key": "zzz"}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "CHANNELS": channels}
        assert not forgotten(browser.get(in_admin("jobqueue_message_profiles")))

    def test_a_long_run_menu(self, browser: Client) -> None:
        for number in range(run_menu.MANY):
            a_job(name=f"zzz: {number}", in_run_menu=True)
        assert not forgotten(browser.get(in_admin("index")))

    @pytest.mark.parametrize(
        "page",
        [
            *("execution_desk", "execution_timeline", "message_profiles"),
            *("job_add", "schedule_add"),
        ],
    )
    def test_pages_of_all(self, browser: Client, scene: dict[str, Any], page: str) -> None:
        assert not forgotten(browser.get(in_admin(f"jobqueue_{page}")))

    @pytest.mark.parametrize(
        ("page", "name"),
        [
            ("job_check", "job"), ("job_delete", "job"), ("schedule_delete", "schedule"),
            ("queue_pause", "queue"), ("execution_stop", "run"), ("alarm_acknowledge", "alarm"),
            ("execution_acknowledge", "execution"), ("execution_acknowledge", "retried"),
        ],
    )  # fmt: skip
    def test_pages_that_ask(
        self, browser: Client, scene: dict[str, Any], page: str, name: str
    ) -> None:
        assert not forgotten(browser.get(in_admin(f"jobqueue_{page}", scene[name].pk)))

    def test_monitors(self, browser: Client, scene: dict[str, Any], tmp_path: Any) -> None:
        monitor = a_monitor("/zzz", name="zzz", job=scene["job"], filemask="zzz")
        pages = [
            in_admin("dirmonitor_dirmonitor_changelist"),
            in_admin("dirmonitor_dirmonitor_add"),
            in_admin("dirmonitor_dirmonitor_change", monitor.pk),
        ]
        for page in pages:
            assert not forgotten(browser.get(page))

    @pytest.mark.parametrize(
        ("model", "action"),
        [
            *(("execution", name) for name in ("acknowledge", "cancel", "stop")),
            *(("message", name) for name in ("send_now", "drop")),
        ],
    )
    def test_what_is_asked_and_told_of_several(
        self, browser: Client, scene: dict[str, Any], model: str, action: str
    ) -> None:
        pks = list(type(scene[model]).objects.values_list("pk", flat=True))
        form = {"action": action, "_selected_action": pks}
        page = in_admin(f"jobqueue_{model}_changelist")
        assert not forgotten(browser.post(page, form, follow=True))
        confirmed = {**form, "confirmed": "yes", "note": "zzz"}
        found = forgotten(browser.post(page, confirmed, follow=True))
        # Reasons, which are stored: of what was cancelled, and of what it was to repeat.
        assert found <= {"cancelled", "by", "not", "queued", "again", "execution", "was"}

    def test_the_first_page(self, browser: Client, scene: dict[str, Any]) -> None:
        assert not forgotten(browser.get(in_admin("index")))

    def test_a_desk_in_trouble(self, browser: Client) -> None:
        a_recovery(queue="zzz")
        Cluster.objects.all().delete()
        found = forgotten(browser.get(in_admin("jobqueue_execution_desk")))
        assert found <= {"bots", "engine", "cprod", "cleanup", "orders"}


class TestWhatIsTold:
    def test_when_a_user_does_something(self, browser: Client, scene: dict[str, Any]) -> None:
        pages = [
            in_admin("jobqueue_job_run", scene["job"].pk),
            in_admin("jobqueue_schedule_run", scene["schedule"].pk),
            in_admin("jobqueue_execution_again", scene["execution"].pk),
            in_admin("jobqueue_execution_cancel", scene["waiting"].pk),
            in_admin("jobqueue_queue_resume", scene["queue"].pk),
            in_admin("jobqueue_execution_withdraw", scene["execution"].pk),
            in_admin("jobqueue_execution_withdraw", scene["execution"].pk),
        ]
        for page in pages:
            found = forgotten(browser.post(page, {"confirmed": "yes"}, follow=True))
            assert found <= {"cancelled", "by"}, page  # the reason, which is stored

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("argv", "zzz 'zzz"), ("argv", "''"), ("env", "=zzz"), ("env", "zzz"),
            ("queue", "ZZZ zzz"), ("recipients", "zzz"), ("recipients", "zzz@"),
            ("retry_on", "zzz"), ("retry_on", ","), ("retry_delay", "99999999"),
            ("ping_url", "zzz"), ("ping_url", "https://zzz:zzz@zzz/"), ("ping_url", "https://zzz:0"),
            ("ping_url", "https://127.0.0.1/"), ("ping_url", "https://zzz/ zzz"),
        ],
    )  # fmt: skip
    def test_of_a_bad_job(self, browser: Client, name: str, value: str) -> None:
        answer = browser.post(in_admin("jobqueue_job_add"), {"name": "zzz", name: value})
        assert not forgotten(answer)

    @pytest.mark.parametrize(
        "asked",
        [{"retry_on": "lost"}, {"retry_on": "1", "retry_delay": "2", "retry_max_delay": "1"}],
    )
    def test_of_retries_that_contradict_something(
        self, browser: Client, asked: dict[str, str]
    ) -> None:
        form = {"name": "zzz", "argv": "zzz", "max_retries": "1", "retry_backoff": "exponential"}
        answer = browser.post(in_admin("jobqueue_job_add"), {**form, **asked})
        assert not forgotten(answer)

    @pytest.mark.parametrize(
        "expression", ["zzz", "@zzz", "61 * * * *", "0 0 30 2 *", "5-1 * * * *"]
    )
    def test_of_a_bad_expression(self, browser: Client, expression: str) -> None:
        asked = {"kind": "cron", "expression": expression, "timezone": "UTC"}
        answer = browser.post(in_admin("jobqueue_schedule_preview"), asked)
        assert (
            not {w for text in answer.json()["errors"].values() for w in pseudo.unmarked(text)}
            - DATA
        )

    def test_while_a_command_is_typed(self, browser: Client) -> None:
        answer = browser.post(in_admin("jobqueue_job_preview"), {"argv": "zzz | zzz"})
        assert answer.json()["note"].startswith("⟦")

    def test_of_a_job_that_was_refused(self, browser: Client, scene: dict[str, Any]) -> None:
        Job.objects.update(enabled=False)
        page = in_admin("jobqueue_job_run", scene["job"].pk)
        assert not forgotten(browser.post(page, follow=True))

    def test_of_times_that_never_come(self, browser: Client, scene: dict[str, Any]) -> None:
        Schedule.objects.update(kind="once", once_at=timezone.now() - timedelta(days=1))
        assert not forgotten(browser.get(in_admin("jobqueue_schedule_changelist")))
