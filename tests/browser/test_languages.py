"""Pages in languages whose words are longer: nothing sticks out, and scripts speak them too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django import Settings

from jobqueue import api
from jobqueue.models import Execution, Job, Message
from tests.browser.site import NARROW, WIDE, Admin, fits
from tests.builders import a_cluster, a_job, a_monitor, a_run, a_schedule, a_waiting, an_ended

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = (
    *("jobqueue/execution/desk/", "jobqueue/execution/timeline/", "jobqueue/execution/"),
    *("jobqueue/job/", "jobqueue/job/add/", "jobqueue/schedule/", "jobqueue/schedule/add/"),
    *("jobqueue/queue/", "jobqueue/message/", "jobqueue/message/profiles/"),
    *("jobqueue/execution/timeline/?day=2026-01-15", "dirmonitor/dirmonitor/"),
)


def a_scene() -> Execution:
    """What many pages have something to say of; the answer is a run that somebody is on."""
    a_cluster()
    job, now = a_job(name="Orders of the harbour", in_run_menu=True), timezone.now()
    moments = {"queued_at": now, "started_at": now - timedelta(minutes=9), "ended_at": now}
    for state in ("succeeded", "failed", "timed_out"):
        an_ended(job=job, job_name=job.name, state=state, **moments)
    run = an_ended(job=a_job(name="Letters"), job_name="Letters", state="failed", **moments)
    api.acknowledge(run, "anna", "the partner is told")
    retried = a_job(name="Invoices", max_retries=3, ping_url="https://ping.example/")
    a_waiting(retried, requested_by="anna", priority=3)
    a_run(a_job(name="Archive"), requested_by="anna", priority=1)
    a_schedule(job=job, expression="0 6,12 * * 1-5", next_fire_at=now + timedelta(hours=1))
    a_monitor("/nowhere", job=job)
    Message.objects.create(recipients=["anna@example.org"], subject="Orders of the harbour: failed")
    return run


@pytest.fixture(autouse=True)
def channels(settings: Settings) -> None:
    hook = {"url": "https://hooks.example/services/orders-of-the-harbour", "key": "of a test" * 4}
    settings.JOBQUEUE = {**settings.JOBQUEUE, "CHANNELS": {"webhook:operators": hook}}


@pytest.mark.parametrize("language", ["de", "nl"])
def test_nothing_sticks_out(admin: Admin, language: str) -> None:
    run = a_scene()
    job, execution = Job.objects.get(max_retries=3), f"jobqueue/execution/{run.pk}"
    of_one = (f"jobqueue/job/{job.pk}/change/", f"{execution}/change/", f"{execution}/acknowledge/")
    page = admin.visit(locale=language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    for path in (*PAGES, *of_one):
        page.goto(f"{admin.url}/admin/{path}")
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            assert fits(page), (path, size)


@pytest.mark.parametrize("language", ["de", "nl"])
def test_all_columns_of_executions_fit_beside_the_filters(admin: Admin, language: str) -> None:
    a_scene()
    page = admin.visit("jobqueue/execution/", locale=language)
    results = page.locator("#changelist .results")
    assert results.evaluate("found => found.scrollWidth <= found.clientWidth")


def test_scripts_speak_it(admin: Admin) -> None:
    page = admin.visit("jobqueue/schedule/add/", locale="de-DE")
    page.fill("#id_expression", "14 6 * * 1-5")
    expect(page.locator(".jobqueue-words strong")).to_have_text("Montag-Freitag, um 06:14")
    page.fill("#id_expression", "61 6 * * *")
    expect(page.locator("#jobqueue-error-expression")).to_contain_text("liegt nicht in 0-59")
