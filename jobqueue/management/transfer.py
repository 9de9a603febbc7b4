"""What a file of another system says, held against the rows that are here.

A row is known by its name, and nothing else. What the file says of it holds for all its fields.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction

from ..commandline import printable
from ..documents import Entry, Sections
from ..models import Job
from ..portable import Portable, portable_of, portables
from . import named

NEW, CHANGED, UNCHANGED, HERE, REMOVED = "new", "changed", "unchanged", "only here", "removed"
#: What is done to a row: something.
DONE = (NEW, CHANGED, REMOVED)
#: With so many mistakes in a file, nobody looks for more.
MOST_PROBLEMS = 20

#: Of each field that changes, what was there and what will be, as a file has it.
Changes = dict[str, tuple[Any, Any]]


@dataclass
class Step:
    """What becomes of a row."""

    portable: Portable
    name: str
    row: models.Model
    action: str
    changes: Changes = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.portable.section}, {printable(self.name)}"

    def summary(self) -> tuple[object, ...]:
        """The same for two steps that do the same."""
        return (self.portable.section, self.name, self.action, self.changes)


@dataclass
class Plan:
    """What becomes of all rows."""

    steps: list[Step] = field(default_factory=list)
    #: Each in one line; with any, nothing is done.
    problems: list[str] = field(default_factory=list)

    def having(self, *actions: str) -> list[Step]:
        """The steps that do one of these."""
        return [step for step in self.steps if step.action in actions]


def plan(sections: Sections, *, prune: bool) -> Plan:
    """What is to be done to have what a file says; changes nothing.

    Args:
        sections: what the file says.
        prune: whether what the file lacks is to be removed, of those that it speaks of.
    """
    return _Comparison(sections, prune).plan()


def apply(sections: Sections, shown: Plan, *, prune: bool) -> None:
    """Do what was shown, all or nothing.

    Raises:
        ValueError: it is no longer that, or the database refuses it; one line.
    """
    with transaction.atomic(using=router.db_for_write(Job)):
        found = plan(sections, prune=prune)
        if list(map(Step.summary, found.steps)) != list(map(Step.summary, shown.steps)):
            raise ValueError("Nothing was done: somebody else changed something. Look again.")
        _store(found)


def _store(found: Plan) -> None:
    for step in found.having(NEW, CHANGED):
        try:
            fields = list(step.changes) if step.action == CHANGED else None
            step.row.save(update_fields=fields)
        except (IntegrityError, ValueError) as error:
            raise ValueError(f"Nothing was done: {step}: it is refused: {error}") from error
    for step in reversed(found.having(REMOVED)):
        step.row.delete()


class _Comparison:
    def __init__(self, sections: Sections, prune: bool) -> None:
        self._sections, self._prune = sections, prune
        self._plan = Plan()
        #: Of each section, the rows that are there and those that will be, by their names.
        self._rows: dict[str, dict[str, models.Model]] = {}
        #: Section and name of those that are removed.
        self._removed: set[tuple[str, str]] = set()

    def plan(self) -> Plan:
        known = portables()
        names = [portable.section for portable in known]
        for section in self._sections:
            if section not in names and self._sections[section]:
                self._problem(section, f"there are none of these here; {_near(section, names)}")
        for portable in known:
            self._compare(portable)
        for portable in known:
            if self._removed and portable.section not in self._sections:
                self._keep_what_is_needed(portable)
        return self._plan

    def _compare(self, portable: Portable) -> None:
        rows = {portable.name(row): row for row in portable.rows()}
        self._rows[portable.section] = rows
        here, seen = set(rows), set[str]()
        for number, entry in enumerate(self._sections.get(portable.section, ()), start=1):
            if len(self._plan.problems) >= MOST_PROBLEMS:
                return
            name = entry.get(portable.key)
            if not isinstance(name, str):
                where = f"{portable.section}, number {number}"
                self._problem(where, f"{portable.key} is missing, or no text in quotes.")
                continue
            where = f"{portable.section}, {name}"
            if name in seen:
                self._problem(where, "it is there twice.")
                continue
            seen.add(name)
            self._compare_row(portable, name, entry, where)
        if portable.section in self._sections:
            for name in sorted(here - seen):
                self._leave_or_remove(portable, name, rows[name])

    def _compare_row(self, portable: Portable, name: str, entry: Entry, where: str) -> None:
        rows = self._rows[portable.section]
        is_new = name not in rows
        row = rows.setdefault(name, portable.model())
        before = {} if is_new else _values(portable, row)
        problems = [
            *_unknown_fields(portable, entry),
            *portable.read(row, entry, self._find),
        ]
        step = Step(portable, name, row, NEW if is_new else UNCHANGED)
        problems += [] if problems else _clean(step, entry)
        for problem in problems:
            self._problem(where, problem)
        if problems:
            return
        if is_new:
            said = portable.write(row)
            step.changes = {key: (None, said[key]) for key in said if key != portable.key}
        else:
            step.changes = _changes(before, _values(portable, row))
            step.action = CHANGED if step.changes else UNCHANGED
        self._plan.steps.append(step)

    def _leave_or_remove(self, portable: Portable, name: str, row: models.Model) -> None:
        action = REMOVED if self._prune else HERE
        self._plan.steps.append(Step(portable, name, row, action))
        if self._prune:
            self._removed.add((portable.section, name))

    def _keep_what_is_needed(self, portable: Portable) -> None:
        """What is removed must not take along rows of which the file says nothing."""
        for row in portable.rows():
            for name, model in portable.references.items():
                section, needed = portable_of(model).section, portable.written(row, name)
                if (section, needed) in self._removed:
                    reason = f"{portable.kind} {portable.name(row)} needs it, and stays"
                    self._problem(f"{section}, {needed}", f"it can't be removed: {reason}.")

    def _find(self, model: type[models.Model], name: str) -> models.Model:
        """The row of this name, here or in the file."""
        portable = portable_of(model)
        row = self._rows[portable.section].get(name)
        if row is None:
            names = list(self._rows[portable.section])
            raise ValueError(f"there is no {portable.kind} {name!r:.80}; {_near(name, names)}")
        if (portable.section, name) in self._removed:
            raise ValueError(f"the {portable.kind} {name!r:.80} isn't in the file: it is removed.")
        return row

    def _problem(self, where: str, text: str) -> None:
        self._plan.problems.append(printable(f"{where}: {text}"))


def _values(portable: Portable, row: models.Model) -> dict[str, tuple[Any, Any]]:
    """Of each field what is compared, and what is shown."""
    return {
        name: (portable.raw(row, name), portable.written(row, name)) for name in portable.fields
    }


def _changes(before: dict[str, tuple[Any, Any]], after: dict[str, tuple[Any, Any]]) -> Changes:
    return {
        name: (before[name][1], shown)
        for name, (value, shown) in after.items()
        if before[name][0] != value
    }


def _unknown_fields(portable: Portable, entry: Entry) -> Iterable[str]:
    for key in sorted(entry.keys() - portable.fields.keys()):
        yield f"there is no {key!r:.60}; {_near(key, list(portable.fields))}"


def _near(word: str, words: list[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known: {named.listed(words) or 'none'}."


def _clean(step: Step, entry: Entry) -> list[str]:
    """What the model has against the row; what it only wants to have said becomes a note.

    What it needs of the settings, and these lack, is told of all rows at once.

    Constraints are left to the database: to ask it about each row takes longer than all the rest.
    """
    portable, problems = step.portable, list[str]()
    lacks = {need.field for need in portable.needs(entry) if not need.is_met}
    try:
        step.row.full_clean(
            exclude=portable.references, validate_unique=False, validate_constraints=False
        )
    except ValidationError as error:
        for name, errors in error.error_dict.items():
            for one in errors if name not in lacks else ():
                target = step.notes if one.code in portable.tolerated else problems
                target.append(f"{name}: {' '.join(one.messages)}")
    step.notes += portable.notes(step.row, entry)
    return problems
