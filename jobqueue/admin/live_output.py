"""The output of a run as JSON, by parts: its end as it comes, what was before, what is searched.

From the log file where this host has it; else the end of it that the database keeps.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse

from .. import output
from ..models import Execution
from ..output import Part
from . import ansi, links, log_file

#: Bytes of one part.
PART = 64 * 1024
#: Characters of what is searched for.
WORDS = 200


def answer(request: HttpRequest, execution: Execution) -> HttpResponse:
    """What is asked for in the address; without anything the end of the output.

    ``after=N``, ``before=N``: the part from, or up to, byte N. ``find=TEXT`` with ``from=N``: where
    it is, from byte N on. ``lines=N``: how many lines there are before byte N.
    """
    state = {"state": execution.state, "is_open": execution.is_open}
    path = log_file.of(execution)
    try:
        found = None if path is None else _of_file(request, path)
    except OSError:
        found = None
    if found is None:
        return _of_row(request, execution, state)
    return JsonResponse({**state, **found})


def _of_file(request: HttpRequest, path: Path) -> dict[str, Any]:
    asked = request.GET
    if words := asked.get("find", "")[:WORDS]:
        return {"found": output.find(path, words, links.number(asked.get("from")) or 0)}
    if (before := links.number(asked.get("lines"))) is not None:
        return {"lines_before": output.count_lines(path, before)}
    if (after := links.number(asked.get("after"))) is not None:
        part = output.part_after(path, after, PART)
        return {**_shown(part), "is_cut": part.size < after}
    return _shown(output.part_before(path, links.number(asked.get("before")), PART))


def _of_row(request: HttpRequest, execution: Execution, state: dict[str, Any]) -> HttpResponse:
    """The whole end of the output, unless the page has it already."""
    seen = f"{execution.state} {execution.log_tail}"
    tag = f'"{hashlib.sha256(seen.encode(errors="replace")).hexdigest()[:32]}"'
    if links.has_it(request, tag):
        return HttpResponseNotModified(headers={"ETag": tag})
    lines = execution.log_tail.removesuffix("\n").split("\n") if execution.log_tail else []
    shown = [[0, _pieces(line)] for line in lines]
    return JsonResponse({**state, "tail": shown}, headers={"ETag": tag})


def _shown(part: Part) -> dict[str, Any]:
    return {
        "start": part.start,
        "end": part.end,
        "size": part.size,
        "goes_on": part.goes_on,
        "lines": [[at, _pieces(text)] for at, text in part.lines],
    }


def _pieces(line: str) -> list[ansi.Piece]:
    return ansi.pieces(line.removesuffix("\n").removesuffix("\r"))
