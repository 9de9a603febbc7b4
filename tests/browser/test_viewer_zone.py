"""A browser tells its time zone, and pages show their times in it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from jobqueue.middleware import COOKIE
from tests.browser.site import NARROW, WIDE, Admin, fits
from tests.builders import a_job

pytestmark = pytest.mark.django_db(transaction=True)
DESK, NEW_YORK = "jobqueue/execution/desk/", "America/New_York"


def cookies(page: Page) -> dict[str, str]:
    return {each["name"]: each["value"] for each in page.context.cookies()}


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_first_page_is_loaded_again_in_its_zone(admin: Admin, size: dict[str, int]) -> None:
    a_job(in_run_menu=True)
    page = admin.visit(DESK, timezone_id=NEW_YORK, viewport=size)
    expect(page.locator(".jobqueue-zone")).to_have_attribute("title", f"Times are in {NEW_YORK}")
    told = next(each for each in page.context.cookies() if each["name"] == COOKIE)
    assert (told["value"], told["path"], told["sameSite"]) == (NEW_YORK, "/", "Lax")
    assert fits(page)


@pytest.mark.parametrize("width", [390, 320, 800])
def test_what_stands_in_a_narrow_header_is_in_one_line(admin: Admin, width: int) -> None:
    a_job(in_run_menu=True, name="A Job whose name is long enough to fill the whole menu")
    size = {"width": width, "height": 844}
    page = admin.visit(DESK, timezone_id=NEW_YORK, viewport=size)
    expect(page.locator(f"[data-jobqueue-zone='{NEW_YORK}']")).to_be_visible()
    summary = page.locator(".jobqueue-run-menu summary")
    parts = [page.locator(".jobqueue-zone"), page.locator(".jobqueue-desk-link"), summary]
    boxes = [part.bounding_box() for part in parts]
    assert max(box["y"] for box in boxes if box) < min(b["y"] + b["height"] for b in boxes if b)
    header = page.locator("#header").bounding_box()
    assert header is not None
    assert header["height"] < 150
    summary.click()
    panel = page.locator(".jobqueue-run-panel").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= width
    assert fits(page)


def test_the_next_page_is_in_it_at_once(admin: Admin) -> None:
    page = admin.visit(DESK, timezone_id=NEW_YORK)
    expect(page.locator(f"[data-jobqueue-zone='{NEW_YORK}']")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    url = f"{admin.url}/admin/jobqueue/queue/"
    page.goto(url)
    expect(page.locator(f"[data-jobqueue-zone='{NEW_YORK}']")).to_be_visible()
    assert asked.count(url) == 1


def test_one_that_the_site_does_not_know_is_told_once(admin: Admin) -> None:
    page = admin.visit(timezone_id=NEW_YORK)
    page.add_init_script(
        "Intl.DateTimeFormat.prototype.resolvedOptions = () => ({timeZone: 'Moon/Crater'})"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    url = f"{admin.url}/admin/jobqueue/queue/"
    page.goto(url)
    expect(page.locator("[data-jobqueue-zone='UTC']")).to_be_visible()
    page.goto(url)
    assert cookies(page)[COOKIE] == "Moon/Crater"
    assert asked.count(url) == 3  # it came, was loaded again, and came


def test_what_is_typed_stays_in_the_zone_that_the_page_shows(admin: Admin) -> None:
    page = admin.visit(DESK, timezone_id="UTC")
    page.add_init_script(
        "Intl.DateTimeFormat.prototype.resolvedOptions = () => ({timeZone: 'America/New_York'});"
        "document.addEventListener('readystatechange', () => {"
        " const name = document.getElementById('id_name'); if (name) name.value = 'typed'; })"
    )
    page.goto(f"{admin.url}/admin/jobqueue/job/add/")
    expect(page.locator("#id_name")).to_have_value("typed")
    assert COOKIE not in cookies(page)
    expect(page.locator("[data-jobqueue-zone='UTC']")).to_be_visible()
