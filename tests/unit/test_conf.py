"""The settings of the app."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from jobqueue import conf


class TestDefaults:
    def test_no_key_is_needed(self, settings: Settings) -> None:
        settings.BASE_DIR = "/srv/portal"
        del settings.JOBQUEUE
        current = conf.current()
        assert Path("/srv/portal/var") == current.DATA_DIR
        assert socket.gethostname() == current.HOST
        assert current.LOG_LIMIT == 100 * 1024**2
        assert current.LOG_TAIL == 64 * 1024
        assert (current.MAX_RUNTIME, current.KILL_AFTER) == (None, None)

    def test_none_is_as_good_as_an_empty_dict(self, settings: Settings) -> None:
        settings.JOBQUEUE = None
        assert conf.configured() == {}
        assert conf.current().CLUSTER is None

    def test_without_a_base_dir_it_is_the_current_directory(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        del settings.BASE_DIR
        settings.JOBQUEUE = {}
        monkeypatch.chdir(tmp_path)
        assert tmp_path / "var" == conf.current().DATA_DIR

    def test_another_engine_is_tried_again_for_ten_minutes(self) -> None:
        current = conf.Settings()
        assert timedelta(seconds=15) >= current.BUSY_DELAY
        assert timedelta(seconds=60) >= current.BUSY_DELAY_MAX
        delays = [
            min(current.BUSY_DELAY * 2**attempt, current.BUSY_DELAY_MAX)
            for attempt in range(current.BUSY_ATTEMPTS - 1)
        ]
        assert sum(delays, timedelta(0)) >= timedelta(minutes=10)


class TestGiven:
    def test_seconds_are_as_good_as_a_timedelta(self, settings: Settings) -> None:
        settings.JOBQUEUE = {"KILL_AFTER": 90, "MAX_RUNTIME": 1.5, "BUSY_DELAY": 3}
        current = conf.current()
        assert timedelta(seconds=90) == current.KILL_AFTER
        assert timedelta(seconds=1.5) == current.MAX_RUNTIME
        assert timedelta(seconds=3) == current.BUSY_DELAY

    def test_paths(self, settings: Settings) -> None:
        settings.JOBQUEUE = {"DATA_DIR": "/data"}
        assert conf.current().run_dir == Path("/data/runs")
        assert conf.current().log_dir == Path("/data/logs/executions")

    def test_a_relative_path_does_not_follow_the_process(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        settings.JOBQUEUE = {"DATA_DIR": "var"}
        before = conf.current().DATA_DIR
        monkeypatch.chdir(tmp_path)
        assert conf.current().DATA_DIR == before == before.absolute()

    def test_an_unknown_key_is_left_to_the_checks(self, settings: Settings) -> None:
        settings.JOBQUEUE = {"LOG_LIMITS": 1}
        assert conf.current().LOG_LIMIT == conf.Settings().LOG_LIMIT

    def test_a_change_is_seen(self, settings: Settings) -> None:
        settings.JOBQUEUE = {"LOG_TAIL": 1}
        assert conf.current().LOG_TAIL == 1
        settings.JOBQUEUE = {"LOG_TAIL": 2}
        assert conf.current().LOG_TAIL == 2
