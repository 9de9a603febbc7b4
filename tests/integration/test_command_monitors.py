"""``manage.py monitors``: describing which files queue which Jobs, and looking at them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from dirmonitor.management import monitor_rows
from dirmonitor.models import DirMonitor, Service
from tests.builders import a_job, a_monitor, an_ended
from tests.terminal import Done, call, lines

pytestmark = [pytest.mark.database, pytest.mark.django_db]
FIELDS = [
    *("id", "name", "path", "filemask", "recursive", "priority", "queue", "settle"),
    *("poll_interval", "mode", "enabled", "status", "status_since", "status_note"),
    *("files_pending", "pending_note", "last_trigger_at", "job", "last_execution"),
]
NO_SERVICE = "No directory monitor runs: start `manage.py dirmonitor`.\n"


def assert_refused(done: Done, *words: str) -> None:
    """One line that says why, and exit code 1."""
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("monitors: ")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


class TestCreate:
    def test_name_path_and_job_are_enough(self) -> None:
        a_job(name="Engine")
        done = call("monitors", "create", "In", "--path", "/in", "--job", "Engine")
        assert done == Done(0, "Created: In queues Engine for * in /in\n", NO_SERVICE)
        monitor = DirMonitor.objects.get()
        assert (monitor.path, monitor.filemask, monitor.recursive) == ("/in", "*", False)
        assert (monitor.priority, monitor.settle, monitor.mode) == (5, 2, "auto")

    def test_everything(self) -> None:
        a_job(name="Engine")
        done = call(
            *("monitors", "create", "In", "--path", "/in/*", "--job", "Engine", "-p2", "-q", "edi"),
            *("--filemask", "*.edi;*.xml", "--recursive", "--settle", "0.5", "--mode", "poll"),
            *("--poll-interval", "10", "--disabled"),
        )
        shown = "Created: In queues Engine for *.edi;*.xml in /in/* and below; disabled\n"
        assert done == Done(0, shown, "")
        monitor = DirMonitor.objects.get()
        assert (monitor.path, monitor.filemask, monitor.recursive) == ("/in/*", "*.edi;*.xml", True)
        assert (monitor.priority, monitor.queue, monitor.mode) == (2, "edi", "poll")
        assert (monitor.settle, monitor.poll_interval, monitor.enabled) == (0.5, 10, False)

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["--job", "Engine"], "No path"),
            (["--path", "/in"], "No Job"),
            (["--path", "/in", "--job", "Engin"], "did you mean 'Engine'?"),
            (["--path", "in", "--job", "Engine"], "path: The path must be absolute"),
            (["--path", "/", "--job", "Engine"], "path: Not “/” itself"),
            (["--path", "/in", "--job", "Engine", "--filemask", ";"], "filemask: At least one"),
            (["--path", "/in", "--job", "Engine", "--settle", "soon"], "--settle"),
            (["--path", "/in", "--job", "Engine", "--settle", "nan"], "settle: "),
            (["--path", "/in", "--job", "Engine", "--poll-interval", "-1"], "poll_interval: "),
            (["--path", "/in", "--job", "Engine", "-p0"], "--priority: "),
            (["--path", "/in", "--job", "Engine", "-q", "A b"], "queue: "),
            (["--path", "/in", "--job", "Engine", "--mode", "x"], "invalid choice"),
        ],
    )
    def test_refused(self, words: list[str], why: str) -> None:
        a_job(name="Engine")
        assert_refused(call("monitors", "create", "In", *words), why)
        assert not DirMonitor.objects.exists()

    @pytest.mark.parametrize("name", ["", "x" * 201, "Taken"])
    def test_a_name_that_can_not_be(self, name: str) -> None:
        a_monitor("/in", name="Taken", job=a_job(name="Engine"))
        words = ("--path", "/in", "--job", "Engine")
        assert_refused(call("monitors", "create", name, *words), "name: ")


class TestEdit:
    def test_only_what_is_given_changes(self) -> None:
        monitor = a_monitor("/in", queue="edi", recursive=True)
        assert call("monitors", "edit", monitor.name, "-p3", "-q", "", "--no-recursive").code == 0
        changed = DirMonitor.objects.get()
        assert (changed.priority, changed.queue, changed.recursive) == (3, "", False)
        assert (changed.path, changed.settle, changed.job) == ("/in", 0.2, monitor.job)

    def test_another_name(self) -> None:
        a_monitor("/in", name="Old")
        assert call("monitors", "edit", "Old", "--rename", "New").code == 0
        assert DirMonitor.objects.get().name == "New"
        assert_refused(
            call("monitors", "edit", "Old", "-p1"), "There is no directory monitor 'Old'"
        )

    def test_it_keeps_what_the_service_wrote_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monitor, clean = a_monitor("/in", status="watching"), DirMonitor.clean

        def meanwhile(self: DirMonitor) -> None:
            DirMonitor.objects.update(status="missing")
            clean(self)

        monkeypatch.setattr(DirMonitor, "clean", meanwhile)
        assert call("monitors", "edit", monitor.name, "--settle", "3").code == 0
        monitor.refresh_from_db()
        assert (monitor.settle, monitor.status) == (3, "missing")

    def test_disable_and_enable(self) -> None:
        one, two = a_monitor("/in"), a_monitor("/in", job=a_job(name="Off", enabled=False))
        Service.objects.create(host="here", pid=1)
        assert call("monitors", "disable", one.name, two.name).code == 0
        assert not DirMonitor.objects.filter(enabled=True).exists()
        assert_refused(call("monitors", "enable", one.name, "none"), "no directory monitor 'none'")
        assert not DirMonitor.objects.filter(enabled=True).exists()
        done = call("monitors", "enable", one.name, two.name)
        note = "Note: the Job Off is disabled: its files wait.\n"
        assert done == Done(0, f"Enabled: {one.name}, {two.name}\n", note)
        assert DirMonitor.objects.filter(enabled=True).count() == 2

    def test_delete(self) -> None:
        monitor = a_monitor("/in", name="Old")
        assert_refused(call("monitors", "delete", "Old"), "Delete Old?", "say --yes")
        assert call("monitors", "delete", "Old", "--yes") == Done(0, "Deleted: Old\n", "")
        assert not DirMonitor.objects.exists()
        monitor.job.refresh_from_db()


class TestLooking:
    def test_no_monitors(self) -> None:
        assert json.loads(call("monitors", "list", "--json").out) == []
        done = call("monitors", "list")
        assert (done.code, done.out) == (0, "")
        assert "There are no monitors yet" in done.err

    def test_json(self) -> None:
        a_monitor("/b", name="B")
        now, run = timezone.now(), an_ended()
        job = a_job(name="Engine")
        a_monitor("/a", name="A", job=job, last_trigger_at=now, last_execution=run)
        listed = json.loads(call("monitors", "list", "--json").out)
        assert [list(row) for row in listed] == [FIELDS, FIELDS]
        assert [row["name"] for row in listed] == ["A", "B"]
        assert (listed[0]["job"], listed[0]["last_execution"]) == ("Engine", run.pk)
        assert json.loads(call("monitors", "show", "A", "--json").out) == listed[0]

    def test_for_people(self) -> None:
        state = {"status": "missing", "status_since": timezone.now(), "files_pending": 3}
        a_monitor("/in", name="A", job=a_job(name="Engine", enabled=False), **state)
        a_monitor("/b", name="B", job=a_job(name="Other"), enabled=False, recursive=True, **state)
        a_monitor("/c", name="C", filemask="*.edi;" * 1000)
        done = call("monitors", "list")
        title, one, two, three = lines(done.out)
        assert title.split()[:4] == ["NAME", "JOB", "ENABLED", "STATUS"]
        assert one.split()[:5] == ["A", "Engine", "yes", "path", "missing"]
        assert one.endswith("* in /in (its Job is disabled)")
        assert two.split()[:5] == ["B", "Other", "no", "disabled", "-"]
        assert " not seen yet " in three
        assert three.endswith("… in /c")
        assert two.endswith("* in /b and below")
        assert done.err == f"Note: the Job Engine is disabled: its files wait.\n{NO_SERVICE}"

    def test_hostile_names(self) -> None:
        evil = "\x1b[2J\nEvil"
        a_monitor("/in/\x07", name=evil, job=a_job(name="\rJob"), status_note="\x1b[1m")
        for words in (["list"], ["show", evil], ["disable", evil], ["delete", evil, "--yes"]):
            done = call("monitors", *words)
            assert r"\x1b[2J\nEvil" in done.out
            assert not set("\x1b\x07\r") & set(done.out + done.err)


@pytest.mark.parametrize("status", ["missing", "unreachable"])
def test_the_status_as_text_says_since_when_nothing_is_seen(status: str) -> None:
    since = datetime(2026, 1, 31, 14, 30, 5, tzinfo=UTC)
    monitor = a_monitor("/in", name="In", status=status, status_since=since)
    local = timezone.localtime(since)
    words = {"missing": "path missing", "unreachable": "unreachable"}[status]
    assert monitor_rows.line(monitor) == f"In: {words} since {local:%Y-%m-%d %H:%M:%S}: /in"


def test_the_status_as_text_of_what_is_well_or_off_says_no_moment() -> None:
    moment, old = timezone.now(), {"status_note": "As it was.", "files_pending": 3}
    well = a_monitor("/in", name="In", status="watching", status_since=moment)
    off = a_monitor("/in", name="Off", status="missing", status_since=moment, enabled=False, **old)
    assert monitor_rows.line(well) == "In: watching /in"
    assert monitor_rows.line(off) == "Off: disabled /in"
