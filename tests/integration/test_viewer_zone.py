"""Times are shown in the zone that the browser tells, and what is typed is read in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from jobqueue import requests
from jobqueue.admin.desk import pages as desk_page
from jobqueue.alarms import mails
from jobqueue.middleware import COOKIE
from jobqueue.models import Alarm, Queue, Source
from tests.builders import a_job, a_schedule, an_ended
from tests.users import noted

pytestmark = pytest.mark.django_db
DESK, LIVE = "admin:jobqueue_execution_desk", "admin:jobqueue_execution_desk_live"
KATHMANDU, NEW_YORK = "Asia/Kathmandu", "America/New_York"
OFFER = f'data-jobqueue-zone-cookie="{COOKIE}"'


@pytest.fixture
def viewer(admin_client: Client) -> Client:
    """A client whose browser is in Kathmandu, at +05:45 all year."""
    admin_client.cookies[COOKIE] = KATHMANDU
    return admin_client


def header(client: Client) -> str:
    return client.get(reverse(DESK)).text.partition('id="user-tools"')[0]


class TestTheHeaderNamesTheZone:
    def test_of_the_cookie(self, viewer: Client) -> None:
        assert f'title="Times are in {KATHMANDU}"' in header(viewer)

    def test_else_of_the_site(self, admin_client: Client, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Amsterdam"
        assert 'title="Times are in Europe/Amsterdam"' in header(admin_client)

    def test_in_the_reader_s_language(self, viewer: Client) -> None:
        page = viewer.get(reverse(DESK), headers={"Accept-Language": "de"})
        assert f"Zeiten sind in {KATHMANDU}" in page.text

    def test_without_the_middleware_that_of_the_site(
        self, viewer: Client, settings: Settings
    ) -> None:
        ours = "jobqueue.middleware.ViewerTimeZone"
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != ours]
        shown = header(viewer)
        assert "Times are in UTC" in shown
        assert OFFER not in shown
        assert "zone.js" not in shown


@pytest.mark.parametrize(
    "value",
    [
        *("", "Nowhere/Nothing", "utc ", "localtime", "Europe", "europe/amsterdam", "\x00"),
        *("../../etc/passwd", "/etc/localtime", "Europe/../UTC", "<script>alert(1)</script>"),
        *("x" * 100_000, "Ünïcode", '"', "%s{0}"),
    ],
)
def test_what_is_no_zone_is_ignored(admin_client: Client, value: str) -> None:
    admin_client.cookies[COOKIE] = value
    shown = header(admin_client)
    assert "Times are in UTC" in shown
    assert "alert(1)" not in shown


def test_the_next_request_has_the_site_s_zone_again(viewer: Client) -> None:
    header(viewer)
    assert str(timezone.get_current_timezone()) == "UTC"
    del viewer.cookies[COOKIE]
    assert "Times are in UTC" in header(viewer)


def test_a_zone_that_the_host_activated_stays_without_a_cookie(admin_client: Client) -> None:
    with timezone.override(NEW_YORK):
        assert f"Times are in {NEW_YORK}" in header(admin_client)


class TestABrowserIsAskedForItsZone:
    def test_by_pages_that_it_got(self, viewer: Client) -> None:
        assert OFFER in header(viewer)

    def test_not_by_answers_to_a_form(self, viewer: Client) -> None:
        answer = viewer.post(reverse("admin:jobqueue_job_add"), {})
        assert f"Times are in {KATHMANDU}" in answer.text
        assert OFFER not in answer.text

    def test_not_by_a_page_with_a_message_that_is_shown_once(self, viewer: Client) -> None:
        queue = Queue.objects.create(name="etl")
        pause = reverse("admin:jobqueue_queue_pause", args=[queue.pk])
        page = viewer.post(pause, {"confirmed": "yes"}, follow=True)
        assert "The queue etl is paused." in page.text
        assert OFFER not in page.text


class TestTheDesk:
    def test_what_a_page_has_in_another_zone_is_not_what_it_shows(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_page, "REDRAWN", 10**9)
        live = reverse(LIVE)
        tag = admin_client.get(live)["ETag"]
        assert admin_client.get(live, headers={"If-None-Match": tag}).status_code == 304
        admin_client.cookies[COOKIE] = KATHMANDU
        answer = admin_client.get(live, headers={"If-None-Match": tag})
        assert (answer.status_code, KATHMANDU in answer.json()["html"]) == (200, False)
        assert "+0545" in answer.json()["html"]

    def test_a_day_of_the_timeline_is_one_of_the_zone(self, viewer: Client) -> None:
        late = datetime(2026, 1, 14, 20, 0, tzinfo=UTC)  # in Kathmandu on the 15th, at 01:45
        moments = {"queued_at": late, "started_at": late, "ended_at": late + timedelta(minutes=1)}
        run = an_ended(job=a_job(), **moments)
        page = reverse("admin:jobqueue_execution_timeline")
        link = reverse("admin:jobqueue_execution_change", args=[run.pk])
        assert link in viewer.get(page, {"day": "2026-01-15"}).text
        assert link not in viewer.get(page, {"day": "2026-01-14"}).text


def test_the_times_of_a_schedule_are_told_in_it(viewer: Client) -> None:
    schedule = a_schedule(timezone="Europe/Amsterdam")
    page = viewer.get(reverse("admin:jobqueue_schedule_change", args=[schedule.pk]))
    assert f"here, {KATHMANDU}" in page.text


class TestWhatIsTyped:
    def test_is_read_in_the_zone_that_the_page_shows(self, viewer: Client) -> None:
        queue = Queue.objects.create(name="etl")
        day = timezone.now().date() + timedelta(days=7)
        form = {"confirmed": "yes", "until_0": f"{day}", "until_1": "12:00:00"}
        viewer.post(reverse("admin:jobqueue_queue_pause", args=[queue.pk]), form)
        queue.refresh_from_db()
        assert f"{queue.paused_until:%H:%M %Z}" == "06:15 UTC"
        assert noted()[0][1] == f"Paused until {day} 06:15:00 UTC."


class TestWhatAllReadIsInTheSiteSZone:
    @timezone.override(KATHMANDU)
    def test_mails(self) -> None:
        late = datetime(2026, 1, 14, 20, 0, tzinfo=UTC)
        moments = {"queued_at": late, "started_at": late, "ended_at": late}
        ended = an_ended(job=a_job(), state="failed", source=Source.SCHEDULE, **moments)
        text = mails.of_run(ended, Alarm(job=ended.job, is_bad=True)).text
        assert "2026-01-14 20:00:00 UTC" in text
        assert "+0545" not in text

    @timezone.override(KATHMANDU)
    def test_moments_that_a_host_names_without_a_zone(self) -> None:
        moment = datetime(2026, 1, 14, 20, 0, tzinfo=UTC)
        assert requests.aware(moment.replace(tzinfo=None)) == moment
