"""``manage.py queue doctor``: what goes wrong is found, each told of once, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from dirmonitor import doctor as monitor_doctor
from dirmonitor.models import DirMonitor
from dirmonitor.models import Service as MonitorService
from jobqueue import broker, doctor, findings, host, queue
from jobqueue.findings import Finding, Level
from jobqueue.models import Alarm, Cluster, Execution, Job, Message, Notify, Schedule
from tests.builders import (
    a_cluster,
    a_dead_owner,
    a_job,
    a_monitor,
    a_run,
    a_schedule,
    a_waiting,
)
from tests.site import a_service
from tests.terminal import call, run
from tests.waiting import wait_until

pytestmark = [pytest.mark.database, pytest.mark.django_db]

MINUTE = timedelta(minutes=1)
#: What is so on a machine of the tests.
USUAL = {"user"} if os.geteuid() == 0 else set[str]()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch, data_dir: Path, settings: Settings) -> None:
    monkeypatch.setattr(doctor, "FREE_FOR", 0.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (1024**4, 0, 1024**4))
    settings.MANAGERS = ["managers@example.com"]


@pytest.fixture
def served() -> Cluster:
    """This process is a cluster that is alive."""
    cluster = a_cluster()
    cluster.clock_at = cluster.seen_at
    cluster.save()
    return cluster


def found() -> dict[str, Finding]:
    """What is wrong, by the id of the check."""
    bad = [finding for finding in doctor.examine() if finding.level is not Level.OK]
    assert all(finding.what and finding.do for finding in bad)
    assert len({finding.id for finding in bad}) == len(bad)
    return {finding.id: finding for finding in bad if finding.id not in USUAL}


@pytest.mark.usefixtures("served")
class TestAllIsWell:
    def test_nothing_is_wrong(self) -> None:
        a_waiting()
        a_job(argv=["true"])
        a_schedule()
        assert found() == {}

    def test_each_check_says_so(self) -> None:
        listed = list(doctor.examine())
        ids = [finding.id for finding in listed]
        assert len(ids) == len(set(ids))
        assert {"settings", "database", "service", "disk", "programs", "inotify"} <= set(ids)
        assert all(finding.what.endswith(".") for finding in listed)

    def test_it_changes_nothing(self) -> None:
        a_waiting()

        def refuse(execute: Any, sql: str, *rest: Any) -> Any:
            assert sql.split()[0] in ("SELECT", "SHOW", "PRAGMA", "SAVEPOINT", "RELEASE"), sql
            return execute(sql, *rest)

        with connection.execute_wrapper(refuse):
            assert found() == {}


class TestService:
    def test_none_runs(self) -> None:
        assert found()["service"].level is Level.ERROR

    def test_one_was_killed(self, served: Cluster) -> None:
        long_ago = timezone.now() - MINUTE
        a_cluster(name="dead\n", host="edi-2", owner=str(a_dead_owner()), seen_at=long_ago)
        [finding] = found().values()
        assert (finding.id, finding.level) == ("service", Level.WARNING)
        assert "Cluster dead\\n on edi-2 is silent" in finding.what

    def test_two_at_one_place(self, served: Cluster) -> None:
        a_cluster(name="two", pid=served.pid)
        a_cluster(name="elsewhere", host="edi-2", owner="edi-2:boot.1:7-8")
        [finding] = found().values()
        assert finding.id == "two-services"
        assert f"processes {served.pid}, {served.pid}" in finding.what

    def test_one_that_stops_while_the_next_one_serves(self, served: Cluster) -> None:
        a_cluster(name="two", pid=served.pid, stopping_at=timezone.now())
        assert found() == {}
        served.delete()
        assert found().keys() == {"service"}

    @pytest.mark.parametrize(("ahead", "words"), [(-8, "8 s behind"), (8, "8 s ahead of")])
    def test_the_clock_of_another_host(self, served: Cluster, ahead: int, words: str) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("a file has one host and one clock")
        other = a_cluster(host="edi-2", owner="edi-2:boot.1:7-8")
        Cluster.objects.filter(pk=other.pk).update(
            clock_at=other.seen_at + timedelta(seconds=ahead)
        )
        [finding] = found().values()
        assert finding.id == "clocks"
        assert f"clock of host edi-2 is {words} the database's" in finding.what

    def test_the_clock_of_this_host(self, served: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("a file has one host and one clock")
        now = timezone.now() + 2 * MINUTE
        monkeypatch.setattr(doctor, "timezone", SimpleNamespace(now=lambda: now))
        assert "this host is 120 s ahead" in found()["clocks"].what


class TestQueues:
    @pytest.fixture(autouse=True)
    def old(self, served: Cluster) -> Execution:
        """A request that waits for longer than a worker can overlook."""
        waiting = a_waiting()
        Execution.objects.update(queued_at=timezone.now() - 2 * MINUTE)
        return waiting

    def test_one_stands_still(self) -> None:
        assert found()["queues"].level is Level.ERROR

    def test_without_a_service_that_is_no_wonder(self) -> None:
        Cluster.objects.all().delete()
        assert found().keys() == {"service"}

    def test_one_that_is_busy_doesn_t(self) -> None:
        running = a_run(priority=1)
        assert running.queue == "default"
        # On PostgreSQL, the claim has relaxed the transaction in which this is asked.
        assert not found().keys() - {"jobqueue.W012"}

    def test_one_that_is_free_between_two_runs_doesn_t(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor, "FREE_FOR", 60.0)
        answers = iter([True, True, False])
        monkeypatch.setattr(queue, "is_free", lambda _: next(answers))
        monkeypatch.setattr(time, "sleep", lambda _: None)
        assert found() == {}
        assert next(answers, None) is None

    def test_what_waits_for_its_own_time_doesn_t(self) -> None:
        Execution.objects.update(not_before=timezone.now() + MINUTE)
        assert found() == {}

    def test_one_is_paused_and_somebody_waits(self) -> None:
        queue.pause("default", by="ada", reason="the partner's\nserver is down")
        queue.pause("empty", by="ada")
        [finding] = found().values()
        assert (finding.id, finding.level) == ("queues", Level.WARNING)
        assert "paused by ada" in finding.what
        assert "the partner's\\nserver" in finding.why

    def test_a_run_that_takes_too_long(self, old: Execution) -> None:
        running = a_run(priority=1)
        Execution.objects.filter(pk=running.pk).update(details={"overdue": True})
        assert found()["runs"].do.endswith(f"queue stop {running.pk}` ends it.")


@pytest.mark.usefixtures("served")
class TestSchedules:
    def test_one_that_can_not_be_understood(self) -> None:
        schedule = a_schedule()
        Schedule.objects.filter(pk=schedule.pk).update(problem="No zone\n'X'.", next_fire_at=None)
        assert "No zone\\n'X'." in found()["schedules"].what
        Schedule.objects.filter(pk=schedule.pk).update(enabled=False)
        assert found() == {}

    def test_one_that_is_due_for_long(self) -> None:
        a_schedule(next_fire_at=timezone.now() - 2 * MINUTE)
        assert found()["schedules"].level is Level.ERROR
        Schedule.objects.filter().update(next_fire_at=timezone.now() - timedelta(seconds=5))
        assert found() == {}


@pytest.mark.usefixtures("served")
class TestBroker:
    def test_wake_ups_that_nobody_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(broker, "outstanding", lambda: doctor.WAKE_UPS)
        assert found() == {}
        monkeypatch.setattr(broker, "outstanding", lambda: doctor.WAKE_UPS + 1)
        assert "51 messages" in found()["wake-ups"].what

    def test_one_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> int:
            raise ConnectionError("refused")

        monkeypatch.setattr(broker, "outstanding", fail)
        assert found()["wake-ups"].level is Level.ERROR


@pytest.mark.usefixtures("served")
class TestMessages:
    def post(self, **over: Any) -> None:
        Message.objects.create(recipients=["a@example.com"], subject="s", text="t", **over)

    def test_what_waits_for_a_while_is_fine(self) -> None:
        self.post(due_at=timezone.now())
        self.post(sent_at=timezone.now())
        self.post(dropped_by="anna")
        assert "messages" not in found()

    def test_what_was_given_up(self) -> None:
        self.post(problem="550 no")
        assert "were given up: 1" in found()["messages"].what

    def test_what_waits_for_long(self) -> None:
        self.post(due_at=timezone.now(), created_at=timezone.now() - 61 * MINUTE)
        assert "waited for more than an hour: 1" in found()["messages"].what


class TestHearing:
    """Whether somebody would hear of an alarm."""

    def test_recipients_that_are_gone_from_the_settings(self, served: Cluster) -> None:
        a_job(name="Engine", recipients="fl\n, a@example.com")
        assert "fl (Engine)" in found()["recipients"].what

    def test_nobody_is_told(self, served: Cluster, settings: Settings) -> None:
        settings.MANAGERS = []
        assert "told" not in found()
        assert found()["jobqueue.W019"].level is Level.WARNING
        for number in range(7):
            a_job(name=f"Job {number}")
        a_job(name="Own", recipients="a@example.com")
        a_job(name="Quiet", notify=Notify.NEVER)
        a_job(name="Off", enabled=False)
        what = found()["told"].what
        assert what.endswith("go wrong: Job 0, Job 1, Job 2, Job 3, Job 4 and 2 more.")

    def test_mails_that_go_nowhere(self, served: Cluster, settings: Settings) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        job = a_job()
        assert "mail-backend" not in found()
        Alarm.objects.create(job=job)
        assert "backends.console" in found()["mail-backend"].what
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        assert "mail-backend" not in found()


@pytest.mark.usefixtures("served")
class TestSettings:
    def test_what_the_system_checks_say(self, settings: Settings) -> None:
        settings.Q_CLUSTER = {"timeout": 3600}
        assert found()["jobqueue.W011"].level is Level.WARNING
        settings.SILENCED_SYSTEM_CHECKS = ["jobqueue.W011"]
        assert found() == {}

    def test_errors_of_them(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "KEEPDAYS": 3}
        assert found()["jobqueue.E001"].level is Level.ERROR

    def test_a_broken_mail_setting_is_one_of_them(self, settings: Settings) -> None:
        """A check only warns of it, so that jobs run."""
        settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_FROM": "nobody"}
        assert found()["jobqueue.W017"].level is Level.ERROR


@pytest.mark.usefixtures("served")
class TestHost:
    def test_a_disk_that_is_nearly_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        levels = []
        for free in (host.ROOM, host.ROOM - 1, host.ROOM // 10 - 1):
            usage = (1024**4, 0, free)
            monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
            levels.append(found().get("disk", Finding(Level.OK, "")).level)
        assert levels == [Level.OK, Level.WARNING, Level.ERROR]

    def test_a_small_disk_needs_less(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: (1024**3, 0, 100 * 1024**2))
        assert found() == {}

    def test_a_directory_that_the_service_may_not_write_to(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a command of root: what it has made belongs to root."""
        (data_dir / "logs").mkdir(mode=0o755)
        (data_dir / "logs").chmod(0o755)
        data_dir.chmod(0o777)
        other = host.Service(True, os.geteuid() + 4711, frozenset(), os.defpath, "/")
        monkeypatch.setattr(host.Service, "of_this_host", lambda: other)
        monkeypatch.setattr(host, "_database_file", lambda: None)
        finding = found()["directories"]
        assert finding.level is Level.ERROR
        assert str(data_dir / "logs") in finding.what
        (data_dir / "logs").chmod(0o777)
        assert found() == {}

    def test_rights_by_group(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o770)
        mine = tmp_path.stat().st_gid
        for groups, may in ((frozenset((mine,)), True), (frozenset((mine + 1,)), False)):
            service = host.Service(True, os.geteuid() + 4711, groups, "", "/")
            assert service.may_write(tmp_path) is may

    def test_the_user_of_a_process(self) -> None:
        service = host.Service.of_this_host()
        assert (service.runs, service.uid) == (True, os.geteuid())
        assert service.groups >= {os.getegid()}
        assert service.directory == os.getcwd()

    def test_a_service_of_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for uid, expected in ((0, 1), (1000, 0)):
            service = host.Service(True, uid, frozenset(), "", "/")
            monkeypatch.setattr(host.Service, "of_this_host", lambda service=service: service)
            assert len(list(host.user())) == expected

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (["no-such-program-anywhere"], "no program no-such-program-anywhere in PATH"),
            (["/no/such/program"], "/no/such/program is no program"),
            (["./x"], "/x is no program"),
            (["/etc/passwd"], "/etc/passwd is no program"),
            (["/tmp"], "/tmp is no program"),
        ],
    )
    def test_a_program_that_is_missing(self, argv: list[str], words: str) -> None:
        job = a_job(argv=argv)
        finding = found()["programs"]
        assert finding.level is Level.WARNING
        assert words in finding.what
        Job.objects.filter(pk=job.pk).update(enabled=False)
        assert found() == {}

    def test_a_directory_that_is_missing(self) -> None:
        a_job(working_directory="/no/such/directory")
        assert "no directory /no/such/directory" in found()["programs"].what

    def test_a_job_that_is_refused(self, settings: Settings) -> None:
        a_job(environment="gone")
        assert found()["programs"].level is Level.ERROR

    def test_many_are_told_of_in_one_line(self) -> None:
        for _ in range(host.SHOWN + 3):
            a_job(argv=["/no/such/program"])
        listed = [f for f in doctor.examine() if f.id == "programs"]
        assert len(listed) == host.SHOWN + 1
        assert listed[-1].what.startswith("3 more Jobs")


@pytest.mark.usefixtures("served")
class TestMonitors:
    @pytest.fixture
    def monitor(self, tmp_path: Path) -> DirMonitor:
        return a_monitor(tmp_path / "in")

    def test_nobody_watches(self, monitor: DirMonitor) -> None:
        assert found()["monitor-service"].level is Level.ERROR
        DirMonitor.objects.update(enabled=False)
        assert found() == {}

    def test_a_directory_that_is_not_there(self, monitor: DirMonitor) -> None:
        MonitorService.objects.create(host="edi-2", pid=1)
        DirMonitor.objects.update(status="watching")
        assert found() == {}
        DirMonitor.objects.update(status="missing")
        assert str(monitor.path) in found()["monitors"].what

    def test_one_that_works_worse_than_it_could(self, monitor: DirMonitor) -> None:
        MonitorService.objects.create(host="edi-2", pid=1)
        DirMonitor.objects.update(status="polling", status_note="Out of watches")
        assert found()["monitors"].level is Level.WARNING

    def test_watches_that_run_out(
        self, monitor: DirMonitor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        from dirmonitor.watching import Watcher

        limit = tmp_path / "max_user_watches"
        monkeypatch.setattr(monitor_doctor, "_LIMITS", tmp_path)
        MonitorService.objects.create(host=os.uname().nodename, pid=os.getpid())
        watcher = Watcher()
        try:
            for number in range(9):
                (tmp_path / str(number)).mkdir()
                watcher.watch(monitor.pk, os.fsencode(tmp_path / str(number)))
            limit.write_text("12\n")
            assert "inotify" not in found()
            limit.write_text("10\n")
            assert "9 of 10 inotify watches" in found()["inotify"].what
        finally:
            watcher.close()


class TestHook:
    def test_a_check_that_fails_hides_no_other(
        self, served: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> list[Finding]:
            raise OSError("no such\nthing")

        monkeypatch.setattr(findings, "_of_apps", {})
        findings.add_check("portal", "Fine.", fail)
        findings.add_check("other", "Fine.", lambda: [findings.warning("What.", "Why.", "Do.")])
        assert found().keys() == {"portal", "other"}
        assert "no such\\nthing" in found()["portal"].what


class TestCommand:
    def test_codes(self, served: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            host.Service,
            "of_this_host",
            lambda: host.Service(False, os.geteuid(), frozenset(), os.defpath, "/"),
        )
        assert call("queue", "doctor").code == 0
        queue.pause("default", by="ada")
        a_waiting()
        done = call("queue", "doctor")
        assert done.code == 1
        assert "WARNING  queues: Queue default is paused by ada." in done.out
        assert "\n         → `manage.py queue resume -q default`" in done.out
        Cluster.objects.all().delete()
        assert call("queue", "doctor").code == 2

    def test_json(self) -> None:
        done = call("queue", "doctor", "--json")
        rows = json.loads(done.out)
        assert done.code == 2
        assert [list(row) for row in rows] == [["id", "level", "what", "why", "do"]] * len(rows)
        assert {row["level"] for row in rows} == {"ok", "error"}


@pytest.mark.django_db(transaction=True)
class TestProcess:
    def test_without_a_database(self, tmp_path: Path) -> None:
        done = run("queue", "doctor", TEST_DATABASE_URL="postgres://nobody@127.0.0.1:1/x")
        assert done.code == 2
        assert done.err == ""
        assert "ERROR    database: The database can't be used" in done.out
        assert "disk:" in done.out
        assert "service:" not in done.out

    def test_without_tables(self, tmp_path: Path) -> None:
        done = run("queue", "doctor", TEST_DATABASE_URL=f"sqlite:///{tmp_path / 'db.sqlite3'}")
        assert done.code == 2
        assert "The database lacks " in done.out
        assert "`manage.py migrate`" in done.out

    def test_a_service_that_runs(self) -> None:
        with a_service():
            wait_until(Cluster.objects.living, 90, "the cluster")
            done = run("queue", "doctor")
        assert done.code == (1 if USUAL else 0), done.out
        assert "OK       service: A cluster serves the queues." in done.out


def test_a_database_that_goes_away_meanwhile(
    served: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> Any:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(queue, "with_requests", gone)
    assert "server closed the connection" in found()["queues"].what
