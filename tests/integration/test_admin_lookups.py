"""What the addresses of lists may ask for: what pages hide can't be guessed by them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from dirmonitor.models import DirMonitor
from jobqueue.models import Alarm, Execution, Fire, Job, Message, Schedule
from tests.builders import a_job, an_ended
from tests.users import a_client

pytestmark = pytest.mark.django_db
#: Fields of ours of which pages hide the values, from some users or from all.
HIDDEN = {"env", "ping_url", "headers", "data", "details", "log_tail", "text", "html"}
#: What links of our pages and the choices of filters ask for.
ASKED: dict[type, list[str]] = {
    Job: [
        "alarm=bad", "enabled__exact=1", "in_run_menu__exact=0", "queue=default",
        "environment=", "environment__isnull=True", "q=a", "o=-1.2", "p=1", "_popup=1&_to_field=id",
    ],
    Execution: [
        "state__exact=waiting&queue=default", "job__id__exact=1", "job__isnull=True", "since=hour",
        "source__exact=admin", "reach=all", "q=a", "e=1", "all=",
    ],
    Schedule: ["enabled__exact=1", "kind__exact=cron", "last=problem", "job__queue=default"],
    Fire: ["schedule__id__exact=1", "outcome__exact=queued"],
    Alarm: ["is_bad__exact=1"],
    Message: ["state=unsent", "channel=mail", "profile=", "profile__isnull=True"],
    DirMonitor: ["enabled__exact=1", "status__exact=watching", "mode__exact=auto"],
}  # fmt: skip
LISTS = [(model, query) for model, queries in ASKED.items() for query in queries]


def list_of(model: type[Any]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def viewer(model: type[Any]) -> Client:
    """Somebody who may look, and no more."""
    return a_client(f"view_{model._meta.model_name}")


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (Execution, "env__TOKEN__startswith=s3c"),
        (Execution, "env__icontains=s3c"),
        (Execution, "env__contains=x"),  # not on SQLite
        (Execution, "argv__contains=1"),
        (Execution, "log_tail__contains=s3c"),
        (Execution, "job__env__icontains=s3c"),
        (Execution, "retry_of__env__icontains=s3c"),
        (Job, "env__TOKEN__startswith=s3c"),
        (Job, "ping_url__startswith=https://x.org/s3c"),
        (Job, "alarm__note__contains=a"),
        (Job, "executions__env__icontains=s3c"),
        (Schedule, "job__env__icontains=s3c"),
        (Schedule, "job__queue__env=s3c"),
        (Message, "headers__icontains=s3c"),
        (Message, "data__icontains=s3c"),
        (DirMonitor, "job__env__icontains=s3c"),
    ],
)
def test_no_value_is_guessed(model: type, query: str) -> None:
    job = a_job(env={"TOKEN": "s3cret"}, ping_url="https://x.org/s3cret")
    an_ended(job=job, env=job.env)
    for value in (query, f"{query}-not"):
        assert viewer(model).get(f"{list_of(model)}?{value}").status_code in (302, 400), value


@pytest.mark.parametrize(("model", "query"), LISTS)
def test_what_pages_link_to_is_answered(model: type, query: str) -> None:
    an_ended(job=a_job())
    assert viewer(model).get(f"{list_of(model)}?{query}").status_code == 200


@pytest.mark.parametrize("model", ASKED)
def test_no_hidden_value_is_searched_or_sorted_by(model: type[Any]) -> None:
    shown = admin.site.get_model_admin(model)
    columns = (getattr(shown, str(name), None) for name in shown.list_display)
    sorts = [getattr(column, "admin_order_field", None) for column in columns]
    asked = {*shown.search_fields, *shown.list_display, *filter(None, sorts)}
    assert asked
    assert not {part for name in asked for part in str(name).split("__")} & HIDDEN


def test_a_popup_asks_for_what_a_field_is_limited_to(monkeypatch: pytest.MonkeyPatch) -> None:
    # What Django notes of a host's ForeignKey(Job, ..., limit_choices_to={"codes": "bots-engine"}).
    monkeypatch.setattr(Job._meta, "related_fkey_lookups", [{"codes": "bots-engine"}])
    url = f"{list_of(Job)}?_popup=1&codes="
    assert viewer(Job).get(f"{url}bots-engine").status_code == 200
    assert viewer(Job).get(f"{url}exit-status").status_code == 400
