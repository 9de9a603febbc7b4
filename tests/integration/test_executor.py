"""Commands run for real, by a launcher of its own for each test."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest

from jobqueue import launcher
from jobqueue.executor import AdoptedRun, Command, Executor, Outcome, Run, read_run_file
from tests.waiting import wait_until

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "tests" / "jobs"
PATIENCE = 90  # seconds that a slow machine is given


def program(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-S", str(JOBS / f"{name}.py"), *map(str, arguments)]


def until(predicate: Callable[[], T | None]) -> T:
    return wait_until(predicate, PATIENCE, "a fact about a run")


def lives(pid: int | None) -> bool:
    stat = launcher.process_stat(pid) if pid is not None else None
    return stat is not None and stat[0]


def kill(pid: int | None) -> None:
    assert pid is not None
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Bench:
    """An executor and a place for its files."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "logs" / "0" / "1.log"
        self.run_file = directory / "runs" / "1.run"
        self.lease = directory / "runs" / "1.lease"
        self.executor = Executor(self.run_file, self.lease)

    def command(self, argv: list[str], **over: Any) -> Command:
        return Command(argv, str(self.log), **over)

    def start(self, name: str, *arguments: object, **over: Any) -> Run:
        return self.executor.start(self.command(program(name, *arguments), **over))

    def outcome(self, name: str, *arguments: object, **over: Any) -> Outcome:
        return self.outcome_of(program(name, *arguments), **over)

    def outcome_of(self, argv: list[str], **over: Any) -> Outcome:
        return ended(self.executor.start(self.command(argv, **over)))

    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def says(self, text: str) -> None:
        until(lambda: text in self.output())

    def printed_pids(self) -> list[int]:
        self.says("\n")
        return [int(word) for word in self.output().splitlines()[0].split()]

    def record(self) -> tuple[dict[str, Any], Outcome | None, bool]:
        return read_run_file(str(self.run_file))

    def launcher_pid(self) -> int:
        self.executor.prepare()
        assert self.executor._launcher is not None
        return self.executor._launcher._process.pid

    def clear(self) -> None:
        """End what a failed test has left."""
        run = self.executor._run
        if run is not None and not run.has_ended and run.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
        self.executor.close()


def ended(run: Run) -> Outcome:
    outcome = run.wait(PATIENCE)
    assert outcome is not None, "it still runs"
    return outcome


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.clear()


class TestReturnCode:
    def test_success(self, bench: Bench) -> None:
        assert bench.outcome("succeed") == Outcome(return_code=0, log=True)

    @pytest.mark.parametrize("code", [1, 2, 3, 127, 255])
    def test_a_failure_keeps_its_code(self, bench: Bench, code: int) -> None:
        assert bench.outcome("fail", code) == Outcome(return_code=code, log=True)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
    def test_a_death_by_signal(self, bench: Bench, number: signal.Signals) -> None:
        outcome = bench.outcome("die_by_signal", int(number))
        assert (outcome.return_code, outcome.signal) == (128 + number, number)
        assert (outcome.ended_by, outcome.message) == ("", "")

    def test_a_signal_sent_from_outside(self, bench: Bench) -> None:
        run = bench.start("sleep", 600)
        kill(run.pid)
        assert ended(run).return_code == 137

    def test_one_run_after_the_other(self, bench: Bench) -> None:
        codes = [bench.outcome("fail", code).return_code for code in range(10)]
        assert codes == list(range(10))

    def test_a_run_that_goes_on_has_no_outcome_yet(self, bench: Bench) -> None:
        run = bench.start("sleep", 600)
        assert run.wait(0) is None
        assert run.wait(0.05) is None
        assert not run.has_ended

    def test_the_outcome_stays(self, bench: Bench) -> None:
        run = bench.start("silent")
        assert ended(run) == run.wait() == run.wait(0)
        assert run.has_ended

    def test_no_second_run_beside_the_first(self, bench: Bench) -> None:
        bench.start("sleep", 600)
        with pytest.raises(RuntimeError, match="one command at a time"):
            bench.start("succeed")


class TestSurroundings:
    def shown(self, bench: Bench, *arguments: object, **over: Any) -> Any:
        assert bench.outcome("show", *arguments, **over).return_code == 0
        return json.loads(bench.output())

    def test_arguments_arrive_untouched(self, bench: Bench) -> None:
        arguments = ["", " ", "a b", "--settings=x", "$HOME", "*", "é€😀", "a\nb", "'\""]
        assert self.shown(bench, *arguments)["argv"] == arguments

    def test_an_argument_that_is_not_utf8(self, bench: Bench) -> None:
        argument = os.fsdecode(b"\xff\xfe")
        assert self.shown(bench, argument)["argv"] == [argument]

    def test_a_very_long_command(self, bench: Bench) -> None:
        arguments = ["x" * 100_000] * 8
        assert self.shown(bench, *arguments)["argv"] == arguments

    def test_the_working_directory(self, bench: Bench, tmp_path: Path) -> None:
        assert self.shown(bench, cwd=str(tmp_path))["cwd"] == str(tmp_path)

    def test_without_one_it_is_the_service_s(self, bench: Bench) -> None:
        assert self.shown(bench)["cwd"] == str(Path.cwd())

    def test_variables_lie_over_the_service_s(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SURROUNDINGS_KEPT", "kept")
        monkeypatch.setenv("SURROUNDINGS_REPLACED", "old")
        env = {"SURROUNDINGS_REPLACED": "new", "SURROUNDINGS_ADDED": "ä"}
        shown = self.shown(bench, env=env)["env"]
        ours = {name: value for name, value in shown.items() if name.startswith("SURROUNDINGS")}
        assert ours == {**env, "SURROUNDINGS_KEPT": "kept"}

    def test_a_session_of_its_own(self, bench: Bench) -> None:
        run = bench.start("show")
        ended(run)
        shown = json.loads(bench.output())
        assert shown["pid"] == shown["session"] == shown["group"] == run.pid

    def test_it_descends_from_this_process(self, bench: Bench) -> None:
        shown = self.shown(bench)
        assert parent(shown["parent"]) == os.getpid()

    def test_no_file_of_ours_is_open_in_it(self, bench: Bench) -> None:
        shown = self.shown(bench)
        assert shown["files"] == [0, 1, 2, 3]  # 3 is the directory that it lists

    def test_stdin_is_empty(self, bench: Bench) -> None:
        bench.outcome("read_stdin")
        assert bench.output() == "b''"

    def test_no_signal_is_ignored_or_blocked(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        signals = {signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1}
        before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        try:
            bench.executor.prepare()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
            for number, handler in before.items():
                signal.signal(number, handler)
        shown = self.shown(bench)
        bench.executor.close()
        assert (shown["ignored"], shown["blocked"]) == ([], [])

    def test_a_default_timeout_of_sockets_does_not_matter(self, bench: Bench) -> None:
        socket.setdefaulttimeout(0.01)
        try:
            assert bench.outcome("sleep", 0.1).return_code == 0
        finally:
            socket.setdefaulttimeout(None)


class TestProgramThatCannotStart:
    def refused(self, bench: Bench, argv: list[str], **over: Any) -> Outcome:
        outcome = bench.outcome_of(argv, **over)
        assert outcome.return_code is None
        assert not outcome.log
        assert outcome.message
        assert "\n" not in outcome.message
        until(lambda: not bench.log.exists())
        return outcome

    def test_not_in_path(self, bench: Bench) -> None:
        outcome = self.refused(bench, ["no-such-program"])
        assert outcome.error == "not_found"
        assert "no-such-program" in outcome.message
        assert "PATH" in outcome.message

    @pytest.mark.parametrize("path", ["/no/such/program", "no/such/program", "/etc/passwd/x"])
    def test_not_at_its_path(self, bench: Bench, path: str, tmp_path: Path) -> None:
        outcome = self.refused(bench, [path], cwd=str(tmp_path))
        assert outcome.error == "not_found"
        assert path in outcome.message
        assert str(tmp_path) in outcome.message

    @pytest.mark.parametrize("argv", [[], [""], ["", "x"]])
    def test_no_program_at_all(self, bench: Bench, argv: list[str]) -> None:
        assert self.refused(bench, argv).error == "not_found"

    def test_no_permission(self, bench: Bench, tmp_path: Path) -> None:
        script = tmp_path / "script"
        script.write_text("#!/bin/sh\n")
        outcome = self.refused(bench, [str(script)])
        assert outcome.error == "not_executable"
        assert "chmod" in outcome.message

    def test_no_permission_for_what_path_finds(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "script").write_text("#!/bin/sh\n")
        outcome = self.refused(bench, ["script"], env={"PATH": str(tmp_path)})
        assert outcome.error == "not_executable"

    def test_a_directory(self, bench: Bench, tmp_path: Path) -> None:
        outcome = self.refused(bench, [str(tmp_path)], cwd=str(tmp_path))
        assert outcome.error == "not_executable"
        assert "is a directory" in outcome.message

    def test_no_executable_format(self, bench: Bench, tmp_path: Path) -> None:
        script = tmp_path / "script"
        script.write_text("echo hello\n")
        script.chmod(0o755)
        outcome = self.refused(bench, [str(script)])
        assert outcome.error == "not_executable"
        assert "#!" in outcome.message

    def test_its_interpreter_is_missing(self, bench: Bench, tmp_path: Path) -> None:
        script = tmp_path / "script"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        outcome = self.refused(bench, [str(script)])
        assert outcome.error == "not_executable"
        assert "interpreter" in outcome.message

    def test_a_missing_directory(self, bench: Bench) -> None:
        outcome = self.refused(bench, program("succeed"), cwd="/no/such/directory")
        assert outcome.error == "no_directory"
        assert "/no/such/directory" in outcome.message

    def test_a_directory_that_is_a_file(self, bench: Bench) -> None:
        outcome = self.refused(bench, program("succeed"), cwd="/etc/passwd")
        assert outcome.error == "no_directory"
        assert "Not a directory" in outcome.message

    @pytest.mark.parametrize(
        "over",
        [{"argv": ["true", "a\0b"]}, {"env": {"A": "\0"}}, {"env": {"A=B": ""}}, {"cwd": "/\0"}],
    )
    def test_what_no_program_can_be_given(self, bench: Bench, over: dict[str, Any]) -> None:
        command: dict[str, Any] = {"argv": ["true"], **over}
        outcome = self.refused(bench, command.pop("argv"), **command)
        assert outcome.error == "launch_failed"
        assert "true" in outcome.message

    def test_too_long_an_argument(self, bench: Bench) -> None:
        outcome = self.refused(bench, ["true", "x" * 1_000_000])
        assert outcome.error == "launch_failed"
        assert "too long" in outcome.message

    def test_a_hostile_name_stays_one_line(self, bench: Bench) -> None:
        outcome = self.refused(bench, ["/no/such\n\x1b[31m\udcff" + "x" * 10_000])
        assert outcome.message.isprintable()
        assert len(outcome.message) < 500

    def test_the_next_run_starts(self, bench: Bench) -> None:
        self.refused(bench, ["no-such-program"])
        assert bench.outcome("succeed").return_code == 0


class TestLog:
    def test_both_streams_in_their_order(self, bench: Bench) -> None:
        bench.outcome("succeed")
        assert bench.output() == "out\nerr\n"

    def test_only_its_owner_may_read_it(self, bench: Bench) -> None:
        bench.outcome("succeed")
        assert bench.log.stat().st_mode & 0o777 == 0o600

    def test_an_empty_one_is_removed(self, bench: Bench) -> None:
        assert bench.outcome("silent") == Outcome(return_code=0, log=False)
        until(lambda: not bench.log.exists())

    def test_it_grows_while_the_run_goes_on(self, bench: Bench) -> None:
        run = bench.start("sleep", 600)
        bench.says("sleeping")
        assert run.wait(0) is None

    def test_what_is_no_text_arrives_as_it_is(self, bench: Bench) -> None:
        bench.outcome("not_utf8")
        assert bench.log.read_bytes() == b"Gr\xfc\xdfe\n\x00\x1b[31m\n\xe2\x82"

    def test_a_log_that_cannot_be_made(self, bench: Bench, tmp_path: Path) -> None:
        bench.log = Path("/dev/null/1.log")
        error = tmp_path / "error"
        outcome = bench.outcome("note_write_error", error)
        assert (outcome.return_code, outcome.log) == (0, False)
        assert "/dev/null/1.log" in outcome.message
        assert int(error.read_text()) == errno.ENOSPC

    def test_a_log_of_a_run_that_the_database_has_forgotten(self, bench: Bench) -> None:
        bench.log.parent.mkdir(parents=True)
        bench.log.write_text("of another run\n")
        bench.outcome_of(["echo", "mine"])
        assert bench.output() == "mine\n"
        assert Path(f"{bench.log}.old").read_text() == "of another run\n"

    def test_a_job_that_removes_its_log(self, bench: Bench) -> None:
        argv = ["/bin/sh", "-c", f"echo some; rm {bench.log}"]
        assert bench.outcome_of(argv).return_code == 0


class TestLogLimit:
    LIMIT = 20_000

    def test_head_and_tail_are_kept(self, bench: Bench) -> None:
        outcome = bench.outcome("flood", 50_000, log_limit=self.LIMIT)
        lines = bench.output().splitlines()
        assert outcome == Outcome(return_code=0, log=True, log_cut=True)
        assert bench.log.stat().st_size <= self.LIMIT
        assert lines[0] == "line 00000000"
        assert lines[-2:] == ["line 00049999", "the end"]

    def test_the_marker_says_how_much_is_left_out(self, bench: Bench) -> None:
        bench.outcome("flood", 50_000, log_limit=self.LIMIT)
        lines = bench.output().splitlines()
        marker = next(line for line in lines if line.startswith("[jobqueue]"))
        left_out = int(marker.partition("bytes: ")[2].split()[0])
        kept = sum(len(line) + 1 for line in lines if line not in (marker, ""))
        assert left_out + kept == 50_000 * len("line 00000000\n") + len("the end\n")

    def test_all_lines_are_whole(self, bench: Bench) -> None:
        bench.outcome("flood", 50_000, log_limit=self.LIMIT)
        lengths = {len(line) for line in bench.output().splitlines() if line.startswith("line")}
        assert lengths == {len("line 00000000")}

    def test_a_shorter_log_is_not_touched(self, bench: Bench) -> None:
        outcome = bench.outcome("flood", 1_000, log_limit=self.LIMIT)
        assert not outcome.log_cut
        assert bench.output().count("\n") == 1_001

    def test_an_endless_line(self, bench: Bench) -> None:
        outcome = bench.outcome("endless_line", 10_000_000, log_limit=self.LIMIT)
        assert outcome.log_cut
        assert bench.log.stat().st_size <= self.LIMIT
        assert bench.output().endswith("xxx")

    def test_it_holds_while_a_flood_goes_on(self, bench: Bench) -> None:
        run = bench.start("flood_for_ever", log_limit=self.LIMIT, grace=1)
        bench.says("[jobqueue] Cut")
        first = bench.output()
        until(lambda: "[jobqueue] Cut" in bench.output() and bench.output() != first)
        run.stop()
        assert ended(run).log_cut
        text = bench.output()
        assert bench.log.stat().st_size <= self.LIMIT
        assert text.count("[jobqueue]") == 1
        assert text.startswith("line 00000000\n")


class TestWhatIsLeft:
    def test_children_are_ended(self, bench: Bench) -> None:
        outcome = bench.outcome("leave_children", 3)
        assert (outcome.return_code, outcome.leftovers) == (0, 3)
        *pids, note = bench.output().split(maxsplit=3)
        assert not any(lives(int(pid)) for pid in pids)
        assert note.startswith("[jobqueue] 3 processes")

    def test_children_that_ignore_sigterm(self, bench: Bench) -> None:
        outcome = bench.outcome("leave_children", 2, "ignore-term", grace=0.1)
        assert (outcome.return_code, outcome.leftovers) == (0, 2)
        assert not any(lives(int(pid)) for pid in bench.output().split()[:2])

    def test_a_zombie_is_nothing_that_is_left(self, bench: Bench) -> None:
        outcome = bench.outcome("leave_zombie")
        kill(bench.printed_pids()[0])
        assert (outcome.return_code, outcome.leftovers) == (0, 0)

    def test_a_daemon_goes_on_below_the_launcher(self, bench: Bench) -> None:
        outcome = bench.outcome("daemonise")
        (daemon,) = bench.printed_pids()
        adopted_by = parent(daemon)
        alive = lives(daemon)
        kill(daemon)
        assert alive
        assert (outcome.return_code, outcome.leftovers) == (0, 0)
        assert adopted_by == bench.launcher_pid()

    def test_a_daemon_that_ends_is_collected(self, bench: Bench) -> None:
        bench.outcome("daemonise")
        (daemon,) = bench.printed_pids()
        kill(daemon)
        until(lambda: not lives(daemon))
        bench.log.unlink()
        bench.outcome("succeed")
        until(lambda: launcher.process_stat(daemon) is None)


class TestEndingARun:
    def test_stop(self, bench: Bench) -> None:
        run = bench.start("sleep", 600)
        run.stop()
        outcome = ended(run)
        assert (outcome.ended_by, outcome.return_code, outcome.signal) == ("stop", 143, 15)

    def test_it_may_end_in_its_own_words(self, bench: Bench) -> None:
        run = bench.start("end_on_term")
        bench.says("ready")
        run.stop()
        outcome = ended(run)
        assert (outcome.ended_by, outcome.return_code) == ("stop", 7)
        assert bench.output() == "ready\nending\n"

    def test_one_that_ignores_it_is_killed(self, bench: Bench) -> None:
        run = bench.start("ignore_term", grace=0.1)
        bench.says("ready")
        run.stop()
        assert ended(run).return_code == 137

    def test_the_whole_group_is_ended(self, bench: Bench) -> None:
        run = bench.start("leave_children", 3, "wait")
        pids = bench.printed_pids()
        run.stop()
        outcome = ended(run)
        assert (outcome.return_code, outcome.leftovers) == (143, 0)
        assert not any(map(lives, pids))

    def test_children_that_ignore_it_are_killed(self, bench: Bench) -> None:
        run = bench.start("leave_children", 2, "wait", "ignore-term", grace=0.3)
        pids = bench.printed_pids()
        run.stop()
        outcome = ended(run)
        assert (outcome.return_code, outcome.leftovers) == (143, 2)
        assert not any(map(lives, pids))

    def test_to_stop_twice_is_to_stop_once(self, bench: Bench) -> None:
        run = bench.start("ignore_term", grace=0.2)
        bench.says("ready")
        run.stop()
        run.stop()
        assert ended(run).ended_by == "stop"

    def test_from_another_thread(self, bench: Bench) -> None:
        run = bench.start("sleep", 600)
        thread = Thread(target=run.stop)
        thread.start()
        assert ended(run).ended_by == "stop"
        thread.join()

    def test_a_late_stop_does_not_meet_the_next_run(self, bench: Bench) -> None:
        first = bench.start("silent")
        until(lambda: not lives(first.pid))
        first.stop()
        assert ended(first).return_code == 0
        first.stop()
        assert bench.outcome("sleep", 0.2).ended_by == ""

    def test_kill_after(self, bench: Bench) -> None:
        outcome = bench.outcome("sleep", 600, kill_after=0.1)
        assert (outcome.ended_by, outcome.return_code) == ("kill_after", 143)

    def test_kill_after_meets_one_that_ignores_it(self, bench: Bench) -> None:
        outcome = bench.outcome("ignore_term", kill_after=0.5, grace=0.1)
        assert outcome.ended_by == "kill_after"
        assert outcome.return_code == 137 or "ready" not in bench.output()

    def test_kill_after_does_not_matter_to_a_shorter_run(self, bench: Bench) -> None:
        outcome = bench.outcome("sleep", 0, kill_after=600)
        assert (outcome.ended_by, outcome.return_code) == ("", 0)


class TestLease:
    def be_told(self, bench: Bench, end: float, kill: float) -> None:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        bench.lease.parent.mkdir(exist_ok=True)
        bench.lease.write_text(f"{now + end:.3f} {now + kill:.3f}")

    def test_one_that_runs_out_ends_the_run(self, bench: Bench) -> None:
        self.be_told(bench, 0.3, 600)
        outcome = bench.outcome("sleep", 600)
        assert (outcome.ended_by, outcome.return_code) == ("lease", 143)

    def test_then_kills_it(self, bench: Bench) -> None:
        self.be_told(bench, 600, 600)
        run = bench.start("ignore_term")
        bench.says("ready")
        self.be_told(bench, 0, 0.3)
        assert (ended(run).ended_by, ended(run).return_code) == ("lease", 137)

    def test_one_that_has_run_out_long_ago_kills_it_at_once(self, bench: Bench) -> None:
        self.be_told(bench, -60, -50)
        outcome = bench.outcome("ignore_term", grace=600)
        assert (outcome.ended_by, outcome.return_code in (137, 143)) == ("lease", True)

    @pytest.mark.parametrize("text", ["", "\n", "x y", "1", "\0\0"])
    def test_one_that_says_nothing_holds_for_ever(self, bench: Bench, text: str) -> None:
        self.be_told(bench, 0, 0)
        bench.lease.write_text(text)
        assert bench.outcome("sleep", 0.6).return_code == 0

    def test_killed_because_another_host_has_it(self, bench: Bench) -> None:
        run = bench.start("ignore_term", grace=600)
        bench.says("ready")
        run.kill()
        assert (ended(run).ended_by, ended(run).return_code) == ("lease", 137)


class TestAdoption:
    def adopted(self, bench: Bench, execution: int = 5) -> AdoptedRun:
        return AdoptedRun(bench.run_file, bench.log, execution)

    def start(self, bench: Bench, name: str, *arguments: object) -> Run:
        """A run of which the worker has let go."""
        run = bench.start(name, *arguments, note={"execution": 5}, grace=0.3)
        until(lambda: "pid" in bench.record()[0])
        bench.executor.close()
        return run

    def test_of_one_that_goes_on(self, bench: Bench) -> None:
        run = self.start(bench, "end_on_term")
        bench.says("ready")
        adopted = self.adopted(bench)
        assert (adopted.pid, adopted.wait(0), adopted.has_ended) == (run.pid, None, False)
        assert run.pid is not None
        os.kill(run.pid, signal.SIGTERM)
        assert adopted.wait(PATIENCE) == Outcome(return_code=7, log=True)
        assert bench.output() == "ready\nending\n"

    def test_of_one_that_has_ended(self, bench: Bench) -> None:
        outcome = bench.outcome("fail", 3, note={"execution": 5})
        until(lambda: bench.record()[1])
        bench.executor.close()
        assert self.adopted(bench).wait(0) == outcome

    def test_it_can_be_stopped(self, bench: Bench) -> None:
        self.start(bench, "ignore_term")
        bench.says("ready")
        adopted = self.adopted(bench)
        adopted.stop()
        outcome = adopted.wait(PATIENCE)
        assert outcome is not None
        assert (outcome.ended_by, outcome.return_code) == ("stop", 137)

    def test_it_can_be_killed(self, bench: Bench) -> None:
        self.start(bench, "ignore_term")
        adopted = self.adopted(bench)
        adopted.kill()
        outcome = adopted.wait(PATIENCE)
        assert outcome is not None
        assert outcome.return_code == 137

    def test_without_a_launcher_what_it_had_started_is_ended(self, bench: Bench) -> None:
        run = bench.start("leave_children", 2, "wait", "ignore-term", note={"execution": 5})
        pids = [run.pid, *bench.printed_pids()]
        kill(bench.launcher_pid())
        outcome = self.adopted(bench).wait(PATIENCE)
        assert outcome is not None
        assert outcome.return_code is None
        assert "launcher died" in outcome.message
        assert not any(map(lives, pids))

    def test_of_one_that_never_started(self, bench: Bench) -> None:
        bench.outcome("succeed", note={"execution": 4})
        bench.executor.close()
        outcome = self.adopted(bench).wait(0)
        assert outcome is not None
        assert outcome.return_code is None

    def test_of_one_whose_order_the_launcher_may_not_have_read(self, bench: Bench) -> None:
        bench.outcome("succeed", note={"execution": 4})
        adopted = self.adopted(bench)
        assert (adopted.pid, adopted.wait(0)) == (None, None)

    def test_without_a_run_file(self, bench: Bench) -> None:
        outcome = self.adopted(bench).wait(0)
        assert outcome is not None
        assert outcome.return_code is None

    def test_without_a_run_file_its_row_knows_the_process(self, bench: Bench) -> None:
        run = bench.start("sleep", 600, env={"JOBQUEUE_EXECUTION": "5"})
        bench.executor.close()
        bench.run_file.unlink()
        bench.log.unlink()
        assert AdoptedRun(bench.run_file, bench.log, 5, run.pid).wait(PATIENCE)
        assert not lives(run.pid)

    def test_a_process_that_only_has_its_number_is_left_alone(self, bench: Bench) -> None:
        run = bench.start("sleep", 600, env={"JOBQUEUE_EXECUTION": "6"})
        assert AdoptedRun(bench.run_file.with_name("2.run"), Path("/nowhere"), 5, run.pid).wait(0)
        assert lives(run.pid)


class TestGroupsOfTheirOwn:
    """A run is a session: a part of it may have made a process group of its own."""

    def start(self, bench: Bench) -> tuple[Run, int]:
        run = bench.start("other_group", grace=0.3, note={"execution": 5})
        (child,) = bench.printed_pids()
        return run, child

    def test_stopped(self, bench: Bench) -> None:
        run, child = self.start(bench)
        run.stop()
        assert ended(run).ended_by == "stop"
        assert not lives(child)

    def test_kill_after(self, bench: Bench) -> None:
        run = bench.start("other_group", grace=0.3, kill_after=2)
        assert ended(run).ended_by == "kill_after"
        # On a slow machine it may have come to none yet.
        assert not any(lives(int(child)) for child in bench.output().split()[:1])

    def test_left_behind(self, bench: Bench) -> None:
        run, child = self.start(bench)
        kill(run.pid)
        outcome = ended(run)
        assert (outcome.return_code, outcome.leftovers) == (137, 1)
        assert not lives(child)

    def test_its_launcher_is_killed(self, bench: Bench) -> None:
        run, child = self.start(bench)
        kill(bench.launcher_pid())
        assert ended(run).return_code is None
        assert not lives(child)

    def test_worker_and_launcher_are_killed(self, bench: Bench) -> None:
        _, child = self.start(bench)
        kill(bench.launcher_pid())
        assert AdoptedRun(bench.run_file, bench.log, 5).wait(PATIENCE)
        assert not lives(child)


class TestRunFile:
    def test_it_is_held_while_the_launcher_lives(self, bench: Bench) -> None:
        run = bench.start("sleep", 600, note={"execution": 5})
        until(lambda: "pid" in bench.record()[0])
        said, outcome, held = bench.record()
        assert said["execution"] == 5
        assert said["pid"] == run.pid
        assert said["pid_started"] == launcher.started(said["pid"])
        assert (outcome, held) == (None, True)

    def test_then_it_says_how_the_run_ended(self, bench: Bench) -> None:
        told = bench.outcome("fail", 3)
        assert until(lambda: bench.record()[1]) == told
        assert bench.record()[2]
        bench.executor.close()
        assert not bench.record()[2]

    def test_also_when_it_could_not_start(self, bench: Bench) -> None:
        told = bench.outcome_of(["no-such-program"], note={"execution": 6})
        until(lambda: bench.record()[1])
        pid = bench.launcher_pid()
        assert bench.record()[:2] == ({"execution": 6, "launcher": pid}, told)

    def test_a_new_run_begins_it_anew(self, bench: Bench) -> None:
        bench.outcome("fail", 3, note={"execution": 6})
        until(lambda: bench.record()[1])
        bench.start("sleep", 600, note={"execution": 7})
        until(lambda: "pid" in bench.record()[0])
        said, outcome, _ = bench.record()
        assert (said["execution"], outcome) == (7, None)

    def test_half_a_line_is_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / "1.run"
        path.write_text('{"run": {"execution": 5}}\n{"pid": 1, "pi')
        assert read_run_file(str(path)) == ({"execution": 5}, None, False)

    def test_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_run_file(str(tmp_path / "1.run"))

    def test_one_that_cannot_be_made(self, bench: Bench) -> None:
        bench.executor = Executor(Path("/dev/null/1.run"), bench.lease)
        outcome = bench.outcome("succeed")
        assert outcome.return_code == 0
        assert "/dev/null/1.run" in outcome.message

    def test_on_a_full_disk(self, bench: Bench) -> None:
        bench.executor = Executor(Path("/dev/full"), bench.lease)
        outcome = bench.outcome("succeed")
        assert outcome.return_code == 0
        assert "No space left" in outcome.message

    def test_one_that_is_held_means_that_it_runs_already(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        bench.start("sleep", 600)
        other = Bench(tmp_path)
        with pytest.raises(BlockingIOError, match="runs already"):
            other.executor.prepare()


class TestLauncher:
    def test_prepare_starts_it_once(self, bench: Bench) -> None:
        pid = bench.launcher_pid()
        bench.outcome("succeed")
        assert bench.launcher_pid() == pid

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_it_survives_what_is_sent_to_the_service(
        self, bench: Bench, number: signal.Signals
    ) -> None:
        pid = bench.launcher_pid()
        run = bench.start("sleep", 0.3)
        os.kill(pid, number)
        assert ended(run).return_code == 0
        assert bench.launcher_pid() == pid

    def test_close_ends_it(self, bench: Bench) -> None:
        pid = bench.launcher_pid()
        bench.executor.close()
        assert launcher.process_stat(pid) is None

    def test_close_lets_a_run_go_on(self, bench: Bench) -> None:
        run = bench.start("sleep", 600)
        bench.executor.close()
        assert lives(run.pid)
        assert bench.record()[2]

    def test_a_new_one_comes_when_it_was_killed_idle(self, bench: Bench) -> None:
        pid = bench.launcher_pid()
        os.kill(pid, signal.SIGKILL)
        assert bench.outcome("succeed").return_code == 0
        assert bench.launcher_pid() != pid

    def test_killed_during_a_run_it_takes_the_run_with_it(self, bench: Bench) -> None:
        run = bench.start("leave_children", 2, "wait", "ignore-term")
        pids = [run.pid, *bench.printed_pids()]
        kill(bench.launcher_pid())
        outcome = ended(run)
        assert outcome.return_code is None
        assert "launcher was killed by signal 9" in outcome.message
        assert outcome.log
        assert not any(map(lives, pids))
        assert not bench.record()[2]
        assert bench.outcome("succeed").return_code == 0

    def test_killed_when_the_leader_has_ended_before(self, bench: Bench) -> None:
        run = bench.start("leave_children", 1, "ignore-term", grace=600)
        (child,) = bench.printed_pids()
        until(lambda: not lives(run.pid))
        kill(bench.launcher_pid())
        assert ended(run).return_code is None
        assert not lives(child)

    def test_killed_before_it_could_tell_the_pid(self, bench: Bench) -> None:
        run = bench.start("ignore_term")
        bench.says("ready")
        pid, run.pid = run.pid, None
        kill(bench.launcher_pid())
        assert ended(run).return_code is None
        assert not lives(pid)

    def test_a_pid_that_was_given_to_another_process_is_left_alone(self, bench: Bench) -> None:
        bystander = subprocess.Popen(program("sleep", 600), start_new_session=True)
        run = bench.start("silent")
        until(lambda: not lives(run.pid))
        leader, run.pid = run.pid, bystander.pid
        kill(bench.launcher_pid())
        ended(run)
        untouched = bystander.poll() is None
        bystander.kill()
        bystander.wait()
        assert untouched
        assert not lives(leader)


class TestWorkerThatDies:
    def start(
        self, bench: Bench, *argv: str, kill_after: float = 600
    ) -> tuple[subprocess.Popen[bytes], int]:
        given = ROOT, bench.log, bench.run_file, kill_after
        worker = subprocess.Popen(program("worker", *given, *argv), stdout=subprocess.PIPE)
        assert worker.stdout is not None
        with worker.stdout as output:
            pid = int(output.readline())
        return worker, pid

    def kill_worker(self, worker: subprocess.Popen[bytes]) -> None:
        worker.kill()
        worker.wait()

    def test_its_run_goes_on_and_the_outcome_is_kept(self, bench: Bench) -> None:
        worker, pid = self.start(bench, *program("end_on_term"))
        bench.says("ready")
        self.kill_worker(worker)
        assert lives(pid)
        assert bench.record()[2]
        os.kill(pid, signal.SIGTERM)
        until(lambda: not bench.record()[2])
        said, outcome, _ = bench.record()
        assert (said["execution"], said["pid"]) == (5, pid)
        assert outcome == Outcome(return_code=7, log=True)
        assert bench.output() == "ready\nending\n"

    def test_leftovers_are_ended_all_the_same(self, bench: Bench) -> None:
        worker, leader = self.start(bench, *program("leave_children", 1, "ignore-term", "wait"))
        (child,) = bench.printed_pids()
        self.kill_worker(worker)
        os.kill(leader, signal.SIGKILL)
        outcome = until(lambda: bench.record()[1])
        assert (outcome.return_code, outcome.leftovers) == (137, 1)
        assert not lives(child)

    def test_its_limits_hold_all_the_same(self, bench: Bench) -> None:
        worker, _ = self.start(bench, *program("ignore_term"), kill_after=1)
        self.kill_worker(worker)
        until(lambda: bench.record()[1])
        outcome = bench.record()[1]
        assert outcome is not None
        assert outcome.ended_by == "kill_after"
        assert outcome.return_code == 137 or "ready" not in bench.output()

    def test_the_launcher_ends_with_the_run(self, bench: Bench) -> None:
        worker, pid = self.start(bench, *program("sleep", 600))
        launcher_pid = parent(pid)
        self.kill_worker(worker)
        assert lives(launcher_pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not lives(launcher_pid))
