"""The exact command is copied by a button, over HTTPS and without it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from jobqueue.commandline import bash_line
from tests.browser.site import NARROW, Admin, fits
from tests.builders import a_job, a_waiting

pytestmark = pytest.mark.django_db(transaction=True)
ARGV = ["send", "two  words", "<b>&amp;</b>", "a\nb", "it's", " "]
#: What browsers have without HTTPS, kept for the test to read the clipboard back.
_INSECURE = """
window.clipboard = navigator.clipboard;
Object.defineProperty(navigator, "clipboard", { value: undefined });
"""
_REFUSES = "document.execCommand = () => false;"


def _execution(admin: Admin, **over: object) -> Page:
    waiting = a_waiting(list(ARGV))
    return admin.visit(f"jobqueue/execution/{waiting.pk}/change/", **over)


def _job(admin: Admin, **over: object) -> Page:
    job = a_job(argv=ARGV)
    return admin.visit(f"jobqueue/job/{job.pk}/change/", "view_job", **over)


@pytest.mark.parametrize("page_of", [_execution, _job])
@pytest.mark.parametrize("script", ["window.clipboard = navigator.clipboard", _INSECURE])
def test_what_is_copied_is_exactly_the_command(
    admin: Admin, page_of: Callable[..., Page], script: str
) -> None:
    page = page_of(admin, permissions=["clipboard-read", "clipboard-write"])
    page.add_init_script(script)
    page.reload()
    said = page.locator(".jobqueue-copy-tools [role=status]")
    expect(said).to_be_empty()
    page.get_by_role("button", name="Copy the command").press("Enter")
    expect(said).to_have_text("Copied")
    assert page.evaluate("clipboard.readText()") == bash_line(ARGV)


def test_where_the_browser_copies_nothing_it_is_selected(admin: Admin) -> None:
    page = _execution(admin, viewport=NARROW)
    page.add_init_script(_INSECURE + _REFUSES)
    page.reload()
    page.get_by_role("button", name="Copy the command").click()
    expect(page.get_by_text("Selected: now copy it")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == bash_line(ARGV)
    assert fits(page)


def test_without_javascript_there_is_no_button(admin: Admin) -> None:
    page = _execution(admin, java_script_enabled=False)
    expect(page.locator(".jobqueue-copy")).to_be_visible()
    expect(page.get_by_role("button", name="Copy the command")).to_have_count(0)
