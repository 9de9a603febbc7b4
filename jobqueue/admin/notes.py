"""What the record of a run says beside its facts: what happened to it, what it led to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import F, QuerySet
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..commandline import printable
from ..models import Execution, State

#: What a list needs of ``details``, which may be long.
_IN_LIST = ("adopted", "recovers", "recovered_by", "queued_again_as", "not_queued_again")

#: Files, and others who joined a request, that the page of one names at most.
NAMED = 20
#: Characters of such a name.
_NAME = 300

Link = Callable[[int], str]


def with_notes(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    """Each with what :func:`in_list` needs."""
    return executions.annotate(**{f"noted_{name}": F(f"details__{name}") for name in _IN_LIST})


def in_list(execution: Execution, link: Link, told: str) -> Iterator[str]:
    """A few words on what can't be seen from its state, nor from what is told already."""
    noted = {name: getattr(execution, f"noted_{name}") for name in _IN_LIST}
    if str(noted["not_queued_again"]) in told:
        del noted["not_queued_again"]
    if execution.state == State.RUNNING and _number(noted["adopted"]):
        yield _("its worker died, another one took over")
    yield from relations(noted, link)


def relations(details: Mapping[str, Any], link: Link) -> Iterator[str]:
    """Which run it has to do with, and how."""
    texts = {
        "recovers": _("recovery run after {}"),
        "queued_again_as": _("queued again as {}"),
        "recovered_by": _("recovery run: {}"),
    }
    for name, text in texts.items():
        if number := _number(details.get(name)):
            yield format_html(text, link(number))
    if why := details.get("not_queued_again"):
        yield _("not queued again: %s") % printable(str(why))


def of_run(details: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on what happened while it ran."""
    texts = {
        "adopted": _("Its worker died; another one took it over."),
        "overdue": _("It ran longer than its limit, and an alert said so."),
        "leftovers": _("It left processes behind, which were ended."),
        "log_cut": _("Its log reached the size limit; the middle is left out."),
    }
    yield from (text for name, text in texts.items() if name in details)
    if note := details.get("note"):
        yield printable(str(note))


def files(details: Mapping[str, Any]) -> Iterator[str]:
    """The first files that a request was made for, and how many more there are."""
    names = _names(details, "files")
    shown = names[:NAMED]
    yield from shown
    if shown and (more := max(_number(details.get("count")), len(names)) - len(shown)):
        yield ngettext("and %d more", "and %d more", more) % more


def joined(details: Mapping[str, Any]) -> Iterator[str]:
    """Who else has asked for it while it waited."""
    names = _names(details, "joined")
    yield from names[:NAMED]
    if len(names) > NAMED:
        yield "…"


def _names(details: Mapping[str, Any], key: str) -> list[str]:
    """What a requester put there instead of names counts as none."""
    found = details.get(key)
    names = found if isinstance(found, list) else []
    return [printable(name[:_NAME]) for name in names if isinstance(name, str) and name]


def _number(value: object) -> int:
    """What a requester put there instead counts as none."""
    return value if isinstance(value, int) else 0
