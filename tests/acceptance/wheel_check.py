"""Builds the wheel, installs it into an empty virtual environment and uses it from a new project.

Run by ``.ci/run``: ``python tests/acceptance/wheel_check.py``; 0 if all went well. It needs a
package index for Django and django-q2.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("jobqueue", "dirmonitor", "botsproject")
PATIENCE = 180  # seconds that a crowded machine is given
SETTINGS = """
INSTALLED_APPS += ["django_q", "jobqueue", "dirmonitor"]
Q_CLUSTER = {"name": "portal", "workers": 2, "timeout": 60, "retry": 90, "orm": "default"}
JOBQUEUE = {"DATA_DIR": BASE_DIR / "jobqueue"}
"""
URLS = """
from django.urls import include
urlpatterns += [path("jobqueue/", include("jobqueue.urls"))]
"""
FIND_TEMPLATES = """
import sys
from django.template.loader import get_template
for name in sys.argv[1:]:
    get_template(name)
"""


def main() -> int:
    """All steps, in order; the first one that fails raises."""
    with tempfile.TemporaryDirectory(prefix="wheel-check-") as name:
        directory = Path(name)
        wheel = build(directory)
        check_content(wheel)
        site = Installation(directory / "venv", directory / "portal")
        site.install(str(wheel))
        site.start_project()
        site.check_package_data()
        site.check_a_run()
        print("wheel: works in a new project")
        site.install(f"{wheel}[site]")
        site.check_botsproject()
        print("wheel: the stand-alone site works too")
    return 0


def build(directory: Path) -> Path:
    """The wheel, made from the source distribution as an index would get it."""
    run([sys.executable, "-m", "build", "--outdir", str(directory), str(CHECKOUT)])
    (wheel,) = directory.glob("*.whl")
    return wheel


def check_content(wheel: Path) -> None:
    """All files of the packages are in it, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set(package_files())
    assert inside == expected, f"differs: {sorted(inside ^ expected)}"
    assert "jobqueue/py.typed" in inside


def package_files() -> Iterator[str]:
    """Of the checkout: what belongs into the wheel."""
    for package in PACKAGES:
        for file in (CHECKOUT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(CHECKOUT).as_posix()


def data_files(kind: str) -> list[str]:
    """``templates`` or ``static`` of the app, by the names that Django finds them by."""
    root = PurePosixPath("jobqueue", kind)
    names = [PurePosixPath(name) for name in package_files()]
    return [str(name.relative_to(root)) for name in names if name.is_relative_to(root)]


class Installation:
    """A virtual environment with a project that has nothing to do with the checkout."""

    def __init__(self, environment: Path, project: Path):
        venv.create(environment, with_pip=True)
        self.bin = environment / "bin"
        self.project = project
        unwanted = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "REDIS_URL")
        self.environ = {k: v for k, v in os.environ.items() if k not in unwanted}
        self.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"

    def install(self, requirement: str) -> None:
        run([str(self.bin / "python"), "-m", "pip", "install", "--quiet", requirement])

    def start_project(self) -> None:
        self.project.mkdir()
        run([str(self.bin / "django-admin"), "startproject", "portal", str(self.project)])
        for file, text in (("settings.py", SETTINGS), ("urls.py", URLS)):
            with (self.project / "portal" / file).open("a") as lines:
                lines.write(text)
        self.manage("check")
        self.manage("migrate", "--verbosity", "0")
        self.manage("makemigrations", "--check", "--dry-run")

    def call(self, *words: str, settings: str = "portal.settings") -> str:
        environ = self.environ | {"DJANGO_SETTINGS_MODULE": settings}
        return run([str(self.bin / words[0]), *words[1:]], cwd=self.project, env=environ)

    def manage(self, *words: str) -> str:
        return self.call("python", "manage.py", *words)

    def check_package_data(self) -> None:
        """Templates, static files and translations are found where Django looks for them."""
        script = "import django; django.setup()" + FIND_TEMPLATES
        self.call("python", "-c", script, *data_files("templates"))
        for name in data_files("static"):
            self.manage("findstatic", "--first", name)

    def check_a_run(self) -> None:
        """A request by the installed script is run by ``qcluster``, which then ends with 0."""
        environ = self.environ | {"PYTHONPATH": str(self.project)}
        run([str(self.bin / "job2queue"), "-p3", "echo", "hello"], cwd=self.project, env=environ)
        cluster = subprocess.Popen(
            [str(self.bin / "python"), "manage.py", "qcluster"],
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            row = self.wait_for_end()
            assert (row["state"], row["return_code"]) == ("succeeded", 0), row
            assert row["log_tail"] == "hello\n", row
            cluster.send_signal(signal.SIGTERM)
            assert cluster.wait(PATIENCE) == 0
        finally:
            if cluster.poll() is None:
                os.killpg(cluster.pid, signal.SIGKILL)
                cluster.wait()

    def wait_for_end(self) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE
        while True:
            (row,) = json.loads(self.manage("queue", "list", "--json"))
            if row["ended_at"]:
                return dict(row)
            if time.monotonic() > deadline:
                raise TimeoutError(f"not run within {PATIENCE} s: {row}")

    def check_botsproject(self) -> None:
        """The site's settings work from the wheel, and so does its demonstration."""
        for words in (["check"], ["migrate", "--verbosity", "0"], ["demodata"]):
            self.call("django-admin", *words, settings="botsproject.settings")
        assert (self.project / "var" / "db.sqlite3").exists()
        self.call("python", "-m", "botsproject.demo")


def run(argv: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What it printed; fails loudly."""
    result = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
        raise SystemExit(f"{' '.join(argv)} ended with {result.returncode}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main())
