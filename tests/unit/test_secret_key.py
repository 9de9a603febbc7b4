"""The key that is made when none is given: :mod:`botsproject.secret_key`."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from botsproject import secret_key

READER = """
import sys
from pathlib import Path
from botsproject import secret_key
print("ready", flush=True)
sys.stdin.read()
print(secret_key.kept_in(Path(sys.argv[1])))
"""


def test_is_long_random_and_kept(tmp_path: Path) -> None:
    key = secret_key.kept_in(tmp_path / "key")
    assert len(key) >= 50
    assert secret_key.kept_in(tmp_path / "key") == key
    assert secret_key.kept_in(tmp_path / "another") != key


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    secret_key.kept_in(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_leaves_nothing_else(tmp_path: Path) -> None:
    secret_key.kept_in(tmp_path / "key")
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_crowd_gets_one_key(tmp_path: Path) -> None:
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path / "key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for reader in crowd:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    keys = {reader.communicate()[0] for reader in crowd}
    assert len(keys) == 1


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        secret_key.kept_in(tmp_path / "key")


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="Set SECRET_KEY"):
        secret_key.kept_in(tmp_path / "missing" / "key")
