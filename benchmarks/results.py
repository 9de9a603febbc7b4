"""What was measured: medians over the rounds, as a table, as Markdown and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

HEAD = ("measured", "result", "compared with", "ratio", "to reach", "reached")


@dataclass(frozen=True)
class Target:
    """What a figure is to reach: a bound of its ratio, or of itself."""

    bound: float
    of: str = "ratio"
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:g}" + (" x" if self.of == "ratio" else "")

    def is_reached(self, figure: Figure) -> bool | None:
        """None when there is no such value."""
        value = figure.ratio if self.of == "ratio" else figure.value
        if value is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass
class Figure:
    """One line: a value from each round, and what it is compared with in the same round."""

    section: str
    what: str
    unit: str
    compared_with: str = ""
    target: Target | None = None
    values: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    #: Further values that only the JSON shows, such as the mean beside a median.
    more: dict[str, list[float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def other(self) -> float | None:
        """The median of what it's compared with."""
        return median(self.others) if self.others else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios."""
        if not self.others or not all(self.others):
            return None
        return median(a / b for a, b in zip(self.values, self.others, strict=True))

    def cells(self) -> tuple[str, ...]:
        """What a table shows."""
        reached = self.target.is_reached(self) if self.target else None
        return (
            self.what,
            f"{_number(self.value)} {self.unit}",
            f"{_number(self.other)} {self.compared_with}" if self.other is not None else "",
            f"{self.ratio:.2f}" if self.ratio is not None else "",
            str(self.target or ""),
            {True: "yes", False: "no", None: ""}[reached],
        )


class Results:
    """All figures of one call of the benchmarks, and what had to be left out."""

    def __init__(self, rounds: int, quick: bool) -> None:
        self.figures: list[Figure] = []
        self.left_out: list[str] = []
        self.seconds = 0.0
        self._load = os.getloadavg()[0]
        self._rounds = rounds
        self._quick = quick

    def add(
        self,
        section: str,
        what: str,
        value: float,
        unit: str,
        *,
        other: float | None = None,
        compared_with: str = "",
        target: Target | None = None,
        **more: float,
    ) -> None:
        """A value of one round."""
        figure = self.find(section, what)
        if figure is None:
            figure = Figure(section, what, unit, compared_with, target)
            self.figures.append(figure)
        figure.values.append(value)
        if other is not None:
            figure.others.append(other)
        for name, further in more.items():
            figure.more.setdefault(name, []).append(further)

    def find(self, section: str, what: str) -> Figure | None:
        """The figure of this name."""
        return next((f for f in self.figures if (f.section, f.what) == (section, what)), None)

    def leave_out(self, what: str, why: str) -> None:
        """Say that something isn't measured."""
        line = f"{what}: {why}"
        if line not in self.left_out:
            self.left_out.append(line)

    def conditions(self) -> str:
        """Where and how it was measured, in one line."""
        packages = ", ".join(f"{p} {version(p)}" for p in _packages())
        how = f"{self._rounds} rounds" + (", quick: too few runs to rely on" if self._quick else "")
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        busy = " (busy with something else: not to be relied on)" if self._load > 0.5 else ""
        return (
            f"{when}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {packages}; "
            f"{how}, {self.seconds:.0f} s in all; load average {self._load:.1f} at the start{busy}."
        )

    def table(self) -> str:
        """For a terminal."""
        rows = [HEAD, *(figure.cells() for figure in self.figures)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
        lines = [_line(HEAD, widths)]
        for section in self.sections():
            lines += ["", section]
            lines += [_line(f.cells(), widths) for f in self.figures if f.section == section]
        return "\n".join([*lines, "", *self.left_out_lines(), self.conditions()])

    def markdown(self) -> str:
        """For a page of the documentation."""
        lines = [self.conditions()]
        for section in self.sections():
            lines += ["", f"### {section}", "", _markdown_row(HEAD), "|---" * len(HEAD) + "|"]
            lines += [_markdown_row(f.cells()) for f in self.figures if f.section == section]
        left_out = [f"- {line}" for line in self.left_out_lines()]
        return "\n".join([*lines, *([""] if left_out else []), *left_out, ""])

    def json(self) -> dict[str, Any]:
        """Everything, each round."""
        return {
            "conditions": self.conditions(),
            "figures": [
                asdict(f) | {"value": f.value, "other": f.other, "ratio": f.ratio}
                for f in self.figures
            ],
            "left_out": self.left_out,
        }

    def sections(self) -> list[str]:
        """Their names, in the order in which they came."""
        return list(dict.fromkeys(figure.section for figure in self.figures))

    def left_out_lines(self) -> list[str]:
        """What wasn't measured and why."""
        return [f"Left out: {line}" for line in self.left_out]


def _packages() -> Iterator[str]:
    """What the figures depend on, with the drivers that the site takes."""
    yield from ("Django", "django-q2")
    for drivers in (("psycopg",), ("mysqlclient", "PyMySQL")):
        yield from [name for name in drivers if _is_installed(name)][:1]


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
