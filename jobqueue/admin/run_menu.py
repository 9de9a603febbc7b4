"""What the Run menu offers to a user, by the first part of the Jobs' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth import get_backends
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from ..models import Job
from . import actions, display, links

#: Between the name of a group and what a Job is called in it.
SEPARATOR = ": "
#: From so many Jobs on they can be searched.
MANY = 11
#: Characters of a name that are shown.
LENGTH = 80


@dataclass(frozen=True)
class Entry:
    """A Job that the user may run."""

    shown: str
    url: str


@dataclass
class Group:
    """Jobs of which the names begin alike; those of none are in the one without a name."""

    name: str
    entries: list[Entry] = field(default_factory=list)


def of(request: HttpRequest) -> list[Group]:
    """The groups by name, first the one without; at most one query, none for who may run none."""
    if not _may_run_some(request):
        return []
    jobs = Job.objects.filter(in_run_menu=True, enabled=True).only("id", "name")
    allowed = [job for job in jobs if actions.may_run(request.user, job)]
    return _grouped((job.name, url) for job in allowed if (url := _url(request, job)))


def _may_run_some(request: HttpRequest) -> bool:
    """Whether it is worth asking for each Job: Django's own backends know no single objects."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return False
    own = ModelBackend.__module__
    return actions.may_run(user) or any(type(each).__module__ != own for each in get_backends())


def _grouped(named: Iterable[tuple[str, str]]) -> list[Group]:
    """A first part that only one name has makes no group."""
    parted = [(*_parts(name), url) for name, url in named]
    sizes = Counter(start for start, _, _ in parted)
    groups: dict[str, Group] = {}
    for start, rest, url in parted:
        name, shown = (start, rest) if sizes[start] > 1 else ("", _joined(start, rest))
        group = groups.setdefault(name, Group(display.cut(name, LENGTH)))
        group.entries.append(Entry(display.cut(shown, LENGTH), url))
    return [groups[name] for name in sorted(groups)]


def _parts(name: str) -> tuple[str, str]:
    """The name of a group, "" for none, and the rest."""
    start, _, rest = name.partition(SEPARATOR)
    return (start, rest) if start.strip() and rest.strip() else ("", name)


def _joined(start: str, rest: str) -> str:
    return f"{start}{SEPARATOR}{rest}" if start else rest


def _url(request: HttpRequest, job: Job) -> str:
    if links.in_admin(request):
        return links.to_admin(request, "jobqueue_job_run", job.pk)
    try:
        return reverse("jobqueue:run", args=[job.pk])
    except NoReverseMatch:
        return ""
