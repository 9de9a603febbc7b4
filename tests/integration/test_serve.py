"""Web site and service together: :mod:`botsproject.serve` and ``manage.py serve``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service import CHECKOUT, Service
from tests.waiting import wait_until

Start = Callable[..., subprocess.Popen[str]]
PATIENCE = 180
SUPERVISE = """
import sys
from botsproject.serve import supervise
up = "import os, time; say = lambda word: os.write(1, word + bytes([10])); say(b'up'); "
good = [sys.executable, "-c", up + "time.sleep(100)"]
stubborn = [sys.executable, "-c", '''
import signal
signal.signal(signal.SIGTERM, lambda *_: say(b'stubborn'))
''' + up + '''
while True: time.sleep(100)
''']
other = {"good": good, "stubborn": stubborn}.get(sys.argv[1], sys.argv[1:])
programs = {"good": good, "other": other}
said = lambda word: lambda: print(word, flush=True)
sys.exit(supervise(programs, on_stop=said("stopping"), on_impatience=said("impatient")))
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts programs; ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def start(*argv: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            argv,
            cwd=CHECKOUT,
            env=os.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], text: str, times: int = 1) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        times -= text in line
        if not times:
            return
    raise AssertionError(f"{text!r} was not said")


def supervisor(start: Start, *argv: str) -> subprocess.Popen[str]:
    return start(sys.executable, "-c", SUPERVISE, *argv)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_both_and_is_no_failure(start: Start, number: signal.Signals) -> None:
    process = supervisor(start, "good")
    read_until(process, "up", times=2)
    process.send_signal(number)
    read_until(process, "stopping")
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("command", ["true", "false"])
def test_the_end_of_one_ends_the_other_and_is_a_failure(start: Start, command: str) -> None:
    process = supervisor(start, command)
    read_until(process, "other ended by itself")
    assert process.wait(PATIENCE) == 1


def test_the_second_signal_hurries_and_the_third_kills(start: Start) -> None:
    process = supervisor(start, "stubborn")
    read_until(process, "up", times=2)
    process.send_signal(signal.SIGINT)
    read_until(process, "stubborn")
    process.send_signal(signal.SIGINT)
    read_until(process, "impatient")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 1


def test_its_own_death_ends_them(start: Start) -> None:
    process = supervisor(start, "good")
    read_until(process, "up", times=2)
    process.kill()
    assert process.stdout is not None
    assert process.stdout.read() == ""  # so all that could write to it have ended


@pytest.fixture
def site(tmp_path: Path) -> Service:
    site = Service(tmp_path / "var", {"DJANGO_SETTINGS_MODULE": "botsproject.settings"})
    site.manage("migrate", "--verbosity", "0", check=True)
    return site


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def test_a_file_in_the_inbox_has_a_job_run(site: Service, start: Start) -> None:
    site.manage("demodata", check=True)
    site.manage("queue", "clear", "--yes", check=True)
    process = start(sys.executable, "manage.py", "serve", "--port=0", **site.environment)
    (site.data_dir / "inbox" / "order.edi").write_text("x")

    def told() -> list[str]:
        rows = site.json("queue", "list")
        return [row["log_tail"] for row in rows if row["source"] == "dirmonitor"]

    wait_until(lambda: any("order.edi" in tail for tail in told()), PATIENCE, "the Job's output")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    assert process.stdout is not None
    assert process.stdout.read().count("ended by itself") == 0  # and nobody is left to write


def test_site_and_service(site: Service, start: Start) -> None:
    site.manage("demodata", check=True)
    process = start(sys.executable, "manage.py", "serve", "--port=0", **site.environment)
    assert process.stdout is not None
    url = process.stdout.readline().split()[4]
    assert "Log in" in fetch(url)
    assert "DJANGO Admin" in fetch(f"{url}static/admin/css/base.css")
    log = site.data_dir / "logs" / "jobqueue.log"
    wait_until(lambda: " started: Two minutes" in log.read_text(), PATIENCE, "the long run")
    process.send_signal(signal.SIGINT)
    read_until(process, "Waiting for the end of run")
    process.send_signal(signal.SIGINT)
    read_until(process, "Stopping run")
    assert process.wait(PATIENCE) == 0
    assert " stopped: " in log.read_text()
    process.stdout.read()  # nobody is left who could write, or answer


def test_a_port_that_is_taken_is_one_clear_line(site: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        site.environment["PORT"] = str(port)
        result = site.manage("serve")
    assert result.returncode == 1
    expected = f"CommandError: Port {port} is taken. Try another: PORT={port + 1}\n"
    assert result.stderr == expected
