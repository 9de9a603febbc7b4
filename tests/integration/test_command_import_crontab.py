"""``manage.py import_crontab`` and ``export_crontab``: to there, and back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from jobqueue.models import Job, Schedule
from tests.builders import a_job, a_schedule
from tests.terminal import Done, call, lines

CRONTAB = r"""MAILTO=ada@example.com
LANG=C.UTF-8
# Nightly backup
30 3 * * * /usr/local/bin/backup.sh --full
# Poll
*/5 7-18 * * mon-fri cd /srv/app && ./poll >> poll.log
CRON_TZ=Asia/Tokyo
@daily /usr/bin/python3 /srv/report.py --day 5\%
"""

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def do(tmp_path: Path, text: str | bytes, *options: str) -> Done:
    """Import this text, as a crontab of a user."""
    file = tmp_path / "crontab"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    sort = [] if {"--system", "--user"} & {*options} else ["--user"]
    return call("import_crontab", str(file), *sort, *options)


def said(tmp_path: Path, text: str, *options: str) -> Any:
    return json.loads(do(tmp_path, text, "--json", *options).out)


def actions(tmp_path: Path, text: str, *options: str) -> list[tuple[str, str]]:
    return [(s["action"], s["name"]) for s in said(tmp_path, text, *options)["schedules"]]


def timing() -> list[tuple[Any, ...]]:
    fields = ("name", "job__name", "expression", "timezone", "enabled")
    return list(Schedule.objects.order_by("pk").values_list(*fields))


class TestFirst:
    def test_it_only_shows_what_it_would_do(self, tmp_path: Path) -> None:
        done = do(tmp_path, CRONTAB)
        assert done.code == 0
        title, *rows, summary = lines(done.out)
        assert title.split() == ["LINE", "SCHEDULE", "TIMES", "JOB", "COMMAND"]
        assert [row.split()[:2] for row in rows[:3]] == [["4", "new"], ["6", "new"], ["8", "new"]]
        assert "line 1: MAILTO is not taken over" in done.out
        assert "line 6: It needs a shell" in done.out
        assert summary == "To do: 3 new, 0 changed, 0 unchanged. Nothing was done yet."
        assert "--apply does it" in done.err
        assert not Job.objects.exists()

    def test_it_does_it(self, tmp_path: Path) -> None:
        done = do(tmp_path, CRONTAB, "--apply")
        assert (done.code, lines(done.out)[-1]) == (0, "Done: 3 new, 0 changed, 0 unchanged.")
        assert timing() == [
            ("Nightly backup", "Nightly backup", "30 3 * * *", "UTC", True),
            ("Poll", "Poll", "*/5 7-18 * * mon-fri", "UTC", True),
            ("report.py", "report.py", "@daily", "Asia/Tokyo", True),
        ]
        shell = Job.objects.get(name="Poll")
        assert shell.argv == ["/bin/sh", "-c", "cd /srv/app && ./poll >> poll.log"]
        assert (shell.env, shell.codes) == ({"LANG": "C.UTF-8"}, "exit-status")
        assert Schedule.objects.planned().count() == 3
        assert not any(schedule.is_to_plan for schedule in Schedule.objects.all())

    def test_those_at_the_same_times_come_next_together(self, tmp_path: Path) -> None:
        do(tmp_path, "@hourly a\n@hourly b\n", "--apply")
        one, two = Schedule.objects.planned()
        assert one.next_fire_at == two.next_fire_at
        assert not one.is_to_plan
        assert not two.is_to_plan

    def test_an_engine_is_recognised(self, tmp_path: Path) -> None:
        do(tmp_path, "@hourly /opt/bots/bots-engine --new", "--apply")
        assert Job.objects.get().codes == "bots-engine"

    def test_a_zone(self, tmp_path: Path) -> None:
        do(tmp_path, "@hourly a", "--zone", "Europe/Amsterdam", "--apply")
        assert Schedule.objects.get().timezone == "Europe/Amsterdam"
        assert "--zone: 'x' is no time zone" in do(tmp_path, "@hourly a", "--zone", "x").err

    def test_a_directory(self, tmp_path: Path) -> None:
        do(tmp_path, "@hourly a", "--working-directory", "/srv", "--apply")
        assert Job.objects.get().working_directory == "/srv"

    def test_the_same_command_is_one_job(self, tmp_path: Path) -> None:
        there = a_job(argv=["a", "b"])
        do(tmp_path, "@hourly a b\n@daily 'a' b\n@daily c\n@hourly c", "--apply")
        assert {*Job.objects.values_list("name", flat=True)} == {there.name, "c"}
        assert [row[:2] for row in timing()] == [
            *(("a", there.name), ("a (2)", there.name), ("c", "c"), ("c (2)", "c")),
        ]

    def test_a_disabled_job_is_pointed_out(self, tmp_path: Path) -> None:
        a_job(name="Off", argv=["a"], enabled=False)
        assert "line 1: The Job Off is disabled" in do(tmp_path, "@hourly a").out

    def test_a_job_of_that_name_that_runs_something_else_stays(self, tmp_path: Path) -> None:
        there = a_job(name="A", argv=["other"])
        do(tmp_path, "@hourly a", "--apply")
        there.refresh_from_db()
        assert there.argv == ["other"]
        assert [row[:2] for row in timing()] == [("a", "a (2)")]

    @pytest.mark.parametrize("name", ["cafe", "CAFÉ", "cafe\u0301"])
    def test_a_name_that_a_database_may_take_for_another(self, tmp_path: Path, name: str) -> None:
        a_job(name=name, argv=["other"])
        a_schedule(name=name, job=Job.objects.get())
        assert do(tmp_path, "# café\n@daily café\n", "--apply").code == 0
        assert Job.objects.latest("pk").name == "café (2)"
        assert Schedule.objects.latest("pk").name == "café (2)"


class TestAgain:
    def test_nothing_to_do(self, tmp_path: Path) -> None:
        do(tmp_path, CRONTAB, "--apply")
        before = timing()
        done = do(tmp_path, CRONTAB, "--apply")
        assert (done.code, lines(done.out)[-1]) == (0, "Nothing to do: 3 unchanged.")
        assert timing() == before

    def test_what_was_set_here_stays(self, tmp_path: Path) -> None:
        do(tmp_path, "@hourly a", "--apply")
        Schedule.objects.update(enabled=False, priority=2, name="Mine", expression="@HOURLY")
        assert actions(tmp_path, "@hourly a", "--apply") == [("unchanged", "Mine")]
        assert timing() == [("Mine", "a", "@HOURLY", "UTC", False)]

    def test_other_times(self, tmp_path: Path) -> None:
        do(tmp_path, "0 5 * * * a", "--apply")
        before = Schedule.objects.get().next_fire_at
        done = do(tmp_path, "0 6 * * * a", "--apply")
        assert "line 1: expression: 0 5 * * * -> 0 6 * * *\n" in done.out
        after = Schedule.objects.get()
        assert (after.expression, after.job.name) == ("0 6 * * *", "a")
        assert after.next_fire_at is not None
        assert after.next_fire_at != before
        assert not after.is_to_plan

    def test_another_command(self, tmp_path: Path) -> None:
        do(tmp_path, "# N\n@hourly a", "--apply")
        done = do(tmp_path, "# N\n@hourly a -v", "--apply")
        assert "line 2: command: a -> a -v\n" in done.out
        assert Job.objects.get().argv == ["a", "-v"]

    def test_another_command_of_a_job_that_others_use(self, tmp_path: Path) -> None:
        do(tmp_path, "# N\n@hourly a", "--apply")
        a_schedule(job=Job.objects.get())
        done = do(tmp_path, "# N\n@hourly a -v", "--apply")
        assert "line 2: job: N -> N (2)\n" in done.out
        assert Job.objects.get(name="N").argv == ["a"]
        assert Schedule.objects.get(name="N").job.argv == ["a", "-v"]

    def test_a_line_that_is_gone_renames_no_other(self, tmp_path: Path) -> None:
        do(tmp_path, "@hourly a 1\n@hourly a 2\n@hourly a 3", "--apply")
        assert actions(tmp_path, "@hourly a 2\n@hourly a 3\n@hourly a 4") == [
            *(("unchanged", "a (2)"), ("unchanged", "a (3)"), ("new", "a (4)")),
        ]

    def test_a_schedule_of_that_name_and_another_kind(self, tmp_path: Path) -> None:
        there = a_schedule(
            name="N", kind="interval", expression="", interval=timedelta(hours=1), priority=2
        )
        do(tmp_path, "# N\n@hourly a", "--apply")
        there.refresh_from_db()
        assert (there.kind, there.interval, there.anchor_at) == ("cron", None, None)
        assert (there.expression, there.priority) == ("@hourly", 2)


class TestRefused:
    def test_all_or_nothing(self, tmp_path: Path) -> None:
        text = "@hourly a\n@reboot b\n61 * * * * c\n@daily d % e\n"
        done = do(tmp_path, text, "--apply")
        assert done.code == 1
        assert "Nothing was done: 3 lines refused; --skip-refused leaves them out." in done.err
        assert "line 2: refused: @reboot" in done.out
        assert not Job.objects.exists()
        done = do(tmp_path, text, "--apply", "--skip-refused")
        assert (done.code, timing()) == (0, [("a", "a", "@hourly", "UTC", True)])
        assert lines(done.out)[-1] == "Done: 1 new, 0 changed, 0 unchanged; 3 lines refused."

    def test_programs_that_are_not_allowed(self, tmp_path: Path, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_PROGRAMS": ["/usr/bin/*"]}
        found = said(tmp_path, "@hourly /usr/bin/a\n@hourly /opt/b\n@daily a | b")
        assert [step["line"] for step in found["schedules"]] == [1]
        assert [refused["line"] for refused in found["refused"]] == [2, 3]
        assert "isn't allowed here" in found["refused"][0]["reason"]

    def test_latin_1(self, tmp_path: Path) -> None:
        done = do(tmp_path, "@daily a\n# Größe\n@daily b".encode("latin-1"))
        assert "line 2: refused: It isn't valid UTF-8; " in done.out

    @pytest.mark.parametrize("text", ["", "\n\n", "# 0 5 * * * old\n", "A=b\n", "\ufeff"])
    def test_nothing_in_it(self, tmp_path: Path, text: str) -> None:
        done = do(tmp_path, text)
        assert (done.code, done.out) == (1, "")
        assert "crontab: it has no line that says what to run and when.\n" in done.err

    def test_no_file(self, tmp_path: Path) -> None:
        for file in (tmp_path, tmp_path / "none"):
            done = call("import_crontab", str(file), "--user")
            assert (done.code, str(file) in done.err) == (1, True)

    def test_no_end(self) -> None:
        assert "more than 64 MiB" in call("import_crontab", "/dev/zero", "--user").err

    def test_hostile_text(self, tmp_path: Path) -> None:
        done = do(tmp_path, "# \x1b[2J\n@daily '\x1b[2J' a\n@daily a\x07;\n\x1b[2J = \x1b\n\x1b")
        assert "\x1b" not in done.out + done.err
        assert "\x07" not in done.out + done.err


class TestSystem:
    TEXT = "# Poll\n*/5 * * * * root /usr/bin/poll\n"

    def test_a_guess_is_told(self, tmp_path: Path) -> None:
        (file := tmp_path / "crontab").write_text(self.TEXT)
        done = call("import_crontab", str(file), "--apply")
        assert "Note: read as a crontab of the system (--system)" in done.err
        assert "line 2: Cron runs it as root" in done.out
        assert Job.objects.get().argv == ["/usr/bin/poll"]

    def test_it_can_be_said(self, tmp_path: Path) -> None:
        do(tmp_path, self.TEXT, "--user", "--apply")
        assert Job.objects.get().argv == ["root", "/usr/bin/poll"]


class TestExport:
    def back(self, tmp_path: Path, *options: str) -> str:
        done = call("export_crontab", *options)
        assert done.code == 0
        return done.out

    @pytest.mark.parametrize("options", [(), ("--system", "root")])
    def test_what_was_imported_comes_back(self, tmp_path: Path, options: tuple[str, ...]) -> None:
        do(tmp_path, CRONTAB, "--apply")
        text, before = self.back(tmp_path, *options), sorted(timing())
        assert {action for action, _ in actions(tmp_path, text, *options[:1])} == {"unchanged"}
        Job.objects.all().delete()
        do(tmp_path, text, "--apply", *options[:1])
        after = sorted(timing())
        assert [row[:2] for row in after] == [row[:2] for row in before]
        assert [row[3:] for row in after] == [row[3:] for row in before]

    def test_variables_come_before_those_who_have_them(self, tmp_path: Path) -> None:
        for name, env in {"X": {"A": "1"}, "Y": {}, "Z": {"A": "2", "B": "3"}}.items():
            a_schedule(name=name, job=a_job(argv=[name.lower()], env=env))
        found = said(tmp_path, self.back(tmp_path))
        assert [(step["action"], step["name"]) for step in found["schedules"]] == [
            *(("unchanged", "Y"), ("unchanged", "X"), ("unchanged", "Z")),
        ]

    def test_what_cron_can_not_express_is_a_comment(self, tmp_path: Path) -> None:
        plain = a_job(argv=["true"])
        a_schedule(name="Often", kind="interval", expression="", interval=timedelta(seconds=5))
        a_schedule(name="Off", job=plain, enabled=False)
        a_schedule(name="Last", job=plain, expression="0 0 L * *")
        a_schedule(name="There", job=a_job(working_directory="/srv"))
        a_schedule(name="Alone", job=a_job(env={"A": "1"}))
        a_schedule(name="Apart\n0 0 * * * rm", job=a_job(env={"B": "1"}))
        text = self.back(tmp_path)
        for words in (
            *("Often: cron has no intervals", "Off: it is disabled", "Last: cron has no L"),
            *("There: it runs in /srv", "it lacks variables of other entries"),
        ):
            assert words in text
        assert actions(tmp_path, text) == [("unchanged", "Alone")]

    def test_priority_and_queue_are_told(self, tmp_path: Path) -> None:
        a_schedule(name="N", job=a_job(argv=["true"]), priority=2, queue="night")
        assert "# N\n# In the queue night it had priority 2.\n0 * * * * true\n" in (
            self.back(tmp_path)
        )

    def test_a_user_that_is_none(self) -> None:
        assert call("export_crontab", "--system", "a b").code == 1
