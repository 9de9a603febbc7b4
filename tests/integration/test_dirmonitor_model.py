"""DirMonitor: what is refused at which field, and what the database refuses."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from dirmonitor.models import DirMonitor, HandedOver
from tests.builders import a_job, a_monitor

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def refused(**over: object) -> dict[str, list[str]]:
    """The fields that are wrong, with what is said there."""
    values = {"name": "In", "path": "/in", "job": a_job(), **over}
    try:
        DirMonitor(**values).full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def test_name_path_and_job_are_enough() -> None:
    assert refused() == {}
    monitor = DirMonitor.objects.create(name="In", path="/in", job=a_job())
    given = ("filemask", "recursive", "enabled", "priority", "queue", "settle", "poll_interval")
    found = [getattr(monitor, name) for name in (*given, "mode")]
    assert found == ["*", False, True, 5, "", 2, 2, "auto"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "\t\u00a0"),
        ("path", "in"),
        ("path", "/"),
        ("path", "//"),
        ("path", "/."),
        ("path", "/./"),
        ("path", "/tmp/.."),
        ("path", "./in"),
        ("path", "/./dev/null"),
        ("path", "/in/../etc"),
        ("path", "/dev/null"),
        ("path", "/proc/self"),
        ("path", "/sys"),
        ("path", "/in\0"),
        ("filemask", ";"),
        ("filemask", "sub/*.edi"),
        ("settle", -1),
        ("settle", float("inf")),
        ("settle", float("nan")),
        ("poll_interval", 1e9),
        ("priority", 0),
        ("priority", 10),
        ("mode", "guess"),
        ("queue", "No Queue"),
    ],
)
def test_what_is_wrong_is_said_once_at_its_field(field: str, value: object) -> None:
    problems = refused(**{field: value})
    assert list(problems) == [field]
    assert len(problems[field]) == 1
    assert "\n" not in problems[field][0]


@pytest.mark.parametrize(
    ("path", "why"), [("/proc/1", "the kernel"), ("//sys", "the kernel"), ("/dev/null", "Devices")]
)
def test_a_path_where_the_kernel_makes_up_what_is_there(path: str, why: str) -> None:
    assert why in refused(path=path)["path"][0]


def test_a_path_is_kept_without_what_means_nothing() -> None:
    monitor = DirMonitor(name="In", path="//in/./a//.b/", job=a_job())
    monitor.full_clean()
    assert monitor.path == "/in/a/.b"


def test_a_path_that_is_not_there_yet_is_fine() -> None:
    assert refused(path="/nowhere/yet*/in[1]") == {}


def test_the_ledger_has_each_file_once() -> None:
    monitor = a_monitor("/in")
    values = {"monitor": monitor, "digest": "d", "path": "/in/a", "signature": "1:1:1"}
    HandedOver.objects.create(**values)
    with pytest.raises(IntegrityError):
        HandedOver.objects.create(**values)
