"""The environment that :mod:`botsproject.settings` reads, each time in a fresh process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service import CHECKOUT

DUMP = """
import json
from botsproject.settings import *
print(json.dumps({k: v for k, v in globals().items() if k.isupper()}, default=str))
"""
SQLITE, MYSQL = "django.db.backends.sqlite3", "django.db.backends.mysql"


def run(code: str, data_dir: Path | None, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    given = {"DATA_DIR": str(data_dir)} if data_dir else {}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=kept | given | {"PYTHONPATH": str(CHECKOUT)} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def settings(data_dir: Path, **variables: str) -> dict[str, Any]:
    result = run(DUMP, data_dir, **variables)
    assert result.returncode == 0, result.stderr
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert found["TIME_ZONE"] == "UTC"
    assert found["SECRET_KEY"] == (tmp_path / "secret_key").read_text().strip()
    assert found["JOBQUEUE"] == {
        "DATA_DIR": str(tmp_path),
        "HOST": socket.gethostname(),
        "SITE_URL": "",
        "HEALTH": False,
        "METRICS_TOKEN": None,
    }
    database = found["DATABASES"]["default"]
    assert (database["ENGINE"], database["NAME"]) == (SQLITE, str(tmp_path / "db.sqlite3"))


def test_q_cluster_is_a_plain_dict_on_the_database(tmp_path: Path) -> None:
    cluster = settings(tmp_path)["Q_CLUSTER"]
    assert (cluster["workers"], cluster["orm"]) == (1, "default")
    assert cluster["timeout"] < cluster["retry"]
    assert "redis" not in cluster


def test_redis_carries_the_wake_ups_when_there_is_one(tmp_path: Path) -> None:
    cluster = settings(tmp_path, REDIS_URL="redis://cache:6379/3")["Q_CLUSTER"]
    assert cluster["redis"] == "redis://cache:6379/3"
    assert "orm" not in cluster


@pytest.mark.parametrize("name", ["with space", "a+b", "what?", "100%", "ünï", "#1"])
def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    found = settings(tmp_path / name / "deeper")
    assert found["DATABASES"]["default"]["NAME"] == str(tmp_path / name / "deeper" / "db.sqlite3")


def test_a_relative_directory_is_made_absolute(tmp_path: Path) -> None:
    found = run(f"import os; os.chdir({str(tmp_path)!r})" + DUMP, None, DATA_DIR="data")
    assert json.loads(found.stdout)["DATA_DIR"] == str(tmp_path / "data")


def test_empty_variables_are_as_good_as_none(tmp_path: Path) -> None:
    names = ("DATABASE_URL", "EMAIL_URL", "JOBQUEUE_HOST", "REDIS_URL", "SECRET_KEY", "TIME_ZONE")
    assert settings(tmp_path, **dict.fromkeys(names, "")) == settings(tmp_path)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_mariadb_is_strict_and_speaks_all_of_unicode(tmp_path: Path, scheme: str) -> None:
    found = settings(tmp_path, DATABASE_URL=f"{scheme}://clerk:s%40crt@db.example:3307/queue")
    database = found["DATABASES"]["default"]
    assert database["ENGINE"] == MYSQL
    assert (database["USER"], database["PASSWORD"]) == ("clerk", "s@crt")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 3307, "queue")
    assert database["OPTIONS"]["charset"] == "utf8mb4"
    assert "STRICT_TRANS_TABLES" in database["OPTIONS"]["init_command"]


def test_options_of_the_url_go_over_ours(tmp_path: Path) -> None:
    found = settings(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/x.db?timeout=5&conn_max_age=0")
    database = found["DATABASES"]["default"]
    assert database["OPTIONS"]["timeout"] == 5
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["CONN_MAX_AGE"] == 0


def test_a_key_may_begin_with_a_dollar(tmp_path: Path) -> None:
    assert settings(tmp_path, SECRET_KEY="$HOME and more")["SECRET_KEY"] == "$HOME and more"
    assert not (tmp_path / "secret_key").exists()


def test_size_and_count_of_the_log(tmp_path: Path) -> None:
    found = settings(tmp_path, JOBQUEUE_LOG_SIZE="1000", JOBQUEUE_LOG_COUNT="3")
    handler = found["LOGGING"]["handlers"]["jobqueue"]
    assert handler["filename"] == str(tmp_path / "logs" / "jobqueue.log")
    assert (handler["max_bytes"], handler["count"]) == (1000, 3)


def test_the_log_is_text_or_json(tmp_path: Path) -> None:
    for given, name in (("", "line"), ("text", "line"), ("json", "json")):
        handlers = settings(tmp_path, LOG_FORMAT=given)["LOGGING"]["handlers"]
        assert {handlers[sink]["formatter"] for sink in ("jobqueue", "console")} == {name}
    last = run(DUMP, tmp_path, LOG_FORMAT="xml").stderr.splitlines()[-1]
    assert "LOG_FORMAT is 'xml'; it takes 'text' or 'json'." in last


@pytest.mark.parametrize("https", [True, False])
def test_https_is_one_switch(tmp_path: Path, https: bool) -> None:
    found = settings(tmp_path, HTTPS=str(https))
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT")
    assert [found[name] for name in names] == [https] * 3
    assert bool(found["SECURE_PROXY_SSL_HEADER"]) is https


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(DUMP, tmp_path / "file" / "var")
    last = result.stderr.splitlines()[-1]
    assert "DATA_DIR" in last
    assert "Not a directory" in last
