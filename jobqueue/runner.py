"""runner's ``schedule.tsv`` and its ``config.ini``: read into definitions. Pure.

The columns and what their values mean are those of runner's README.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from . import commandline, recurrence
from .definitions import NAME_LIMIT, Contents, Definition, lines

COLUMNS = (
    *("ID", "NAME", "DESCRIPTION", "ENVIRONMENT", "FILE", "MONTH_DAY", "WEEK_DAY", "HOUR"),
    *("MINUTE", "SECOND", "PARAMETERS", "STATUS"),
)
#: What runs a file that names no environment.
PYTHON = "python"
#: The column of each field of an expression but the month, its lowest and highest value.
_TIMES = {
    "SECOND": (0, 59),
    "MINUTE": (0, 59),
    "HOUR": (0, 23),
    "MONTH_DAY": (1, 31),
    "WEEK_DAY": (1, 7),
}
_VALUE = re.compile(r"/(?P<divisor>[0-9]{1,4})|[0-9]{1,4}(?:-[0-9]{1,4})?", re.ASCII)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\")
_STATUS = {"Y": True, "N": False}


def read(data: bytes, *, zone: str) -> Contents:
    """What a ``schedule.tsv`` says; `zone` is the IANA name of the zone of its times."""
    contents = Contents()
    ids: dict[str, int] = {}
    for number, text in lines(data, contents):
        cells = [cell.strip() for cell in text.split("\t")]
        if not any(cells) or (number == 1 and tuple(map(str.upper, cells)) == COLUMNS):
            continue
        try:
            row = _row(cells)
            if (first := ids.setdefault(row["ID"], number)) != number:
                raise ValueError(f"The ID {row['ID']!r} is that of line {first} as well.")
            contents.add(_definition(number, row, zone))
        except ValueError as error:
            contents.refuse(number, str(error))
    return contents


def environments(names: Iterable[str], config: str | None) -> dict[str, list[str]]:
    """What runs the files of each environment, by the section ``ENVIRONMENT`` of a config.ini.

    One that isn't there is run by a program of its name, as runner's own ``python`` is.

    Raises:
        ValueError: it isn't an ini file.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(config or "")
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from None
    section = parser["ENVIRONMENT"] if parser.has_section("ENVIRONMENT") else {}
    return {name: _words(section.get(name.lower()) or name) for name in sorted(set(names))}


def _words(program: str) -> list[str]:
    """A program, which may be a path of Windows with blanks, with its arguments."""
    return [program] if _WINDOWS.match(program) else commandline.split(program)


def _row(cells: Sequence[str]) -> Mapping[str, str]:
    if len(cells) != len(COLUMNS):
        is_blank = len(cells) == 1 and re.search("  ", cells[0])
        why = "; there are blanks where tabs should be" if is_blank else ""
        s = "" if len(cells) == 1 else "s"
        raise ValueError(
            f"It has {len(cells)} column{s}, not {len(COLUMNS)}, with tabs between{why}."
        )
    return dict(zip(COLUMNS, cells, strict=True))


def _definition(number: int, row: Mapping[str, str], zone: str) -> Definition:
    if not re.fullmatch("[0-9]+", row["ID"]):
        raise ValueError(f"The ID {row['ID']!r} is no number.")
    if (enabled := _STATUS.get(row["STATUS"].upper())) is None:
        raise ValueError(f"STATUS is Y or N, not {row['STATUS']!r}.")
    if not row["FILE"]:
        raise ValueError("It has no FILE.")
    if _WINDOWS.match(row["FILE"]):
        raise ValueError(
            f"FILE is a path of Windows, {row['FILE']!r}: write the one that it has here."
        )
    expression = _expression(row)
    both_days = not (_is_any(row["MONTH_DAY"]) or _is_any(row["WEEK_DAY"]))
    recurrence.Cron(expression, zone, both_days)
    return Definition(
        line=number,
        name=_name(row),
        argv=[row["FILE"], *commandline.split(row["PARAMETERS"])],
        expression=expression,
        zone=zone,
        both_days=both_days,
        environment=row["ENVIRONMENT"] or PYTHON,
        description=row["DESCRIPTION"],
        enabled=enabled,
        notes=("It runs every second.",) if not expression.strip("* ") else (),
    )


def _name(row: Mapping[str, str]) -> str:
    return (row["NAME"] or PurePath(row["FILE"]).name)[:NAME_LIMIT]


def _expression(row: Mapping[str, str]) -> str:
    """Five fields, or six if the second isn't 0."""
    fields = {name: _field(name, row[name]) for name in _TIMES}
    second = [] if fields["SECOND"] == "0" else [fields["SECOND"]]
    days = [fields["MONTH_DAY"], "*", fields["WEEK_DAY"]]
    return " ".join([*second, fields["MINUTE"], fields["HOUR"], *days])


def _is_any(text: str) -> bool:
    return text in ("", "*")


def _field(name: str, text: str) -> str:
    if _is_any(text):
        return "*"
    return ",".join(_item(name, item.strip()) for item in text.split(","))


def _item(name: str, text: str) -> str:
    found = _VALUE.fullmatch(text)
    if found is None:
        raise ValueError(f"{name} takes a number, /n, a-b and lists of these, not {text!r}.")
    low, high = _TIMES[name]
    if found["divisor"] is None:
        if not all(low <= int(number) <= high for number in text.split("-")):
            raise ValueError(f"{name}: {text} is not within {low}-{high}.")
        return text
    divisor = int(found["divisor"])
    values = [n for n in range(low, high + 1) if divisor and n % divisor == 0]
    if not values:
        raise ValueError(f"{name}: no value from {low} to {high} can be divided by {divisor}.")
    if len(values) == 1:
        return str(values[0])
    if divisor == 1 or low == 0:
        return "*" if divisor == 1 else f"*/{divisor}"
    return ",".join(map(str, values))
