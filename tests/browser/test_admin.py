"""The admin in a real browser: what needs JavaScript, what must work without, how it looks."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from jobqueue.models import Execution
from tests.browser.site import NARROW, WIDE, Admin, contrast, fits
from tests.builders import a_job, a_run, a_waiting, an_ended

pytestmark = pytest.mark.django_db(transaction=True)


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

    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_many_are_searched_by_keyboard(self, admin: Admin, size: dict[str, int]) -> None:
        for number in range(20):
            a_job(name=f"Bots: route {number}", in_run_menu=True)
        wanted = a_job(name="Test: route 7", in_run_menu=True)
        a_job(name="Test: all", in_run_menu=True)
        page = admin.visit("", "view_job", "run_job", viewport=size)
        menu = page.locator(".jobqueue-run-menu")
        menu.locator("summary").press("Enter")
        field = menu.get_by_role("searchbox", name="Find a Job")
        expect(field).to_be_focused()
        page.keyboard.type("route 7")
        expect(menu.get_by_role("status")).to_have_text("Found: 3")
        page.keyboard.type(" TEST")
        expect(menu.get_by_role("button")).to_have_text(["route 7"])
        expect(menu.get_by_role("group", name="Bots")).to_be_hidden()
        assert fits(page)
        page.keyboard.press("Enter")
        expect(menu.get_by_role("group", name="Test").get_by_role("button")).to_be_focused()
        page.keyboard.press("ArrowUp")
        expect(field).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator(".messagelist")).to_contain_text("“Test: route 7” is queued")
        assert Execution.objects.get().job == wanted

    def test_enter_in_a_search_that_finds_nothing_runs_nothing(self, admin: Admin) -> None:
        for _ in range(11):
            a_job(in_run_menu=True)
        page = admin.visit()
        page.focus(".jobqueue-run-menu summary")
        page.keyboard.press("Enter")
        expect(page.get_by_role("searchbox", name="Find a Job")).to_be_focused()
        page.keyboard.type("no such Job")
        expect(page.locator(".jobqueue-run-menu").get_by_role("status")).to_have_text("Found: 0")
        for key in ("Enter", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        page.goto(f"{admin.url}/admin/")
        assert not Execution.objects.exists()

    def test_many_without_javascript(self, admin: Admin) -> None:
        for number in range(11):
            a_job(name=f"Bots: route {number}", in_run_menu=True)
        page = admin.visit(java_script_enabled=False)
        page.click(".jobqueue-run-menu summary")
        expect(page.get_by_role("searchbox", name="Find a Job")).to_be_hidden()
        page.get_by_role("button", name="route 7").click()
        expect(page.locator(".messagelist")).to_contain_text("“Bots: route 7” is queued")

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
        page.get_by_role("link", name="Cancel").click()
        expect(page.locator("#content")).to_contain_text(str(execution))
        page.get_by_role("button", name="Cancel this request").click()
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

    def test_a_filter_with_many_choices_stays_short_and_shows_what_is_chosen(
        self, admin: Admin
    ) -> None:
        jobs = [a_job(name=f"Partner {number:02}") for number in range(40)]
        page = admin.visit(f"jobqueue/execution/?job__id__exact={jobs[30].pk}", locale="en")
        choices = page.locator("#changelist-filter ul", has_text="Partner 00")
        box = choices.bounding_box()
        chosen = choices.get_by_text("Partner 30").bounding_box()
        assert box is not None
        assert chosen is not None
        assert box["height"] < 350
        assert box["y"] <= chosen["y"] < box["y"] + 50
        choices.get_by_text("Partner 39").click()
        expect(choices.locator(".selected")).to_have_text("Partner 39")

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
