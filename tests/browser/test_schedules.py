"""The form of a schedule in a browser: what is shown while one types, and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from jobqueue.models import Schedule
from tests.browser.site import NARROW, WIDE, Admin, contrast, fits
from tests.builders import a_job, a_schedule

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "jobqueue/schedule/add/"


def next_times(page: Page) -> int:
    return page.locator(".jobqueue-next tbody tr").count()


class TestWhileOneTypes:
    def test_words_and_times_appear(self, admin: Admin) -> None:
        page = admin.visit(ADD)
        words = page.locator(".jobqueue-words")
        page.locator("#id_expression").press_sequentially("30 2 * * *")
        expect(words).to_contain_text("At 02:30 every day")
        expect(page.get_by_role("status")).to_contain_text("At 02:30 every day")
        expect(page.locator(".jobqueue-next tbody tr")).to_have_count(5)
        expect(page.locator(".jobqueue-calendar td")).to_have_count(35)
        page.fill("#id_timezone", "Europe/Amsterdam")
        expect(words).to_contain_text("Europe/Amsterdam")
        # From spring to autumn the other change comes first.
        skipped = page.locator(".jobqueue-odd").filter(has_text="clocks skip 02:00")
        expect(skipped.first).to_be_visible()

    def test_an_error_stands_under_its_field_until_it_is_mended(self, admin: Admin) -> None:
        page = admin.visit(ADD)
        field = page.locator("#id_expression")
        error = page.locator("#jobqueue-error-expression")
        field.fill("61 * * * *")
        expect(error).to_contain_text("61 is not within 0-59")
        expect(error).to_have_attribute("aria-live", "polite")
        expect(field).to_have_attribute("aria-invalid", "true")
        assert "jobqueue-error-expression" in (field.get_attribute("aria-describedby") or "")
        field.fill("6 * * * *")
        expect(error).to_be_hidden()
        expect(field).not_to_have_attribute("aria-invalid", "true")

    def test_only_the_fields_of_the_kind_are_there(self, admin: Admin) -> None:
        page = admin.visit(ADD)
        fields = {"cron": "#id_expression", "interval": "#id_interval", "once": "#id_once_at"}
        for kind in fields:
            page.check(f"[name=kind][value={kind}]")
            for owner, field in fields.items():
                expect(page.locator(field)).to_be_visible(visible=owner == kind)
        page.fill("#id_once_at", "2199-07-01T06:00:00")
        expect(page.locator(".jobqueue-words")).to_contain_text("once at 2199-07-01 06:00:00")

    def test_labels_of_moments_follow_the_zone(self, admin: Admin) -> None:
        page = admin.visit(ADD)
        page.check("[name=kind][value=once]")
        page.fill("#id_timezone", "Asia/Kolkata")
        expect(page.locator(".field-once_at [data-zone]")).to_have_text("Asia/Kolkata")

    def test_times_are_also_in_the_zone_of_who_looks(self, admin: Admin) -> None:
        schedule = a_schedule(timezone="Europe/Amsterdam")
        page = admin.visit(f"jobqueue/schedule/{schedule.pk}/change/", timezone_id="Asia/Tokyo")
        heads = page.locator(".jobqueue-next thead")
        expect(heads).to_contain_text("here, Asia/Tokyo")
        page.fill("#id_timezone", "Asia/Tokyo")
        expect(heads).not_to_contain_text("here")

    def test_hostile_text_stays_text(self, admin: Admin) -> None:
        page = admin.visit(ADD)
        page.fill("#id_expression", "<img src=x onerror=alert(1)>")
        expect(page.locator("#jobqueue-error-expression")).to_contain_text("<img")
        assert page.locator("img[src=x]").count() == 0


class TestSaving:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_by_keyboard(self, admin: Admin, javascript: bool) -> None:
        job = a_job(name="orders")
        page = admin.visit(f"{ADD}?job={job.pk}", java_script_enabled=javascript)
        page.focus("#id_name")
        page.keyboard.type("nightly")
        page.focus("#id_expression")
        page.keyboard.type("30 2 * * *")
        page.keyboard.press("Enter")
        expect(page.locator(".messagelist")).to_contain_text("Next:")
        assert Schedule.objects.get().job == job

    def test_without_javascript_all_fields_and_the_next_times_are_there(self, admin: Admin) -> None:
        schedule = a_schedule(expression="30 2 * * *", timezone="Europe/Amsterdam")
        page = admin.visit(f"jobqueue/schedule/{schedule.pk}/change/", java_script_enabled=False)
        for field in ("#id_expression", "#id_interval", "#id_once_at"):
            expect(page.locator(field)).to_be_visible()
        assert next_times(page) == 5
        page.fill("#id_expression", "61 * * * *")
        page.click("[name=_continue]")
        expect(page.locator(".errorlist").first).to_contain_text("61 is not within 0-59")
        page.fill("#id_expression", "0 12 1 1 *")
        page.click("[name=_continue]")
        expect(page.locator(".jobqueue-words")).to_contain_text("At 12:00 on January 1")


class TestLooks:
    @pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_nothing_sticks_out(self, admin: Admin, size: dict[str, int]) -> None:
        schedule = a_schedule(name="n" * 200, expression="* * * * * *", timezone="Asia/Kolkata")
        page = admin.visit(f"jobqueue/schedule/{schedule.pk}/change/", viewport=size)
        expect(page.locator(".jobqueue-calendar")).to_be_visible()
        assert fits(page)
        page.goto(f"{admin.url}/admin/jobqueue/schedule/")
        assert fits(page)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("expression", ["0 0 * * *", "* * * * *"])
    def test_the_calendar_can_be_read(self, admin: Admin, scheme: str, expression: str) -> None:
        """A contrast of 4.5:1, as WCAG 2.2 asks for (1.4.3)."""
        schedule = a_schedule(expression=expression)
        page = admin.visit(f"jobqueue/schedule/{schedule.pk}/change/", color_scheme=scheme)
        colours = page.locator(".jobqueue-calendar td").last.evaluate(
            """cell => {
                const pixel = document.createElement("canvas").getContext("2d");
                const style = getComputedStyle(cell);
                return [style.color, style.backgroundColor].map(colour => {
                    pixel.fillStyle = colour;
                    pixel.fillRect(0, 0, 1, 1);
                    return `rgb(${pixel.getImageData(0, 0, 1, 1).data.slice(0, 3).join(", ")})`;
                });
            }"""
        )
        assert contrast(*colours) >= 4.5, colours
