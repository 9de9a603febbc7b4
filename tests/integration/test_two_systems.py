"""A set-up moves from one installation to another: two sites with databases of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobqueue.models import Job
from tests.builders import a_job
from tests.service import Service
from tests.terminal import run, run_on_terminal

NO_YAML = "raise ImportError('not installed')\n"


@pytest.fixture
def test_system(tmp_path: Path) -> Service:
    """Where a set-up is made."""
    site = Service(tmp_path / "test")
    site.manage("migrate", "--verbosity", "0", check=True)
    for words in (
        ["jobs", "create", "Engine", "--menu", "--env", "API_TOKEN=of-the-test-system"],
        ["jobs", "create", "Größe", "-q", "reports", "--kill-after", "1h30m"],
    ):
        site.manage(*words, "--", "sh", "-c", "echo ü\necho $0", check=True)
    for words in (
        ["Orders", "--job", "Engine", "--cron", "*/5 * * * *", "--zone", "Europe/Amsterdam", "-p3"],
        ["Poll", "--job", "Größe", "--every", "15m"],
        ["Past", "--job", "Größe", "--cron", "@daily", "--disabled"],
    ):
        site.manage("schedules", "create", *words, check=True)
    return site


def test_from_one_to_the_other(test_system: Service, tmp_path: Path, database_url: str) -> None:
    file, back = tmp_path / "setup.yaml", tmp_path / "back.yaml"
    done = test_system.manage("jobqueue_export", str(file), check=True)
    assert "2 jobs, 0 monitors, 3 schedules" in done.stdout
    assert "of-the-test-system" not in file.read_text()

    production = Service(
        tmp_path / "production", {"DATABASE_URL": database_url, "TIME_ZONE": "Asia/Tokyo"}
    )
    production.manage("migrate", "--verbosity", "0", check=True)
    production.manage("jobs", "create", "Old", "--", "true", check=True)
    engine = ["Engine", "--env", "API_TOKEN=of-production", "--", "sh"]
    production.manage("jobs", "create", *engine, check=True)

    def take(*options: str) -> str:
        done = production.manage("jobqueue_import", str(file), *options, check=True)
        return done.stdout.splitlines()[-1]

    assert take() == "To do: 4 new, 1 changed, 1 only here, 0 unchanged. Nothing was done yet."
    assert take("--apply") == "Done: 4 new, 1 changed, 1 only here, 0 unchanged."
    production.manage("jobqueue_import", str(file), "--prune", "--apply", "--yes", check=True)
    assert take("--prune") == "Nothing to do: 0 new, 0 changed, 0 removed, 5 unchanged."

    production.manage("jobqueue_export", str(back), check=True)
    assert back.read_bytes() == file.read_bytes()
    [job, _] = production.json("jobs", "list")
    assert (job["env"], job["in_run_menu"]) == ({"API_TOKEN": "of-production"}, True)
    fired = {row["name"]: row["next_fire_at"] for row in production.json("schedules", "list")}
    assert [name for name in sorted(fired) if fired[name]] == ["Orders", "Poll"]


def test_stdout_is_utf_8_and_a_pipe_is_enough(test_system: Service, tmp_path: Path) -> None:
    test_system.environment["PYTHONIOENCODING"] = "latin-1"
    text = test_system.manage("jobqueue_export", check=True).stdout
    assert "- name: Größe\n" in text
    test_system.manage("jobqueue_export", str(tmp_path / "a.yml"), check=True)
    assert (tmp_path / "a.yml").read_text() == text


def test_without_pyyaml(test_system: Service, tmp_path: Path) -> None:
    (tmp_path / "lack").mkdir()
    (tmp_path / "lack" / "yaml.py").write_text(NO_YAML)
    test_system.environment["PYTHONPATH"] = str(tmp_path / "lack")
    text = test_system.manage("jobqueue_export", check=True).stdout
    assert len(json.loads(text)["schedules"]) == 3
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "a.yaml").write_text(text)
    taken = test_system.manage("jobqueue_import", str(tmp_path / "a.json"), check=True)
    assert taken.stdout == "Nothing to do: 0 new, 0 changed, 0 only here, 5 unchanged.\n"
    for command in ("jobqueue_import", "jobqueue_export"):
        done = test_system.manage(command, str(tmp_path / "a.yaml"))
        assert (done.returncode, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert "YAML needs PyYAML, which isn't installed: pip install PyYAML" in line
    assert (tmp_path / "a.yaml").read_text() == text


@pytest.mark.django_db(transaction=True)
class TestAsPeopleRunIt:
    def a_file(self, tmp_path: Path) -> str:
        (file := tmp_path / "setup.json").write_text('{"jobqueue_export": 1, "jobs": []}')
        return str(file)

    @pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("\x04", 1)])
    def test_somebody_is_asked(self, answer: str, left: int, tmp_path: Path) -> None:
        a_job(name="Old")
        file = self.a_file(tmp_path)
        done = run_on_terminal("jobqueue_import", file, "--apply", "--prune", answer=answer)
        assert "Remove 1 Job that the file lacks? [y/N]" in done.out
        assert ("Nothing was done." in done.out) is bool(left)
        assert (done.code, Job.objects.count()) == (left, left)

    def test_refusals_are_one_line(self, tmp_path: Path) -> None:
        for words in (["x.txt"], [], ["x.json", "--aply"], [str(tmp_path / "none.json")]):
            done = run("jobqueue_import", *words)
            assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
