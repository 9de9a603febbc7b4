"""Where the engine of a Bots is, and what it is given as its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from dirmonitor.bots.engine import Engine, configuration, find, package


@pytest.fixture(autouse=True)
def no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def a_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)
    return path


def a_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


class TestConfiguration:
    def test_in_the_package_it_is_a_name(self, tmp_path: Path) -> None:
        a_file(tmp_path / "bots" / "botsinit.py")
        assert configuration(tmp_path / "bots" / "prod") == "prod"

    def test_elsewhere_it_is_a_path(self, tmp_path: Path) -> None:
        assert configuration(tmp_path / "prod") == str(tmp_path / "prod")

    @pytest.mark.parametrize(
        ("name", "title"),
        [
            ("config", "bots"),
            ("/opt/bots/config", "bots"),
            ("/opt/prod", "bots prod"),
            ("/", "bots"),
        ],
    )
    def test_in_names_it_is_short(self, name: str, title: str) -> None:
        assert Engine(("bots-engine",), name).title == title

    def test_a_command(self) -> None:
        engine = Engine(("python2.7", "/usr/bin/bots-engine.py"), "prod")
        assert engine.argv("--new", "my orders") == [
            *("python2.7", "/usr/bin/bots-engine.py", "-cprod", "--new", "my orders")
        ]


class TestEngine:
    @pytest.mark.parametrize("place", ["bin", "venv/bin", "prod/bin", ".venv/bin"])
    def test_above_or_beside(self, tmp_path: Path, place: str) -> None:
        engine = a_program(tmp_path / place / "bots-engine")
        assert find(a_file(tmp_path / "prod" / "bots.ini")) == engine

    def test_of_an_installed_package(self, tmp_path: Path) -> None:
        engine = a_program(tmp_path / "bin" / "bots-engine.py")
        ini = a_file(tmp_path / "lib/python2.7/dist-packages/bots/config/bots.ini")
        assert find(ini) == engine

    def test_the_nearest_one_that_can_be_run(self, tmp_path: Path) -> None:
        a_program(tmp_path / "bin" / "bots-engine")
        near = a_program(tmp_path / "a" / "bin" / "bots-engine")
        a_file(tmp_path / "a" / "prod" / "bin" / "bots-engine").chmod(0o644)
        assert find(a_file(tmp_path / "a" / "prod" / "bots.ini")) == near

    def test_of_the_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = a_program(tmp_path / "elsewhere" / "bots-engine.py")
        monkeypatch.setenv("PATH", str(engine.parent))
        assert find(a_file(tmp_path / "prod" / "bots.ini")) == engine

    def test_none(self, tmp_path: Path) -> None:
        assert find(a_file(tmp_path / "bots.ini")) is None

    def test_not_one_that_a_stranger_has_put_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = a_program(tmp_path / "bin" / "bots-engine")
        ini = a_file(tmp_path / "prod" / "bots.ini")
        stat = Path.stat
        theirs = {engine: 4711, ini: 42}

        class Owned:
            def __init__(self, path: Path) -> None:
                self.st_uid = theirs.get(path, 0)

        monkeypatch.setattr(Path, "stat", lambda path, **_: Owned(path))
        assert find(ini) is None
        theirs[engine] = 42
        assert find(ini) == engine
        monkeypatch.setattr(Path, "stat", stat)


class TestPackage:
    def test_that_of_the_configuration(self, tmp_path: Path) -> None:
        bots = a_file(tmp_path / "bots" / "botsinit.py").parent
        assert package(bots / "config", Path("bots-engine")) == bots

    def test_that_of_the_engine(self, tmp_path: Path) -> None:
        bots = a_file(tmp_path / "lib/python3.8/site-packages/bots/botsinit.py").parent
        assert package(tmp_path / "prod", tmp_path / "bin" / "bots-engine") == bots

    def test_none(self, tmp_path: Path) -> None:
        assert package(tmp_path / "prod", Path("bots-engine")) is None
