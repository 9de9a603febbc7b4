"""Bots' Run menu as Jobs, held against the Jobs that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError

from jobqueue.api import Job, UniqueNames

from . import ini
from .engine import Engine
from .ini import Contents, Remark
from .routes import Route
from .steps import NAME_LIMIT, JobStep, Plan, change

#: As jobqueue calls the reading of Bots' return codes.
CODES = "bots-engine"
#: What the menu has without the routes: a name, what the engine is told, what that does.
MENU = (
    ("new", "--new", "Takes in new files, by all routes of the default run."),
    ("rereceive", "--rereceive", "Takes in again the files that users have marked in Bots."),
    ("resend", "--resend", "Sends again the files that users have marked in Bots."),
    (
        "retry communication",
        "--automaticretrycommunication",
        "Sends again what couldn't be delivered.",
    ),
    ("cleanup", "--cleanup", "Takes old data out of Bots' database."),
)
#: What a monitor without a route runs.
RUN_NEW = MENU[0][1]


def plan(found: Plan, contents: Contents, engine: Engine, routes: Sequence[Route] | None) -> None:
    """Add what becomes of the menu, and of the routes that monitors run."""
    wanted = _wanted(contents, engine, _route_names(found, contents, routes))
    there = _Jobs(engine)
    same = [there.same(job.argv) for job in wanted]
    for job, row in zip(wanted, same, strict=True):
        if why := _wrong(job):
            found.refused.append(Remark(None, f"The Job {job.name}: {why}"))
            continue
        step = there.step(job, row, contents.max_runtime)
        found.jobs.append(step)
        found.notes += _remarks(step.job)


def _route_names(found: Plan, contents: Contents, routes: Sequence[Route] | None) -> list[str]:
    names = {monitor.route for monitor in contents.monitors if monitor.route}
    for route in routes or ():
        if why := ini.wrong_route(route.name):
            found.notes.append(Remark(None, f"A route of Bots' database is left out: {why}"))
        elif route.is_active:
            names.add(route.name)
    return sorted(names)


def _wanted(contents: Contents, engine: Engine, routes: Iterable[str]) -> list[Job]:
    runs = [
        *MENU,
        *((f"route {name}", name, "Takes in new files by this route.") for name in routes),
    ]
    return [
        Job(
            name=f"{engine.title}: {name}"[:NAME_LIMIT],
            description=about,
            argv=engine.argv(word),
            in_run_menu=True,
            codes=CODES,
            max_runtime=contents.max_runtime or ini.MAX_RUNTIME,
        )
        for name, word, about in runs
    ]


def _wrong(job: Job) -> str:
    """What it would be refused for; "" if it isn't."""
    try:
        job.clean_fields(exclude=["name"])
        job.clean()
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _remarks(job: Job) -> Iterator[Remark]:
    if not job.enabled:
        yield Remark(None, f"The Job {job.name} is disabled: it will refuse.")
    elif not job.in_run_menu:
        yield Remark(None, f"The Job {job.name} runs the same; it isn't in the Run menu.")


class _Jobs:
    """The Jobs that are there, and which are taken."""

    def __init__(self, engine: Engine) -> None:
        rows = list(Job.objects.order_by("-pk"))
        self._names = UniqueNames(job.name for job in rows)
        bare = [job for job in rows if is_bare(job)]
        # The oldest one wins, but first one that has no variables or directory of its own.
        bare.sort(key=lambda job: not (job.env or job.working_directory))
        self._same = {tuple(job.argv): job for job in bare}
        self._by_name = {
            UniqueNames.fold(job.name): job for job in bare if engine.option in job.argv
        }
        self._taken: set[int] = set()

    def same(self, argv: list[str]) -> Job | None:
        """The one that runs this; it is taken then."""
        if row := self._same.get(tuple(argv)):
            self._taken.add(row.pk)
        return row

    def step(self, wanted: Job, same: Job | None, max_runtime: timedelta | None) -> JobStep:
        """What becomes of a Job that is wanted; `same` runs the same.

        Another one of its name is changed only if it runs the same configuration.
        """
        row = same or self._by_name.get(UniqueNames.fold(wanted.name))
        if row is None or (same is None and row.pk in self._taken):
            wanted.name = self._names.take(wanted.name)
            return JobStep(wanted)
        self._taken.add(row.pk)
        values: dict[str, Any] = {"argv": wanted.argv}
        if max_runtime is not None:
            values["max_runtime"] = max_runtime
        return JobStep.of(row, change(row, values))


def is_bare(job: Job) -> bool:
    """Whether its command is all of it: no named environment puts words before."""
    return not job.environment and isinstance(job.argv, list)
