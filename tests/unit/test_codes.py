"""What return codes mean."""

import signal

import pytest

from jobqueue.codes import (
    BOTS_ENGINE,
    EXIT_STATUS,
    Reading,
    died,
    read,
    recognise,
    recovery,
    signal_name,
)


class TestExitStatus:
    def test_zero_is_success_and_needs_no_words(self) -> None:
        assert read(EXIT_STATUS, 0) == Reading("succeeded", "", busy=False)

    @pytest.mark.parametrize("code", [1, 2, 3, 4, 126, 127, 137, 255])
    def test_all_else_is_failure(self, code: int) -> None:
        assert read(EXIT_STATUS, code) == Reading("failed", f"return code {code}")


class TestBotsEngine:
    def test_zero_is_success(self) -> None:
        assert read(BOTS_ENGINE, 0) == Reading("succeeded", "")

    @pytest.mark.parametrize(
        ("code", "state", "word"),
        [(1, "failed", "system error"), (2, "warned", "errors"), (3, "failed", "another engine")],
    )
    def test_what_bots_says(self, code: int, state: str, word: str) -> None:
        reading = read(BOTS_ENGINE, code)
        assert reading.state == state
        assert word in reading.reason
        assert f"return code {code}" in reading.reason

    @pytest.mark.parametrize("code", range(256))
    def test_only_three_is_worth_another_try(self, code: int) -> None:
        assert read(BOTS_ENGINE, code).busy == (code == 3)
        assert not read(EXIT_STATUS, code).busy

    def test_a_code_that_bots_does_not_know(self) -> None:
        assert read(BOTS_ENGINE, 77) == Reading("failed", "return code 77")


class TestSignals:
    @pytest.mark.parametrize("scheme", [EXIT_STATUS, BOTS_ENGINE])
    def test_a_death_is_named(self, scheme: str) -> None:
        assert read(scheme, 137, signal.SIGKILL) == Reading(
            "failed", "ended by SIGKILL (return code 137)"
        )

    def test_a_signal_without_a_name(self) -> None:
        assert signal_name(99) == "signal 99"

    def test_a_code_like_that_of_a_signal_is_just_a_code(self) -> None:
        assert read(EXIT_STATUS, 137).reason == "return code 137"


class TestReasons:
    @pytest.mark.parametrize("scheme", [EXIT_STATUS, BOTS_ENGINE])
    @pytest.mark.parametrize("code", range(256))
    def test_only_success_has_none(self, scheme: str, code: int) -> None:
        reading = read(scheme, code)
        assert bool(reading.reason) == (reading.state != "succeeded")


class TestRecognise:
    @pytest.mark.parametrize(
        "argv",
        [
            ["bots-engine"],
            ["bots-engine.py", "--new"],
            ["/usr/local/bin/bots-engine", "-cprod"],
            ["python", "bots-engine.py"],
            ["python3.11", "/opt/bots/bots-engine.py", "route"],
            ["/venv/bin/python3", "-u", "/venv/bin/bots-engine"],
            ["python", "-W", "ignore", "bots-engine.py"],
            ["python", "-X", "dev", "-u", "bots-engine.py"],
            ["python", "-Wignore", "bots-engine.py"],
            ["python", "--", "bots-engine.py"],
        ],
    )
    def test_the_engine(self, argv: list[str]) -> None:
        assert recognise(argv) == BOTS_ENGINE

    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["true"],
            ["echo", "bots-engine"],
            ["bots-engine2"],
            ["my-bots-engine"],
            ["bots-engine/run.sh"],
            ["python"],
            ["python", "-c", "bots-engine"],
            ["python", "-c", "pass", "bots-engine"],
            ["python", "-m", "runner", "bots-engine"],
            ["python", "job.py", "bots-engine.py"],
            ["pythonic", "bots-engine.py"],
        ],
    )
    def test_something_else(self, argv: list[str]) -> None:
        assert recognise(argv) == EXIT_STATUS


class TestRecovery:
    @pytest.mark.parametrize(
        ("argv", "expected"),
        [
            (["bots-engine"], ["bots-engine", "--cleanup"]),
            (
                ["/opt/bots/bin/bots-engine", "-cprod", "--new", "orders"],
                ["/opt/bots/bin/bots-engine", "-cprod", "--cleanup"],
            ),
            (
                ["python3", "-W", "ignore", "bots-engine.py", "--new", "-cprod", "-ctest"],
                ["python3", "-W", "ignore", "bots-engine.py", "-cprod", "--cleanup"],
            ),
            (["bots-engine", "--cleanup"], ["bots-engine", "--cleanup"]),
            (["wrapper", "--new", "-cprod"], ["wrapper", "-cprod", "--cleanup"]),
            (["--new", "orders"], ["--cleanup"]),
        ],
    )
    def test_the_engine_is_told_to_clean_up(self, argv: list[str], expected: list[str]) -> None:
        assert recovery(BOTS_ENGINE, argv) == expected

    def test_other_programs_need_none(self) -> None:
        assert recovery(EXIT_STATUS, ["bots-engine"]) == []

    @pytest.mark.parametrize("code", [0, 1, 2, 3])
    def test_an_engine_that_ended_by_itself(self, code: int) -> None:
        assert not died(BOTS_ENGINE, code)

    @pytest.mark.parametrize(("code", "number"), [(None, None), (137, 9), (137, None), (120, None)])
    def test_an_engine_that_was_cut_off(self, code: int | None, number: int | None) -> None:
        assert died(BOTS_ENGINE, code, number)

    @pytest.mark.parametrize(("code", "number"), [(None, None), (137, 9)])
    def test_any_program_that_was_cut_off(self, code: int | None, number: int | None) -> None:
        assert died(EXIT_STATUS, code, number)

    def test_a_code_of_its_own(self) -> None:
        assert not died(EXIT_STATUS, 137)
