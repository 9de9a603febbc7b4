"""Sets of moments: spans of time, each from its begin to its end, in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import inf

Span = tuple[float, float]


def union(spans: Iterable[Span]) -> list[Span]:
    """The same moments in as few spans as possible, in their order."""
    found: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """The moments of the first that are in none of the others."""
    return intersection(union(spans), _between(union(others)))


def intersection(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """The moments that are in both; each of them in its order, without overlaps."""
    found: list[Span] = []
    line = sorted([*((s, 0) for s in some), *((o, 1) for o in others)])
    last = [(-inf, -inf), (-inf, -inf)]
    for (begin, end), which in line:
        if end > last[which][1]:
            last[which] = begin, end
        common = max(last[0][0], last[1][0]), min(last[0][1], last[1][1])
        if common[0] < common[1]:
            found.append(common)
    return union(found)


def _between(spans: list[Span]) -> Iterable[Span]:
    """What lies before, between and behind them."""
    edges = [-inf, *(moment for span in spans for moment in span), inf]
    return zip(edges[::2], edges[1::2], strict=True)


def cut(spans: Iterable[Span], moments: Iterable[float]) -> list[Span]:
    """The same, ended and begun anew at each of these moments."""
    found: list[Span] = []
    at = sorted(moments)
    for begin, end in spans:
        edges = [begin, *(moment for moment in at if begin < moment < end), end]
        found += pairwise(edges)
    return found


def longest(spans: Iterable[Span]) -> float:
    """The length of the longest one; 0 if there is none."""
    return max((end - begin for begin, end in spans), default=0.0)
