"""``manage.py import_runner``: a schedule.tsv, and the environments that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_django import Settings

from jobqueue.models import Job, Schedule
from jobqueue.runner import COLUMNS
from tests.terminal import Done, call, lines

ROWS = """\
0|test|Test Job|python|/runner/jobs/0/job.py|*|*|8|0|0||N
1|orders||venv|/runner/jobs/1/job.py|1-7|1|*|/5|30|--all "two words"|Y
"""
CONFIG = "[ENVIRONMENT]\npython = python3\nvenv = /opt/venv/bin/python\n"

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture
def environments(settings: Settings) -> None:
    known = {"python": {"prefix": ["python3"]}, "venv": {"prefix": ["/opt/venv/bin/python"]}}
    settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": known}


def do(tmp_path: Path, rows: str, *options: str) -> Done:
    text = "|".join(COLUMNS) + "\n" + rows
    (tmp_path / "schedule.tsv").write_text(text.replace("|", "\t"))
    return call("import_runner", str(tmp_path / "schedule.tsv"), *options)


class TestEnvironments:
    def test_those_that_are_missing_are_ready_to_be_pasted(self, tmp_path: Path) -> None:
        (tmp_path / "config.ini").write_text(CONFIG)
        done = do(tmp_path, ROWS)
        assert done.code == 0
        assert "line 2: refused: There is no environment 'python'" in done.out
        start = done.out.index("JOBQUEUE = {")
        pasted = done.out[start : done.out.index("\n}\n", start) + 2]
        scope: dict[str, object] = {}
        exec(pasted.replace("...", ""), scope)
        assert scope["JOBQUEUE"] == {
            "ENVIRONMENTS": {
                "python": {"prefix": ["python3"]},
                "venv": {"prefix": ["/opt/venv/bin/python"]},
            }
        }

    def test_rows_wait_for_them(self, tmp_path: Path) -> None:
        done = do(tmp_path, ROWS, "--apply")
        assert done.code == 1
        assert "Nothing was done: 2 lines refused" in done.err
        assert not Job.objects.exists()

    def test_another_configuration(self, tmp_path: Path) -> None:
        (config := tmp_path / "other.ini").write_text("[ENVIRONMENT]\npython = python3.11\n")
        found = json.loads(do(tmp_path, ROWS, "--config", str(config), "--json").out)
        assert found["environments"] == {
            "python": {"prefix": ["python3.11"]},
            "venv": {"prefix": ["venv"]},
        }

    def test_no_configuration(self, tmp_path: Path) -> None:
        assert do(tmp_path, ROWS, "--config", str(tmp_path / "none")).code == 1
        (config := tmp_path / "bad.ini").write_text("a = b\n")
        assert "no section headers" in do(tmp_path, ROWS, "--config", str(config)).err


@pytest.mark.usefixtures("environments")
class TestRows:
    def test_jobs_and_schedules(self, tmp_path: Path) -> None:
        done = do(tmp_path, ROWS, "--apply")
        assert (done.code, lines(done.out)[-1]) == (0, "Done: 2 new, 0 changed, 0 unchanged.")
        test, orders = Schedule.objects.order_by("pk").select_related("job")
        assert (test.name, test.enabled, test.next_fire_at) == ("test", False, None)
        assert (test.job.description, test.job.environment) == ("Test Job", "python")
        assert (orders.expression, orders.both_days) == ("30 */5 * 1-7 * 1", True)
        assert orders.next_fire_at is not None
        assert orders.job.argv == ["/runner/jobs/1/job.py", "--all", "two words"]

    def test_again(self, tmp_path: Path) -> None:
        do(tmp_path, ROWS, "--apply")
        assert lines(do(tmp_path, ROWS, "--apply").out) == ["Nothing to do: 2 unchanged."]

    def test_the_status_is_taken_over(self, tmp_path: Path) -> None:
        do(tmp_path, ROWS, "--apply")
        done = do(tmp_path, ROWS.replace("|N", "|Y"), "--apply")
        assert "line 2: enabled: False -> True\n" in done.out
        assert Schedule.objects.get(name="test").next_fire_at is not None

    def test_a_row_that_is_refused(self, tmp_path: Path) -> None:
        rows = ROWS + "2|win||python|C:\\job.py|*|*|*|0|0||Y\n3 no tabs\n1|again||||||||||Y\n"
        found = json.loads(do(tmp_path, rows, "--apply", "--skip-refused", "--json").out)
        assert (found["applied"], Schedule.objects.count()) == (True, 2)
        assert [refused["line"] for refused in found["refused"]] == [4, 5, 6]

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        assert "no line that says" in do(tmp_path, "").err
