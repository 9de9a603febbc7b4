"""The output of a run in a real browser: as it comes, however long, and searched."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from jobqueue import queue
from jobqueue.models import Execution
from tests.browser.site import NARROW, WIDE, Admin, fits, stands_still
from tests.builders import a_job, a_waiting, an_end, log_file
from tests.site import a_service, wait_for_start

pytestmark = pytest.mark.django_db(transaction=True)
#: Some 1.4 MB: far more than one part.
MANY = 20_000


def write(run: Execution, text: str) -> None:
    with log_file(run).open("a", encoding="utf-8") as file:
        file.write(text)


def many(run: Execution) -> None:
    write(run, "".join(f"line {n} {'.' * 60}\n" for n in range(1, MANY + 1)))


def visit(admin: Admin, run: Execution) -> Page:
    return admin.visit(f"jobqueue/execution/{run.pk}/change/")


def log(page: Page) -> Locator:
    return page.locator(".jobqueue-log")


def is_at_end(page: Page) -> Callable[[], bool]:
    return lambda: bool(
        log(page).evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 2")
    )


def button(page: Page, name: str) -> Locator:
    return page.locator(".jobqueue-output-tools").get_by_role("button", name=name)


def shown_numbers(page: Page) -> list[int]:
    """The numbers as they are drawn, which only the accessibility tree tells.

    Each must be that of its line.
    """
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = {node["nodeId"]: node for node in tree}

    def text(pk: str) -> str:
        node = nodes[pk]
        if node["role"]["value"] == "StaticText":
            return str(node["name"]["value"])
        return "".join(text(child) for child in node["childIds"] if child in nodes)

    texts = [node for node in tree if node["role"]["value"] == "StaticText"]
    lines = [node["parentId"] for node in texts if node["name"]["value"].startswith("line ")]
    pairs = [[text(pk) for pk in nodes[line]["childIds"]] for line in lines]
    assert [line.split()[1] for _, line in pairs] == [number for number, _ in pairs]
    return [int(number) for number, _ in pairs]


def test_it_follows_a_real_run(admin: Admin) -> None:
    aloud = "for n in 1 2 3; do echo line $n; sleep 1; done; printf '\\033[31mred\\033[0m'; exit 3"
    with a_service():
        waiting = a_waiting(a_job(name="Aloud", argv=["sh", "-c", aloud]))
        wait_for_start(waiting)
        page = visit(admin, waiting)
        for number in (1, 2, 3):
            expect(log(page)).to_contain_text(f"line {number}")
        expect(page.locator(".jobqueue-ansi-red")).to_have_text("red")
        expect(page.locator(".field-shown_state")).to_contain_text("failed")
        expect(log(page).locator(".jobqueue-log-line")).to_have_count(4)


def test_it_pauses_where_somebody_reads(admin: Admin, run: Execution) -> None:
    many(run)
    page = visit(admin, run)
    expect(log(page)).to_contain_text(f"line {MANY}")
    assert is_at_end(page)()
    log(page).evaluate("log => { log.scrollTop -= 400; }")
    expect(button(page, "Follow")).to_have_attribute("aria-pressed", "false")
    write(run, "news\n")
    expect(log(page)).to_contain_text("news")
    assert not is_at_end(page)()
    expect(page.locator(".jobqueue-output-said")).to_contain_text("Paused")
    button(page, "Follow").click()
    expect(button(page, "Follow")).to_have_attribute("aria-pressed", "true")
    assert is_at_end(page)()


def test_what_was_before_is_loaded_on_the_way_up(admin: Admin, run: Execution) -> None:
    many(run)
    page = visit(admin, run)
    first = log(page).locator(".jobqueue-log-line").first
    expect(log(page)).to_contain_text(f"line {MANY}")
    was = first.inner_text()
    log(page).evaluate("log => { log.scrollTop = 0; }")
    expect(first).not_to_have_text(was)
    button(page, "Beginning").click()
    expect(first).to_contain_text("line 1 .")
    expect(log(page)).not_to_contain_text(f"line {MANY} ")
    log(page).evaluate("log => { log.scrollTop = log.scrollHeight; }")
    button(page, "End").click()
    expect(log(page)).to_contain_text(f"line {MANY} ")


def test_a_click_waits_for_what_is_being_loaded(admin: Admin, run: Execution) -> None:
    many(run)
    page = visit(admin, run)
    expect(log(page)).to_contain_text(f"line {MANY}")
    held: list[Route] = []
    page.route("**/*before=*", lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_request("**/*before=*"):
        log(page).evaluate("log => { log.scrollTop = 0; }")
    button(page, "Beginning").click()
    (route,) = held
    route.continue_()
    expect(log(page).locator(".jobqueue-log-line").first).to_contain_text("line 1 .")


def test_search(admin: Admin, run: Execution) -> None:
    many(run)
    write(run, "The needle\n")
    page = visit(admin, run)
    field = page.get_by_role("searchbox", name="Search in the output")
    found = page.locator(".jobqueue-found")
    field.fill("LINE 777 ")
    field.press("Enter")
    expect(found).to_contain_text("line 777 ")
    expect(found).to_be_in_viewport()
    field.fill("needle")
    button(page, "Find next").click()
    expect(found).to_have_text("The needle")
    button(page, "Find next").click()
    expect(page.locator(".jobqueue-output-said")).to_have_text("Found from the beginning.")
    field.fill("nothing like it")
    field.press("Enter")
    expect(page.locator(".jobqueue-output-said")).to_have_text("Nothing is found.")


def test_line_numbers_and_wrapping_are_kept(admin: Admin, run: Execution) -> None:
    many(run)
    write(run, "w" * 3000)
    page = visit(admin, run)
    expect(log(page)).to_contain_text("www")
    assert log(page).evaluate("log => log.scrollWidth <= log.clientWidth")
    button(page, "Line numbers").click()
    button(page, "Wrap").click()
    expect(log(page)).to_have_class(re.compile("jobqueue-numbered jobqueue-unwrapped"))
    assert log(page).evaluate("log => log.scrollWidth > log.clientWidth")
    start = log(page).locator(".jobqueue-log-line").first.inner_text().split()[1]
    expected = f"jobqueue-line {int(start) - 1}"
    expect(log(page)).to_have_css("counter-reset", expected)
    page.reload()
    expect(button(page, "Line numbers")).to_have_attribute("aria-pressed", "true")
    expect(button(page, "Wrap")).to_have_attribute("aria-pressed", "false")


def test_each_line_has_its_own_number(admin: Admin, run: Execution) -> None:
    many(run)
    page = visit(admin, run)
    expect(log(page)).to_contain_text(f"line {MANY}")
    button(page, "Line numbers").click()
    expect(log(page)).to_have_css("counter-reset", re.compile(r"^jobqueue-line [1-9]"))
    at_end = shown_numbers(page)
    assert at_end == list(range(at_end[0], MANY + 1))
    counted_from = f"jobqueue-line {at_end[0] - 1}"
    log(page).evaluate("log => { log.scrollTop = 0; }")
    expect(log(page)).not_to_have_css("counter-reset", counted_from)
    with_older = shown_numbers(page)
    assert with_older == list(range(with_older[0], MANY + 1))
    assert len(with_older) > len(at_end)
    button(page, "Beginning").click()
    expect(log(page)).to_have_css("counter-reset", "jobqueue-line 0")
    assert shown_numbers(page)[:3] == [1, 2, 3]


def test_who_scrolls_while_an_answer_is_under_way_gets_older_lines_after_it(
    admin: Admin, run: Execution
) -> None:
    many(run)
    page = visit(admin, run)
    expect(log(page)).to_contain_text(f"line {MANY}")
    first = log(page).locator(".jobqueue-log-line").first
    shown_from = str(first.get_attribute("data-at"))
    held: list[Route] = []
    is_held = True
    page.route("**/*after=*", lambda route: held.append(route) if is_held else route.continue_())
    with page.expect_request("**/*after=*"):
        pass  # the page asks for news by itself
    log(page).evaluate(
        """log => new Promise(done => {
            log.addEventListener("scroll", done, { once: true });
            log.scrollTop = 0;
        })"""
    )
    is_held = False
    for route in held:
        route.continue_()
    expect(first).not_to_have_attribute("data-at", shown_from)


def test_a_late_number_is_not_that_of_older_lines(admin: Admin, run: Execution) -> None:
    many(run)
    page = visit(admin, run)
    expect(log(page)).to_contain_text(f"line {MANY}")
    held: list[Route] = []
    is_held = True
    page.route("**/*lines=*", lambda route: held.append(route) if is_held else route.continue_())
    with page.expect_request("**/*lines=*"):
        button(page, "Line numbers").click()
    with page.expect_request("**/*lines=*"):
        log(page).evaluate("log => { log.scrollTop = 0; }")
    is_held = False
    for route in reversed(held):
        with page.expect_response("**/*lines=*"):
            route.continue_()
    expect(log(page)).to_have_css("counter-reset", re.compile(r"^jobqueue-line [1-9]"))
    assert shown_numbers(page)


def test_a_file_that_is_elsewhere(admin: Admin, run: Execution) -> None:
    Execution.objects.filter(pk=run.pk).update(log_tail="one\ntwo\n")
    page = visit(admin, run)
    expect(log(page).locator(".jobqueue-log-line")).to_have_text(["one", "two"])
    Execution.objects.filter(pk=run.pk).update(log_tail="two\nthree\n")
    expect(log(page).locator(".jobqueue-log-line")).to_have_text(["two", "three"])


def test_the_watch_goes_on_while_the_page_is_current(admin: Admin, run: Execution) -> None:
    page = visit(admin, run)
    watch = page.locator(".jobqueue-timeline .jobqueue-watch")
    expect(watch).not_to_have_text(watch.inner_text())
    admin.provoked.append("ERR_FAILED")
    page.route("**/output/*", lambda route: route.abort())
    expect(page.locator(".jobqueue-output-said")).to_contain_text("The connection is lost")
    assert stands_still(page)
    page.unroute("**/output/*")
    expect(page.locator(".jobqueue-output-said")).to_have_text("")
    expect(watch).not_to_have_text(watch.inner_text())
    page.get_by_role("searchbox", name="Search in the output").focus()
    queue.finish(run, an_end())
    expect(page.locator(".jobqueue-output-said")).to_contain_text("in another state")
    assert stands_still(page)


def test_without_javascript_it_begins_at_its_end(admin: Admin, run: Execution) -> None:
    text = "first\n" + "between\n" * 500 + "last"
    Execution.objects.filter(pk=run.pk).update(log_tail=text)
    path = f"jobqueue/execution/{run.pk}/change/"
    page = admin.visit(path, java_script_enabled=False)
    expect(log(page)).to_have_text(re.compile("^first.*last$", re.DOTALL))
    assert log(page).evaluate(
        """log => {
            const text = document.createRange();
            text.selectNodeContents(log);
            return text.getBoundingClientRect().bottom <= log.getBoundingClientRect().bottom;
        }"""
    )


def test_an_end_is_told_to_those_who_are_at_work(admin: Admin, run: Execution) -> None:
    write(run, "one\n")
    page = visit(admin, run)
    expect(log(page)).to_contain_text("one")
    page.get_by_role("searchbox", name="Search in the output").focus()
    queue.finish(run, an_end())
    expect(page.locator(".jobqueue-output-said")).to_contain_text("in another state")
    page.locator("h1").click()


def test_the_session_ends(admin: Admin, run: Execution) -> None:
    page = visit(admin, run)
    page.context.clear_cookies()
    expect(page.locator(".jobqueue-output-said")).to_contain_text("Your session has ended")


def test_a_flood_is_followed_at_its_end(admin: Admin, run: Execution) -> None:
    write(run, "first\n")
    page = visit(admin, run)
    expect(log(page)).to_contain_text("first")
    write(run, "first\n" + "between\n" * 100_000 + "last\n")
    expect(log(page)).to_contain_text("last")
    expect(page.locator(".jobqueue-output-said")).to_contain_text("some was skipped")
    expect(button(page, "Follow")).to_have_attribute("aria-pressed", "true")


def test_it_is_pruned_meanwhile(admin: Admin, run: Execution) -> None:
    page = visit(admin, run)
    Execution.objects.filter(pk=run.pk).delete()
    expect(page.locator(".jobqueue-output-said")).to_contain_text("was deleted meanwhile")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_hostile_output(admin: Admin, run: Execution, size: dict[str, int]) -> None:
    write(run, "<script>document.title='hit'</script>\u202e\x1b[31m" + "x" * 2**20 + "\nend\n")
    page = admin.visit(f"jobqueue/execution/{run.pk}/change/", viewport=size)
    expect(log(page)).to_contain_text("end")
    button(page, "Beginning").click()
    expect(log(page)).to_contain_text("<script>document.title")
    assert "hit" not in page.title()
    assert fits(page)
