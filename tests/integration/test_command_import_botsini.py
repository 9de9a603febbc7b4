"""``manage.py import_botsini``: monitors, and the Run menu of Bots."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from pytest_django import Settings

from dirmonitor.bots import moving_in
from dirmonitor.models import DirMonitor
from jobqueue.api import Job
from tests.builders import a_job
from tests.terminal import Done, call, lines

INI = """\
[settings]
maxruntime = 90

[jobqueue]
enabled = True
port = 28082

[dirmonitor1]
path = /in/orders
filemask = *.edi
recursive = True
route = orders

[dirmonitor2]
path = /in/all
route =
"""
MENU = ["new", "rereceive", "resend", "retry communication", "cleanup"]

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture
def prod(tmp_path: Path) -> Path:
    """A configuration directory with an engine beside it, and routes."""
    (engine := tmp_path / "bin" / "bots-engine").parent.mkdir()
    engine.touch(0o755)
    (prod := tmp_path / "prod").mkdir()
    (prod / "bots.ini").write_text(INI)
    database = tmp_path / "botsdb"
    (prod / "settings.py").write_text(
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3',"
        f" 'NAME': {str(database)!r}}}}}\n"
    )
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE routes (idroute varchar(35), active bool)")
        connection.commit()
    put_routes(prod, ("orders", 1), ("invoices", 1), ("old", 0))
    return prod


def put_routes(prod: Path, *routes: tuple[str, int]) -> None:
    with closing(sqlite3.connect(prod.parent / "botsdb")) as connection:
        connection.execute("DELETE FROM routes")
        connection.executemany("INSERT INTO routes VALUES (?, ?)", routes)
        connection.commit()


def do(prod: Path, *options: str, ini: str | None = None) -> Done:
    if ini is not None:
        (prod / "bots.ini").write_text(ini)
    return call("import_botsini", str(prod / "bots.ini"), *options)


def said(prod: Path, *options: str, ini: str | None = None) -> Any:
    return json.loads(do(prod, "--json", *options, ini=ini).out)


def actions(prod: Path, ini: str | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    row = said(prod, "--apply", ini=ini)
    for step in (*row["jobs"], *row["monitors"]):
        found.setdefault(step["action"], []).append(step["name"])
    return found


class TestFirst:
    def test_it_only_shows_what_it_would_do(self, prod: Path) -> None:
        done = do(prod)
        assert done.code == 0
        assert "new  bots prod: rereceive  " in done.out
        assert "8     new  bots prod: dirmonitor1  /in/orders  *.edi (recursive)  " in done.out
        assert "line 6: [jobqueue] port is not taken over" in done.out
        assert lines(done.out)[-1] == "To do: 9 new, 0 changed, 0 unchanged. Nothing was done yet."
        assert f"started by {prod.parent}/bin/bots-engine -c{prod}" in done.err
        assert f"routes are those of {prod.parent}/botsdb" in done.err
        assert "--apply does it" in done.err
        assert not Job.objects.exists()
        assert not DirMonitor.objects.exists()

    def test_it_does_it(self, prod: Path) -> None:
        done = do(prod, "--apply")
        assert (done.code, lines(done.out)[-1]) == (0, "Done: 9 new, 0 changed, 0 unchanged.")
        engine = [str(prod.parent / "bin" / "bots-engine"), f"-c{prod}"]
        assert {job.name: job.argv for job in Job.objects.all()} == {
            "bots prod: new": [*engine, "--new"],
            "bots prod: rereceive": [*engine, "--rereceive"],
            "bots prod: resend": [*engine, "--resend"],
            "bots prod: retry communication": [*engine, "--automaticretrycommunication"],
            "bots prod: cleanup": [*engine, "--cleanup"],
            "bots prod: route invoices": [*engine, "invoices"],
            "bots prod: route orders": [*engine, "orders"],
        }
        for job in Job.objects.all():
            assert (job.codes, job.in_run_menu, job.enabled) == ("bots-engine", True, True)
            assert (job.max_runtime, job.queue) == (timedelta(minutes=90), "default")
        first, second = DirMonitor.objects.select_related("job").order_by("name")
        assert (first.name, first.path, first.filemask) == (
            *("bots prod: dirmonitor1", "/in/orders", "*.edi"),
        )
        assert (first.recursive, first.enabled, first.priority, first.queue) == (True, True, 5, "")
        assert first.job.name == "bots prod: route orders"
        assert (second.path, second.filemask, second.recursive) == ("/in/all", "*", False)
        assert second.job.name == "bots prod: new"

    def test_what_the_admin_would_refuse_is_not_made(self, prod: Path) -> None:
        do(prod, "--apply")
        try:
            for row in (*Job.objects.all(), *DirMonitor.objects.all()):
                row.full_clean()
        except ValidationError as error:
            pytest.fail(str(error))

    def test_json(self, prod: Path) -> None:
        found = said(prod)
        assert (found["applied"], found["configuration"]) == (False, str(prod))
        assert found["engine"] == [str(prod.parent / "bin" / "bots-engine")]
        assert found["jobs"][0] == {
            "action": "new",
            "name": "bots prod: new",
            "argv": [*found["engine"], f"-c{prod}", "--new"],
            "codes": "bots-engine",
            "max_runtime": 5400.0,
            "in_run_menu": True,
            "enabled": True,
            "changes": [],
        }
        assert found["monitors"][1] == {
            "line": 14,
            "section": "dirmonitor2",
            "action": "new",
            "name": "bots prod: dirmonitor2",
            "path": "/in/all",
            "filemask": "*",
            "recursive": False,
            "enabled": True,
            "job": "bots prod: new",
            "changes": [],
            "notes": [],
        }
        assert (found["refused"], [note["line"] for note in found["notes"]]) == ([], [6])

    def test_all_or_nothing(self, prod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = moving_in._store

        def fail_at_monitors(model: Any, *args: Any) -> None:
            if model is DirMonitor:
                raise DatabaseError("it is away")
            store(model, *args)

        monkeypatch.setattr(moving_in, "_store", fail_at_monitors)
        done = do(prod, "--apply")
        assert done.code == 1
        assert done.err.endswith(" can't be used: it is away\n")
        assert not Job.objects.exists()


class TestAgain:
    def test_nothing_to_do(self, prod: Path) -> None:
        do(prod, "--apply")
        assert lines(do(prod, "--apply").out)[-1] == "Nothing to do: 9 unchanged."
        assert (Job.objects.count(), DirMonitor.objects.count()) == (7, 2)

    def test_what_was_set_meanwhile_stays(self, prod: Path) -> None:
        do(prod, "--apply")
        new = Job.objects.get(name="bots prod: new")
        new.name, new.in_run_menu, new.queue, new.env = "All files", False, "edi", {"A": "b"}
        new.save()
        DirMonitor.objects.filter(path="/in/all").update(
            name="Everything", settle=9, priority=1, enabled=False
        )
        done = do(prod, "--apply")
        assert lines(done.out)[-1] == "Nothing to do: 9 unchanged."
        assert "The Job All files runs the same; it isn't in the Run menu." in done.out
        assert not DirMonitor.objects.get(name="Everything").enabled

    def test_what_the_file_says_now_is_taken_over(self, prod: Path) -> None:
        do(prod, "--apply")
        ini = INI.replace("maxruntime = 90", "maxruntime = 15").replace("*.edi", "*.xml")
        done = do(prod, "--apply", ini=ini.replace("route =\n", "route = invoices\n"))
        assert lines(done.out)[-1] == "Done: 0 new, 9 changed, 0 unchanged."
        assert "bots prod: new: max_runtime: 1:30:00 -> 0:15:00" in done.out
        assert "line 8: [dirmonitor1] filemask: *.edi -> *.xml" in done.out
        assert "job: bots prod: new -> bots prod: route invoices" in done.out
        assert {job.max_runtime for job in Job.objects.all()} == {timedelta(minutes=15)}
        assert DirMonitor.objects.get(path="/in/all").job.name == "bots prod: route invoices"
        assert DirMonitor.objects.get(path="/in/orders").filemask == "*.xml"

    def test_no_maxruntime_is_that_of_bots_for_new_jobs_only(self, prod: Path) -> None:
        ini = INI.replace("maxruntime = 90\n", "")
        do(prod, "--apply", ini=ini)
        Job.objects.filter(name="bots prod: new").update(max_runtime=timedelta(hours=9))
        assert actions(prod).keys() == {"unchanged"}
        limits = {job.max_runtime for job in Job.objects.all()}
        assert limits == {timedelta(hours=9), timedelta(hours=1)}

    def test_the_engine_has_moved(self, prod: Path) -> None:
        do(prod, "--apply")
        done = do(prod, "--apply", "--engine", "python2.7 '/opt/my bots/bots-engine.py'")
        assert lines(done.out)[-1] == "Done: 0 new, 7 changed, 2 unchanged."
        assert Job.objects.get(name="bots prod: new").argv == [
            *("python2.7", "/opt/my bots/bots-engine.py", f"-c{prod}", "--new")
        ]

    def test_another_configuration_of_the_same_name_is_another(self, prod: Path) -> None:
        do(prod, "--apply")
        call("import_botsini", str(prod / "bots.ini"), "--apply", "--configuration", "/b/prod")
        assert (Job.objects.count(), DirMonitor.objects.count()) == (14, 4)
        assert Job.objects.get(name="bots prod: new (2)").argv[1] == "-c/b/prod"
        again = call("import_botsini", str(prod / "bots.ini"), "--configuration", "/b/prod")
        assert lines(again.out)[-1] == "Nothing to do: 9 unchanged."
        assert actions(prod).keys() == {"unchanged"}

    def test_a_job_that_runs_the_same_is_shared(self, prod: Path) -> None:
        argv = [str(prod.parent / "bin" / "bots-engine"), f"-c{prod}", "--new"]
        ours = a_job(name="Engine", argv=argv, in_run_menu=True, enabled=False)
        done = do(prod, "--apply")
        assert "The Job Engine is disabled: it will refuse." in done.out
        assert DirMonitor.objects.get(path="/in/all").job == ours

    def test_a_name_that_is_taken(self, prod: Path) -> None:
        a_job(name="BOTS PROD: NÉW")
        DirMonitor.objects.create(name="Bots Prod: Dirmonitor2", path="/x", job=a_job())
        do(prod, "--apply")
        assert Job.objects.filter(name="bots prod: new (2)").exists()
        assert DirMonitor.objects.get(path="/in/all").name == "bots prod: dirmonitor2 (2)"
        assert actions(prod).keys() == {"unchanged"}

    def test_a_section_that_is_gone_leaves_its_monitor(self, prod: Path) -> None:
        do(prod, "--apply")
        actions(prod, ini=INI[: INI.index("[dirmonitor2]")])
        assert DirMonitor.objects.count() == 2


class TestRoutes:
    def test_one_that_a_monitor_would_run_in_vain(self, prod: Path) -> None:
        ini = INI.replace("route = orders", "route = old").replace("route =\n", "route = gone\n")
        done = do(prod, ini=ini)
        assert "line 8: [dirmonitor1] route: 'old' isn't active: its runs do nothing." in done.out
        assert "line 14: [dirmonitor2] route: 'gone' isn't in Bots' database" in done.out
        assert {"bots prod: route old", "bots prod: route gone"} <= {
            job["name"] for job in said(prod)["jobs"]
        }

    def test_names_that_the_engine_would_take_for_options(self, prod: Path) -> None:
        put_routes(prod, ("-c/evil", 1), ("--cleanup", 1), ("x\ny", 1), ("new", 1))
        done = do(prod, "--apply", ini=INI.replace("route = orders", "route ="))
        assert done.code == 0
        assert done.out.count("A route of Bots' database is left out: ") == 3
        names = {job.name for job in Job.objects.all()}
        assert names == {f"bots prod: {name}" for name in [*MENU, "route new"]}

    def test_a_database_that_cannot_be_read(self, prod: Path) -> None:
        (prod.parent / "botsdb").write_text("no database")
        done = do(prod, "--apply")
        assert done.code == 0
        assert "routes weren't read, the database" in done.err
        assert f"'bots prod: route ROUTE' --menu -- {prod.parent}/bin/bots-engine" in done.err
        assert Job.objects.count() == len(MENU) + 1

    def test_a_database_that_is_named(self, prod: Path) -> None:
        os.rename(prod.parent / "botsdb", prod.parent / "other")
        assert len(said(prod)["jobs"]) == len(MENU) + 1
        assert len(said(prod, "--database", str(prod.parent / "other"))["jobs"]) == len(MENU) + 2
        done = do(prod, "--database", str(prod.parent / "none"))
        assert (done.code, done.err.splitlines()[-1].split(":")[0]) == (1, "import_botsini")
        assert "there is no database" in done.err


class TestRefusals:
    INI = INI + "[dirmonitor3]\npath = relative\n[dirmonitor4]\npath = /in/../x\nfilemask = a/b\n"

    def test_they_prevent_all(self, prod: Path) -> None:
        done = do(prod, "--apply", ini=self.INI)
        assert done.code == 1
        assert "line 18: refused: [dirmonitor3] path: 'relative' is relative to where" in done.out
        assert "line 19: refused: [dirmonitor4] path: The path can't go up" in done.out
        assert "filemask: A mask is for names" in done.out
        assert "Nothing was done: 2 refused; --skip-refused leaves them out." in done.err
        assert not Job.objects.exists()

    def test_or_are_left_out(self, prod: Path) -> None:
        done = do(prod, "--apply", "--skip-refused", ini=self.INI)
        assert (done.code, lines(done.out)[-1]) == (
            *(0, "Done: 9 new, 0 changed, 0 unchanged; 2 refused."),
        )

    def test_a_program_that_is_not_allowed(self, prod: Path, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_PROGRAMS": ["/usr/bin/*"]}
        found = said(prod)
        assert (found["jobs"], found["monitors"]) == ([], [])
        reasons = [refusal["reason"] for refusal in found["refused"]]
        assert sum("The Job bots prod: " in reason for reason in reasons) == 7
        assert "[dirmonitor1] its Job is refused." in reasons

    def test_a_mask_that_is_empty(self, prod: Path) -> None:
        """In Bots it does nothing."""
        ini = INI.replace("path = /in/all\n", "path = /in/all\nfilemask =\n")
        assert "The empty filemask fits nothing in Bots" in do(prod, "--apply", ini=ini).out
        monitors = DirMonitor.objects.order_by("path").values_list("path", "filemask", "enabled")
        assert list(monitors) == [("/in/all", "*", False), ("/in/orders", "*.edi", True)]
        assert "Nothing to do" in do(prod).out

    def test_a_queue_that_is_off(self, prod: Path) -> None:
        do(prod, "--apply", ini=INI.replace("enabled = True", "enabled = False"))
        assert not DirMonitor.objects.filter(enabled=True).exists()
        assert actions(prod, ini=INI).keys() == {"unchanged"}

    @pytest.mark.parametrize(
        ("ini", "why"),
        [
            ("", "It has no section of a bots.ini"),
            ("[settings]\n[settings]\n", "Line 2: [settings] is"),
        ],
    )
    def test_what_is_no_bots_ini(self, prod: Path, ini: str, why: str) -> None:
        done = do(prod, ini=ini)
        assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
        assert f"import_botsini: {prod}/bots.ini: {why}" in done.err

    @pytest.mark.parametrize(("name", "why"), [("none", "No such file"), (".", "Is a directory")])
    def test_what_is_no_file(self, tmp_path: Path, name: str, why: str) -> None:
        done = call("import_botsini", str(tmp_path / name))
        assert (done.code, len(done.err.splitlines())) == (1, 1)
        assert why in done.err

    @pytest.mark.parametrize("engine", ["", "'"])
    def test_what_is_no_command(self, prod: Path, engine: str) -> None:
        done = do(prod, "--engine", engine)
        assert (done.code, "--engine: it " in done.err) == (1, True)

    def test_hostile_names_are_shown_escaped(self, prod: Path) -> None:
        done = do(prod, ini=f"[dirmonitor\x1b[31m{'x' * 500}]\npath = /in/\x1b]0;x\x07\n")
        assert "\x1b" not in done.out + done.err
        assert "\\x1b" in done.out

    def test_long_names_are_cut_and_found_again(self, prod: Path) -> None:
        ini = "".join(f"[dirmonitor{'x' * 200}{n}]\npath = /in/{n}\n" for n in range(3))
        assert len(actions(prod, ini=ini)["new"]) == 10
        assert max(len(row.name) for row in DirMonitor.objects.all()) < 110
        assert actions(prod, ini=ini).keys() == {"unchanged"}


class TestWhere:
    def test_a_copy_is_no_configuration(self, prod: Path) -> None:
        assert "settings.py" not in do(prod).err
        (prod / "settings.py").unlink()
        assert "beside it is no settings.py" in do(prod).err
        assert "settings.py" not in do(prod, "--configuration", "prod", "--database", "x").err

    def test_stdin_has_to_be_told_its_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def pipe() -> None:
            stdin = io.TextIOWrapper(io.BytesIO(INI.encode()))
            monkeypatch.setattr(sys, "stdin", stdin)

        monkeypatch.setenv("PATH", "")
        pipe()
        assert "stdin doesn't say of what it is" in call("import_botsini", "-").err
        pipe()
        done = call("import_botsini", "-", "--configuration", "config", "--apply")
        assert done.code == 0
        assert "bots-engine -cconfig, looked for in the service's PATH" in done.err
        assert "routes weren't read, stdin doesn't say" in done.err
        assert Job.objects.get(name="bots: new").argv == ["bots-engine", "-cconfig", "--new"]

    def test_a_thousand_monitors_take_few_statements(
        self, prod: Path, django_assert_max_num_queries: Any
    ) -> None:
        ini = "".join(f"[dirmonitor{n}]\npath = /in/{n}\nroute = r{n}\n" for n in range(1000))
        with django_assert_max_num_queries(60):
            assert len(actions(prod, ini=ini)["new"]) == 1000 + 1000 + 2 + len(MENU)
        with django_assert_max_num_queries(5):
            assert actions(prod).keys() == {"unchanged"}
