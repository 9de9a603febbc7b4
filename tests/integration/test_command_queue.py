"""``manage.py queue``: what it shows and what it changes."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobqueue import conf, queue
from jobqueue.management import steering
from jobqueue.models import Execution, Queue, Source, State
from tests.builders import (
    a_cluster,
    a_dead_owner,
    a_job,
    a_lost,
    a_recovery,
    a_run,
    a_waiting,
    an_ended,
    write_log,
)
from tests.commands import program
from tests.site import a_service, wait_for_start
from tests.terminal import Done, call, lines, run, run_on_terminal
from tests.waiting import wait_until

HOUR = timedelta(hours=1)
FIELDS = [
    *("id", "job", "queue", "priority", "argv", "state", "source", "requested_by", "trigger_at"),
    *("queued_at", "not_before", "started_at", "ended_at", "return_code", "reason", "log_path"),
    *("log_tail", "attempt", "retry_of", "retry", "host", "pid", "details"),
    *("acknowledged_by", "acknowledged_at", "note"),
]


def assert_refused(done: Done, *words: str) -> None:
    """One line that says why, and exit code 1."""
    assert done.code == 1
    assert done.out == ""
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


def status(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call("queue", "status", "--json", *words).out)
    return found


@pytest.mark.django_db
class TestStatusJson:
    def test_nothing_there(self) -> None:
        nothing = {"queue": "default", "paused": None, "running": None}
        assert status() == [{**nothing, "waiting": [], "clusters": []}]

    def test_which_queues(self) -> None:
        queue.pause("paused", by="ada")
        a_waiting(queue="waiting")
        an_ended(queue="forgotten")
        a_job(queue="of-a-job")
        names = [row["queue"] for row in status()]
        assert names == ["default", "of-a-job", "paused", "waiting"]
        assert [row["queue"] for row in status("-q", "waiting")] == ["waiting"]
        assert [row["queue"] for row in status("-q", "new")] == ["new"]

    def test_in_the_order_in_which_they_will_run(self) -> None:
        five = a_waiting()
        one = a_waiting(priority=1)
        late = a_waiting(priority=1, not_before=timezone.now() + 2 * HOUR)
        sooner = a_waiting(priority=9, not_before=timezone.now() + HOUR)
        over = a_waiting(priority=2, not_before=timezone.now() - HOUR)
        five_too = a_waiting()
        [row] = status()
        expected = [one, over, five, five_too, sooner, late]
        assert [waiting["id"] for waiting in row["waiting"]] == [e.pk for e in expected]

    def test_an_execution(self) -> None:
        job = a_job(name="Report")
        first = an_ended()
        run = a_run(job, requested_by="ada", details={"files": ["ä"]})
        Execution.objects.filter(pk=run.pk).update(retry_of=first)
        [row] = status()
        shown = row["running"]
        assert list(shown) == FIELDS
        assert (shown["id"], shown["job"], shown["argv"]) == (run.pk, "Report", job.argv)
        assert (shown["retry_of"], shown["state"]) == (first.pk, "running")
        assert (shown["requested_by"], shown["details"]) == ("ada", {"files": ["ä"]})
        assert datetime.fromisoformat(shown["queued_at"]) == run.queued_at
        assert shown["ended_at"] is None

    def test_a_bare_command_has_no_job(self) -> None:
        a_waiting(["true"])
        [row] = status()
        assert (row["waiting"][0]["job"], row["waiting"][0]["argv"]) == (None, ["true"])

    def test_a_pause(self) -> None:
        until = timezone.now() + HOUR
        queue.pause("default", by="ada", reason="why", until=until)
        [row] = status()
        assert row["paused"] == {"by": "ada", "reason": "why", "until": until.isoformat()}
        queue.pause("default", by="ada")
        assert status()[0]["paused"] == {"by": "ada", "reason": "", "until": None}

    def test_a_pause_that_is_over(self) -> None:
        queue.pause("default", by="ada", until=timezone.now() - HOUR)
        assert status()[0]["paused"] is None

    def test_clusters_that_are_alive(self) -> None:
        alive = a_cluster(name="alive")
        elsewhere = a_cluster(name="elsewhere", host="other", owner="other:boot.1:7-8")
        a_cluster(name="killed", owner=a_dead_owner())
        a_cluster(name="silent", host="other", owner="", seen_at=timezone.now() - HOUR)
        [row] = status()
        assert [c["name"] for c in row["clusters"]] == [alive.name, elsewhere.name]
        assert list(row["clusters"][0]) == [
            "name",
            "host",
            "pid",
            "workers",
            "started_at",
            "seen_at",
        ]

    def test_many_cost_no_more_queries(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(5):
            a_waiting(a_job())
        with django_assert_num_queries(8):
            status()


@pytest.mark.django_db
class TestStatus:
    def test_for_people(self) -> None:
        run = a_run(a_job(name="Nightly"))
        for _ in range(12):
            a_waiting(requested_by="bob")
        queue.pause("default", by="ada", reason="\x1b[31mwhy")
        out = call("queue", "status").out
        assert out.startswith(f"Queue default: execution {run.pk} runs, 12 wait\n")
        assert r"Paused by ada just now: \x1b[31mwhy" in out
        assert f"Running: execution {run.pk} (Nightly), running for" in out
        assert "bob (api)" in out
        assert "  … and 2 more\n" in out
        assert out.endswith(
            "No cluster runs: nothing will start. Start one with `manage.py qcluster`.\n"
        )

    def test_when_it_will_start(self) -> None:
        a_cluster()
        job, now = a_job(), timezone.now()
        an_ended(job=job, started_at=now - HOUR, ended_at=now)
        run = a_run(job)
        first, second, third = a_waiting(job), a_waiting(), a_waiting()
        out = lines(call("queue", "status").out)

        def starts(execution: Execution) -> str:
            [line] = [line for line in out if line.split()[:1] == [str(execution.pk)]]
            return re.split(r"\s{2,}", line.strip())[3]

        assert run.started_at is not None
        about = timezone.localtime(run.started_at + HOUR)
        assert starts(first) in {f"about {about:%H:%M}", f"about {about:%a %H:%M}"}
        assert starts(second).startswith("about ")
        assert starts(third).startswith("after ")

    def test_a_cluster_runs(self) -> None:
        a_cluster()
        out = call("queue", "status").out
        assert f"Cluster one on {socket.gethostname()}, process {os.getpid()}" in out
        assert "No cluster" not in out

    def test_a_cluster_that_stops(self) -> None:
        a_cluster(stopping_at=timezone.now())
        found, why = lines(call("queue", "status").out)[-2:]
        assert found.endswith(", stopping: it starts nothing more.")
        assert why.startswith("The cluster is stopping: nothing more will start until")
        assert why in call("job2queue", "true").err
        a_cluster()
        assert "The cluster is stopping" not in call("queue", "status").out

    def test_a_cluster_whose_process_is_gone_is_dead_at_once(self) -> None:
        a_cluster(owner=a_dead_owner(), pid=4711)
        assert lines(call("queue", "status").out)[-2:] == [
            f"Cluster one on {socket.gethostname()} is dead: its process 4711 is gone.",
            "No cluster runs: nothing will start. Start one with `manage.py qcluster`.",
        ]

    def test_one_that_cannot_be_seen_from_here_is_judged_by_its_silence(self) -> None:
        """Of another host, or of a machine or container that has this one's name."""
        then = timezone.now() - timedelta(minutes=3)
        a_cluster(name="a", host="edi-2", owner="edi-2:boot.1:7-8", seen_at=then)
        a_cluster(name="b", owner=f"{conf.current().HOST}:other-boot.1:7-8")
        out = call("queue", "status").out
        assert "Cluster a on edi-2 has been silent for 3 min" in out
        assert ": dead, or cut off from the database." in out
        assert f"Cluster b on {conf.current().HOST}, process" in out
        assert "No cluster" not in out

    def test_an_adopted_run(self) -> None:
        run = a_run()
        for times, said in ((1, "looked after\n"), (3, "looked after (taken over 3 times)\n")):
            Execution.objects.filter(pk=run.pk).update(details={"adopted": times})
            assert f"; its worker died: it goes on and is {said}" in call("queue", "status").out

    def test_a_recovery_run_is_named_as_that(self) -> None:
        recovery = a_recovery()
        shown = "recovery run: bots-engine --cleanup"
        assert f"recovery  {shown}\n" in call("queue", "status").out
        queue.claim("default")
        out = call("queue", "status").out
        assert f"Running: execution {recovery.pk} ({shown}), running for" in out

    def test_runs_that_were_lost_lately(self) -> None:
        old = timezone.now() - 25 * HOUR
        a_lost(ended_at=old, job_name="old")
        a_lost(queue="other", job_name="other")
        an_ended(state=State.FAILED, job_name="failed")
        again = a_lost(job_name="again\x1b", details={"queued_again_as": 12})
        engine = a_lost(job_name="e", details={"queued_again_as": 14, "recovered_by": 13})
        recovery = a_lost(source=Source.RECOVERY, argv=["x"], details={"recovered_by": 15})
        why = "Gone. Not queued again: it was lost 3 times in a row."
        given_up = a_lost(job_name="g", reason=why, details={"not_queued_again": "it was lost"})
        out = lines(call("queue", "status", "-q", "default").out)
        told = out[out.index("  Lost in the last 24 hours:") + 1 :][:5]
        assert [line[14:] for line in told] == [
            f"execution {given_up.pk} (g): {why}",
            f"execution {recovery.pk} (recovery run: x): Its process is gone. Recovery run: 15.",
            f"execution {engine.pk} (e): Its process is gone. Queued again as 14. "
            "Recovery run: 13.",
            f"execution {again.pk} (again\\x1b): Its process is gone. Queued again as 12.",
            "",
        ]

    def test_of_many_that_were_lost_the_last_five(self) -> None:
        rows = [a_lost() for _ in range(7)]
        out = call("queue", "status").out
        found = [row.pk for row in rows if f"execution {row.pk} " in out]
        assert found == [row.pk for row in rows[2:]]
        assert "    … and 2 more; `queue list --state lost` has them\n" in out
        assert out.count("Its process is gone. Not queued again.") == 5

    def test_a_retry_has_its_time(self) -> None:
        a_waiting(not_before=timezone.now() + HOUR + HOUR / 60)
        assert "in 1 h" in call("queue", "status").out


@pytest.mark.django_db
class TestList:
    def test_newest_first(self) -> None:
        rows = [an_ended(), a_waiting(), an_ended(state=State.FAILED, reason="why")]
        listed = json.loads(call("queue", "list", "--json").out)
        assert [row["id"] for row in listed] == [row.pk for row in reversed(rows)]
        assert [list(row) for row in listed] == [FIELDS] * 3

    def test_some(self) -> None:
        job = a_job(name="Report")
        mine = an_ended(job=job, job_name="Report", state=State.FAILED)
        other = an_ended(queue="other")
        for words, expected in (
            (["--state", "failed"], [mine]),
            (["-q", "other"], [other]),
            (["--job", "Report"], [mine]),
            (["--limit", "1"], [other]),
            (["--limit", "999999999"], [other, mine]),
            (["--state", "lost"], []),
        ):
            listed = json.loads(call("queue", "list", "--json", *words).out)
            assert [row["id"] for row in listed] == [row.pk for row in expected], words

    def test_by_default_fifty(self) -> None:
        for _ in range(51):
            an_ended()
        assert len(json.loads(call("queue", "list", "--json").out)) == 50

    def test_for_people(self) -> None:
        row = an_ended(argv=["sh", "-c", "a\nb\x1b"], state=State.TIMED_OUT, return_code=143)
        title, line = lines(call("queue", "list").out)
        assert title.split()[:3] == ["ID", "STATE", "CODE"]
        assert line.split()[:4] == [str(row.pk), "timed", "out", "143"]
        assert line.endswith(r"sh -c $'a\nb\e'")
        assert call("queue", "list", "--state", "lost").code == 0

    def test_bad_words(self) -> None:
        assert_refused(call("queue", "list", "--state", "odd"), "invalid choice")
        assert_refused(call("queue"), "SUBCOMMAND")

    @pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "1_0", "", "9" * 10, "9" * 5000])
    def test_no_limit(self, limit: str) -> None:
        """0 is no word for "all of them", nor for none."""
        why = "--limit: it takes a number from 1 to 999999999"
        assert_refused(call("queue", "list", f"--limit={limit}"), why)


@pytest.mark.django_db
class TestPause:
    def test_and_resume(self) -> None:
        done = call("queue", "pause", "--reason", "maintenance")
        assert (done.code, "Queue default is paused by" in done.out) == (0, True)
        row = Queue.objects.get()
        assert (row.pause_reason, row.paused_until) == ("maintenance", None)
        assert row.is_paused(timezone.now())
        assert call("queue", "resume").out == "Queue default goes on.\n"
        assert call("queue", "resume").out == "Queue default was not paused.\n"
        assert call("queue", "resume").code == 0

    def test_until(self) -> None:
        before = timezone.now()
        call("queue", "pause", "-q", "night", "--until", "30m")
        row = Queue.objects.get()
        assert row.name == "night"
        assert row.paused_until is not None
        assert before + HOUR / 2 <= row.paused_until <= timezone.now() + HOUR / 2

    def test_it_says_what_goes_on(self) -> None:
        run = a_run()
        assert f"execution {run.pk}" in call("queue", "pause").err

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["pause", "--until", "soon"], "--until: 'soon' is no time"),
            (["pause", "--until", "2020-01-01T00:00"], "is over"),
            (["pause", "-q", "a b"], "A queue's name"),
            (["resume", "-q", "a b"], "A queue's name"),
            (["clear", "-q", "a b"], "A queue's name"),
            (["status", "-q", "a b"], "A queue's name"),
        ],
    )
    def test_refused(self, words: list[str], why: str) -> None:
        assert_refused(call("queue", *words), why)
        assert not Queue.objects.exists()


@pytest.mark.django_db
class TestCancelAndPriority:
    def test_cancel(self) -> None:
        one, two = a_waiting(), a_waiting()
        done = call("queue", "cancel", str(one.pk), str(two.pk))
        assert (done.code, done.out.count("Cancelled: ")) == (0, 2)
        one.refresh_from_db()
        assert one.state == State.CANCELLED
        assert one.reason.startswith("cancelled by ")

    def test_what_can_not_be_cancelled_is_told_the_rest_is_done(self) -> None:
        run, ended = a_run(), an_ended()
        waiting = a_waiting()
        ids = [run.pk, ended.pk, "77777", "x", "9" * 30, "-1", waiting.pk]
        done = call("queue", "cancel", "--", *map(str, ids))
        assert done.code == 1
        assert done.out.startswith(f"Cancelled: execution {waiting.pk} ")
        expected = [
            f"Execution {run.pk} runs: that can be done while one waits; `queue stop {run.pk}`",
            f"Execution {ended.pk} has ended (succeeded)",
            "There is no execution 77777.",
            "There is no execution x.",
            f"There is no execution {'9' * 30}.",
            "There is no execution -1.",
        ]
        for line, words in zip(lines(done.err), expected, strict=True):
            assert line.startswith(words)

    def test_priority(self) -> None:
        waiting = a_waiting()
        assert call("queue", "priority", str(waiting.pk), "1").code == 0
        waiting.refresh_from_db()
        assert waiting.priority == 1
        for typed in ("0", "10", "-1", "x", "1.5", "1_0", "", "9" * 5000):
            assert_refused(call("queue", "priority", str(waiting.pk), typed), "1 (first)")
        assert_refused(call("queue", "priority", "77777", "1"), "There is no execution")
        assert_refused(call("queue", "priority", str(an_ended().pk), "1"), "has ended")


@pytest.mark.django_db
class TestRecoveryRun:
    """It isn't ended, and keeps its place, unless somebody insists."""

    def test_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steering, "PATIENCE", 0.1)
        pk = str(a_recovery().pk)
        queue.claim("default")
        why = f"Execution {pk} is a recovery run: stopped, it is queued again at once, and until"
        assert_refused(call("queue", "stop", pk), why, "files may be lost", "--force")
        assert Execution.objects.get(pk=pk).stop_requested_at is None
        call("queue", "stop", pk, "--force")
        assert Execution.objects.get(pk=pk).stop_requested_at is not None
        assert "--force " in run("queue", "stop", "--help").out

    def test_cancel(self) -> None:
        pk = str(a_recovery().pk)
        assert_refused(call("queue", "cancel", pk), "cancelled, it isn't queued again", "--force")
        assert Execution.objects.get(pk=pk).state == State.WAITING
        assert call("queue", "cancel", pk, "--force").code == 0
        assert Execution.objects.get(pk=pk).state == State.CANCELLED

    def test_priority(self) -> None:
        pk = str(a_recovery().pk)
        assert_refused(call("queue", "priority", pk, "9"), "it goes before all others")
        assert Execution.objects.get(pk=pk).priority == 0

    def test_clear_names_it(self) -> None:
        a_recovery()
        assert_refused(call("queue", "clear"), "a recovery run, too: files may be lost")


@pytest.mark.django_db(transaction=True)
class TestClear:
    def test_it_takes_a_yes(self) -> None:
        a_waiting()
        other = a_waiting(queue="other")
        assert_refused(run("queue", "clear"), "say --yes")
        assert Execution.objects.waiting().count() == 2
        done = run("queue", "clear", "--yes")
        assert (done.code, done.out) == (0, "Cancelled 1 in queue default.\n")
        assert Execution.objects.waiting().get() == other
        assert run("queue", "clear").code == 0  # nothing waits, so nobody is asked

    def test_a_terminal_is_asked(self) -> None:
        a_waiting()
        assert run_on_terminal("queue", "clear", answer="n\n").code == 1
        assert run_on_terminal("queue", "clear", answer="y\n").code == 0
        assert not Execution.objects.waiting().exists()


@pytest.mark.django_db(transaction=True)
class TestStop:
    def test_a_running_one(self) -> None:
        with a_service():
            job = wait_for_start(a_waiting(program("sleep", 600)))
            done = run("queue", "stop", str(job.pk))
            assert done.code == 0
            assert f"Execution {job.pk} stopped: stopped by " in done.out
            job = wait_for_start(a_waiting(program("sleep", 600)))
            done = run("queue", "stop", "--no-wait", str(job.pk))
            assert (done.code, done.out.count("\n")) == (0, 1)
            wait_until(lambda: not Execution.objects.open().exists(), 180, "its end")

    def test_one_whose_worker_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steering, "PATIENCE", 0.1)
        run = a_run()
        done = call("queue", "stop", str(run.pk))
        assert (done.code, "has not ended yet" in done.err) == (1, True)
        run.refresh_from_db()
        assert run.stop_requested_at is not None

    def test_what_does_not_run(self) -> None:
        waiting, ended = a_waiting(), an_ended()
        assert_refused(call("queue", "stop", str(waiting.pk)), f"`queue cancel {waiting.pk}`")
        assert_refused(call("queue", "stop", str(ended.pk)), "has ended (succeeded)")
        assert_refused(call("queue", "stop", "77777"), "There is no execution")


@pytest.mark.django_db
class TestPrune:
    NOTHING = "0 executions, the output of 0 others, 0 log files that no execution names"

    def old(self, **over: Any) -> Execution:
        then = timezone.now() - 31 * 24 * HOUR
        return an_ended(**{"queued_at": then, "started_at": then, "ended_at": then, **over})

    def test_what_the_service_would_do(self, data_dir: Path) -> None:
        old, new = self.old(), an_ended()
        for row in (old, new):
            write_log(row)
        failed = write_log(self.old(state=State.FAILED, return_code=1))
        would = "1 execution, the output of 1 other, 0 log files that no execution names"
        assert call("queue", "prune", "--dry-run").out == f"Would delete {would}.\n"
        assert conf.current().log_path(old.pk).exists()
        done = call("queue", "prune")
        assert (done.code, done.out) == (0, f"Deleted {would}.\n")
        assert not conf.current().log_path(old.pk).exists()
        assert set(Execution.objects.all()) == {new, failed}
        assert call("queue", "prune").out == f"Deleted {self.NOTHING}.\n"

    def test_log_files_that_no_execution_names(self, data_dir: Path) -> None:
        """Not before the output of an execution would go, as they may be another database's."""
        path = conf.current().log_path(7)
        path.parent.mkdir(parents=True)
        path.write_text("x" * 2048)
        assert call("queue", "prune", "--dry-run").out == f"Would delete {self.NOTHING}.\n"
        ago = time.time() - 15 * 86400
        os.utime(path, (ago, ago))
        words = "0 others, 1 log file that no execution names (2.0\xa0KB).\n"
        assert call("queue", "prune", "--dry-run").out.endswith(words)
        assert path.exists()
        assert call("queue", "prune").out.endswith(words)
        assert not path.exists()

    def test_days_go_before_all_that_is_to_be_kept(self, data_dir: Path) -> None:
        job = a_job(keep_days=1000)
        self.old(job=job, state=State.FAILED)
        an_ended(job=job)
        assert call("queue", "prune").out == f"Deleted {self.NOTHING}.\n"
        assert call("queue", "prune", "--days", "30").out.startswith("Deleted 1 execution,")
        assert call("queue", "prune", "--days", "0").out.startswith("Deleted 1 execution,")
        assert not Execution.objects.exists()

    @pytest.mark.parametrize("days", ["-1", "x", "1.5", "1_0", "", "36501", "9" * 5000])
    def test_no_days(self, days: str) -> None:
        why = "--days: it takes a number from 0 to 36500"
        assert_refused(call("queue", "prune", f"--days={days}"), why)


@pytest.mark.django_db(transaction=True)
class TestProcess:
    def test_options_of_all_commands_work_behind_the_subcommand(self) -> None:
        done = run(
            "queue", "list", "--json", "--no-color", "-v2", "--settings", "tests.service_settings"
        )
        assert (done.code, done.out) == (0, "[]\n")

    @pytest.mark.parametrize("words", [["jobs"], ["jobs", "run"], ["queue"], ["queue", "pause"]])
    def test_help_shows_examples(self, words: list[str]) -> None:
        done = run(*words, "--help")
        assert (done.code, done.err) == (0, "")
        assert "\nexamples:\n" in done.out

    @pytest.mark.parametrize("command", [["jobs", "list"], ["queue", "status"], ["queue", "prune"]])
    def test_no_database(self, command: list[str], tmp_path: Path) -> None:
        file = tmp_path / "none" / "db.sqlite3"
        done = run(*command, TEST_DATABASE_URL=f"sqlite:///{file}")
        assert_refused(done, f"{command[0]}: The database {file} can't be used")
        url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
        done = run(*command, TEST_DATABASE_URL=url)
        assert_refused(done, f"{command[0]}: ", "manage.py migrate")

    @pytest.mark.parametrize(
        "words",
        [
            ["queue", "cancel", b"\xff"],
            ["queue", "list", "-q", b"\xff"],
            ["queue", "pause", "--reason", b"\xff"],
            ["jobs", "run", b"\xff"],
            ["jobs", "create", b"\xff", "--", "x"],
            ["jobs", "delete", b"\xff", "--yes"],
            ["queue", b"\xff"],
        ],
    )
    def test_words_that_are_not_utf_8(self, words: list[str | bytes]) -> None:
        done = run(*words)
        assert_refused(done)
        assert "Traceback" not in done.err

    def test_colours_only_on_a_terminal(self) -> None:
        an_ended()
        words = ("queue", "list")
        assert "\x1b[" not in run(*words).out
        assert "\x1b[32msucceeded" in run_on_terminal(*words, NO_COLOR="").out
        assert "\x1b[" not in run_on_terminal(*words, NO_COLOR="1").out
        assert "\x1b[" not in run_on_terminal(*words, "--no-color").out
        assert "\x1b[32msucceeded" in run(*words, "--force-color").out

    def test_on_a_terminal_lines_fit(self) -> None:
        an_ended(argv=["x" * 500])
        shown = run_on_terminal("queue", "list", "--no-color", COLUMNS="100").out
        assert [len(line) <= 100 for line in shown.splitlines()] == [True, True]
        assert "…" in shown

    def test_a_terminal_without_utf_8(self) -> None:
        an_ended(argv=["日本"])
        done = run("queue", "list", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (done.code, r"\u65e5" in done.out) == (0, True)
