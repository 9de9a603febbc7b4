"""``manage.py job2queue`` and the installed script: exit codes, messages, ``--wait``."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import InterfaceError, OperationalError

from jobqueue import queue
from jobqueue.management import following
from jobqueue.management.console import Console
from jobqueue.models import Execution, State
from tests.builders import a_run, a_waiting, an_ended
from tests.commands import program
from tests.service import CHECKOUT
from tests.site import a_service, wait_for_end
from tests.terminal import Done, call, run, run_on_terminal, start
from tests.waiting import wait_until

NO_CLUSTER = "Note: No cluster runs: nothing will start. Start one with `manage.py qcluster`.\n"


def the_row() -> Execution:
    return Execution.objects.get()


def assert_refused(done: Done, *words: str) -> None:
    """One line that says so and why, exit code 1, and nothing queued."""
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("job2queue: not queued: ")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err
    assert not Execution.objects.exists()


@pytest.mark.django_db
class TestAnswers:
    def test_added(self) -> None:
        done = call("job2queue", "-p3", "true")
        row = the_row()
        assert (row.argv, row.priority, row.queue) == (["true"], 3, "default")
        assert (row.source, row.job) == ("command", None)
        assert done.out == f"Added: execution {row.pk}, priority 3, place 1 in queue default.\n"
        assert done.code == 0

    def test_who_asks_is_the_user_of_the_system(self) -> None:
        import pwd

        call("job2queue", "true")
        assert the_row().requested_by == pwd.getpwuid(os.getuid()).pw_name

    def test_duplicate(self) -> None:
        waiting = a_waiting(["true"], priority=5)
        a_waiting(priority=1)
        done = call("job2queue", "-p7", "true")
        assert done.code == 4
        assert f"already waits as execution {waiting.pk} (priority 5, place 2 in" in done.out

    def test_moved_forward(self) -> None:
        waiting = a_waiting(["true"], priority=5)
        done = call("job2queue", "-p2", "true")
        assert done.code == 0
        assert done.out.startswith(f"Moved forward: execution {waiting.pk},")
        waiting.refresh_from_db()
        assert waiting.priority == 2

    def test_the_same_as_the_running_one_is_new(self) -> None:
        a_run(["true"])
        assert call("job2queue", "true").code == 0

    def test_place_counts_only_what_is_before_it(self) -> None:
        a_waiting(priority=1)
        a_waiting(priority=5)
        a_waiting(priority=6)
        a_waiting(priority=1, queue="other")
        assert "place 3 in queue default" in call("job2queue", "true").out

    def test_it_says_that_no_cluster_runs(self) -> None:
        done = call("job2queue", "true")
        assert (done.code, done.err) == (0, NO_CLUSTER)

    def test_it_says_that_the_queue_is_paused(self) -> None:
        queue.pause("default", by="ada", reason="down\nfor \x1b[31mnow")
        done = call("job2queue", "true")
        assert done.code == 0
        assert r"Queue default is paused by ada just now: down\nfor \x1b[31mnow." in done.err


@pytest.mark.django_db
class TestWords:
    @pytest.mark.parametrize(
        "words", [["-p3"], ["-p", "3"], ["--priority", "3"], ["--priority=3"], ["-p9", "-p3"]]
    )
    def test_spellings_of_the_priority(self, words: list[str]) -> None:
        assert call("job2queue", *words, "true").code == 0
        assert the_row().priority == 3

    @pytest.mark.parametrize("words", [["-qnight"], ["-q", "night"], ["--queue=night"]])
    def test_spellings_of_the_queue(self, words: list[str]) -> None:
        assert call("job2queue", *words, "true").code == 0
        assert the_row().queue == "night"

    @pytest.mark.parametrize(
        "argv",
        [
            ["prog", "-p9", "--help", "--", "x"],
            ["prog", "--wait", "-q", "a/b", "--version"],
            ["prog", "--settings=x", "--pythonpath", "y", "--traceback", "-v9"],
            ["prog", "a\nb", "", " ", "-", "--", "--", "-1"],
            ["-odd name", "-p"],
            ["prog", "-h"],
        ],
    )
    def test_from_program_on_all_is_the_job_s(self, argv: list[str]) -> None:
        before = ["--"] if argv[0].startswith("-") else []
        assert call("job2queue", "-p3", *before, *argv).code == 0
        assert (the_row().argv, the_row().priority) == (argv, 3)

    @pytest.mark.parametrize("own", [[], ["-p2"], ["--queue", "default"]])
    def test_two_hyphens_before_program_are_dropped(self, own: list[str]) -> None:
        assert call("job2queue", *own, "--", "prog", "--", "x").code == 0
        assert the_row().argv == ["prog", "--", "x"]

    def test_the_configuration_directory_of_bots_is_ignored_before_program(self) -> None:
        done = call("job2queue", "-cconfig", "-p3", "bots-engine", "-cprod", "--new")
        assert done.code == 0
        assert done.err.startswith("Note: -c is ignored before PROGRAM")
        assert (the_row().argv, the_row().codes) == (
            ["bots-engine", "-cprod", "--new"],
            "bots-engine",
        )

    def test_the_longest_command(self) -> None:
        argv = ["prog", *(["x" * 999] * 100)]
        assert call("job2queue", *argv).code == 0
        assert the_row().argv == argv


@pytest.mark.django_db
class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["-p0", "true"], "1 (first) to 9 (last), not 0"),
            (["-p10", "true"], "not 10"),
            (["-p", "-1", "true"], "not -1"),
            (["-p", "5.0", "true"], "not '5.0'"),
            (["-p", "true"], "not 'true'"),
            ([], "No command"),
            (["--"], "No command"),
            (["-p5", ""], "The program is empty"),
            (["-q", "", "true"], "A queue's name"),
            (["-q", "two words", "true"], "A queue's name"),
            (["-q", "x" * 300, "true"], "A queue's name"),
            (["-q", "a/b", "true"], "A queue's name"),
            (["prog", "a\0b"], "Argument 1 has a NUL character"),
            (["prog", "\udcff"], "Argument 1 isn't valid UTF-8"),
        ],
    )
    def test_is_refused(self, words: list[str], why: str) -> None:
        assert_refused(call("job2queue", *words), why)


@pytest.mark.django_db(transaction=True)
class TestRefused:
    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["-pabc", "true"], "not 'abc'"),
            (["-p"], "expected one argument"),
            (["--prio", "3", "true"], "unrecognized arguments: --prio"),
            ([b"x\xff"], "isn't valid UTF-8"),
            ([b"-q\xff", "true"], r"\udcff"),
            ([b"--\xff", "true"], r"\udcff"),
        ],
    )
    def test_bad_words(self, words: list[str | bytes], why: str) -> None:
        assert_refused(run("job2queue", *words), why)

    def test_a_missing_database(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'none' / 'db.sqlite3'}"
        assert_refused(run("job2queue", "true", TEST_DATABASE_URL=url), "can't be used")

    def test_a_database_that_is_not_migrated(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
        done = run("job2queue", "true", TEST_DATABASE_URL=url)
        assert_refused(done, "run `manage.py migrate`")

    def test_a_read_only_database(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
        run("migrate", "-v0", TEST_DATABASE_URL=url)
        with_pragma = "PRAGMA query_only=1"  # a file's mode doesn't bind root
        done = run("job2queue", "true", TEST_DATABASE_URL=f"{url}?init_command={with_pragma}")
        assert_refused(done, "readonly")

    def test_a_server_that_is_not_there(self) -> None:
        url = "postgres://nobody@127.0.0.1:1/none"
        assert_refused(run("job2queue", "true", TEST_DATABASE_URL=url), "can't be used")

    def test_a_traceback_for_those_who_ask(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
        done = run("job2queue", "--traceback", "true", TEST_DATABASE_URL=url)
        assert (done.code, "Traceback" in done.err) == (1, True)

    def test_settings_of_a_wrong_type(self) -> None:
        done = run("job2queue", "true", TEST_JOBQUEUE='{"ALLOWED_PROGRAMS": 5}')
        assert done.code == 1
        assert done.err.startswith("job2queue: TypeError: ")
        assert (done.err.count("\n"), "--traceback" in done.err) == (1, True)


@pytest.mark.django_db(transaction=True)
class TestProcess:
    def test_help(self) -> None:
        done = run("job2queue", "--help")
        assert (done.code, done.err) == (0, "")
        assert "[-p N] [-q QUEUE] [--wait] [--] PROGRAM [ARG ...]" in done.out
        assert "bots-engine -cprod --new\n" in done.out

    def test_exit_codes(self) -> None:
        assert run("job2queue", "-p5", "true").code == 0
        assert run("job2queue", "-p5", "true").code == 4
        assert run("job2queue", "-p3", "true").code == 0

    def test_behind_two_hyphens_the_job_keeps_its_own_settings(self) -> None:
        done = run("job2queue", "-p2", "--", "prog", "--settings=none.such", "--pythonpath", "/x")
        assert done.code == 0, done.err
        assert the_row().argv == ["prog", "--settings=none.such", "--pythonpath", "/x"]

    def test_django_s_own_options_work_before_program(self) -> None:
        own = ["--settings", "tests.service_settings", "--no-color", "-v2", "--skip-checks"]
        done = run("job2queue", *own, "prog", "-v3", DJANGO_SETTINGS_MODULE="none.such")
        assert done.code == 0, done.err
        assert the_row().argv == ["prog", "-v3"]


@pytest.mark.django_db(transaction=True)
class TestScript:
    def test_queues(self) -> None:
        done = run("-p3", "prog", "--settings=none.such", "--help", script=True)
        assert done.code == 0, done.err
        assert the_row().argv == ["prog", "--settings=none.such", "--help"]
        assert run("prog", "--settings=none.such", "--help", script=True).code == 4

    def test_it_needs_settings(self) -> None:
        done = run("true", script=True, DJANGO_SETTINGS_MODULE="")
        assert_refused(done, "DJANGO_SETTINGS_MODULE isn't set")

    def test_settings_that_can_not_be_imported(self) -> None:
        done = run("true", script=True, DJANGO_SETTINGS_MODULE="none.such")
        assert_refused(done, "'none.such'", "No module named 'none'")

    @pytest.mark.parametrize("module", ["tests.service_settings", "none.such"])
    def test_settings_before_program(self, module: str) -> None:
        done = run("--settings", module, "true", script=True, DJANGO_SETTINGS_MODULE="")
        assert done.code == (0 if module == "tests.service_settings" else 1), done.err

    def test_bad_words(self) -> None:
        assert_refused(run("-px", "true", script=True), "not 'x'")
        assert_refused(run("-p", script=True), "expected one argument")

    def test_help_needs_nothing(self) -> None:
        done = run("--help", script=True, DJANGO_SETTINGS_MODULE="")
        assert done.code == 0
        assert done.out.startswith("usage: job2queue [-p N]")

    def test_it_is_installed_by_the_package(self) -> None:
        text = (CHECKOUT / "pyproject.toml").read_text()
        assert 'job2queue = "jobqueue.scripts:job2queue"' in text


class TestExitCode:
    @pytest.mark.parametrize(
        ("state", "return_code", "error", "code"),
        [
            (State.SUCCEEDED, 0, "", 0),
            (State.FAILED, 3, "", 3),
            (State.WARNED, 2, "", 2),
            (State.FAILED, 137, "", 137),
            (State.FAILED, None, "not_found", 127),
            (State.FAILED, None, "not_executable", 126),
            (State.FAILED, None, "no_directory", 1),
            (State.FAILED, None, "launch_failed", 1),
            (State.TIMED_OUT, None, "", 124),
            (State.TIMED_OUT, 0, "", 124),
            (State.STOPPED, 0, "", 1),
            (State.STOPPED, 143, "", 143),
            (State.CANCELLED, None, "", 1),
            (State.LOST, None, "", 1),
        ],
    )
    def test_of_an_end(self, state: State, return_code: int | None, error: str, code: int) -> None:
        details = {"error": error} if error else {}
        ended = {"state": state, "return_code": return_code, "details": details}
        assert following.exit_code(ended) == code


class TestGrown:
    @pytest.mark.parametrize(
        ("before", "after", "new"),
        [
            ("", "abc", "abc"),
            ("abc", "abc", ""),
            ("abc", "abcdef", "def"),
            ("abc", "", ""),
            ("x" * 50 + "a line\n" * 9, "a line\n" * 9 + "more", "more"),
            ("one " * 20, "two " * 20, "\n[jobqueue] Some of the output is not shown here.\n"),
        ],
    )
    def test_what_a_later_tail_shows(self, before: str, after: str, new: str) -> None:
        grown = following.grown(before, after)
        assert grown == new if not new.startswith("\n[") else grown == new + after


class Ears(Console):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.shown, self.notes = "", list[str]()

    def output(self, text: str) -> None:
        self.shown += text

    def note(self, line: str) -> None:
        self.notes.append(line)

    def progress(self, line: str) -> None:
        self.notes.append(line)

    def end_progress(self) -> None:
        pass

    def is_terminal(self) -> bool:
        return False


def test_a_database_that_is_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "TELL", 0.0)
    answers: Iterator[str | Exception] = iter(
        [OperationalError("gone"), InterfaceError("closed"), "there"]
    )

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    console = Ears()
    assert following.patiently(ask, console) == "there"
    assert console.notes == ["The database can't be reached; trying again."]


@pytest.mark.django_db
class TestFollow:
    def test_output_of_another_host_comes_from_the_row(self) -> None:
        ended = an_ended(log_path="/none/such.log", log_tail="one\ntwo\n", host="elsewhere")
        console = Ears()
        assert following.follow(ended.pk, console) == 0
        assert console.shown == "one\ntwo\n"

    def test_output_comes_whole_from_the_log_file(self, tmp_path: Path) -> None:
        (log := tmp_path / "1.log").write_text("one\n" * 50_000)
        ended = an_ended(log_path=str(log), log_tail="one\n")
        console = Ears()
        following.follow(ended.pk, console)
        assert console.shown == "one\n" * 50_000

    def test_it_follows_a_request_that_is_queued_again(self) -> None:
        again = an_ended(log_tail="again\n", state=State.FAILED, return_code=5, reason="code 5")
        details = {"queued_again_as": again.pk}
        busy = an_ended(state=State.FAILED, return_code=3, reason="busy", details=details)
        console = Ears()
        assert following.follow(busy.pk, console) == 5
        assert f"queued again as execution {again.pk}" in console.notes[0]

    def test_one_that_was_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(following, "GONE", 0.0)
        with pytest.raises(Exception, match="Execution 77 was deleted"):
            following.follow(77, Ears())

    def test_what_it_waits_for(self) -> None:
        first = a_waiting()
        last = a_waiting(priority=9)
        words = following.waiting_for(last.pk)
        assert "No cluster runs" in words
        queue.pause("default", by="ada")
        assert "paused by ada" in following.waiting_for(first.pk)

    def test_it_never_waits_for_itself(self) -> None:
        """It may start between two looks."""
        started = a_run()
        assert following.waiting_for(started.pk).endswith("default: it doesn't wait any more.")


def until_it_waits(process: subprocess.Popen[str]) -> None:
    """Read what it says up to the line that says so."""
    assert process.stderr is not None
    assert any(line.startswith("Waiting for execution") for line in process.stderr)


@pytest.mark.django_db(transaction=True)
class TestWait:
    def test_to_the_end(self, tmp_path: Path) -> None:
        script = "echo out; echo err >&2; exit 7"
        queue.pause("default", by="ada")
        with a_service():
            with start("job2queue", "--wait", "sh", "-c", script) as process:
                until_it_waits(process)
                queue.resume("default", by="ada")
                out, err = process.communicate(timeout=180)
            assert (process.returncode, out) == (7, "out\nerr\n")
            assert "failed: return code 7." in err
            done = run("--wait", "true", script=True)
            assert (done.code, done.out) == (0, "")
            assert run("job2queue", "--wait", "/none/such").code == 127
            assert run("job2queue", "--wait", str(tmp_path / "none" / "such")).code == 127
            (tmp_path / "text").write_text("no program")
            assert run("job2queue", "--wait", str(tmp_path / "text")).code == 126
            assert run("job2queue", "--wait", "sh", "-c", "kill -9 $$").code == 137

    def test_all_of_a_flood_is_shown(self) -> None:
        with a_service():
            done = run("job2queue", "--wait", "seq", "200000")
        assert done.out == "".join(f"{number}\n" for number in range(1, 200001))

    def test_a_duplicate_waits_for_the_one_that_is_there(self) -> None:
        argv = ["sh", "-c", "echo one; exit 6"]
        a_waiting(argv)
        with start("job2queue", "--wait", *argv) as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("Duplicate: ")
            with a_service():
                out, _ = process.communicate(timeout=180)
        assert (process.returncode, out) == (6, "one\n")
        assert Execution.objects.count() == 1

    def test_another_engine_was_running(self, tmp_path: Path) -> None:
        engine = tmp_path / "bots-engine"
        engine.write_text(
            f"#!/bin/sh\n[ -e {tmp_path}/free ] || {{ touch {tmp_path}/free; exit 3; }}"
        )
        engine.chmod(0o755)
        with a_service(jobqueue={"BUSY_DELAY": 0.1}):
            done = run("job2queue", "--wait", str(engine))
        assert done.code == 0
        assert "It is queued again as execution" in done.err

    def test_one_that_is_timed_out(self) -> None:
        with a_service(jobqueue={"KILL_AFTER": 2}):
            assert run("job2queue", "--wait", "sleep", "600").code == 128 + signal.SIGTERM
            # On a slow machine they may not have come so far as to catch the signal.
            done = run("job2queue", "--wait", *program("end_on_term"))
            assert done.code == 7 or "ready" not in done.out
            catch = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done"
            done = run("job2queue", "--wait", "sh", "-c", catch)
            assert done.code == following.TIMED_OUT or "ready" not in done.out
        assert set(Execution.objects.values_list("state", flat=True)) == {State.TIMED_OUT}

    def test_one_that_is_cancelled(self) -> None:
        with start("job2queue", "--wait", "true") as process:
            wait_until(Execution.objects.exists, 180, "the request")
            queue.cancel(the_row(), by="ada")
            _, err = process.communicate(timeout=180)
        assert process.returncode == 1
        assert "cancelled by ada" in err

    def test_ctrl_c_ends_the_waiting_only(self) -> None:
        with start("job2queue", "--wait", "true") as process:
            until_it_waits(process)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=180)
        assert process.returncode == 130
        assert err == f"Not waiting any longer; execution {the_row().pk} goes on.\n"
        assert the_row().state == State.WAITING

    def test_whoever_reads_had_enough(self) -> None:
        with a_service(), start("job2queue", "--wait", *program("flood_for_ever")) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            err = process.stderr.read()
            process.wait(180)
            queue.request_stop(the_row(), by="ada")
            wait_for_end()
        assert process.returncode == 141
        assert "Traceback" not in err
        assert "Broken" not in err

    def test_on_a_terminal_the_line_refreshes_and_output_can_only_be_read(self) -> None:
        queue.pause("default", by="ada")
        with a_service():
            done = run_on_terminal(
                *("job2queue", "--wait", "printf", "a\\033]0;x\\007\\033[31mb\\n"),
                shown="Waiting for execution",
                then=lambda: queue.resume("default", by="ada"),
            )
        assert done.code == 0
        assert "\r\x1b[KWaiting for execution" in done.out
        assert "a\\x1b]0;x\\x07b" in done.out
