"""Named environments."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from jobqueue import environments
from jobqueue.environments import Resolved

Known = Callable[..., None]


@pytest.fixture
def known(settings: Settings) -> Known:
    """Set ``JOBQUEUE["ENVIRONMENTS"]``."""

    def set_known(**known: Any) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ENVIRONMENTS": known}

    return set_known


@pytest.fixture
def allowed(settings: Settings) -> Callable[..., None]:
    """Set ``JOBQUEUE["ALLOWED_PROGRAMS"]``."""

    def set_allowed(*patterns: str) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_PROGRAMS": patterns}

    return set_allowed


def resolve(name: str, *argv: str, directory: str = "", **env: str) -> Resolved:
    return environments.resolve(name, argv, env, directory)


class TestResolve:
    def test_without_one_all_stays(self) -> None:
        assert resolve("", "echo", "a", A="b") == Resolved(["echo", "a"], {"A": "b"}, None)

    def test_a_prefix_comes_first(self, known: Known) -> None:
        known(java={"prefix": ["java", "-jar"]})
        assert resolve("java", "app.jar", "x").argv == ["java", "-jar", "app.jar", "x"]

    def test_the_job_s_variables_lie_over_it(self, known: Known) -> None:
        known(etl={"env": {"LANG": "C", "TZ": "UTC"}})
        assert resolve("etl", "true", LANG="de").env == {"LANG": "de", "TZ": "UTC"}

    def test_the_job_s_directory_wins(self, known: Known) -> None:
        known(etl={"working_directory": "/srv"})
        assert resolve("etl", "true").working_directory == "/srv"
        assert resolve("etl", "true", directory="/tmp").working_directory == "/tmp"

    def test_a_virtual_environment_is_found_by_its_directory(self, known: Known) -> None:
        directory = Path(sys.prefix)
        known(etl={"virtualenv": directory})
        resolved = resolve("etl", "report.py", "x")
        assert resolved.argv == [f"{directory}/bin/python", "report.py", "x"]
        assert resolved.env["VIRTUAL_ENV"] == str(directory)
        assert resolved.env["PATH"].split(os.pathsep)[0] == f"{directory}/bin"
        assert resolved.env["PATH"].endswith(os.environ["PATH"])

    def test_with_a_prefix_its_programs_are_found(self, known: Known) -> None:
        known(etl={"virtualenv": sys.prefix, "prefix": []})
        resolved = resolve("etl", "python", "x.py")
        assert resolved.argv == ["python", "x.py"]
        assert resolved.env["PATH"].startswith(f"{sys.prefix}/bin")

    def test_its_own_variables_lie_over_those_of_its_virtualenv(self, known: Known) -> None:
        known(etl={"virtualenv": sys.prefix, "env": {"PATH": "/bin"}})
        assert resolve("etl", "x").env["PATH"] == "/bin"

    def test_an_unknown_one(self, known: Known) -> None:
        known(etl={}, bash={})
        with pytest.raises(ValueError, match=r"no environment 'java'.*known: bash, etl"):
            resolve("java", "x")

    def test_none_is_known(self, known: Known) -> None:
        known()
        with pytest.raises(ValueError, match="known: none"):
            resolve("java", "x")

    def test_a_broken_one_is_named(self, known: Known) -> None:
        known(etl={"virtualenv": "/nowhere"})
        with pytest.raises(ValueError, match="'etl' is broken: there is no bin/python"):
            resolve("etl", "x")

    def test_one_that_names_no_program_gets_it_from_the_argv(self, known: Known) -> None:
        known(plain={})
        assert resolve("plain", "true") == Resolved(["true"], {}, None)


class TestProblems:
    @pytest.mark.parametrize(
        "fine",
        [{}, {"prefix": ["nice"]}, {"prefix": ()}, {"env": {"A": "b"}}, {"virtualenv": sys.prefix}],
    )
    def test_none(self, fine: object) -> None:
        assert list(environments.problems(fine)) == []

    @pytest.mark.parametrize(
        ("broken", "words"),
        [
            ("java -jar", "not a dict"),
            (None, "not a dict"),
            ({"prefx": ["java"]}, "unknown key 'prefx'"),
            ({"prefix": "java -jar"}, "'prefix'"),
            ({"prefix": None}, "'prefix'"),
            ({"prefix": 5}, "'prefix'"),
            ({"prefix": ["java", 5]}, "'prefix'"),
            ({"prefix": ["", "-jar"]}, "'prefix'"),
            ({"prefix": ["ja\0va"]}, "'prefix'"),
            ({"env": ["A=b"]}, "'env'"),
            ({"env": {"A": 1}}, "'env'"),
            ({"virtualenv": "/nowhere"}, "no bin/python"),
            ({"virtualenv": 5}, "'virtualenv'"),
            ({"working_directory": 5}, "'working_directory'"),
        ],
    )
    def test_one(self, broken: object, words: str) -> None:
        [problem] = environments.problems(broken)
        assert words in problem

    def test_several(self) -> None:
        assert len(list(environments.problems({"a": 1, "b": 2, "env": None}))) == 3


class TestAllowed:
    def test_by_default_all_are(self) -> None:
        environments.check_allowed("/anything/at/all")

    @pytest.mark.parametrize(
        ("pattern", "program"),
        [
            ("/opt/jobs/*", "/opt/jobs/report"),
            ("/opt/jobs/*", "/opt/jobs//report"),
            ("/opt/jobs/*", "/opt/jobs/x/../report"),
            ("report*", "report.py"),
            ("bots-engine", "bots-engine"),
        ],
    )
    def test_what_a_pattern_allows(
        self, allowed: Callable[..., None], pattern: str, program: str
    ) -> None:
        allowed(pattern)
        environments.check_allowed(program)

    @pytest.mark.parametrize(
        ("pattern", "program"),
        [
            ("/opt/jobs/*", "/opt/jobs/../../bin/sh"),
            ("/opt/jobs/*", "report"),
            ("/opt/jobs/*", "opt/jobs/report"),
            ("report*", "/tmp/report"),
            ("report*", "./report"),
            ("report*", "report/../sh"),
            ("*", "/bin/sh"),
            ("/*", "./sh"),
            ("Report", "report"),
            ("report", "report "),
        ],
    )
    def test_what_it_does_not(
        self, allowed: Callable[..., None], pattern: str, program: str
    ) -> None:
        allowed(pattern)
        with pytest.raises(ValueError, match="isn't allowed here"):
            environments.check_allowed(program)

    def test_an_empty_list_allows_nothing(self, allowed: Callable[..., None]) -> None:
        allowed()
        with pytest.raises(ValueError, match="lists none"):
            environments.check_allowed("true")

    def test_it_is_the_prefix_that_is_started(
        self, known: Known, allowed: Callable[..., None], settings: Settings
    ) -> None:
        known(sh={"prefix": ["/bin/sh", "-c"]})
        allowed("true")
        with pytest.raises(ValueError, match="'/bin/sh' isn't allowed"):
            resolve("sh", "true")
