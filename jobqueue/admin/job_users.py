"""What uses a Job beside its schedules, for its page: rows of whichever apps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.utils.text import capfirst

from .. import related
from ..commandline import printable
from ..models import Execution, Job, Schedule
from . import links

#: Rows of each kind that the page names at most.
SHOWN = 10


@dataclass(frozen=True)
class Users:
    """Rows of one kind that use a Job."""

    kind: str
    #: Name and address of each; "" for one that has no page.
    rows: list[tuple[str, str]]
    #: Whether there are more of them.
    has_more: bool


def of_job(request: HttpRequest, site: AdminSite, job: Job) -> list[Users]:
    """Those that this user may see in this admin site; schedules and runs have their own places."""
    return list(_of_job(request, site, job))


def _of_job(request: HttpRequest, site: AdminSite, job: Job) -> Iterator[Users]:
    for found in related.using(job, SHOWN + 1, besides=(Schedule, Execution)):
        model = type(found[0])
        named = [row for row in found[:SHOWN] if _may_see(request, site, row)]
        if named:
            kind = capfirst(str(model._meta.verbose_name_plural))
            rows = [(printable(str(row)), _url(request, row)) for row in named]
            yield Users(kind, rows, has_more=len(found) > SHOWN)


def _may_see(request: HttpRequest, site: AdminSite, row: Model) -> bool:
    """Whether it has pages here which the user may open; others aren't even named."""
    if not site.is_registered(type(row)):
        return False
    pages = site.get_model_admin(type(row))
    return pages.has_view_permission(request) or pages.has_view_permission(request, row)


def _url(request: HttpRequest, row: Model) -> str:
    opts = row._meta
    return links.to_admin(request, f"{opts.app_label}_{opts.model_name}_change", row.pk)
