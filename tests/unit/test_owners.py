"""Who a run belongs to."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from jobqueue import launcher, owners
from jobqueue.owners import Owner

DEAD = Owner("edi-1:boot.1", 4711, 99)


@pytest.mark.parametrize("owner", [DEAD, DEAD.heir(), Owner("a:b\n:c", 1, 2, (3, 4))])
def test_its_text_tells_all(owner: Owner) -> None:
    assert Owner.parse(str(owner)) == owner


@pytest.mark.parametrize("text", ["", "edi-1", "edi-1:boot:1", "a:1-2/3", "a:-1-2", "\0"])
def test_what_names_no_owner_is_nobody(text: str) -> None:
    nobody = Owner.parse(text)
    assert (nobody.place, nobody.is_here) == ("", False)


def test_this_process_lives() -> None:
    assert owners.me().is_here
    assert owners.me().lives
    assert owners.me().pid == os.getpid()


def test_one_that_has_ended_does_not() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        other = Owner(owners.here(), process.pid, launcher.started(process.pid))
        assert other.lives
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not other.lives  # though nobody has collected it yet


def test_another_process_with_its_number_is_another_one() -> None:
    me = owners.me()
    assert not Owner(me.place, me.pid, me.started - 1).lives


def test_another_host_boot_or_container_is_another_place(settings: Settings) -> None:
    here = owners.here()
    settings.JOBQUEUE = {**settings.JOBQUEUE, "HOST": "edi-2"}
    assert owners.here() != here
    assert owners.here().startswith("edi-2:")


def test_another_data_directory_is_another_place(settings: Settings, tmp_path: Path) -> None:
    settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": tmp_path}
    here = owners.here()
    settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": tmp_path / "other"}
    assert owners.here() != here


def test_one_directory_by_two_names_is_one_place(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": tmp_path}
    here = owners.here()
    settings.JOBQUEUE = {**settings.JOBQUEUE, "DATA_DIR": tmp_path / "link"}
    assert owners.here() == here


def test_an_heir_keeps_the_run_file() -> None:
    dead = replace(DEAD, place=owners.here())
    heir = dead.heir()
    assert heir.run_path == dead.run_path
    assert heir.heir().run_path == dead.run_path
    assert (heir.place, heir.pid) == (owners.here(), os.getpid())


def test_no_two_share_a_run_file() -> None:
    others = [Owner("x", 1, 2), Owner("x", 1, 3), Owner("x", 2, 2), Owner("y", 1, 2)]
    assert len({owner.run_path for owner in others}) == len(others)
