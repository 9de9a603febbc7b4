"""The admin in a real browser: what needs JavaScript, what must work without, how it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pytest_django import Settings

from jobqueue.models import Execution
from tests import servers
from tests.browser import chromium as options
from tests.builders import a_job, a_run, a_waiting, an_ended
from tests.users import a_user

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "only for tests"
#: Milliseconds: what a crowded machine may need for anything here.
PATIENCE = 30_000
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def strict_policy(get_response: Any) -> Any:
    """Middleware: allow nothing but files of this site, no inline script or style."""

    def answer(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
        return response

    return answer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    servers.need("chromium")
    with (
        # Playwright's loop runs in this thread, and Django can't tell that we don't use it.
        pytest.MonkeyPatch.context() as environment,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=servers.find_browser(), args=options.OPTIONS
        ) as found,
    ):
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        expect.set_options(timeout=PATIENCE)
        yield found


class Admin:
    """The site, and people who look at it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url
        self.contexts: list[BrowserContext] = []
        #: What the browser complained about.
        self.complaints: list[str] = []

    def visit(self, path: str = "", *permissions: str, **over: Any) -> Page:
        """A page as a new user with these permissions sees it; a superuser without any."""
        user = a_user(*permissions, is_superuser=not permissions)
        user.set_password(PASSWORD)
        user.save()
        context = self.browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **over})
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self._complain("error", str(error)))
        page.goto(f"{self.url}/admin/login/?next=/admin/{path}")
        page.fill("[name=username]", user.username)
        page.fill("[name=password]", PASSWORD)
        page.click("#login-form [type=submit]")
        page.wait_for_load_state()
        return page

    def _complain(self, kind: str, text: str) -> None:
        if kind == "error" and "favicon" not in text:
            self.complaints.append(text)


@pytest.fixture
def admin(browser: Browser, live_server: Any, settings: Settings) -> Iterator[Admin]:
    settings.MIDDLEWARE = [f"{__name__}.strict_policy", *settings.MIDDLEWARE]
    visited = Admin(browser, live_server.url)
    yield visited
    for context in visited.contexts:
        context.close()
    complaints = [text for text in visited.complaints if "404" not in text]
    assert not complaints, "the browser complained"


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side, so that the page doesn't scroll there."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))


class TestCommandLine:
    def test_what_it_becomes_is_shown_while_one_types(self, admin: Admin) -> None:
        page = admin.visit("jobqueue/job/add/")
        words = page.locator(".jobqueue-argv li")
        page.locator("#id_argv").press_sequentially("report.py 'A & B' \"\" <b>x</b>")
        expect(words).to_have_text(["report.py", "A & B", "", "<b>x</b>"])
        page.locator("#id_argv").press_sequentially(" 'open")
        expect(page.locator(".jobqueue-argv .jobqueue-error")).to_contain_text("quotation")
        page.locator("#id_argv").press_sequentially("' | mail")
        expect(page.locator(".jobqueue-argv .jobqueue-note")).to_contain_text("No shell")
        expect(page.locator(".jobqueue-argv .jobqueue-error")).to_be_hidden()

    def test_the_environment_counts(self, admin: Admin, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": {"java": {"prefix": ["java"]}}}
        page = admin.visit("jobqueue/job/add/")
        page.fill("#id_argv", "-jar x.jar")
        page.select_option("#id_environment", "java")
        expect(page.locator(".jobqueue-argv li")).to_have_text(["java", "-jar", "x.jar"])

    def test_a_form_with_an_error_shows_what_was_typed(self, admin: Admin) -> None:
        page = admin.visit("jobqueue/job/add/")
        page.fill("#id_argv", "one two")
        page.click("[name=_save]")
        expect(page.locator(".errornote")).to_be_visible()
        expect(page.locator(".jobqueue-argv li")).to_have_text(["one", "two"])


class TestRunMenu:
    @pytest.mark.parametrize("javascript", [True, False])
    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_by_keyboard(
        self, admin: Admin, javascript: bool, size: dict[str, int], scheme: str
    ) -> None:
        a_job(name="first", in_run_menu=True)
        wanted = a_job(name="second", in_run_menu=True)
        page = admin.visit(
            "jobqueue/job/?q=s", "view_job", "run_job",
            java_script_enabled=javascript, viewport=size, color_scheme=scheme,
        )  # fmt: skip
        page.focus(".jobqueue-run-menu summary")
        page.keyboard.press("Enter")
        for _ in range(2):
            page.keyboard.press("Tab")
        assert fits(page)
        page.keyboard.press("Enter")
        expect(page.locator(".messagelist")).to_contain_text("“second” is queued")
        assert page.url.endswith("/admin/jobqueue/job/?q=s")
        assert Execution.objects.get().job == wanted

    def test_closes_at_escape_and_at_a_click_elsewhere(self, admin: Admin) -> None:
        a_job(in_run_menu=True)
        page = admin.visit()
        entry = page.locator(".jobqueue-run-menu button")
        for close in (
            lambda: page.keyboard.press("Escape"),
            lambda: page.mouse.click(10, 700),
        ):
            page.click(".jobqueue-run-menu summary")
            expect(entry).to_be_visible()
            close()
            expect(entry).to_be_hidden()

    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_many_long_names(self, admin: Admin, size: dict[str, int]) -> None:
        for number in range(40):
            a_job(name=f"{number} {'x' * 150}", in_run_menu=True)
        page = admin.visit("", viewport=size)
        page.click(".jobqueue-run-menu summary")
        assert fits(page)
        page.locator(".jobqueue-run-menu button").last.click()
        expect(page.locator(".messagelist")).to_contain_text("is queued")


class TestButtons:
    """All of them without JavaScript."""

    def visit(self, admin: Admin, path: str) -> Page:
        return admin.visit(path, java_script_enabled=False)

    def test_run(self, admin: Admin) -> None:
        job = a_job(name="nightly")
        page = self.visit(admin, f"jobqueue/job/{job.pk}/change/")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator(".messagelist")).to_contain_text("“nightly” is queued")
        page.locator(".messagelist a").first.click()
        expect(page.locator("h1")).to_contain_text("nightly")

    def test_cancel_and_run_again(self, admin: Admin) -> None:
        execution = a_waiting()
        page = self.visit(admin, f"jobqueue/execution/{execution.pk}/change/")
        page.select_option("[name=priority]", "2")
        page.get_by_role("button", name="Set").click()
        expect(page.locator(".messagelist")).to_contain_text("has priority 2 now")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".field-shown_state")).to_contain_text("cancelled")
        page.get_by_role("button", name="Run again").click()
        expect(page.locator(".messagelist")).to_contain_text("is queued")

    def test_stop(self, admin: Admin) -> None:
        run = a_run()
        page = self.visit(admin, f"jobqueue/execution/{run.pk}/change/")
        page.get_by_role("link", name="Stop").click()
        expect(page.locator("#content")).to_contain_text(str(run))
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".messagelist")).to_contain_text("is being stopped")

    def test_pause_and_resume(self, admin: Admin) -> None:
        a_run(queue="etl")
        page = self.visit(admin, "jobqueue/queue/")
        page.get_by_role("link", name="etl").click()
        page.get_by_role("link", name="Pause").click()
        page.fill("[name=reason]", "<b>moving</b>")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".field-reason")).to_contain_text("<b>moving</b>")
        page.get_by_role("button", name="Resume").click()
        expect(page.locator(".messagelist .success")).to_contain_text("goes on")
        expect(page.locator(".messagelist .warning")).to_contain_text("No cluster runs")

    def test_cancel_several(self, admin: Admin) -> None:
        a_waiting()
        a_waiting()
        page = self.visit(admin, "jobqueue/execution/")
        for box in page.locator(".action-select").all():
            box.check()
        page.select_option("[name=action]", "cancel")
        page.click("[name=index]")
        page.get_by_role("button", name="Cancel these requests").click()
        expect(page.locator(".messagelist")).to_contain_text("2 executions were cancelled")


class TestLooks:
    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_a_megabyte_in_one_line_does_not_break_the_page(
        self, admin: Admin, size: dict[str, int]
    ) -> None:
        execution = an_ended(
            argv=["a" * 50_000], reason="r" * 5_000, log_tail="x" * 2**20, state="failed",
            job_name="n" * 200, requested_by="u" * 254, working_directory="/" + "d" * 1000,
        )  # fmt: skip
        page = admin.visit(f"jobqueue/execution/{execution.pk}/change/", viewport=size)
        assert fits(page)
        log = page.locator(".jobqueue-log")
        assert log.evaluate("log => log.scrollWidth <= log.clientWidth")
        box = log.bounding_box()
        assert box is not None
        assert box["height"] < size["height"]
        page.goto(f"{admin.url}/admin/jobqueue/execution/")
        assert fits(page)

    def test_an_open_execution_loads_itself_again(self, admin: Admin) -> None:
        run = a_run()
        page = admin.visit(f"jobqueue/execution/{run.pk}/change/")
        expect(page.locator("#jobqueue-output-heading")).to_be_visible()
        Execution.objects.filter(pk=run.pk).update(log_tail="news")
        expect(page.locator(".jobqueue-log")).to_have_text("news")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_states_can_be_read(self, admin: Admin, scheme: str) -> None:
        """A contrast of 4.5:1, as WCAG 2.2 asks for (1.4.3)."""
        for value in Execution._meta.get_field("state").choices or ():
            an_ended(state=value[0])
        page = admin.visit("jobqueue/execution/", color_scheme=scheme)
        for shown in page.locator(".jobqueue-state").all():
            colours = shown.evaluate(
                """element => {
                    const behind = [element.closest("tr"), document.body]
                        .map(place => getComputedStyle(place).backgroundColor)
                        .find(colour => !colour.endsWith(", 0)"));
                    return [getComputedStyle(element).color, behind];
                }"""
            )
            assert contrast(*colours) >= 4.5, (shown.inner_text(), colours)


def contrast(first: str, second: str) -> float:
    """The ratio of two colours as browsers write them, ``rgb(1, 2, 3)``."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(luminance(colour) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)
