"""That the tests know a service's processes apart: what they kill is what they mean."""

from __future__ import annotations

import json
from pathlib import Path

from tests.service import Role, Service
from tests.stamps import command
from tests.waiting import wait_until


def test_which_process_is_which(tmp_path: Path) -> None:
    service = Service(
        tmp_path / "var",
        {
            "DJANGO_SETTINGS_MODULE": "tests.crash_settings",
            "TEST_Q_CLUSTER": json.dumps({"workers": 2}),
        },
    )
    service.manage("migrate", check=True)
    service.manage("job2queue", *command(tmp_path / "stamps", "job", 600), check=True)
    with service:
        job = service.one(Role.JOB)
        wait_until(lambda: len(service.pids(Role.LAUNCHER)) == 2, 180, "both launchers")
        service.until_roles_are_known()
        sentinel, main = service.one(Role.SENTINEL), service.one(Role.MAIN)
        parents = {process.pid: process.parent for process in service.processes()}
        roles = service.roles()
        assert main == service.pid
        assert parents[sentinel] == main
        assert roles[parents[job]] == Role.LAUNCHER
        assert {roles[parents[pid]] for pid in service.pids(Role.LAUNCHER)} == {Role.WORKER}
        core = sorted(role for pid, role in roles.items() if parents[pid] == sentinel)
        assert core == [Role.MONITOR, Role.PUSHER, Role.WORKER, Role.WORKER]

        service.kill(main)
        wait_until(lambda: not service.pids(Role.MAIN), 180, "main to be gone")
        assert Role.OTHER not in service.roles().values()
        service.kill()
