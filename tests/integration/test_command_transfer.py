"""``manage.py jobqueue_export`` and ``jobqueue_import``: a set-up moves from here to there."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from dirmonitor.models import DirMonitor, Mode, normal_path
from jobqueue import portable
from jobqueue.alarms import channels, profiles
from jobqueue.api import Portable, register_portable
from jobqueue.management import transfer
from jobqueue.models import Backoff, CatchUp, Codes, Execution, Job, Kind, Queue, Schedule
from tests.builders import a_job, a_monitor, a_run, a_schedule
from tests.terminal import Done, call, lines

pytestmark = [pytest.mark.database, pytest.mark.django_db]

YAML = """jobqueue_export: 1
jobs:
- name: Engine
  argv: [bots-engine, -cprod, --new]
  env:
    LANG: C.UTF-8
  in_run_menu: true
  kill_after: 01:30:00
- name: Report
  argv: [report.py]
  queue: reports
monitors:
- name: In
  path: /srv/in
  job: Engine
  filemask: '*.edi;*.xml'
schedules:
- name: Orders
  job: Engine
  expression: '*/5 7-18 * * MON-FRI'
  timezone: Europe/Amsterdam
  priority: 3
- name: Poll
  job: Report
  kind: interval
  interval: 00:15:00
  timezone: UTC
...
"""
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
WORDS = TEXT.filter(str.strip)
#: Names that no collation takes for the same.
NAMES = st.lists(
    st.from_regex(r"[a-z]{1,3}( [0-9]{1,4}[#:&*!-]{2})?", fullmatch=True), unique=True, max_size=3
)
FIRST = datetime(1990, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=40_000)).map(lambda after: FIRST + after)
DELAYS = st.timedeltas(timedelta(0), timedelta(days=30))
LENGTHS = st.timedeltas(timedelta(0), timedelta(days=400))


@st.composite
def jobs(draw: Any, name: str) -> Job:
    """A Job that isn't saved, with anything in it."""
    variables = st.from_regex(r"[A-Z_]{1,9}", fullmatch=True)
    return Job(
        name=name,
        description=draw(TEXT),
        argv=[draw(WORDS), *draw(st.lists(TEXT, max_size=4))],
        working_directory=draw(TEXT),
        env=draw(st.dictionaries(variables, TEXT, max_size=3)),
        queue=draw(st.from_regex(r"[a-z0-9._-]{1,8}", fullmatch=True)),
        enabled=draw(st.booleans()),
        in_run_menu=draw(st.booleans()),
        codes=draw(st.sampled_from(Codes.values)),
        max_runtime=draw(st.none() | LENGTHS),
        kill_after=draw(st.none() | LENGTHS),
        rerun_if_lost=draw(st.booleans()),
        max_retries=draw(st.integers(0, 100)),
        retry_on=draw(st.sampled_from(["failed", "1, 75-78", "timed out,warned"])),
        retry_delay=draw(DELAYS),
        retry_backoff=draw(st.sampled_from(Backoff.values)),
        retry_max_delay=timedelta(days=30),
        alarm_at_first_failure=draw(st.booleans()),
    )


@st.composite
def schedules(draw: Any, name: str, job: Job) -> Schedule:
    """A schedule of any kind, past or to come."""
    kind = draw(st.sampled_from(Kind.values))
    first, last = sorted([draw(MOMENTS), draw(MOMENTS)])
    return Schedule(
        name=name,
        job=job,
        enabled=draw(st.booleans()),
        kind=kind,
        expression=draw(st.sampled_from(["@daily", "*/5 * * * *", "0 0 1 L * *"]))
        if kind == Kind.CRON
        else "",
        interval=draw(st.timedeltas(timedelta(seconds=1), timedelta(days=300)))
        if kind == Kind.INTERVAL
        else None,
        anchor_at=draw(MOMENTS) if kind == Kind.INTERVAL else None,
        once_at=draw(MOMENTS) if kind == Kind.ONCE else None,
        timezone=draw(st.sampled_from(["UTC", "Europe/Amsterdam", "Asia/Kolkata"])),
        both_days=draw(st.booleans()),
        first_at=draw(st.sampled_from([None, first])),
        last_at=draw(st.sampled_from([None, last])),
        priority=draw(st.integers(1, 9)),
        queue=draw(st.sampled_from(["", "night"])),
        catch_up=draw(st.sampled_from(CatchUp.values)),
        misfire_grace=draw(st.none() | LENGTHS),
    )


@st.composite
def monitors(draw: Any, name: str, job: Job) -> DirMonitor:
    """A monitor of anything."""
    seconds = st.floats(0, 3600) | st.integers(0, 9)
    return DirMonitor(
        name=name,
        job=job,
        path=normal_path("/srv/" + draw(TEXT.filter(lambda text: ".." not in text.split("/")))),
        filemask=draw(st.sampled_from(["*", "*.edi;*.XML", "a?[1-9]", "ä\n"])),
        recursive=draw(st.booleans()),
        enabled=draw(st.booleans()),
        priority=draw(st.integers(1, 9)),
        queue=draw(st.sampled_from(["", "night"])),
        settle=draw(seconds),
        poll_interval=draw(seconds),
        mode=draw(st.sampled_from(Mode.values)),
    )


@st.composite
def set_ups(draw: Any) -> list[Any]:
    """Rows of all kinds, those first that others need."""
    found: list[Any] = [draw(jobs(name)) for name in draw(NAMES)]
    if found:
        any_job = st.sampled_from(list(found))
        for kind in (schedules, monitors):
            found += [draw(kind(name, draw(any_job))) for name in draw(NAMES)]
    return found


def a_file(tmp_path: Path, text: str | bytes, name: str = "setup.yaml") -> str:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def take(tmp_path: Path, text: str | bytes, *options: str) -> Done:
    """Import this text."""
    return call("jobqueue_import", a_file(tmp_path, text), *options)


def exported(*options: str) -> str:
    done = call("jobqueue_export", *options)
    assert done.code == 0
    return done.out


def actions(tmp_path: Path, text: str, *options: str) -> dict[tuple[str, str], str]:
    objects = json.loads(take(tmp_path, text, "--json", *options).out)["objects"]
    return {(one["section"], one["name"]): one["action"] for one in objects}


def everything() -> dict[type, list[Any]]:
    """All rows as they are stored, but for what the clock works out."""
    unstable = ("planned_at", "next_fire_at")
    return {
        model: [
            {key: value for key, value in row.items() if key not in unstable}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in (Job, Schedule, DirMonitor)
    }


class TestThereAndBack:
    def test_the_file(self, tmp_path: Path) -> None:
        assert take(tmp_path, YAML, "--apply").code == 0
        engine = "  kill_after: 01:30:00\n"
        expected = YAML.replace(engine, f"  codes: bots-engine\n{engine}")
        expected = expected.replace(
            "  queue: reports\n", "  queue: reports\n  codes: exit-status\n"
        )
        anchor = Schedule.objects.get(name="Poll").anchor_at
        assert anchor is not None
        expected = expected.replace(
            "00:15:00\n", f"00:15:00\n  anchor_at: '{anchor.isoformat()}'\n"
        )
        [head, rest] = expected.split("  in_run_menu", 1)
        assert exported() == head + "  in_run_menu" + rest

    @given(set_ups())
    @hypothesis_settings(
        max_examples=40,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    def test_whatever_it_is(self, tmp_path: Path, rows: list[Any]) -> None:
        with transaction.atomic():
            for row in rows:
                row.save()
            for form in ("yaml", "json"):
                file = str(tmp_path / f"setup.{form}")
                assert call("jobqueue_export", file, "--with-secrets").code == 0
                text, before = Path(file).read_bytes(), exported("--with-secrets")
                Job.objects.all().delete()
                assert not Schedule.objects.exists()
                done = call("jobqueue_import", file, "--apply")
                assert done.code == 0, done.err
                assert call("jobqueue_export", file, "--with-secrets").code == 0
                assert (Path(file).read_bytes(), exported("--with-secrets")) == (text, before)
                assert "Nothing to do: 0 new, 0 changed, 0 only here," in (
                    call("jobqueue_import", file, "--apply").out
                )
            transaction.set_rollback(True)

    def test_order_and_names_are_those_of_no_database(self) -> None:
        for name in ("b", "B 1", "ö", "a", "Z", "_"):
            a_job(name=name, argv=["x"], env={"ZZ": "1", "A": "2", "BBB": "3"})
        found = json.loads(exported("--json"))
        assert [job["name"] for job in found["jobs"]] == ["B 1", "Z", "_", "a", "b", "ö"]
        assert list(found["jobs"][0]["env"]) == ["A", "BBB", "ZZ"]
        assert list(found) == ["jobqueue_export", "jobs", "monitors", "schedules"]

    def test_no_ids_and_no_record(self) -> None:
        schedule = a_schedule(last_fire_at=datetime(2026, 1, 1, tzinfo=UTC), name="S")
        run = a_run(schedule.job)
        monitor = a_monitor("/srv/in", name="M", job=schedule.job)
        DirMonitor.objects.update(status="watching", last_execution=run, files_pending=3)
        found = json.loads(exported("--json"))
        [job], [one], [watched] = found["jobs"], found["schedules"], found["monitors"]
        assert job.keys() == {"name", "argv", "codes"}
        assert one == {
            "name": "S",
            "job": schedule.job.name,
            "expression": "0 * * * *",
            "timezone": "UTC",
        }
        assert watched == {
            "name": "M",
            "job": monitor.job.name,
            "path": "/srv/in",
            "settle": 0.2,
            "poll_interval": 0.2,
        }

    def test_it_says_all_that_can_be_edited(self) -> None:
        for model in (Job, Schedule, DirMonitor):
            editable = {f.name for f in model._meta.fields if f.editable and not f.primary_key}
            assert set(portable.portable_of(model).fields) == editable

    def test_over_is_over(self, tmp_path: Path) -> None:
        once = datetime(2020, 1, 1, tzinfo=UTC)
        job = a_job(name="J")
        a_schedule(name="Past", job=job, kind="once", expression="", once_at=once)
        text = exported()
        Schedule.objects.all().delete()
        done = take(tmp_path, text, "--apply")
        assert "schedules, Past: once_at: This time is over" in done.out
        there = Schedule.objects.get()
        assert (there.once_at, there.next_fire_at, there.problem) == (once, None, "")
        assert "Nothing to do" in take(tmp_path, text, "--apply").out


class TestFile:
    def test_json_by_its_name(self, tmp_path: Path) -> None:
        a_job(name="Größe", argv=["x"])
        file = tmp_path / "setup.json"
        done = call("jobqueue_export", str(file))
        assert done.out == f"Written: {file} with 1 jobs, 0 monitors, 0 schedules.\n"
        text = file.read_text(encoding="utf-8")
        assert text == exported("--json")
        assert json.loads(text)["jobs"][0]["name"] == "Größe"
        assert "Größe" in text

    def test_it_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        real = tmp_path / "real.yaml"
        real.write_text("old")
        real.chmod(0o640)
        (link := tmp_path / "link.yaml").symlink_to(real)
        assert call("jobqueue_export", str(link)).code == 0
        assert link.is_symlink()
        assert real.read_text() == exported()
        assert stat.S_IMODE(real.stat().st_mode) == 0o640
        assert {*tmp_path.iterdir()} == {real, link}
        assert call("jobqueue_export", str(link), "--with-secrets").code == 0
        assert stat.S_IMODE(real.stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["setup.txt"], "setup.txt: Its name must end in .yaml, .yml or .json."),
            (["none/setup.yaml"], "No such file or directory"),
            (["setup.yaml", "--json"], "--json is for stdout"),
        ],
    )
    def test_refused(
        self, words: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = call("jobqueue_export", *words)
        assert (done.code, done.out) == (1, "")
        assert reason in done.err
        assert not list(tmp_path.iterdir())

    def test_a_disk_without_room_leaves_the_old_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = a_file(tmp_path, "old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        assert "No space left" in call("jobqueue_export", file).err
        assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]

    def test_stdin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        take(tmp_path, YAML, "--apply")
        for text in (exported(), exported("--json")):
            monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text.encode())))
            assert "5 unchanged" in call("jobqueue_import", "-").out


class TestDifference:
    def test_it_only_shows_what_it_would_do(self, tmp_path: Path) -> None:
        done = take(tmp_path, YAML)
        assert done.code == 0
        assert [line.split()[:3] for line in lines(done.out)[1:-1]] == [
            *(["new", "Job", "Engine"], ["new", "Job", "Report"]),
            ["new", "directory", "monitor"],
            *(["new", "schedule", "Orders"], ["new", "schedule", "Poll"]),
        ]
        assert "argv: bots-engine -cprod --new; env: LANG=C.UTF-8; in_run_menu: yes;" in done.out
        summary = "To do: 5 new, 0 changed, 0 only here, 0 unchanged. Nothing was done yet."
        assert lines(done.out)[-1] == summary
        assert "--apply does it" in done.err
        assert not Job.objects.exists()

    def test_it_does_it(self, tmp_path: Path) -> None:
        done = take(tmp_path, YAML, "--apply")
        summary = "Done: 5 new, 0 changed, 0 only here, 0 unchanged."
        assert (done.code, lines(done.out)[-1]) == (0, summary)
        engine, report = Job.objects.order_by("name")
        assert (engine.argv, engine.codes) == (["bots-engine", "-cprod", "--new"], "bots-engine")
        assert (engine.kill_after, engine.max_runtime) == (timedelta(minutes=90), None)
        assert (report.queue, report.codes, report.in_run_menu) == ("reports", "exit-status", False)
        orders, poll = Schedule.objects.order_by("name")
        assert (orders.job, orders.priority, orders.catch_up) == (engine, 3, "latest")
        assert (poll.interval, poll.job) == (timedelta(minutes=15), report)
        assert Schedule.objects.planned().count() == 2
        monitor = DirMonitor.objects.get()
        assert (monitor.path, monitor.settle, monitor.job) == ("/srv/in", 2, engine)

    def test_a_second_run_has_nothing_to_do(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        before = everything()
        done = take(tmp_path, YAML, "--apply", "--prune")
        assert done.out == "Nothing to do: 0 new, 0 changed, 0 removed, 5 unchanged.\n"
        assert everything() == before

    def test_each_field_that_changes_is_shown(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        Job.objects.filter(name="Report").update(queue="old", description="x", kill_after=None)
        orders = Schedule.objects.get(name="Orders")
        orders.job, orders.priority, orders.enabled = Job.objects.get(name="Report"), 1, False
        orders.save()
        done = take(tmp_path, YAML)
        assert [" ".join(line.split()) for line in lines(done.out)[1:]] == [
            "changed Job Report description: x -> ''",
            "queue: old -> reports",
            "changed schedule Orders job: Report -> Engine",
            "enabled: no -> yes",
            "priority: 1 -> 3",
            "To do: 0 new, 2 changed, 0 only here, 3 unchanged. Nothing was done yet.",
        ]
        done = take(tmp_path, YAML, "--json", "--apply")
        found = json.loads(done.out)
        assert found["applied"] is True
        [one] = [one for one in found["objects"] if one["name"] == "Orders"]
        assert one == {
            "section": "schedules",
            "name": "Orders",
            "action": "changed",
            "notes": [],
            "changes": {
                "job": {"old": "Report", "new": "Engine"},
                "enabled": {"old": False, "new": True},
                "priority": {"old": 1, "new": 3},
            },
        }
        there = Schedule.objects.get(name="Orders")
        assert (there.job.name, there.priority, there.enabled) == ("Engine", 3, True)
        assert there.next_fire_at is not None

    def test_what_the_clock_and_the_monitor_wrote_stays(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        fired = datetime(2026, 1, 1, tzinfo=UTC)
        Schedule.objects.update(last_fire_at=fired)
        DirMonitor.objects.update(status="watching", files_pending=7)
        text = YAML.replace("priority: 3", "priority: 4").replace("*.edi;", "*.txt;")
        assert "2 changed" in take(tmp_path, text, "--apply").out
        assert {*Schedule.objects.values_list("last_fire_at", flat=True)} == {fired}
        monitor = DirMonitor.objects.get()
        assert (monitor.status, monitor.files_pending) == ("watching", 7)
        assert monitor.filemask == "*.txt;*.xml"

    def test_a_codes_reading_follows_the_program(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        text = YAML.replace("bots-engine, -cprod", "other, -cprod")
        take(tmp_path, text, "--apply")
        assert Job.objects.get(name="Engine").codes == "exit-status"
        assert "Nothing to do" in take(tmp_path, text).out

    def test_hostile_text(self, tmp_path: Path) -> None:
        a_job(name="\x1b[2J here", argv=["\x1b[2J"])
        text = r"""{"jobqueue_export": 1, "\u001b": [1], "jobs": [{"name": "J",
            "argv": ["\u001b"], "description": "\u001b"}]}"""
        for options in ([], ["--apply", "--json"], ["--prune"]):
            file = a_file(tmp_path, text.replace('"\\u001b": [1], ', ""), "setup.json")
            done = call("jobqueue_import", file, *options)
            assert done.code == 0
            assert "\x1b" not in done.out + done.err
        done = call("jobqueue_import", a_file(tmp_path, text, "setup.json"))
        assert (done.code, "\x1b" in done.err) == (1, False)


class TestPrune:
    def test_it_is_shown_and_asked(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        old = a_schedule(name="Old", job=a_job(name="Old"))
        assert actions(tmp_path, YAML)[("jobs", "Old")] == "only here"
        shown = take(tmp_path, YAML, "--prune")
        assert "2 removed" in shown.out
        done = take(tmp_path, YAML, "--prune", "--apply")
        assert done.code == 1
        assert "Remove 1 Job, 1 schedule that the file lacks? Nothing was done: say --yes" in (
            done.err
        )
        assert Schedule.objects.filter(pk=old.pk).exists()
        done = take(tmp_path, YAML, "--prune", "--apply", "--yes")
        assert lines(done.out)[-1] == "Done: 0 new, 0 changed, 2 removed, 5 unchanged."
        assert not Job.objects.filter(name="Old").exists()

    def test_runs_stay_on_record(self, tmp_path: Path) -> None:
        run = a_run(a_job(name="Old"))
        take(tmp_path, YAML, "--apply", "--prune", "--yes")
        run.refresh_from_db()
        assert run.job is None
        assert Execution.objects.count() == 1

    def test_a_schedule_that_moves_to_another_job_stays(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        Schedule.objects.update(job=a_job(name="Old"))
        before = {*Schedule.objects.values_list("pk", flat=True)}
        assert take(tmp_path, YAML, "--apply", "--prune", "--yes").code == 0
        assert {*Schedule.objects.values_list("pk", flat=True)} == before

    def test_what_the_file_does_not_speak_of_stays(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        text = "jobqueue_export: 1\nschedules: []\n..."
        done = take(tmp_path, text, "--apply", "--prune", "--yes")
        assert lines(done.out)[-1] == "Done: 0 new, 0 changed, 2 removed, 0 unchanged."
        assert (Job.objects.count(), DirMonitor.objects.count()) == (2, 1)

    def test_it_takes_nothing_along(self, tmp_path: Path) -> None:
        take(tmp_path, YAML, "--apply")
        done = take(tmp_path, "jobqueue_export: 1\njobs: []\nschedules: []\n...", "--prune")
        assert done.code == 1
        assert "jobs, Engine: it can't be removed: directory monitor In needs it" in done.err

    def test_a_job_that_only_the_file_refers_to(self, tmp_path: Path) -> None:
        a_job(name="Here")
        text = "jobqueue_export: 1\njobs: []\nschedules:\n- {name: S, job: Here,"
        text += " expression: '@daily'}\n..."
        assert "1 new" in take(tmp_path, text).out
        assert "the Job 'Here' isn't in the file" in take(tmp_path, text, "--prune").err


class TestSecrets:
    @pytest.fixture
    def job(self) -> Job:
        env = {
            "API_TOKEN": "abc",
            "DB_PASSWORD": "def",
            "LANG": "C",
            "DATABASE": "postgres://ada:ghi@db/shop",
        }
        return a_job(name="J", argv=["x"], env=env)

    @pytest.mark.parametrize(
        ("argv", "numbers"),
        [
            (["x", "--password=hunter2"], [2]),
            (["x", "--api-token", "hunter2"], [2]),
            (["x", "DB_PASSWORD=hunter2", "-v"], [2]),
            (["x", "to", "ftp://ada:hunter2@host/in"], [3]),
            (["x", "--url=ftp://ada:hunter2@host/in", "--secret", "y"], [2, 3]),
            (["x", "--ask-password"], []),
            (["x", "--ask-password", "-v"], []),
            (["x", "--password="], []),
            (["reset-passwords", "ftp://ada@host/in", "a=b", "="], []),
            (["curl", "-u", "me:hunter2", "https://host/"], [2]),
            (
                ["curl", "-ume:hunter2", "--user=me:hunter2", "--proxy-user", "me:hunter2"],
                [2, 3, 4],
            ),
            (["curl", "-H", "Authorization: Bearer hunter2", "-H", "X-Api-Key:hunter2"], [3, 5]),
            (["http", "Bearer", "hunter2", "Cookie: a=hunter2"], [2, 4]),
            (["curl", "https://host/?a=1&access_token=hunter2", "https://hunter2@host/"], [2, 3]),
            (["mysql", "-phunter2", "shop"], [2]),
            (["x", "-p", "hunter2"], [2]),
            (["sh", "-c", "mysqldump -phunter2 shop | gzip"], [3]),
            (["x", "PWD=hunter2;Server=db", "--dsn", "hunter2"], [2, 3]),
            (["docker", "run", "-u", "1000:1000", "-p", "8080:80", "-ti", "basic"], []),
            (["find", "/in", "-path", "./a", "-print"], []),
            (["mkdir", "-p", "/srv/in", "--user", "me", "https://host/?page=2", "12:30"], []),
        ],
    )
    def test_those_of_a_command_line_are_told(self, argv: list[str], numbers: list[int]) -> None:
        """It would be another command without them."""
        a_job(name="J", argv=argv)
        done = call("jobqueue_export")
        assert "hunter2" not in done.err
        told = [number for number in range(1, 9) if f"word {number} of its command" in done.err]
        assert told == numbers
        assert done.err.startswith("Note: Job J: in the file is what looks") == bool(numbers)
        assert call("jobqueue_export", "--with-secrets").err == ""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(
                (name, "hunter2")
                for name in ["MYSQL_PWD", "SMTP_PWD", "LDAP_BIND_PW", "GITHUB_PAT"]
            ),
            *(
                (name, "hunter2")
                for name in ["PIN", "CREDENTIALS", "DB_CRED", "bearer", "sessionCookie"]
            ),
            *((name, "hunter2") for name in ("SSH_PRIVATE", "DBPWD", "PWD")),
            ("SENTRY_DSN", "https://hunter2@host/1"),
            ("TARGET", "https://hunter2@host/1"),
            ("TARGET", "sftp://me:hunter2/3@host/1"),
            ("TARGET", "https://host/in?a=1&sig=hunter2"),
            ("TARGET", "Server=db;Uid=me;Pwd=hunter2"),
        ],
    )
    def test_a_variable_that_looks_secret_stays(self, name: str, value: str) -> None:
        a_job(name="J", argv=["x"], env={name: value})
        done = call("jobqueue_export")
        assert "hunter2" not in done.out + done.err
        assert done.err == f"Note: without the values of Job J: {name}.\n"

    def test_the_others_are_told_for_their_values_are_in_the_file(self) -> None:
        env = {
            "PATH": "/opt/bin:/bin",
            "LANG": "C",
            "BOTSENV": "prod",
            "PWDIR": "/srv",
            "PWD": "/srv",
            "SPIN": "1",
            "PATTERN": "a@b",
            "URL": "https://host:80/in?page=2",
        }
        a_job(name="J", argv=["x"], env=env)
        done = call("jobqueue_export", "--json")
        assert json.loads(done.out)["jobs"][0]["env"] == env
        told = ", ".join(sorted(env))
        assert done.err == f"Note: Job J: in the file are the values of {told}.\n"

    def test_they_stay_where_they_are(self, job: Job, tmp_path: Path) -> None:
        done = call("jobqueue_export")
        assert not any(word in done.out for word in ("abc", "def", "ghi"))
        note = (
            "Note: without the values of Job J: API_TOKEN, DATABASE, DB_PASSWORD.\n"
            "Note: Job J: in the file are the values of LANG.\n"
        )
        assert done.err == note
        Job.objects.update(env={**job.env, "API_TOKEN": "another", "LANG": "D"})
        shown = take(tmp_path, done.out, "--apply")
        assert "env: API_TOKEN=(secret)" not in shown.out or "another" not in shown.out
        job.refresh_from_db()
        assert job.env["API_TOKEN"] == "another"
        assert job.env["LANG"] == "C"
        assert exported() == done.out

    def test_one_that_is_missing_is_told(self, job: Job, tmp_path: Path) -> None:
        text = exported()
        Job.objects.all().delete()
        done = take(tmp_path, text, "--apply")
        assert "variable API_TOKEN has no value in the file, nor here: manage.py jobs edit J" in (
            done.out
        )
        assert Job.objects.get().env == {"LANG": "C"}
        again = take(tmp_path, text, "--apply")
        assert lines(again.out)[-1].startswith("Nothing to do")

    def test_they_can_be_taken_along(self, job: Job, tmp_path: Path) -> None:
        text = exported("--with-secrets")
        Job.objects.update(env={**job.env, "API_TOKEN": "old"})
        done = take(tmp_path, text, "--apply")
        assert "env: a secret -> another one" in done.out
        assert "abc" not in done.out + json.dumps(json.loads(take(tmp_path, text, "--json").out))
        job.refresh_from_db()
        assert job.env["API_TOKEN"] == "abc"

    def test_so_does_the_address_of_pings(self, tmp_path: Path) -> None:
        here, there = "https://hc.example/here", "https://hc.example/there"
        a_job(name="J", argv=["x"], ping_url=here)
        done = call("jobqueue_export")
        assert here not in done.out
        assert done.err == "Note: without the values of Job J: ping_url.\n"
        assert lines(take(tmp_path, done.out, "--apply").out)[-1].startswith("Nothing to do")
        Job.objects.update(ping_url=there)
        take(tmp_path, done.out, "--apply")
        assert Job.objects.get().ping_url == there
        Job.objects.all().delete()
        take(tmp_path, done.out, "--apply")
        assert Job.objects.get().ping_url == ""
        Job.objects.update(ping_url=here)
        text = exported("--with-secrets")
        Job.objects.update(ping_url=there)
        assert here not in take(tmp_path, text, "--apply").out
        assert Job.objects.get().ping_url == here


class TestNeededSettings:
    """Groups, channels, profiles and environments are settings: a file has no secrets of them."""

    THERE: ClassVar[dict[str, Any]] = {
        "ENVIRONMENTS": {
            "etl": {
                "prefix": ("nice", "-n5"),
                "working_directory": Path("/srv/etl"),
                "env": {"API_TOKEN": "hidden", "LANG": "C"},
            },
            "unused": {},
        },
        "RECIPIENTS": {
            "team": {"to": ["anna@example.com", "webhook:ops"], "profile": "partners"},
            "night": {"to": ["night@example.com"]},
            "unused": {"to": ["x@example.com"]},
        },
        "QUEUE_RECIPIENTS": {"edi": ["night", "bea@example.com"], "other": ["unused"]},
        "CHANNELS": {
            "webhook:ops": {"url": "https://ops.example.com/hidden", "key": "hidden" * 3},
            "apprise:chat": {"url": "slack://hidden"},
        },
        "MAIL_PROFILES": {
            "partners": {
                "host": "smtp.example.com",
                "port": 587,
                "user": "clerk",
                "password": "hidden",
                "sender": "Partners <edi@example.com>",
            },
            "unused": {"host": "unused.example.com"},
        },
    }
    WRITTEN = """jobqueue_export: 1
settings:
- name: ENVIRONMENTS
  has:
    etl:
      prefix: [nice, -n5]
      env:
        API_TOKEN: null
        LANG: C
      working_directory: /srv/etl
- name: RECIPIENTS
  has:
    night:
      to: [night@example.com]
    team:
      to: [anna@example.com, 'webhook:ops']
      profile: partners
- name: QUEUE_RECIPIENTS
  has:
    edi: [night, bea@example.com]
- name: CHANNELS
  has: ['apprise:chat', 'webhook:ops']
- name: MAIL_PROFILES
  has:
    partners:
      host: smtp.example.com
      port: 587
      user: clerk
      password: null
      sender: Partners <edi@example.com>
jobs:
"""
    #: What was written before values were.
    OLDER = """jobqueue_export: 1
settings:
- name: RECIPIENTS
  has: [team]
- name: CHANNELS
  has: ['webhook:ops']
- name: MAIL_PROFILES
  has: [partners]
jobs:
- name: A
  argv: [x]
  recipients: team
...
"""

    @pytest.fixture
    def there(self, settings: Settings) -> Done:
        """What a system with these settings has written."""
        here = settings.JOBQUEUE
        settings.JOBQUEUE = {**here, **self.THERE}
        told = "team, apprise:chat, anna@example.com"
        a_job(name="A", argv=["x"], environment="etl", recipients=told)
        a_job(name="B", argv=["y"], recipients="team", queue="other")
        a_job(name="C", argv=["z"], queue="edi")
        done = call("jobqueue_export")
        settings.JOBQUEUE = here
        Job.objects.all().delete()
        return done

    @pytest.fixture
    def text(self, there: Done) -> str:
        return there.out

    def test_what_the_jobs_need_is_in_the_file_but_its_secrets(self, there: Done) -> None:
        assert there.out.startswith(self.WRITTEN)
        assert "hidden" not in there.out + there.err
        assert lines(there.err) == [
            "Note: without the values of environment etl: API_TOKEN.",
            "Note: environment etl: in the file are the values of LANG.",
        ]

    def test_what_the_settings_lack_is_noted_and_not_written(self, settings: Settings) -> None:
        groups = {"team": {"to": ["a@example.com"], "profile": "gone"}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "RECIPIENTS": groups}
        a_job(name="A", argv=["x"], recipients="team, old", environment="none")
        done = call("jobqueue_export", "--json")
        [section] = json.loads(done.out)["settings"]
        assert section == {"name": "RECIPIENTS", "has": groups}
        words = "Note: what these rows need isn't in the settings here: "
        assert lines(done.err) == [
            f"{words}ENVIRONMENTS none.",
            f"{words}RECIPIENTS old.",
            f"{words}MAIL_PROFILES gone.",
        ]

    def test_an_older_file_with_names_only(self, tmp_path: Path) -> None:
        out = take(tmp_path, self.OLDER).out
        lacks = "RECIPIENTS 'team'; CHANNELS 'webhook:ops'; MAIL_PROFILES 'partners'"
        assert lines(out)[0] == f"The settings here lack {lacks}. Add to them, or change:"
        assert """'team': {"to": ["somebody@example.com"]},""" in out
        assert """"password": os.environ["PARTNERS_PASSWORD"]""" in out

    def test_what_only_groups_that_are_here_need_is_not_lacking(
        self, text: str, tmp_path: Path, settings: Settings
    ) -> None:
        here = {"team": {"to": ["here@example.com"]}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "RECIPIENTS": here}
        found = json.loads(take(tmp_path, text, "--json").out)["lacking"]
        assert found == {
            "ENVIRONMENTS": ["etl"],
            "RECIPIENTS": ["night"],
            "QUEUE_RECIPIENTS": ["edi"],
            "CHANNELS": ["apprise:chat"],
        }

    @pytest.mark.parametrize(
        "has", ["{a: 5}", "{a: [b]}", "5"], ids=["a number", "a list", "no names"]
    )
    def test_what_is_no_value_is_refused(self, has: str, tmp_path: Path) -> None:
        text = f"jobqueue_export: 1\nsettings:\n- name: RECIPIENTS\n  has: {has}\n...\n"
        done = take(tmp_path, text)
        [line] = lines(done.err)
        assert (done.code, done.out, "settings, " in line) == (1, "", True)

    def test_hostile_values_stay_text(self, tmp_path: Path) -> None:
        told = r"""{"x')\n\u001b": {"to": ["'\", os.abort(), \u001b[2J"]}}"""
        text = f"""{{"jobqueue_export": 1, "settings": [{{"name": "RECIPIENTS", "has": {told}}}],
            "jobs": [{{"name": "A", "argv": ["x"], "recipients": "x')"}}]}}"""
        text = text.replace(r"x')\n\u001b", "x')")
        done = call("jobqueue_import", a_file(tmp_path, text, "setup.json"))
        assert "\x1b" not in done.out
        pasted: dict[str, Any] = {}
        exec(done.out[done.out.index("JOBQUEUE = {") : done.out.index("\n}\n") + 3], pasted)
        assert pasted["JOBQUEUE"] == {
            "RECIPIENTS": {"x')": {"to": ["'\", os.abort(), \x1b[2J"]}},
        }

    def test_none_are_there_if_no_job_needs_any(self) -> None:
        a_job(name="A", argv=["x"], recipients="anna@example.com")
        assert "settings" not in exported()

    def test_what_is_lacking_here_comes_first_and_once(self, text: str, tmp_path: Path) -> None:
        done = take(tmp_path, text)
        first, *more = lines(done.out)
        lacks = (
            "ENVIRONMENTS 'etl'; RECIPIENTS 'night', 'team'; QUEUE_RECIPIENTS 'edi'; "
            "CHANNELS 'apprise:chat', 'webhook:ops'; MAIL_PROFILES 'partners'"
        )
        assert first == f"The settings here lack {lacks}. Add to them, or change:"
        assert done.code == 0
        assert (
            more[-1] == "To do: 3 new, 0 changed, 0 only here, 0 unchanged. Nothing was done yet."
        )
        assert done.out.count("'team'") == 2  # in the first line and in the stub

    def test_the_stub_is_python_with_placeholders(
        self, text: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = take(tmp_path, text).out
        stub = out[out.index("JOBQUEUE = {") : out.index("\n}\n") + 3]
        for name in ("PARTNERS_PASSWORD", "APPRISE_CHAT_URL", "WEBHOOK_OPS_KEY", "ETL_API_TOKEN"):
            monkeypatch.setenv(name, "a secret of some length")
        monkeypatch.setenv("WEBHOOK_OPS_URL", "https://ops.example.com/")
        pasted: dict[str, Any] = {"os": os}
        exec(stub, pasted)
        here = pasted["JOBQUEUE"]
        secret = "a secret of some length"
        etl, partners = self.THERE["ENVIRONMENTS"]["etl"], self.THERE["MAIL_PROFILES"]["partners"]
        assert here["ENVIRONMENTS"] == {
            "etl": {
                "prefix": list(etl["prefix"]),
                "working_directory": str(etl["working_directory"]),
                "env": {"API_TOKEN": secret, "LANG": "C"},
            }
        }
        groups = self.THERE["RECIPIENTS"]
        assert here["RECIPIENTS"] == {name: groups[name] for name in ("night", "team")}
        assert here["QUEUE_RECIPIENTS"] == {"edi": ["night", "bea@example.com"]}
        assert here["MAIL_PROFILES"] == {"partners": {**partners, "password": secret}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, **here}
        assert "lack" not in take(tmp_path, text, "--apply").out
        assert Job.objects.count() == 3
        assert not list(profiles.problems(here["MAIL_PROFILES"]["partners"]))
        assert not list(channels.problems("webhook:ops", here["CHANNELS"]["webhook:ops"]))

    def test_nothing_is_applied_then(self, text: str, tmp_path: Path) -> None:
        done = take(tmp_path, text, "--apply")
        assert done.code == 1
        [line] = lines(done.err)
        assert "Nothing was done: the settings here lack ENVIRONMENTS 'etl'; RECIPIENTS" in line
        assert not Job.objects.exists()

    def test_as_json(self, text: str, tmp_path: Path) -> None:
        found = json.loads(take(tmp_path, text, "--json").out)
        assert found["lacking"]["RECIPIENTS"] == ["night", "team"]
        assert [row["action"] for row in found["objects"]] == ["new", "new", "new"]

    def test_a_group_that_is_here_may_have_another_profile(
        self, text: str, tmp_path: Path, settings: Settings
    ) -> None:
        here = {**self.THERE, "MAIL_PROFILES": {}}
        here["RECIPIENTS"] = {"team": {"to": ["here@example.com"]}}
        here["QUEUE_RECIPIENTS"] = {"edi": []}
        settings.JOBQUEUE = {**settings.JOBQUEUE, **here}
        assert json.loads(take(tmp_path, text, "--apply", "--json").out)["lacking"] == {}
        assert Job.objects.count() == 3

    def test_a_file_by_hand_needs_no_list(self, tmp_path: Path) -> None:
        text = YAML.replace("queue: reports", r"recipients: night, ops")
        done = take(tmp_path, text)
        assert "lack RECIPIENTS 'night', 'ops'." in lines(done.out)[0]
        assert "\x1b" not in done.out

    def test_other_mistakes_are_told_all_the_same(self, tmp_path: Path) -> None:
        text = YAML.replace("queue: reports", "environment: x").replace(
            "priority: 3", "priority: 0"
        )
        done = take(tmp_path, text)
        assert lines(done.out)[0].startswith("The settings here lack ENVIRONMENTS 'x'.")
        [line] = lines(done.err)
        assert "schedules, Orders: priority" in line


class TestRefused:
    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("jobs:", "job:", "job: there are none of these here; did you mean 'jobs'?"),
            ("queue:", "queu:", "jobs, Report: there is no 'queu'; did you mean 'queue'?"),
            ("queue: reports", "queue: A B", "jobs, Report: queue: A queue's name has 1 to 64"),
            ("queue: reports", "queue: 5", "jobs, Report: queue: it takes text: put quotes"),
            ("queue: reports", "queue: null", "jobs, Report: queue: it can't be null."),
            ("queue: reports", "max_runtime: x", "“x” value has an invalid format"),
            ("queue: reports", "max_runtime: -1", "A duration can't be negative."),
            ("queue: reports", "max_runtime: '999999999 00:00:00'", "max_runtime: it is too long."),
            ("queue: reports", "kill_after: '99999999999 00:00:00'", "jobs, Report: kill_after:"),
            ("queue: reports", "enabled: 1", "enabled: it takes true or false, not 1."),
            ("queue: reports", "env: []", "env: it takes names with values, not []."),
            ("queue: reports", "env: {A: 1}", "env: The value of the variable 'A' isn't a string"),
            (
                "queue: reports",
                r'recipients: "a@b\nBcc: c"',
                "recipients: 'Bcc: c' is no mail address",
            ),
            ("queue: reports", f"settle: {'1' * 5000}", "a number has more than 1000 digits."),
            ("name: Engine", r'name: "Eng\nine"', "name: A name can't have line breaks or other"),
            ("queue: reports", "codes: x", "codes: Value 'x' is not a valid choice."),
            ("jobs:", "settings: {}\njobs:", "settings: a list is needed"),
            (
                "jobs:",
                "settings:\n- name: X\n  has: []\njobs:",
                "settings, number 1: name is one of",
            ),
            ("queue: reports", "id: 5", "there is no 'id'; "),
            ("[report.py]", "report.py", "argv: A command is a list of strings"),
            ("[report.py]", "[report.py, 5]", "argv: Argument 1 isn't a string: 5."),
            ("  argv: [report.py]\n", "", "jobs, Report: argv is missing."),
            ("name: Report", "name: Engine", "jobs, Engine: it is there twice."),
            ("- name: Report", "- nam: Report", "jobs, number 2: name is missing"),
            ("name: Report", "name: 5", "jobs, number 2: name is missing, or no text in quotes."),
            ("job: Report", "job: Rport", "there is no Job 'Rport'; did you mean 'Report'?"),
            ("job: Report", "job: 5", "schedules, Poll: job: it takes a name, not 5."),
            ("  job: Report\n", "", "schedules, Poll: job is missing."),
            ("priority: 3", "priority: 10", "priority: The priority is a number from 1 (first)"),
            ("priority: 3", "priority: 3.5", "priority: it takes a whole number, not 3.5."),
            ("priority: 3", "priority: true", "priority: it takes a whole number, not True."),
            ("'*/5 7-18 * * MON-FRI'", "'* * 30 2 *'", "schedules, Orders: expression: "),
            ("Europe/Amsterdam", "Europe/X", "'Europe/X' is no time zone"),
            ("priority: 3", "first_at: '2026-01-31 10:00'", "first_at: it needs its distance"),
            ("priority: 3", "first_at: 2026-01-31", "first_at: it needs its distance from UTC"),
            ("priority: 3", "first_at: '0001-01-01T00:00+23:00'", "schedules, Orders: first_at: "),
            ("path: /srv/in", "path: in", "monitors, In: path: The path must be absolute"),
            ("path: /srv/in", f"path: /{'x' * 2000}", "at most 1024 characters"),
            ("filemask: '*.edi;*.xml'", f"settle: 1{'0' * 400}", "monitors, In: settle: "),
            ("jobqueue_export: 1", "jobqueue_export: 2", "It was written by a newer version"),
            ("...\n", "", "is it half a file?"),
            ("MON-FRI'", "MON-FRI", "It is no YAML, or cut off: line"),
        ],
    )
    def test_in_one_line(self, old: str, new: str, reason: str, tmp_path: Path) -> None:
        a_job(name="Here")
        before = everything()
        assert old in YAML
        done = take(tmp_path, YAML.replace(old, new, 1), "--apply", "--prune", "--yes")
        problems = [line for line in lines(done.err) if reason in line]
        assert (done.code, done.out, len(problems)) == (1, "", 1), done.err
        assert everything() == before

    def test_all_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        text = YAML.replace("priority: 3", "priority: 0").replace("queue:", "queu:")
        done = take(tmp_path, text, "--apply")
        *first, last = lines(done.err)
        assert len(first) == 2
        assert "Nothing was done: there are 2 mistakes in" in last

    def test_nobody_reads_a_thousand_mistakes(self, tmp_path: Path) -> None:
        wrong = [{"name": f"S{number}", "job": "none"} for number in range(1000)]
        text = json.dumps({"jobqueue_export": 1, "schedules": wrong})
        done = call("jobqueue_import", a_file(tmp_path, text, "setup.json"))
        assert len(lines(done.err)) == transfer.MOST_PROBLEMS + 1
        assert "there are 20 mistakes or more in" in lines(done.err)[-1]

    @pytest.mark.parametrize("name", ["none.yaml", "setup.txt", "setup"])
    def test_no_such_file(self, name: str, tmp_path: Path) -> None:
        done = call("jobqueue_import", str(tmp_path / name))
        assert (done.code, len(lines(done.err))) == (1, 1)
        assert str(tmp_path / name) in done.err

    def test_too_big(self, tmp_path: Path) -> None:
        done = take(tmp_path, b"# " + b"x" * 10_000_000)
        assert (done.code, done.err.endswith("it has more than 4 MiB.\n")) == (1, True)

    def test_an_app_that_is_not_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        here = {k: v for k, v in portable._registered.items() if k != "monitors"}
        monkeypatch.setattr(portable, "_registered", here)
        assert "monitors: there are none of these here" in take(tmp_path, YAML).err
        assert "monitors" not in json.loads(exported("--json"))
        empty = YAML[: YAML.index("monitors")] + "monitors: []\n...\n"
        assert take(tmp_path, empty, "--apply").code == 0

    def test_programs_that_are_not_allowed(self, tmp_path: Path, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_PROGRAMS": ["bots-engine"]}
        done = take(tmp_path, YAML, "--apply")
        assert (done.code, "jobs, Report: argv: " in done.err) == (1, True)
        assert not Job.objects.exists()

    def test_what_only_the_database_refuses(self, tmp_path: Path) -> None:
        """MariaDB takes a for A: nothing is stored there; the others have both."""
        text = YAML.replace("name: Report", "name: ENGINE").replace("job: Report", "job: ENGINE")
        done = take(tmp_path, text, "--apply")
        if connection.vendor != "mysql":
            assert Job.objects.count() == 2
            return
        assert "Nothing was done: jobs, ENGINE: it is refused: " in done.err
        assert (done.code, len(lines(done.err)), Job.objects.count()) == (1, 1, 0)


class TestAtOnce:
    def test_it_does_what_was_shown_or_nothing(self, tmp_path: Path) -> None:
        sections = {"jobs": [{"name": "A", "argv": ["x"]}, {"name": "B", "argv": ["y"]}]}
        shown = transfer.plan(sections, prune=True)
        a_job(name="C")
        with pytest.raises(ValueError, match="somebody else changed something"):
            transfer.apply(sections, shown, prune=True)
        assert [job.name for job in Job.objects.all()] == ["C"]

    def test_a_failure_in_the_middle_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = everything()

        def save(*_: Any, **__: Any) -> None:
            raise ValueError("no")

        monkeypatch.setattr(DirMonitor, "save", save)
        done = take(tmp_path, YAML, "--apply")
        assert "Nothing was done: monitors, In: it is refused: no" in done.err
        assert everything() == before

    @pytest.mark.parametrize("count", [3, 30])
    def test_statements_per_row_do_not_grow(
        self, count: int, tmp_path: Path, django_assert_max_num_queries: Any
    ) -> None:
        text = json.dumps(
            {
                "jobqueue_export": 1,
                "jobs": [{"name": f"J{n}", "argv": ["x", str(n)]} for n in range(count)],
            }
        )
        file = a_file(tmp_path, text, "setup.json")
        with django_assert_max_num_queries(count + 15):
            assert call("jobqueue_import", file, "--apply").code == 0
        with django_assert_max_num_queries(4):
            assert call("jobqueue_import", file).code == 0


class TestPortable:
    def test_a_section_has_one_model(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="jobs"):
            register_portable(Portable(Queue, "jobs"))

    def test_a_key_must_be_there(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="titel"):
            Portable(Queue, "queues", key="titel")

    def test_a_model_of_a_host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portable, "_registered", dict(portable._registered))
        register_portable(Portable(Queue, "a_queues"))
        Queue.objects.create(name="night", pause_reason="x")
        found = json.loads(exported("--json"))
        assert list(found) == ["jobqueue_export", "a_queues", "jobs", "monitors", "schedules"]
        assert found["a_queues"] == [{"name": "night", "pause_reason": "x"}]
        Queue.objects.update(pause_reason="")
        call("jobqueue_import", a_file(tmp_path, json.dumps(found), "q.json"), "--apply")
        assert Queue.objects.get().pause_reason == "x"

    def test_a_reference_to_what_does_not_move(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portable, "_registered", {})
        register_portable(Portable(Schedule, "schedules"))
        with pytest.raises(ImproperlyConfigured, match="isn't portable"):
            portable.portables()
