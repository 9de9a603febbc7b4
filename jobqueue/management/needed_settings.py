"""What the rows of a set-up need of the settings: in a file without secrets, then as Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import conf, recipients
from ..documents import Entry, Sections
from ..portable import Need, portables
from .settings_values import plain

#: What they stand under in a file.
SECTION = "settings"
#: In the order in which they are written: keys of JOBQUEUE.
KEYS = ("ENVIRONMENTS", "RECIPIENTS", "QUEUE_RECIPIENTS", "CHANNELS", "MAIL_PROFILES")

#: Of each key, the names under it with what a file says of them; None if it doesn't.
Found = dict[str, dict[str, Any]]
Pair = tuple[str, str]


def of(sections: Sections) -> tuple[Found, Found]:
    """What the rows name, and what that names in turn in the settings here.

    Returns:
        What is here, and what isn't.
    """
    queues = (("QUEUE_RECIPIENTS", queue) for queue in _queues(sections))
    direct = {need[1:] for need in _needs(sections)}
    direct |= {pair for pair in queues if _is_here(pair)}
    pairs = _closure(direct, lambda key, name: getattr(conf.current(), key).get(name))
    here = {pair for pair in pairs if _is_here(pair)}
    return (
        _sorted((pair, plain(pair[0], getattr(conf.current(), pair[0])[pair[1]])) for pair in here),
        _sorted((pair, None) for pair in pairs - here),
    )


def written(found: Found) -> list[Entry]:
    """The section of a file that says this."""
    return [
        {"name": key, "has": list(named) if key == "CHANNELS" else named}
        for key, named in found.items()
    ]


def take(sections: Sections) -> Found:
    """What a file says of the settings; its section is taken out.

    Raises:
        ValueError: it can't be read; one line.
    """
    found = list[tuple[Pair, Any]]()
    for number, entry in enumerate(sections.pop(SECTION, []), start=1):
        key, had = entry.get("name"), entry.get("has")
        if key not in KEYS or not isinstance(had, list | dict) or entry.keys() != {"name", "has"}:
            known = ", ".join(KEYS)
            raise ValueError(f"{SECTION}, number {number}: name is one of {known}, has a list.")
        kind = list if key == "QUEUE_RECIPIENTS" else dict
        for name in map(str, had):
            value = had[name] if isinstance(had, dict) else None
            if not isinstance(value, kind | None):
                what = "a list" if kind is list else "names with values"
                raise ValueError(f"{SECTION}, {key}, {name!r:.60}: {what}, not {value!r:.40}.")
            found.append(((key, name), value))
    return _sorted(found)


def lacking(sections: Sections, listed: Found) -> Found:
    """What the rows need and the settings here lack.

    Where a group is lacking, so is what the file says that it needs.
    """
    by_queue = (("QUEUE_RECIPIENTS", queue) for queue in listed.get("QUEUE_RECIPIENTS", ()))
    needed = {pair for pair in (need[1:] for need in _needs(sections)) if not _is_here(pair)}
    needed |= {pair for pair in by_queue if not _is_here(pair)}
    said = {(key, name): value for key, named in listed.items() for name, value in named.items()}
    if any(key == "RECIPIENTS" and said.get((key, name)) is None for key, name in needed):
        needed |= said.keys()  # an older file: it doesn't say which of them needs what
    pairs = _closure(needed, lambda key, name: said.get((key, name)))
    return _sorted((pair, said.get(pair)) for pair in pairs if not _is_here(pair))


def names(found: Found) -> dict[str, list[str]]:
    """Without what is said of them."""
    return {key: list(named) for key, named in found.items()}


def _closure(pairs: Iterable[Pair], value: Any) -> set[Pair]:
    """These, and what they name in turn."""
    found, left = set[Pair](), list(pairs)
    while left:
        pair = left.pop()
        if pair not in found:
            found.add(pair)
            left += _named_by(pair[0], value(*pair))
    return found


def _named_by(key: str, value: Any) -> Iterator[Pair]:
    """The groups, channels and SMTP profiles that a value of the settings names."""
    words: Iterable[Any] = ()
    if key == "RECIPIENTS" and isinstance(value, Mapping):
        words = value.get("to") or ()
        if profile := value.get("profile"):
            yield "MAIL_PROFILES", str(profile)
    elif key == "QUEUE_RECIPIENTS":
        words = value or ()
    for word in words if isinstance(words, list | tuple) else ():
        if recipients.is_channel(str(word)):
            yield "CHANNELS", str(word)
        elif key == "QUEUE_RECIPIENTS" and "@" not in str(word):
            yield "RECIPIENTS", str(word)


def _needs(sections: Sections) -> Iterator[Need]:
    for portable in portables():
        for entry in sections.get(portable.section, ()):
            yield from portable.needs(entry)


def _queues(sections: Sections) -> Iterator[str]:
    """Those of rows that name no recipients of their own."""
    for portable in portables():
        if (field := portable.fields.get("queue")) is not None:
            for entry in sections.get(portable.section, ()):
                queue = entry.get("queue", field.get_default())
                if queue and isinstance(queue, str) and not entry.get("recipients"):
                    yield queue


def _is_here(pair: Pair) -> bool:
    return Need("", *pair).is_met


def _sorted(found: Iterable[tuple[Pair, Any]]) -> Found:
    known = dict(found)
    by_key = {
        key: {name: known[of_key, name] for of_key, name in sorted(known) if of_key == key}
        for key in KEYS
    }
    return {key: named for key, named in by_key.items() if named}
