"""The desk in a real browser: it keeps itself as it is now, and leaves its reader in peace."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobqueue import queue
from jobqueue.models import Alarm, Execution, State
from tests.browser.site import NARROW, WIDE, Admin, contrast, fits, stands_still
from tests.builders import a_cluster, a_job, a_run, a_schedule, a_waiting, an_end, an_ended
from tests.site import a_service, wait_for_start

pytestmark = pytest.mark.django_db(transaction=True)
DESK = "jobqueue/execution/desk/"
MINUTE = timedelta(minutes=1)
#: What a browser has of a common screen at 200 %.
ZOOMED = {"width": 640, "height": 400}
#: What the browser says of requests that a test aborts.
NOT_ANSWERED = "ERR_FAILED"


def a_scene() -> Execution:
    """Something of everything; what runs."""
    a_cluster()
    job = a_job(name="Orders", in_run_menu=True)
    now = timezone.now()
    an_ended(job=job, job_name="Orders", started_at=now - 14 * MINUTE, ended_at=now)
    run = a_run(job, requested_by="anna")
    Execution.objects.filter(pk=run.pk).update(
        started_at=now - 3 * MINUTE, log_tail="one\ntwo\n" + "x" * 5000
    )
    for number in range(3):
        a_waiting(a_job(name=f"Waiting {number} {'w' * 90}"), requested_by="u" * 200)
    a_schedule(name="s" * 100, job=job, next_fire_at=now + MINUTE)
    an_ended(state=State.FAILED, reason="r" * 2000, argv=["a" * 5000])
    queue.pause("nightly", "anna", "p" * 500)
    Alarm.objects.create(job=job, is_bad=True, since=now, reason="z" * 500)
    return run


class TestLooks:
    @pytest.mark.parametrize("size", [WIDE, ZOOMED, NARROW], ids=["wide", "zoomed", "narrow"])
    def test_long_words_do_not_break_the_page(self, admin: Admin, size: dict[str, int]) -> None:
        a_scene()
        page = admin.visit(DESK, viewport=size)
        expect(page.get_by_text("1 running, 3 waiting.")).to_be_visible()
        assert fits(page)

    def test_the_index_without_a_cluster_fits_a_telephone(self, admin: Admin) -> None:
        page = admin.visit("", viewport=NARROW)
        expect(page.get_by_text("No cluster runs: nothing will start.")).to_be_visible()
        assert fits(page)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_all_of_it_can_be_read(self, admin: Admin, scheme: str) -> None:
        """A contrast of 4.5:1, as WCAG 2.2 asks for (1.4.3)."""
        a_scene()
        page = admin.visit(DESK, color_scheme=scheme)
        texts = "#jobqueue-desk :is(p, li, span, h2, a, button, strong, time, pre)"
        # All in one go: a moment later the page may have other places.
        found = page.locator(texts).evaluate_all(
            """elements => elements.map(element => {
                // As it is painted: colours are mixed, and some are see-through.
                const canvas = new OffscreenCanvas(1, 1).getContext("2d");
                const places = [];
                for (let e = element; e; e = e.parentElement) places.unshift(e);
                for (const place of places) {
                    canvas.fillStyle = getComputedStyle(place).backgroundColor;
                    canvas.fillRect(0, 0, 1, 1);
                }
                const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
                const colours = [getComputedStyle(element).color, `rgb(${r}, ${g}, ${b})`];
                return [element.textContent.slice(0, 80), colours];
            })"""
        )
        assert len(found) > 20
        for text, colours in found:
            assert contrast(*colours) >= 4.5, (text, colours)

    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_pictures(self, admin: Admin, size: dict[str, int]) -> None:
        """Drawn without any inline style; as wide as they are, they don't widen the page."""
        run = a_scene()
        job = run.job
        assert job is not None
        for _ in range(60):
            an_ended(job=job, job_name="Orders", state=State.FAILED)
        page = admin.visit(f"jobqueue/job/{job.pk}/change/", viewport=size)
        expect(page.locator(".jobqueue-bars a")).to_have_count(40)
        assert fits(page)
        page.goto(f"{admin.url}/admin/jobqueue/execution/timeline/")
        expect(page.locator(".jobqueue-day .jobqueue-bar-forecast")).not_to_have_count(0)
        page.get_by_text("As a table").click()
        expect(page.get_by_role("row")).not_to_have_count(1)
        assert fits(page)
        page.goto(f"{admin.url}/admin/jobqueue/execution/")
        assert page.locator(".jobqueue-took rect").nth(1).evaluate("e => getComputedStyle(e).fill")
        assert fits(page)

    def test_without_javascript(self, admin: Admin) -> None:
        a_scene()
        page = admin.visit(DESK, java_script_enabled=False)
        assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
        page.get_by_role("button", name="Move forward: Waiting 1").click()
        expect(page.locator(".messagelist")).to_contain_text("has priority 1 now")
        page.get_by_role("link", name="Cancel: Waiting 2").click()
        expect(page.get_by_text("This request will not run.")).to_be_visible()
        page.get_by_role("link", name="No, take me back").click()
        page.get_by_role("link", name="Cancel: Waiting 2").click()
        page.get_by_role("button", name="Cancel this request").click()
        expect(page.locator(".messagelist")).to_contain_text("was cancelled")
        expect(page.get_by_text("1 running, 2 waiting.")).to_be_visible()
        page.get_by_role("link", name="Stop execution").click()
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".messagelist")).to_contain_text("is being stopped")
        assert page.url.endswith(DESK)

    def test_by_keyboard(self, admin: Admin) -> None:
        a_cluster()
        waiting = a_waiting()
        page = admin.visit(DESK)
        page.get_by_role("link", name="Cancel:").press("Enter")
        page.get_by_role("button", name="Cancel this request").press("Enter")
        expect(page.locator(".messagelist")).to_contain_text("was cancelled")
        assert page.url.endswith(DESK)
        waiting.refresh_from_db()
        assert waiting.state == State.CANCELLED


class TestLive:
    def test_a_real_run(self, admin: Admin) -> None:
        """Queued, run, its output as it comes, ended: nobody loads the page."""
        page = admin.visit(DESK)
        page.evaluate("window.marked = true")
        expect(page.get_by_text("No cluster runs:")).to_be_visible()
        with a_service():
            expect(page.get_by_text("All is well.")).to_be_visible()
            job = a_job(
                name="Counting", argv=["sh", "-c", "echo first; sleep 4; echo second; sleep 600"]
            )
            wait_for_start(a_waiting(job))
            lines = page.locator(".jobqueue-last-lines")
            expect(page.get_by_text("1 running, 0 waiting.")).to_be_visible()
            expect(lines).to_contain_text("first")
            expect(lines).to_contain_text("second")
            assert page.evaluate("window.marked"), "the page was loaded again"
            page.get_by_role("link", name="Stop execution").click()
            page.get_by_role("button", name="Stop").click()
            expect(page.get_by_text("is being stopped").last).to_be_visible()
            expect(page.get_by_text("Nothing runs, nothing waits.").first).to_be_visible()

    def test_who_is_on_a_button_stays_there(self, admin: Admin) -> None:
        a_cluster()
        kept = a_waiting(a_job(name="kept"))
        page = admin.visit(DESK)
        button = page.get_by_role("button", name="Move forward: kept")
        button.focus()
        page.evaluate(
            """() => {
                const fact = document.querySelector("#desk-queue-default h2");
                getSelection().selectAllChildren(fact);
            }"""
        )
        a_waiting(a_job(name="first"), priority=1)
        expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()
        expect(button).to_be_focused()
        assert page.evaluate("getSelection().toString()") == "default"
        items = page.locator(".jobqueue-waiting-line > li")
        expect(items).to_have_count(2)
        expect(items.first).to_contain_text("first")
        page.keyboard.press("Enter")
        expect(page.locator(".messagelist")).to_contain_text(f"#{kept.pk}")

    def test_who_is_in_a_queue_stays_there_when_another_one_comes_before_it(
        self, admin: Admin
    ) -> None:
        a_cluster()
        a_waiting(a_job(name="kept"), queue="first")
        a_waiting(a_job(name="starts"), queue="second")
        page = admin.visit(DESK)
        button = page.get_by_role("button", name="Move forward: kept")
        button.focus()
        page.locator("#desk-queue-first h2").evaluate("h => getSelection().selectAllChildren(h)")
        cards = page.locator(".jobqueue-card[id^=desk-queue-] h2")
        expect(cards).to_have_text(["first", "second"])
        run = queue.claim("second")
        assert run is not None
        expect(cards).to_have_text(["second", "first"])
        expect(button).to_be_focused()
        assert page.evaluate("getSelection().toString()") == "first"
        queue.finish(run, an_end())
        expect(cards).to_have_text(["first"])
        expect(button).to_be_focused()

    def test_selected_output_stays_until_it_is_released(self, admin: Admin) -> None:
        run = a_scene()
        Execution.objects.filter(pk=run.pk).update(log_tail="first\n")
        page = admin.visit(DESK)
        lines = page.locator(".jobqueue-last-lines")
        lines.evaluate("lines => getSelection().selectAllChildren(lines)")
        Execution.objects.filter(pk=run.pk).update(log_tail="second\n")
        a_waiting(a_job(name="new"))
        expect(page.get_by_role("link", name="new", exact=True)).to_be_visible()
        expect(lines).to_have_text("first")
        page.evaluate("getSelection().removeAllRanges()")
        Execution.objects.filter(pk=run.pk).update(log_tail="third\n")
        expect(lines).to_have_text("third")

    def test_what_was_opened_stays_open(self, admin: Admin) -> None:
        a_cluster()
        job = a_job()
        an_ended(job=job, state=State.FAILED)
        an_ended(job=job)
        page = admin.visit(DESK)
        page.click("#desk-mended summary")
        a_waiting()
        expect(page.get_by_text("0 running, 1 waiting.")).to_be_visible()
        expect(page.locator("#desk-mended li")).to_be_visible()

    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_three_of_many_that_went_wrong_are_in_sight(
        self, admin: Admin, size: dict[str, int]
    ) -> None:
        a_cluster()
        for _ in range(9):
            an_ended(state=State.FAILED)
        page = admin.visit(DESK, viewport=size)
        seen = page.locator("#desk-bad li:visible")
        expect(seen).to_have_count(3)
        page.get_by_text("6 more").press("Enter")
        expect(seen).to_have_count(9)
        an_ended(state=State.FAILED)
        expect(page.get_by_text("10 went wrong.")).to_be_visible()
        expect(seen).to_have_count(10)
        page.get_by_text("7 more").press("Enter")
        a_waiting()
        expect(page.get_by_text("0 running, 1 waiting.")).to_be_visible()
        expect(seen).to_have_count(3)
        assert fits(page)

    def test_watches_go_on_by_themselves(self, admin: Admin) -> None:
        run = a_scene()
        run.refresh_from_db()
        page = admin.visit(DESK)
        page.route("**/live/", lambda _route: None)  # the answer takes its time
        watch = page.locator(".jobqueue-watch")
        shown = watch.inner_text()
        expect(watch).not_to_have_text(shown)
        minutes, seconds = map(int, watch.inner_text().split(":"))
        assert run.started_at is not None
        elapsed = timezone.now() - run.started_at
        assert timedelta(minutes=3) < timedelta(minutes=minutes, seconds=seconds) <= elapsed
        assert float(page.locator("progress").get_attribute("max") or 0) == 14 * 60

    def test_watches_stand_still_while_what_they_show_may_be_old(self, admin: Admin) -> None:
        a_scene()
        page = admin.visit(DESK)
        admin.provoked.append(NOT_ANSWERED)
        page.route("**/live/", lambda route: route.abort())
        expect(page.get_by_text("The connection is lost")).to_be_visible()
        assert stands_still(page)
        page.unroute("**/live/")
        expect(page.get_by_text("The connection is lost")).to_be_hidden()
        watch = page.locator(".jobqueue-watch")
        expect(watch).not_to_have_text(watch.inner_text())
        page.context.clear_cookies()
        expect(page.get_by_text("Your session has ended")).to_be_visible()
        assert stands_still(page)

    def test_it_says_when_the_connection_is_lost_and_goes_on_when_it_is_back(
        self, admin: Admin
    ) -> None:
        a_cluster()
        page = admin.visit(DESK)
        admin.provoked.append(NOT_ANSWERED)
        page.route("**/live/", lambda route: route.abort())
        state = page.get_by_text("The connection is lost")
        expect(state).to_be_visible()
        page.unroute("**/live/")
        a_waiting()
        expect(page.get_by_text("0 running, 1 waiting.")).to_be_visible()
        expect(state).to_be_hidden()

    def test_it_says_when_the_session_has_ended(self, admin: Admin) -> None:
        page = admin.visit(DESK)
        page.context.clear_cookies()
        expect(page.get_by_text("Your session has ended")).to_be_visible()

    def test_it_says_when_one_may_no_longer_see_it(self, admin: Admin) -> None:
        page = admin.visit(DESK, "view_execution")
        admin.provoked.append("status of 403")
        get_user_model().objects.get().user_permissions.clear()
        expect(page.get_by_text("You may no longer see this")).to_be_visible()

    def test_it_asks_for_little_while_nothing_changes(self, admin: Admin) -> None:
        a_cluster()
        page = admin.visit(DESK)
        with page.expect_response(lambda answer: "/live/" in answer.url and answer.status == 304):
            pass

    def test_a_hidden_page_asks_nothing(self, admin: Admin) -> None:
        a_cluster()
        page = admin.visit(DESK)
        page.clock.install()
        for _ in range(2):  # the first answer sets the first timer on this clock
            with page.expect_response("**/live/"):
                page.clock.fast_forward(10_000)
        set_hidden(page, True)
        asked: list[str] = []  # from now on: until then it was right to ask
        page.on("request", lambda request: asked.append(request.url))
        a_waiting()
        page.clock.fast_forward(60_000)
        page.evaluate("fetch('/admin/jsi18n/')")
        assert [url for url in asked if "live" in url] == []
        set_hidden(page, False)
        expect(page.get_by_text("0 running, 1 waiting.")).to_be_visible()

    @pytest.mark.parametrize("javascript", [True, False])
    def test_who_is_on_what_went_wrong_is_said_by_keyboard(
        self, admin: Admin, javascript: bool
    ) -> None:
        a_cluster()
        an_ended(state=State.FAILED, reason="return code 7")
        page = admin.visit(DESK, viewport=NARROW, java_script_enabled=javascript)
        page.get_by_role("link", name="Acknowledge").press("Enter")
        page.get_by_label("Note").focus()
        page.keyboard.type("ticket <b>4711</b> " + "x" * 200)
        assert fits(page)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Somebody is on what went wrong.")).to_be_visible()
        expect(page.get_by_text("is on it since")).to_contain_text("ticket <b>4711</b>")
        expect(page.get_by_role("link", name="Acknowledge")).to_have_count(0)
        assert page.url.endswith(DESK)
        assert fits(page)

    def test_a_run_that_ended_between_page_and_click(self, admin: Admin) -> None:
        run = a_run()
        page = admin.visit(f"jobqueue/execution/{run.pk}/stop/?next=/admin/{DESK}")
        queue.finish(run, an_end())
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".messagelist")).to_contain_text("doesn't run any more")
        assert page.url.endswith(DESK)


def set_hidden(page: Page, is_hidden: bool) -> None:
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )
