"""``deploy/``: systemd takes the units as they are meant, and what they start works."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import addresses, servers
from tests.service import CHECKOUT, Service

DEPLOY = CHECKOUT / "deploy"
UNITS = sorted(path.name for path in DEPLOY.glob("*.service"))
#: In system mode, with a User=, each of them switches NoNewPrivileges on (systemd.exec).
NO_NEW_PRIVILEGES = {
    "DynamicUser",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateDevices",
    "ProtectClock",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RestrictAddressFamilies",
    "RestrictFileSystems",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallArchitectures",
    "SystemCallFilter",
    "SystemCallLog",
}


def as_installed_here(text: str) -> str:
    """With this Python and this checkout in the places of those in ``/opt``."""
    text = text.replace("/opt/jobqueue/.venv/bin/python", sys.executable)
    return text.replace("/opt/jobqueue", str(CHECKOUT))


def directives(unit: str) -> dict[str, list[str]]:
    """What a unit sets, over all its sections."""
    found = defaultdict(list)
    for name, value in re.findall(r"^(\w+)=(.*)$", (DEPLOY / unit).read_text(), re.MULTILINE):
        found[name].append(value)
    return found


class TestUnits:
    @pytest.fixture
    def analyze(self) -> str:
        servers.need("systemd")
        return servers.find_systemd_analyze()

    def complaints(self, analyze: str, unit: Path) -> list[str]:
        done = subprocess.run(
            [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
        )
        about_it = [line for line in done.stderr.splitlines() if unit.name in line]
        return about_it or [f"exit code {done.returncode}: {done.stderr}"] * bool(done.returncode)

    @pytest.mark.parametrize("unit", UNITS)
    def test_systemd_understands_each_line(self, analyze: str, unit: str, tmp_path: Path) -> None:
        copy = tmp_path / unit
        copy.write_text(as_installed_here((DEPLOY / unit).read_text()))
        assert self.complaints(analyze, copy) == []

    @pytest.mark.parametrize("unit", UNITS)
    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ("Restart=always", "Restrat=always"),
            ("Restart=always", "Restart=allways"),
            ("ExecStart=", "ExecStart=/no/such/program "),
        ],
    )
    def test_it_would_say_so(
        self, analyze: str, unit: str, right: str, wrong: str, tmp_path: Path
    ) -> None:
        copy = tmp_path / unit
        text = as_installed_here((DEPLOY / unit).read_text())
        copy.write_text(text.replace(right, wrong))
        assert self.complaints(analyze, copy)

    def test_a_run_is_left_to_end_in_its_own_time(self) -> None:
        service = directives("jobqueue.service")
        assert service["KillMode"] == ["process"]
        assert service["TimeoutStopSec"] == ["infinity"]
        assert service["OOMPolicy"] == ["continue"]

    @pytest.mark.parametrize("unit", UNITS)
    def test_it_is_always_started_again(self, unit: str) -> None:
        found = directives(unit)
        assert found["Restart"] == ["always"]
        assert found["StartLimitIntervalSec"] == ["0"]

    def test_nothing_hinders_jobs(self) -> None:
        """They inherit it: sudo, or a mail program that is setgid, must work."""
        found = directives("jobqueue.service")
        assert not found.keys() & {*NO_NEW_PRIVILEGES, "PrivateTmp", "ProtectHome"}
        assert "strict" not in found["ProtectSystem"]

    def test_all_services_share_user_settings_and_directory(self) -> None:
        service, *others = [directives(unit) for unit in ("jobqueue.service", *UNITS)]
        for name in ("User", "Group", "EnvironmentFile", "StateDirectory", "WorkingDirectory"):
            assert all(other[name] == service[name] for other in others)


class TestEnvironment:
    @pytest.fixture
    def environment(self, tmp_path: Path) -> Path:
        """The example with another directory, and all that is optional switched on."""
        text = (DEPLOY / "environment.example").read_text()
        text = text.replace("/var/lib/jobqueue", str(tmp_path / "data"))
        text = re.sub(r"^#(?=(SECRET_KEY|JOBQUEUE_HOST|EMAIL_URL)=)", "", text, flags=re.MULTILINE)
        file = tmp_path / "environment"
        file.write_text(text)
        return file

    def test_each_variable_is_documented(self) -> None:
        text = (DEPLOY / "environment.example").read_text()
        named = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
        rows = re.findall(
            r"^\| `([A-Z_]+)`", (CHECKOUT / "docs/settings.md").read_text(), re.MULTILINE
        )
        assert {"DATA_DIR", "SECRET_KEY", "JOBQUEUE_HOST"} < named
        assert named - {"DJANGO_SETTINGS_MODULE", "LANG"} <= set(rows)

    def test_the_command_reads_it(self, environment: Path, tmp_path: Path) -> None:
        script = tmp_path / "jobqueue-manage"
        script.write_text(as_installed_here((DEPLOY / "jobqueue-manage").read_text()))
        fresh = Service(tmp_path / "unused", {"JOBQUEUE_ENVIRONMENT": str(environment)})
        del fresh.environment["DATA_DIR"]
        print_host = "from django.conf import settings as s; print(s.JOBQUEUE['HOST'], s.TIME_ZONE)"
        done = subprocess.run(
            ["sh", script, "shell", "--verbosity", "0", "-c", print_host],
            cwd=tmp_path,
            env=fresh.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert done.stdout == "edi-1 Europe/Amsterdam\n"
        assert (tmp_path / "data").is_dir()


class TestWebSite:
    @pytest.fixture
    def told(self, tmp_path: Path) -> Iterator[socket.socket]:
        """Where a service says that it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(tmp_path / "notify"))
            told.settimeout(120)
            yield told

    @pytest.fixture
    def port(self) -> Iterator[int]:
        with addresses.kept_port() as port:
            yield port

    def test_it_says_when_it_answers_and_ends_by_sigterm(
        self, told: socket.socket, port: int, tmp_path: Path
    ) -> None:
        [command] = directives("jobqueue-web.service")["ExecStart"]
        assert "127.0.0.1:8000" in command
        address = f"127.0.0.1:{port}"
        argv = as_installed_here(command).replace("127.0.0.1:8000", address).split()
        service = Service(tmp_path / "data", {"NOTIFY_SOCKET": told.getsockname()})
        service.manage("migrate", "--verbosity", "0", check=True)
        output = tmp_path / "output"
        with (
            output.open("wb") as out,
            subprocess.Popen(
                argv, cwd=tmp_path / "data", env=service.environment, stdout=out, stderr=out
            ) as web,
        ):
            try:
                assert b"READY=1" in told.recv(4096), output.read_text()
                with urllib.request.urlopen(f"http://{address}/admin/login/", timeout=60) as page:
                    assert page.status == 200
            finally:
                os.kill(web.pid, signal.SIGTERM)
            assert web.wait(60) == 0
