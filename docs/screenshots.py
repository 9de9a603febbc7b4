"""Takes the pictures of the documentation: ``python docs/screenshots.py OUTDIR``.

Starts the stand-alone site with its real service on demonstration data of its own, waits until
the runs are where they shall be, and photographs the pages in Chromium, wide and narrow, light
and dark. Files in OUTDIR are overwritten.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from tests.browser import chromium  # noqa: E402
from tests.servers import find_browser  # noqa: E402

LOGIN = ("anna", "anna")
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}

#: Programs on the demonstration's PATH, so that commands look as they do in real life.
PROGRAMS = {
    "bots-engine": """
echo "2026-11-21 06:00:01 INFO  bots-engine $*: reading 3 files"
echo "2026-11-21 06:00:02 INFO  orders-4711.edi: 12 orders, sent to the ERP"
echo "2026-11-21 06:00:02 ERROR invoice-88.edi: unknown partner 4399901000007" >&2
exit ${BOTS_RESULT:-0}
""",
    "fetch-orders": """
echo "Connecting to sftp.$2.example, port 22 ..."
echo "Host key is known. Logging in as edi."
echo "error: Connection timed out (110); 3 tries, last after 60 s" >&2
echo "error: nothing was fetched, the files stay where they are" >&2
exit 1
""",
    "send-invoices": """
for n in 1 2 3 4 5; do echo "invoice 2026-$n: sent"; done
""",
    "archive-files": """
for n in $(seq 6000); do
    echo "archived in/2026/11/orders-$n.edi"
    sleep 0.2
done
""",
    "check-mailbox": "sleep 3600",
}


def create_programs(directory: Path) -> None:
    """Shell scripts that behave as the demonstration needs."""
    directory.mkdir()
    for name, body in PROGRAMS.items():
        (directory / name).write_text(f"#!/bin/sh\n{body}", encoding="utf-8")
        (directory / name).chmod(0o755)


def create_data() -> None:
    """A login, Jobs and requests; runs in a process of its own."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from jobqueue.api import Job, Source, enqueue

    call_command("migrate", verbosity=0)
    get_user_model().objects.create_superuser(LOGIN[0], "", LOGIN[1])

    def job(name: str, *argv: str, **fields: Any) -> Job:
        return Job.objects.create(name=name, argv=list(argv), in_run_menu=True, **fields)

    orders = job("Orders", "bots-engine", "orders")
    invoices = job("Invoices", "bots-engine", "--new", "invoices", env={"BOTS_RESULT": "2"})
    fetch = job("Fetch from the harbour", "fetch-orders", "--partner", "harbour")
    archive = job("Archive", "archive-files", "--keep", "90 days", description="Every night.")
    mailbox = job("Mailbox", "check-mailbox", kill_after=timedelta(seconds=1))
    create_history()
    for what, priority in ((orders, 3), (invoices, 4), (fetch, 5), (mailbox, 5)):
        enqueue(what, priority=priority, source=Source.ADMIN, requested_by="anna")
    enqueue(["send-invoices", "--month", "2026-10"], priority=6, source=Source.COMMAND)
    enqueue(["report.py", "<b>Q4</b>"], priority=6, source=Source.COMMAND, requested_by="carl")
    enqueue(archive, priority=7, source=Source.ADMIN, requested_by="anna")


def create_history() -> None:
    """Two days of runs on the record, older than those that really ran."""
    from django.utils import timezone

    from jobqueue.api import Execution, Job, State

    chance = random.Random(4711)
    at, now = timezone.now() - timedelta(days=2), timezone.now()
    jobs = {job.name: job for job in Job.objects.all()}
    usual = {"Orders": 4, "Invoices": 6, "Fetch from the harbour": 1.5, "Archive": 19}
    while at < now - timedelta(hours=1):
        for name, minutes in usual.items():
            if name == "Archive" and at.hour % 6:
                continue
            took = timedelta(minutes=minutes * chance.uniform(0.7, 1.5))
            state, code, reason = State.SUCCEEDED, 0, ""
            if chance.random() < 0.06:
                state, code, reason = State.FAILED, 1, "return code 1"
            elif name == "Invoices" and chance.random() < 0.2:
                state, code, reason = State.WARNED, 2, "errors in the run (bots-engine code 2)"
            Execution.objects.create(
                job=jobs[name], job_name=name, argv=jobs[name].argv, state=state, reason=reason,
                return_code=code, source="schedule", requested_by="Every hour", queued_at=at,
                started_at=at, ended_at=at + took, host="edi-1",
            )  # fmt: skip
            at += took
        at = at.replace(minute=0, second=0) + timedelta(hours=1)


def create_schedules() -> None:
    """So that something comes next; one of them finds the queue busy."""
    from jobqueue.api import Job, Schedule

    for name, job, expression in (
        ("Orders every quarter", "Orders", "*/15 * * * *"),
        ("Invoices at half past", "Invoices", "30 * * * *"),
        ("Harbour", "Fetch from the harbour", "*/20 * * * *"),
        ("Archive at night", "Archive", "0 2 * * *"),
    ):
        Schedule.objects.create(name=name, job=Job.objects.get(name=job), expression=expression)


def request_more() -> None:
    """Requests that wait while the long run goes on; runs in a process of its own."""
    import django

    django.setup()
    from django.utils import timezone

    from jobqueue.api import Execution, Job, enqueue, pause

    create_schedules()
    for name, priority in (("Orders", 1), ("Invoices", 5), ("Fetch from the harbour", 9)):
        enqueue(Job.objects.get(name=name), priority=priority, requested_by="portal")
    enqueue(["report.py", "--month", "2026-10"], requested_by="carl", source="command")
    pause("nightly", "anna", "The partner moves its server until noon.")
    started_at = timezone.now() - timedelta(minutes=12, seconds=40)
    Execution.objects.filter(state="running").update(
        queued_at=started_at - timedelta(seconds=3), started_at=started_at
    )


def states() -> list[str]:
    """The states of all executions, oldest first; runs in a process of its own."""
    import django

    django.setup()
    from jobqueue.api import Execution

    found = list(Execution.objects.order_by("pk").values_list("state", flat=True))
    print(" ".join(found))
    return found


def here(step: str, environment: dict[str, str]) -> str:
    """Run a function of this file where Django has the demonstration's settings."""
    command = [sys.executable, __file__, step]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    """Ask until it is true."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError("The demonstration isn't where it should be.")
        time.sleep(0.2)


@contextmanager
def site(directory: Path) -> Iterator[str]:
    """The address of the running site."""
    create_programs(directory / "bin")
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")},
        "DATA_DIR": str(directory / "data"),
        "DJANGO_SETTINGS_MODULE": "botsproject.settings",
        "JOBQUEUE_HOST": "edi-1",
        "PATH": f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    here("create_data", environment)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(CHECKOUT / "manage.py"), "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        wait_for(lambda: here("states", environment).split()[-1:] == ["running"])
        here("request_more", environment)
        yield f"http://127.0.0.1:{port}"
    finally:
        for _ in range(2):  # the second time it stops what runs
            server.send_signal(signal.SIGINT)
            time.sleep(0.5)
        server.wait(60)


def log_in(
    browser: Browser, url: str, width: int, height: int, scheme: Any, locale: str = "en-GB"
) -> Page:
    """A page of a new session."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale
    )
    page = context.new_page()
    page.goto(f"{url}/admin/login/?next=/admin/")
    page.fill("[name=username]", LOGIN[0])
    page.fill("[name=password]", LOGIN[1])
    page.click("#login-form [type=submit]")
    return page


def photograph(page: Page, url: str, out: Path, suffix: str) -> None:
    """All pages worth a look."""

    def take(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out / f"{name}-{suffix}.png")

    page.goto(f"{url}/admin/")
    take("index")
    page.goto(f"{url}/admin/jobqueue/execution/desk/")
    take("desk")
    page.screenshot(path=out / f"desk-{suffix}-full.png", full_page=True)
    page.goto(f"{url}/admin/jobqueue/execution/timeline/")
    take("timeline")
    page.goto(f"{url}/admin/jobqueue/execution/")
    take("executions")
    shown = {"failed": "Fetch", "running": "", "waiting": "", "warned": ""}
    for state, name in shown.items():  # the newest ones really ran, and have output
        page.goto(f"{url}/admin/jobqueue/execution/?state__exact={state}")
        row = page.locator("#result_list tbody tr").filter(has_text=name).first
        row.locator(".field-id a").click()
        page.wait_for_selector(".jobqueue-timeline" if state == "waiting" else ".jobqueue-log-line")
        take(f"execution-{state}")
    page.goto(f"{url}/admin/jobqueue/execution/?state__exact=running")
    page.click("#result_list .field-id a")
    page.click("text=Stop …")
    take("stop")
    page.goto(f"{url}/admin/jobqueue/job/")
    page.click("details.jobqueue-run-menu summary")
    take("jobs")
    page.click("#result_list .field-shown_name a >> text=Archive")
    take("job")
    page.locator(".jobqueue-bars").scroll_into_view_if_needed()
    take("job-runs")
    page.get_by_role("link", name="Check without running").click()
    take("job-check")
    page.go_back()
    page.click(".object-tools [type=submit]")
    take("job-run")
    page.goto(f"{url}/admin/jobqueue/job/add/")
    page.fill("#id_name", "Orders of the month")
    page.fill("#id_argv", "python3 report.py --month '2026 11' --to \"A & B\" | mail anna")
    page.wait_for_selector(".jobqueue-argv li")
    take("job-add")
    page.goto(f"{url}/admin/jobqueue/queue/")
    take("queues")
    page.goto(f"{url}/admin/jobqueue/queue/1/pause/")
    take("pause")


def main(out: Path) -> None:
    """All pictures."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="jobqueue-pictures-") as directory,
        site(Path(directory)) as url,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=find_browser(), args=chromium.OPTIONS
        ) as browser,
    ):
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = log_in(browser, url, width, height, scheme)
                photograph(page, url, out, f"{size}-{scheme}")
        page = log_in(browser, url, *SIZES["wide"], "light", "de")
        page.goto(f"{url}/admin/jobqueue/execution/desk/")
        page.screenshot(path=out / "desk-de.png")


if __name__ == "__main__":
    steps = {"create_data": create_data, "request_more": request_more, "states": states}
    if len(sys.argv) != 2:
        sys.exit("python docs/screenshots.py OUTDIR")
    if sys.argv[1] in steps:
        steps[sys.argv[1]]()
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end the site
        main(Path(sys.argv[1]))
