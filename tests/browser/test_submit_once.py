"""Impatient clicks: what was asked for once is done once, however slow the answer is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from jobqueue.models import Execution
from tests.browser.site import Admin
from tests.builders import a_job, a_run, an_ended

pytestmark = pytest.mark.django_db(transaction=True)

#: Two clicks at once, and what became of each submit after all who could prevent it heard of it.
_CLICK_TWICE = """button => {
    const submits = [];
    addEventListener("submit", ({ defaultPrevented }) => {
        submits.push(defaultPrevented ? "prevented" : "sent");
    });
    button.click();
    if (SHOWN_AGAIN) dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    button.click();
    return submits;
}"""


def _run_menu(admin: Admin) -> Locator:
    a_job(in_run_menu=True)
    page = admin.visit()
    page.click(".jobqueue-run-menu summary")
    return page.locator(".jobqueue-run-menu button")


def _run(admin: Admin) -> Locator:
    page = admin.visit(f"jobqueue/job/{a_job().pk}/change/")
    return page.get_by_role("button", name="Run", exact=True)


def _run_again(admin: Admin) -> Locator:
    page = admin.visit(f"jobqueue/execution/{an_ended().pk}/change/")
    return page.get_by_role("button", name="Run again")


def _run_again_on_the_desk(admin: Admin) -> Locator:
    an_ended(state="failed", reason="code 1")
    return admin.visit("jobqueue/execution/desk/").get_by_role("button", name="Run again")


def _stop(admin: Admin) -> Locator:
    page = admin.visit(f"jobqueue/execution/{a_run().pk}/stop/")
    return page.get_by_role("button", name="Stop")


def _selected(admin: Admin) -> Locator:
    a_job()
    page = admin.visit("jobqueue/job/")
    page.check("#action-toggle")
    page.select_option("[name=action]", "run")
    return page.locator(".actions [name=index], .actions [type=submit]")


@pytest.mark.parametrize(
    "way", [_run_menu, _run, _run_again, _run_again_on_the_desk, _stop, _selected]
)
def test_the_second_click_sends_nothing(admin: Admin, way: Callable[[Admin], Locator]) -> None:
    button = way(admin)
    page, before = button.page, Execution.objects.count()
    assert button.evaluate(_CLICK_TWICE.replace("SHOWN_AGAIN", "false")) == ["sent", "prevented"]
    expect(page.locator(".messagelist")).to_be_visible()
    assert Execution.objects.count() == before + (way is not _stop)


def test_a_page_that_is_shown_again_works_again(admin: Admin) -> None:
    button = _run(admin)
    assert button.evaluate(_CLICK_TWICE.replace("SHOWN_AGAIN", "true")) == ["sent", "sent"]
    expect(button.page.locator(".messagelist")).to_be_visible()
