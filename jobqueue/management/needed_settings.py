"""What the rows of a set-up need of the settings: by names only, as a file must have no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .. import conf, recipients
from ..documents import Entry, Sections
from ..portable import Need, portables

#: What the names stand under in a file.
SECTION = "settings"
#: In the order in which they are written: keys of JOBQUEUE.
KEYS = ("ENVIRONMENTS", "RECIPIENTS", "CHANNELS", "MAIL_PROFILES")

#: Of each key, the names under it.
Names = dict[str, list[str]]


def of(sections: Sections) -> Names:
    """What the rows name, and what the groups among that name in turn in the settings here."""
    direct = _sorted(need[1:] for need in _needs(sections))
    groups = conf.current().RECIPIENTS
    more = (
        (key, name)
        for group in direct.get("RECIPIENTS", ())
        for profile, word in recipients.of_group(groups.get(group))
        for key, name in (("MAIL_PROFILES", profile), ("CHANNELS", word))
        if name and (key == "MAIL_PROFILES" or recipients.is_channel(name))
    )
    return _sorted([*_pairs(direct), *more])


def written(names: Names) -> list[Entry]:
    """The section of a file that lists them."""
    return [{"name": key, "has": had} for key, had in names.items()]


def take(sections: Sections) -> Names:
    """The names that a file lists; their section is taken out.

    Raises:
        ValueError: it is no such list; one line.
    """
    found = list[tuple[str, str]]()
    for number, entry in enumerate(sections.pop(SECTION, []), start=1):
        key, names = entry.get("name"), entry.get("has")
        if key not in KEYS or not isinstance(names, list) or entry.keys() != {"name", "has"}:
            known = ", ".join(KEYS)
            raise ValueError(f"{SECTION}, number {number}: name is one of {known}, has a list.")
        found += ((key, str(name)) for name in names)
    return _sorted(found)


def lacking(sections: Sections, listed: Names) -> Names:
    """What the rows need and the settings here lack.

    Where a group is lacking, so is what the file lists for it.
    """
    needed = _sorted(need[1:] for need in _needs(sections) if not need.is_met)
    if "RECIPIENTS" not in needed:
        return needed
    return _sorted([*_pairs(needed), *(p for p in _pairs(listed) if not Need("", *p).is_met)])


def stub(names: Names) -> Iterator[str]:
    """Lines for the settings, with placeholders."""
    yield "JOBQUEUE = {"
    for key, lacked in names.items():
        yield f'    "{key}": {{'
        yield from (f"        {name!a}: {_placeholder(key, name)}," for name in lacked)
        yield "    },"
    yield "}"


def _placeholder(key: str, name: str) -> str:
    secret = re.sub(r"\W+", "_", name, flags=re.ASCII).upper()
    kind = name.partition(":")[0] if key == "CHANNELS" else ""
    url = f'"url": os.environ["{secret}_URL"]'
    return {
        "ENVIRONMENTS": '{"virtualenv": "/path/to/its/venv"}',
        "RECIPIENTS": '{"to": ["somebody@example.com"]}',
        "MAIL_PROFILES": '{"host": "smtp.example.com", "port": 587, "user": "somebody", '
        f'"password": os.environ["{secret}_PASSWORD"]}}',
        "webhook": f'{{{url}, "key": os.environ["{secret}_KEY"]}}',
        "apprise": f"{{{url}}}",
    }.get(kind or key, "{}")


def _needs(sections: Sections) -> Iterator[Need]:
    for portable in portables():
        for entry in sections.get(portable.section, ()):
            yield from portable.needs(entry)


def _pairs(names: Names) -> Iterator[tuple[str, str]]:
    return ((key, name) for key, found in names.items() for name in found)


def _sorted(pairs: Iterable[tuple[str, str]]) -> Names:
    known = set(pairs)
    found = {key: sorted(name for of_key, name in known if of_key == key) for key in KEYS}
    return {key: names for key, names in found.items() if names}
