"""``manage.py jobs``: describing Jobs, and running them from files, queued and directly."""

from __future__ import annotations

import json
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import queue
from jobqueue.alarms import judging
from jobqueue.models import Alarm, Execution, Job, Queue, State
from tests.builders import a_job, a_run, a_waiting, an_ended
from tests.commands import program
from tests.site import a_service, wait_for_start
from tests.terminal import Done, call, lines, run, run_on_terminal, start
from tests.waiting import wait_until

FIELDS = [
    *("id", "name", "description", "argv", "environment", "working_directory", "env", "queue"),
    *("enabled", "in_run_menu", "ask_first", "codes", "max_runtime", "kill_after", "rerun_if_lost"),
    *("keep_runs", "keep_days", "keep_failed_days", "keep_output_days"),
    *("max_retries", "retry_on", "retry_delay", "retry_backoff", "retry_max_delay"),
    *("notify", "alarm_after", "alarm_at_first_failure", "recipients", "ping_url"),
    "alarm",
]


def assert_refused(done: Done, *words: str) -> None:
    """One line that says why, and exit code 1."""
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("jobs: ")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


@pytest.mark.django_db
class TestCreate:
    def test_only_name_and_command(self) -> None:
        done = call("jobs", "create", "Daily report", "--", "report.py", "--day", "--", "-p3")
        assert (done.code, done.out) == (
            0,
            "Created: Daily report runs report.py --day -- -p3\n",
        )
        job = Job.objects.get()
        assert (job.name, job.argv) == ("Daily report", ["report.py", "--day", "--", "-p3"])
        assert (job.queue, job.codes, job.enabled) == ("default", "exit-status", True)
        assert (job.in_run_menu, job.rerun_if_lost, job.env) == (False, True, {})
        assert (job.max_runtime, job.kill_after) == (None, None)

    def test_everything(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": {"etl": {"prefix": ["nice"]}}}
        options = [
            *("--description", "made\nby hand", "--environment", "etl", "--env", "A=b=c"),
            *("--env", "E=", "--working-directory", "/srv", "-q", "night", "--codes"),
            *("bots-engine", "--max-runtime", "15m", "--kill-after", "01:30:00", "--menu"),
            *("--disabled", "--no-rerun-if-lost"),
        ]
        assert call("jobs", "create", "All", *options, "--", "prog").code == 0
        job = Job.objects.get()
        assert (job.description, job.environment) == ("made\nby hand", "etl")
        assert (job.env, job.working_directory) == ({"A": "b=c", "E": ""}, "/srv")
        assert (job.queue, job.codes) == ("night", "bots-engine")
        assert (job.max_runtime, job.kill_after) == (timedelta(minutes=15), timedelta(minutes=90))
        assert (job.in_run_menu, job.enabled, job.rerun_if_lost) == (True, False, False)

    def test_an_engine_is_recognised(self) -> None:
        call("jobs", "create", "Engine", "--", "/opt/bots-engine", "-cprod")
        assert Job.objects.get().codes == "bots-engine"

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["A"], "No command"),
            (["A", "--"], "No command"),
            (["A", "prog"], "unrecognized arguments: prog"),
            (["", "--", "x"], "name: "),
            (["x" * 201, "--", "x"], "name: "),
            (["Taken", "--", "x"], "name: "),
            (["A", "--", ""], "argv: "),
            (["A", "-q", "a/b", "--", "x"], "queue: "),
            (["A", "--environment", "none", "--", "x"], "environment: There is no environment"),
            (["A", "--env", "x", "--", "x"], "NAME=VALUE"),
            (["A", "--env", "=x", "--", "x"], "env: "),
            (["A", "--max-runtime", "soon", "--", "x"], "--max-runtime: 'soon' is no duration"),
            (["A", "--kill-after=-5", "--", "x"], "--kill-after: '-5' is no duration"),
            (["A", "--codes", "odd", "--", "x"], "invalid choice"),
            (["A", "--max", "5", "--", "x"], "unrecognized arguments"),
        ],
    )
    def test_refused(self, words: list[str], why: str) -> None:
        a_job(name="Taken")
        done = call("jobs", "create", *words)
        assert_refused(done, why)
        assert Job.objects.count() == 1


@pytest.mark.django_db
class TestEdit:
    def test_only_what_is_given_changes(self) -> None:
        job = a_job(argv=["old"], description="kept", env={"A": "1", "B": "2"}, in_run_menu=True)
        assert (
            call("jobs", "edit", job.name, "--env", "A=3", "--unset-env", "B", "--no-menu").code
            == 0
        )
        job.refresh_from_db()
        assert (job.argv, job.description, job.env) == (["old"], "kept", {"A": "3"})
        assert not job.in_run_menu

    def test_another_command_has_its_codes_found_again(self) -> None:
        job = a_job(argv=["old"])
        call("jobs", "edit", job.name, "--", "bots-engine", "--new")
        job.refresh_from_db()
        assert (job.argv, job.codes) == (["bots-engine", "--new"], "bots-engine")

    def test_codes_that_were_chosen_stay(self) -> None:
        job = a_job(argv=["old"], codes="bots-engine")
        call("jobs", "edit", job.name, "--", "new")
        job.refresh_from_db()
        assert job.codes == "bots-engine"

    def test_limits_of_the_site(self) -> None:
        job = a_job(max_runtime=timedelta(hours=1), kill_after=timedelta(hours=1))
        call("jobs", "edit", job.name, "--max-runtime", "default", "--kill-after", "0")
        job.refresh_from_db()
        assert (job.max_runtime, job.kill_after) == (None, timedelta(0))

    def test_what_is_kept_of_its_runs(self) -> None:
        job = a_job(keep_days=7, keep_failed_days=7)
        options = ("--keep-runs", "0", "--keep-failed-days", "default", "--keep-output-days", "1")
        assert call("jobs", "edit", job.name, *options).code == 0
        job.refresh_from_db()
        assert (job.keep_runs, job.keep_output_days) == (0, 1)
        assert (job.keep_days, job.keep_failed_days) == (7, None)
        shown = call("jobs", "show", job.name).out
        assert "keep_runs:              0\n" in shown
        assert "keep_failed_days:       the site's\n" in shown
        for wrong in ("-1", "36501", "x", "1.5"):
            done = call("jobs", "edit", job.name, f"--keep-days={wrong}")
            assert_refused(done, "it takes a number from 0 to 36500")

    def test_another_name(self) -> None:
        a_job(name="Old")
        assert call("jobs", "edit", "Old", "--rename", "New").code == 0
        assert Job.objects.get().name == "New"

    def test_refused(self) -> None:
        a_job(name="Report")
        a_job(name="Other")
        assert_refused(call("jobs", "edit", "Raport", "--menu"), "did you mean 'Report'?")
        assert_refused(call("jobs", "edit", "Report", "--rename", "Other"), "name: ")
        assert_refused(call("jobs", "edit", "Report", "--"), "argv: ")
        assert_refused(call("jobs", "edit", "Report", "-q", "A B"), "queue: ")

    def test_enable_and_disable(self) -> None:
        one, two = a_job(), a_job(enabled=False)
        assert call("jobs", "disable", one.name, two.name).code == 0
        assert not Job.objects.filter(enabled=True).exists()
        assert_refused(call("jobs", "enable", one.name, "none"), "There is no Job 'none'")
        assert not Job.objects.filter(enabled=True).exists()
        assert call("jobs", "enable", one.name).out == f"Enabled: {one.name}\n"
        assert Job.objects.get(enabled=True) == one


@pytest.mark.django_db(transaction=True)
class TestDelete:
    def test_it_takes_a_yes(self) -> None:
        job = a_job(name="Old")
        record = an_ended(job=job, job_name="Old")
        assert_refused(run("jobs", "delete", "Old"), "say --yes")
        assert Job.objects.exists()
        assert run("jobs", "delete", "Old", "--yes").code == 0
        assert not Job.objects.exists()
        record.refresh_from_db()
        assert (record.job, record.job_name) == (None, "Old")

    @pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
    def test_a_terminal_is_asked(self, answer: str, left: int) -> None:
        a_job(name="Old")
        done = run_on_terminal("jobs", "delete", "Old", answer=answer)
        assert "Delete Old? [y/N]" in done.out
        assert "Traceback" not in done.out
        assert (done.code, Job.objects.count()) == (left, left)


@pytest.mark.django_db
class TestLooking:
    def test_list_json(self) -> None:
        two = a_job(name="B", max_runtime=timedelta(minutes=15), env={"A": "ä"})
        a_job(name="A")
        listed = json.loads(call("jobs", "list", "--json").out)
        assert [list(row) for row in listed] == [FIELDS, FIELDS]
        assert [row["name"] for row in listed] == ["A", "B"]
        assert (listed[1]["id"], listed[1]["argv"]) == (two.pk, two.argv)
        assert (listed[1]["max_runtime"], listed[1]["kill_after"]) == (900, None)
        assert listed[1]["env"] == {"A": "ä"}

    def test_an_empty_list_is_an_array_as_well(self) -> None:
        assert json.loads(call("jobs", "list", "--json").out) == []
        assert call("jobs", "list").code == 0

    def test_list_for_people(self) -> None:
        job = a_job(name="Wide 日本 name", argv=["report.py", "a b"], enabled=False)
        a_job(name="Other", argv=["x"])
        an_ended(job=job, state=State.TIMED_OUT)
        title, other, wide = lines(call("jobs", "list").out)
        assert title.split() == ["NAME", "QUEUE", "ENABLED", "LAST", "RUN", "COMMAND"]
        assert other.split() == ["Other", "default", "yes", "-", "x"]
        assert "timed out" in wide
        assert wide.endswith("report.py 'a b'")
        assert title.index("QUEUE") == other.index("default") == wide.index("default") + 2

    def test_hostile_names(self) -> None:
        a_job(name="\x1b[2J\nEvil", argv=["x\r", "\x07"])
        out = call("jobs", "list").out
        assert r"\x1b[2J\nEvil" in out
        assert "\x1b" not in out

    def test_a_command_can_be_pasted_into_bash(self) -> None:
        a_job(name="Two", argv=["sh", "-c", "a\nb"])
        assert call("jobs", "list").out.rstrip().endswith(r"sh -c $'a\nb'")
        assert r"sh -c $'a\nb'" in call("jobs", "show", "Two").out

    def test_show(self) -> None:
        job = a_job(name="Report", kill_after=timedelta(hours=2))
        an_ended(job=job, job_name=job.name, state=State.FAILED, return_code=3, reason="code 3")
        out = call("jobs", "show", "Report").out
        assert "kill_after:             2 h\n" in out
        assert "failed (code 3)\n" in out
        row = json.loads(call("jobs", "show", "Report", "--json").out)
        assert (list(row), row["kill_after"]) == (FIELDS, 7200)
        assert_refused(call("jobs", "show", "report 2"), "There is no Job 'report 2'")

    def test_show_says_how_its_alarm_stands(self) -> None:
        job = a_job(name="Report")

        def shown() -> tuple[str, Any]:
            [line] = re.findall("^alarm: +(.*)$", call("jobs", "show", "Report").out, re.MULTILINE)
            return line, json.loads(call("jobs", "show", "Report", "--json").out)["alarm"]

        assert shown() == ("none of its runs was judged yet", None)
        alarm = Alarm.objects.create(job=job)
        assert shown()[0] == "well"
        Alarm.objects.update(in_a_row=1)
        assert shown()[0] == "well, but the last run went wrong"
        began = timezone.now() - timedelta(hours=3)
        Alarm.objects.update(is_bad=True, since=began, failures=2, reason="\x1b[2Jcode 1")
        words, row = shown()
        assert words == r"bad, began 3 h ago, 2 failed runs: \x1b[2Jcode 1"
        assert (row["is_bad"], row["failures"], row["acknowledged_by"]) == (True, 2, "")
        judging.acknowledge(alarm, "ada", "ticket 4711", timezone.now())
        words, row = shown()
        assert words.endswith("code 1; ada is on it: ticket 4711")
        assert (row["acknowledged_by"], row["note"]) == ("ada", "ticket 4711")

    def test_list_takes_one_query_for_all_alarms(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(5):
            Alarm.objects.create(job=a_job())
        with django_assert_num_queries(1):
            rows = json.loads(call("jobs", "list", "--json").out)
        assert [row["alarm"]["is_bad"] for row in rows] == [False] * 5


@pytest.mark.django_db
class TestRun:
    def test_it_is_queued(self) -> None:
        job = a_job(queue="night")
        done = call("jobs", "run", job.name)
        row = Execution.objects.get()
        assert (row.job, row.queue, row.priority, row.source) == (job, "night", 5, "command")
        assert (row.trigger_at, bool(row.requested_by)) == (None, True)
        assert done.out == f"Added: execution {row.pk}, priority 5, place 1 in queue night.\n"
        assert call("jobs", "run", job.name).code == 4
        assert call("jobs", "run", job.name, "-p2").code == 0
        assert call("jobs", "run", job.name, "-q", "other").code == 0

    def test_for_a_moment(self) -> None:
        job = a_job()
        assert call("jobs", "run", job.name, "2026-01-31/06:00:00").code == 0
        assert call("jobs", "run", job.name, "2026-01-31").code == 0
        assert call("jobs", "run", job.name).code == 0
        moments = list(Execution.objects.order_by("pk").values_list("trigger_at", "not_before"))
        assert moments == [
            (datetime(2026, 1, 31, 6, tzinfo=UTC), None),
            (datetime(2026, 1, 31, tzinfo=UTC), None),
            (None, None),
        ]

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            ([], "Name one Job"),
            (["Report", "--file", "x"], "Name one Job"),
            (["None"], "There is no Job 'None'"),
            (["Report", "2026-02-30"], "There is no such moment"),
            (["Report", "tomorrow"], "'tomorrow' is no trigger time"),
            (["Report", "-p0"], "1 (first) to 9 (last)"),
            (["Report", "-q", "a b"], "A queue's name"),
            (["Off"], "'Off' is disabled"),
            (["Report", "--direct", "--wait"], "--direct"),
            (["--file", "/none/such"], "/none/such: No such file"),
        ],
    )
    def test_refused(self, words: list[str], why: str) -> None:
        a_job(name="Report")
        a_job(name="Off", enabled=False)
        assert_refused(call("jobs", "run", *words), "queued: ", why)
        assert not Execution.objects.exists()


@pytest.mark.django_db
class TestFile:
    @pytest.fixture(autouse=True)
    def _jobs(self) -> None:
        a_job(name="Daily report")
        a_job(name="Engine")
        a_job(name="Off", enabled=False)

    def test_all_lines(self, tmp_path: Path) -> None:
        text = "\ufeff# a comment\n\nDaily report 2026-01-31\n  Engine \r\nDaily report\n"
        (file := tmp_path / "backlog").write_text(text)
        done = call("jobs", "run", "--file", str(file), "-p3")
        assert done.code == 0
        rows = Execution.objects.order_by("pk").values_list("job_name", "trigger_at", "priority")
        assert list(rows) == [
            ("Daily report", datetime(2026, 1, 31, tzinfo=UTC), 3),
            ("Engine", None, 3),
            ("Daily report", None, 3),
        ]
        assert call("jobs", "run", "--file", str(file), "-p3").code == 4
        file.write_text("Engine\nEngine 2026-01-01\n")
        assert call("jobs", "run", "--file", str(file), "-p3").code == 0

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            (b"Dayly report", "did you mean 'Daily report'?"),
            (b"Engine 2026-02-30", "There is no such moment"),
            (b"Engine 2026-01-31T06:00", "no trigger time"),
            (b"Off", "'Off' is disabled"),
            (b"2026-01-31", "There is no Job '2026-01-31'"),
            (b"Eng\xffine", "isn't valid UTF-8"),
            (b"Engine\0", "There is no Job"),
            ("Engine".encode("utf-16"), "isn't valid UTF-8"),
            (b"Engine\t2026-02-30", "There is no such moment"),
        ],
    )
    def test_one_wrong_line_and_none_is_queued(self, tmp_path: Path, line: bytes, why: str) -> None:
        (file := tmp_path / "backlog").write_bytes(b"Engine\n# note\n" + line + b"\nEngine\n")
        done = call("jobs", "run", "--file", str(file))
        assert_refused(done, f"nothing was queued: {file}, line 3: ", why)
        assert not Execution.objects.exists()

    def test_a_tab_is_as_good_as_a_space(self, tmp_path: Path) -> None:
        (file := tmp_path / "backlog").write_text(
            "Daily report\t2026-01-31\nEngine \t 2026-02-01\n"
        )
        assert call("jobs", "run", "--file", str(file)).code == 0
        rows = Execution.objects.order_by("pk").values_list("job_name", "trigger_at__day")
        assert list(rows) == [("Daily report", 31), ("Engine", 1)]

    def test_a_job_whose_name_begins_as_a_comment(self, tmp_path: Path) -> None:
        a_job(name="#1 report")
        (file := tmp_path / "backlog").write_text(
            "#1 report\n#1 report 2026-01-31\n#1 note\n#Engine\n"
        )
        assert call("jobs", "run", "--file", str(file)).code == 0
        assert list(Execution.objects.values_list("job_name", flat=True)) == ["#1 report"] * 2

    @pytest.mark.parametrize("content", [b"", b"\n \t\r\n", b"# Engine\n", b"\xef\xbb\xbf"])
    def test_nothing_in_it(self, tmp_path: Path, content: bytes) -> None:
        (file := tmp_path / "backlog").write_bytes(content)
        done = call("jobs", "run", "--file", str(file))
        assert_refused(done, f"nothing was queued: {file}: it has no line NAME [TRIGGER].")

    def test_so_many_lines_and_no_more(self, tmp_path: Path) -> None:
        (file := tmp_path / "backlog").write_text("Engine\n" * 10_001)
        done = call("jobs", "run", "--file", str(file))
        assert_refused(done, f"nothing was queued: {file}: it has 10001 runs: split it")

    def test_a_file_that_never_ends(self) -> None:
        done = call("jobs", "run", "--file", "/dev/zero")
        assert_refused(done, "nothing was queued: /dev/zero: it has more than 16 MiB: split it.")

    def test_of_many_the_places_are_not_told(self, tmp_path: Path) -> None:
        """Each is counted; the more there are, the longer that takes."""
        (file := tmp_path / "backlog").write_text(
            "".join(f"Engine 2026-01-31T00:{n // 60:02}:{n % 60:02}\n" for n in range(101))
        )
        told = lines(call("jobs", "run", "--file", str(file)).out)
        assert len(told) == 101
        assert told[-1].endswith("priority 5, queue default.")


@pytest.mark.django_db(transaction=True)
class TestWait:
    def test_to_the_end(self) -> None:
        a_job(name="Good", argv=["sh", "-c", "echo $JOBQUEUE_JOB for $JOBQUEUE_TRIGGER"])
        a_job(name="Bad", argv=["sh", "-c", "echo bad; exit 9"])
        with a_service():
            done = run("jobs", "run", "Good", "2026-01-31", "--wait")
            assert (done.code, done.out) == (0, "Good for 2026-01-31T00:00:00+00:00\n")
            assert run("jobs", "run", "Bad", "--wait").code == 9


@pytest.mark.django_db(transaction=True)
class TestDirect:
    def test_to_the_end(self) -> None:
        a_job(name="Hello", argv=["sh", "-c", "echo out; echo $JOBQUEUE_QUEUE >&2; exit 7"])
        done = run("jobs", "run", "Hello", "2026-01-31", "--direct", "-q", "night")
        row = Execution.objects.get()
        assert (done.code, done.out) == (7, "out\nnight\n")
        assert done.err == f"Execution {row.pk} failed: return code 7.\n"
        assert (row.state, row.return_code, row.queue) == (State.FAILED, 7, "night")
        assert (row.source, row.log_tail) == ("command", "out\nnight\n")
        assert queue.is_free("night")

    def test_a_program_that_is_not_there(self) -> None:
        a_job(name="None", argv=["/none/such"])
        assert run("jobs", "run", "None", "--direct").code == 127

    def test_the_slot_is_taken(self) -> None:
        a_job(name="Slow", argv=program("sleep", 600))
        with start("jobs", "run", "Slow", "--direct") as first:
            wait_until(Execution.objects.filter(pid__gt=0).exists, 180, "the first run")
            second = run("jobs", "run", "Slow", "--direct")
            first.send_signal(signal.SIGTERM)
            first.communicate(timeout=180)
        row = Execution.objects.get()
        assert second.code == 3
        assert f"jobs: Not run: queue default is taken by execution {row.pk} (Slow)" in second.err
        assert second.err.count("\n") == 1
        assert row.state == State.STOPPED

    def test_the_queue_is_paused(self) -> None:
        a_job(name="Hello", argv=["echo"])
        queue.pause("default", by="ada", reason="maintenance")
        assert_refused(run("jobs", "run", "Hello", "--direct"), "paused by ada", "maintenance")
        Queue.objects.update(paused_until=timezone.now())
        assert run("jobs", "run", "Hello", "--direct").code == 0

    def test_a_disabled_job(self) -> None:
        a_job(name="Off", enabled=False)
        assert_refused(run("jobs", "run", "Off", "--direct"), "disabled")

    def test_ctrl_c_stops_it(self) -> None:
        a_job(name="Slow", argv=program("sleep", 600))
        with start("jobs", "run", "Slow", "--direct") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "sleeping\n"  # output comes as it grows
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=180)
        row = Execution.objects.get()
        assert (process.returncode, row.return_code) == (143, 143)
        assert (row.state, row.stop_requested_by) == (State.STOPPED, row.requested_by)
        assert "Traceback" not in err

    def test_an_operator_stops_it(self) -> None:
        a_job(name="Slow", argv=program("sleep", 600))
        with start("jobs", "run", "Slow", "--direct") as process:
            wait_until(Execution.objects.exists, 180, "the run")
            row = wait_for_start(Execution.objects.get())
            queue.request_stop(row, by="ada")
            _, err = process.communicate(timeout=180)
        assert "stopped by ada" in err

    def test_nobody_reads_and_it_runs_to_its_end(self) -> None:
        a_job(name="Seq", argv=["sh", "-c", "seq 100000; sleep 0.5; seq 100000; exit 4"])
        with start("jobs", "run", "Seq", "--direct") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            err = process.stderr.read()
            process.wait(180)
        assert Execution.objects.get().return_code == 4
        assert (process.returncode, err.count("\n")) == (4, 1)

    def test_what_waits_is_run_by_the_service_afterwards(self) -> None:
        a_job(name="Slow", argv=program("sleep", 600))
        with a_service(), start("jobs", "run", "Slow", "--direct") as process:
            wait_until(Execution.objects.filter(pid__gt=0).exists, 180, "the direct run")
            waiting = a_waiting(["true"])
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=180)
            wait_until(
                Execution.objects.filter(pk=waiting.pk, state=State.SUCCEEDED).exists,
                180,
                "its run",
            )

    def test_a_run_of_another_process(self) -> None:
        a_job(name="Hello", argv=["echo"])
        other = a_run()
        done = run("jobs", "run", "Hello", "--direct")
        assert (done.code, f"execution {other.pk}" in done.err) == (3, True)
        assert Execution.objects.count() == 1
