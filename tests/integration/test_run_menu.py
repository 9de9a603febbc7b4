"""The Run menu: in the admin's header, and on a host's own pages."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from pytest_django import Settings

from jobqueue.admin import JobAdmin, run_menu
from jobqueue.models import Execution, Job
from tests.builders import a_job
from tests.service import CHECKOUT
from tests.terminal import lines
from tests.users import a_client, a_user, noted, told

pytestmark = pytest.mark.django_db
PROGRAM = "tests.programs.host_without_admin"
MENU = '<details class="jobqueue-run-menu">'


def portal_page(request: HttpRequest) -> HttpResponse:
    template = Template("{% load jobqueue %}{% jobqueue_run_menu %}")
    return HttpResponse(template.render(RequestContext(request)))


second_site = admin.AdminSite(name="operators")
second_site.register(Job, JobAdmin)


def addresses(**over: Any) -> types.ModuleType:
    """A host's URL configuration."""
    module = types.ModuleType("addresses")
    patterns = [path("admin/", admin.site.urls), path("portal/", portal_page)]
    vars(module).update({"urlpatterns": patterns, **over})
    return module


class TestHeader:
    def test_lists_the_jobs_of_the_menu(self, admin_client: Client) -> None:
        wanted = a_job(name="nightly", in_run_menu=True)
        others = [a_job(in_run_menu=False), a_job(in_run_menu=True, enabled=False)]
        for url in ("/admin/", "/admin/auth/user/", f"/admin/jobqueue/job/{wanted.pk}/change/"):
            header, _, _ = admin_client.get(url).text.partition('id="user-tools"')
            assert MENU in header
            assert f'action="/admin/jobqueue/job/{wanted.pk}/run/"' in header
            assert not any(f"/job/{job.pk}/run/" in header for job in others)

    def test_an_entry_posts_a_token_and_comes_back(self) -> None:
        job = a_job(in_run_menu=True)
        client = a_client("view_job", "run_job", enforce_csrf_checks=True, username="anna")
        shown = client.get("/admin/jobqueue/job/?q=x")
        form = shown.text.partition(MENU)[2].partition("</details>")[0]
        assert 'method="post"' in form
        assert 'name="next" value="/admin/jobqueue/job/?q=x"' in form
        token = form.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        data = {"csrfmiddlewaretoken": token, "next": "/admin/jobqueue/job/?q=x"}
        answer = client.post(f"/admin/jobqueue/job/{job.pk}/run/", data)
        assert answer["Location"] == "/admin/jobqueue/job/?q=x"
        assert Execution.objects.get().priority == 5
        assert noted()[0][0] == "anna"

    @pytest.mark.parametrize("permissions", [[], ["view_job"], ["run_job"], ["run_job", "add_job"]])
    def test_is_for_those_who_may(self, permissions: list[str]) -> None:
        a_job(in_run_menu=True)
        assert MENU not in a_client(*permissions).get("/admin/").text
        assert MENU in a_client("view_job", "run_job").get("/admin/").text

    def test_is_not_on_the_page_to_log_in(self, client: Client) -> None:
        a_job(in_run_menu=True)
        assert MENU not in client.get("/admin/login/").text

    def test_without_jobs_there_is_none(self, admin_client: Client) -> None:
        assert MENU not in admin_client.get("/admin/").text

    def test_hostile_names_stay_text(self, admin_client: Client) -> None:
        a_job(name="</details><script>alert(1)</script>\u202e", in_run_menu=True)
        text = admin_client.get("/admin/").text
        assert "<script>alert" not in text
        assert "\u202e" not in text

    @pytest.mark.parametrize(
        "url", ["https://example.com/", "//example.com", "javascript:x", "\\\\e"]
    )
    def test_comes_back_to_this_site_only(self, url: str) -> None:
        job = a_job()
        answer = a_client("view_job", "run_job").post(
            f"/admin/jobqueue/job/{job.pk}/run/", {"next": url}
        )
        assert answer["Location"] == f"/admin/jobqueue/job/{job.pk}/change/"

    def test_a_second_admin_site_has_its_own_addresses(self, settings: Settings) -> None:
        job = a_job(in_run_menu=True)
        patterns = [path("admin/", admin.site.urls), path("ops/", second_site.urls)]
        settings.ROOT_URLCONF = addresses(urlpatterns=patterns)
        client = a_client("view_job", "run_job", "view_execution")
        text = client.get("/ops/").text
        assert f'action="/ops/jobqueue/job/{job.pk}/run/"' in text
        answer = client.post(f"/ops/jobqueue/job/{job.pk}/run/")
        assert answer["Location"] == f"/ops/jobqueue/job/{job.pk}/change/"
        assert "is queued" in told(answer)
        shown = client.get(f"/ops/jobqueue/job/{job.pk}/change/").text
        assert f'action="/ops/jobqueue/job/{job.pk}/run/"' in shown
        assert client.get("/ops/jobqueue/job/").status_code == 200

    def test_a_site_without_jobs_has_none(self, settings: Settings, admin_client: Client) -> None:
        a_job(in_run_menu=True)
        settings.ROOT_URLCONF = addresses(
            urlpatterns=[path("bare/", admin.AdminSite(name="bare").urls)]
        )
        assert MENU not in admin_client.get("/bare/").text


class TestGroups:
    """Names that begin alike up to a colon stand together."""

    def groups(self, *names: str) -> list[tuple[str, list[str]]]:
        for name in names:
            a_job(name=name, in_run_menu=True)
        request = RequestFactory().get("/")
        request.user = a_user("view_job", "run_job")
        return [(group.name, [e.shown for e in group.entries]) for group in run_menu.of(request)]

    def test_by_the_first_part_of_their_names(self) -> None:
        names = ["Bots: new", "Archive", "Bots: route A: B", "Test: new", "Test: old"]
        assert self.groups(*names) == [
            ("", ["Archive"]),
            ("Bots", ["new", "route A: B"]),
            ("Test", ["new", "old"]),
        ]

    def test_one_alone_makes_none(self) -> None:
        assert self.groups("Bots: new", "Night: all") == [("", ["Bots: new", "Night: all"])]

    def test_a_part_that_is_empty_makes_none(self) -> None:
        names = [" : a", " : b", ": c", "d: ", "e:f", "e:g"]
        assert self.groups(*names) == [("", sorted(names))]

    def test_their_names_are_read_out_and_stay_text(self, admin_client: Client) -> None:
        for name in ("<b>: one", "<b>: two"):
            a_job(name=name, in_run_menu=True)
        assert 'role="group" aria-label="&lt;b&gt;"' in admin_client.get("/admin/").text


class TestMany:
    def test_a_few_have_no_search(self, admin_client: Client) -> None:
        for _ in range(run_menu.MANY - 1):
            a_job(in_run_menu=True)
        assert "jobqueue-run-search" not in admin_client.get("/admin/").text
        a_job(in_run_menu=True)
        assert 'class="jobqueue-run-search" hidden' in admin_client.get("/admin/").text

    def test_they_share_one_form_and_one_query(self, admin_client: Client) -> None:
        rows = [Job(name=f"Bots: {n}", argv=["true"], in_run_menu=True) for n in range(1000)]
        Job.objects.bulk_create(rows)
        with CaptureQueriesContext(connection) as asked:
            text = admin_client.get("/admin/auth/user/").text
        assert len([query for query in asked if '_job"' in query["sql"].replace("`", '"')]) == 1
        menu = text.partition(MENU)[2].partition("</details>")[0]
        assert menu.count("<form") == menu.count("csrfmiddlewaretoken") == 1
        assert menu.count("<button") == 1000

    @pytest.mark.parametrize("permissions", [[], ["view_job"], ["run_job"], ["view_execution"]])
    def test_who_may_run_none_asks_nothing(self, permissions: list[str]) -> None:
        a_job(in_run_menu=True)
        client = a_client(*permissions)
        with CaptureQueriesContext(connection) as asked:
            client.get("/admin/password_change/")
        assert [query["sql"] for query in asked if "jobqueue_job" in query["sql"]] == []

    def test_a_backend_that_knows_single_jobs_is_asked_for_each(self, settings: Settings) -> None:
        for name in ("mine", "yours"):
            a_job(name=name, in_run_menu=True)
        settings.AUTHENTICATION_BACKENDS = [
            "django.contrib.auth.backends.ModelBackend",
            f"{__name__}.OfSingleJobs",
        ]
        client = Client()
        client.force_login(a_user(), backend=settings.AUTHENTICATION_BACKENDS[0])
        menu = client.get("/admin/").text.partition(MENU)[2]
        assert ">mine</button>" in menu
        assert ">yours</button>" not in menu


class OfSingleJobs(BaseBackend):
    """Lets everybody see and run the Job called "mine"."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether it is that one."""
        return perm in ("jobqueue.view_job", "jobqueue.run_job") and str(obj) == "mine"


class TestPortal:
    """Pages of a host, for users who needn't be staff."""

    @pytest.fixture(autouse=True)
    def host(self, settings: Settings) -> None:
        settings.ROOT_URLCONF = addresses(
            urlpatterns=[
                path("admin/", admin.site.urls),
                path("portal/", portal_page),
                path("jobqueue/", include("jobqueue.urls")),
            ]
        )

    def test_runs_and_comes_back(self) -> None:
        job = a_job(in_run_menu=True)
        client = a_client("view_job", "run_job", is_staff=False, username="carl")
        text = client.get("/portal/?page=2").text
        assert f'action="/jobqueue/run/{job.pk}/"' in text
        answer = client.post(f"/jobqueue/run/{job.pk}/", {"next": "/portal/?page=2"})
        assert answer["Location"] == "/portal/?page=2"
        assert Execution.objects.get().requested_by == "carl"
        assert "is queued as #" in told(answer)
        assert noted()[0][0] == "carl"

    def test_a_job_that_asks_first_is_queued_when_that_is_meant(self) -> None:
        job = a_job(name="<b>month end</b>", ask_first=True)
        client = a_client("view_job", "run_job", is_staff=False)
        asked = client.post(f"/jobqueue/run/{job.pk}/", {"next": "/portal/"})
        assert "&lt;b&gt;month end&lt;/b&gt;" in asked.text
        assert 'name="next" value="/portal/"' in asked.text
        assert not Execution.objects.exists()
        confirmed = {"next": "/portal/", "confirmed": "yes"}
        assert client.post(f"/jobqueue/run/{job.pk}/", confirmed)["Location"] == "/portal/"
        assert Execution.objects.get().job == job

    def test_is_for_those_who_may(self, client: Client) -> None:
        job = a_job(in_run_menu=True)
        for stranger in (client, a_client("view_job", is_staff=False)):
            assert MENU not in stranger.get("/portal/").text
            assert stranger.post(f"/jobqueue/run/{job.pk}/").status_code == 403
        assert not Execution.objects.exists()

    def test_a_get_runs_nothing(self) -> None:
        client = a_client("view_job", "run_job")
        assert client.get(f"/jobqueue/run/{a_job().pk}/").status_code == 405
        assert not Execution.objects.exists()

    def test_wants_a_token(self) -> None:
        client = a_client("view_job", "run_job", enforce_csrf_checks=True)
        assert client.post(f"/jobqueue/run/{a_job().pk}/").status_code == 403

    def test_a_job_that_is_gone(self) -> None:
        assert a_client("view_job", "run_job").post("/jobqueue/run/4711/").status_code == 404

    def test_a_host_without_the_addresses_shows_none(self, settings: Settings) -> None:
        a_job(in_run_menu=True)
        settings.ROOT_URLCONF = addresses()
        client = a_client("view_job", "run_job")
        assert MENU not in client.get("/portal/").text


class TestTag:
    def rendered(self, request: HttpRequest | None) -> str:
        template = Template("{% load jobqueue %}{% jobqueue_run_menu %}")
        context = RequestContext(request) if request else None
        return template.render(context or RequestContext(HttpRequest()))

    def test_works_without_anybody(self) -> None:
        a_job(in_run_menu=True)
        request = RequestFactory().get("/")
        assert MENU not in self.rendered(request)
        request.user = AnonymousUser()
        assert MENU not in self.rendered(request)

    def test_the_header_is_in_the_first_place_that_a_page_has(self) -> None:
        """Themes of the admin have none in their header; there it stands above the page."""
        a_job(in_run_menu=True)
        first, second = "{% jobqueue_header %}", '{% jobqueue_header "jobqueue-under-header" %}'
        for blocks, is_under in ((f"{first}{second}", False), (second, True)):
            request = RequestFactory().get("/")
            request.user = a_user("view_job", "run_job", "view_execution")
            template = Template("{% load jobqueue %}" + blocks)
            text = template.render(RequestContext(request))
            assert text.count(MENU) == text.count("jobqueue-desk-link") == 1
            assert ('<div class="jobqueue-under-header">' in text) == is_under

    def test_works_without_a_page(self) -> None:
        """In an error page, for instance, there is no resolver match."""
        a_job(in_run_menu=True)
        request = RequestFactory().get("/nowhere/")
        request.user = a_user("view_job", "run_job")
        assert MENU in self.rendered(request)


def test_it_stands_in_front_of_a_template_of_the_host(
    settings: Settings, admin_client: Client, tmp_path: Any
) -> None:
    """A host's own base_site.html stays in force, and shows the menu without knowing it."""
    a_job(in_run_menu=True)
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "base_site.html").write_text(
        '{% extends "admin/base.html" %}{% block branding %}Portal of the harbour{% endblock %}'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    text = admin_client.get("/admin/").text
    assert "Portal of the harbour" in text
    assert MENU in text


def test_a_host_may_do_without_the_admin(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", PROGRAM, str(tmp_path / "db.sqlite3")],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert MENU in done.stdout
    assert lines(done.stdout)[-1] == "nightly asked for by anna"
