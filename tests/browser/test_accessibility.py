"""What axe-core finds on our pages: nothing that is serious or critical, in any look."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page

from jobqueue.models import Alarm, Fire, Message, Queue, State
from tests.browser.site import NARROW, WIDE, Admin
from tests.builders import (
    a_cluster,
    a_job,
    a_monitor,
    a_run,
    a_schedule,
    a_waiting,
    an_ended,
    write_log,
)

pytestmark = pytest.mark.django_db(transaction=True)

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
#: What Django's admin does by itself: the rule, and a selector of where.
OF_DJANGO = [
    # The label of its search is a picture, of which the text counts for nothing here.
    ("label-title-only", "#changelist-search"),
    # Its links are told from the text around them by their colour alone.
    ("link-in-text-block", ".breadcrumbs"),
    ("link-in-text-block", "#changelist-search"),
]
_RUN = """async left => {
    const folds = document.querySelectorAll("details:not(.jobqueue-run-menu)");
    folds.forEach(fold => fold.open = true);
    const found = await axe.run(document, { resultTypes: ["violations"], preload: false });
    const isLeft = (rule, element) => left.some(
        ([id, selector]) => id === rule && element.closest(selector) !== null);
    return found.violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) => nodes
            .filter(({ target }) => !isLeft(id, document.querySelector(target[0])))
            .map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`));
}"""


def a_scene(directory: Path) -> list[str]:
    """Something of everything; where it is to be seen."""
    a_cluster()
    job = a_job(name="Bots: orders", description="Each hour.", in_run_menu=True, env={"A": "b"})
    for number in range(12):
        a_job(name=f"Bots: route {number}", in_run_menu=True)
    ends = [state for state in State if state not in (State.WAITING, State.RUNNING)]
    ended = [an_ended(job=job, job_name=job.name, state=end, reason="It did.") for end in ends]
    failed = write_log(ended[ends.index(State.FAILED)], "one\n\x1b[31mtwo\x1b[0m\n")
    running, waiting = a_run(job, requested_by="anna"), a_waiting(a_job(name="Later"))
    Queue.objects.create(name="etl", paused_at=timezone.now(), paused_by="anna", pause_reason="Why")
    schedule = a_schedule(job=job, next_fire_at=timezone.now())
    Fire.objects.create(schedule=schedule, fire_at=timezone.now(), outcome="added")
    alarm = Alarm.objects.create(job=job, is_bad=True, since=timezone.now(), execution=failed)
    mail = Message.objects.create(recipients=["a@example.com"], subject="Job bad", text="It did.")
    monitor = a_monitor(directory, job=job)
    execution, queue = "jobqueue/execution", Queue.objects.earliest("pk")
    return [
        "", f"{execution}/", f"{execution}/desk/",
        f"{execution}/timeline/", f"{execution}/timeline/?day=2026-11-20",
        *(f"{execution}/{row.pk}/change/" for row in (failed, running, waiting)),
        f"{execution}/{running.pk}/stop/", f"{execution}/{waiting.pk}/cancel/",
        "jobqueue/job/", "jobqueue/job/add/",
        *(f"jobqueue/job/{job.pk}/{page}/" for page in ("change", "check", "history")),
        "jobqueue/queue/", f"jobqueue/queue/{queue.pk}/change/",
        f"jobqueue/queue/{queue.pk}/pause/",
        "jobqueue/schedule/", f"jobqueue/schedule/{schedule.pk}/change/",
        "jobqueue/fire/", "jobqueue/cluster/",
        "jobqueue/alarm/", f"jobqueue/alarm/{alarm.pk}/change/",
        "jobqueue/message/", f"jobqueue/message/{mail.pk}/change/",
        "dirmonitor/dirmonitor/", f"dirmonitor/dirmonitor/{monitor.pk}/change/",
    ]  # fmt: skip


def complaints(page: Page) -> list[str]:
    """What axe-core takes for serious or critical, but for what is left to Django."""
    page.evaluate(AXE)
    found: list[str] = page.evaluate(_RUN, OF_DJANGO)
    return [f"{page.url}: {complaint}" for complaint in found]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    admin: Admin, size: dict[str, int], scheme: Any, tmp_path: Path
) -> None:
    addresses = a_scene(tmp_path)
    page = admin.visit(viewport=size, color_scheme=scheme)
    page.click(".jobqueue-run-menu summary")
    found = complaints(page)
    for address in addresses:
        answer = page.goto(f"{admin.url}/admin/{address}")
        assert answer is not None
        assert answer.status == 200, address
        found += complaints(page)
    assert found == [], "\n".join(found)
