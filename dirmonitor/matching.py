"""Which files are meant by a monitor's path and masks. Pure.

Paths and names are bytes, as the kernel has them: not every name is UTF-8.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterable, Iterator
from fnmatch import translate
from functools import lru_cache

_WILD = re.compile(r"[*?\[]")

Exists = Callable[[bytes], bool]
Names = Callable[[bytes], Iterable[bytes]]


def split_masks(text: str) -> list[str]:
    """The masks that a text has, several separated by ``;``."""
    return [mask for part in text.split(";") if (mask := part.strip())]


@lru_cache(maxsize=4096)
def _compiled(text: str) -> re.Pattern[str]:
    masks = split_masks(text)
    return re.compile("|".join(map(translate, masks)) if masks else r"(?!)")


def matches(name: bytes, masks: str) -> bool:
    """Whether a file's name fits one of the masks, by the rules of :mod:`fnmatch`.

    Upper and lower case are different, as on the file system.
    """
    return fitting(masks)(name)


def fitting(masks: str) -> Callable[[bytes], bool]:
    """The same question about many names."""
    if "*" in split_masks(masks):
        return lambda name: True
    match = _compiled(masks).match
    return lambda name: match(os.fsdecode(name)) is not None


def belongs(path: bytes, roots: Container[bytes], *, recursive: bool) -> bool:
    """Whether a path is one of the roots, lies in one, or (recursive) anywhere below one."""
    if path in roots:
        return True
    parent, name = os.path.split(path)
    while recursive and parent not in roots and parent != b"/":
        parent = os.path.dirname(parent)
    return parent in roots and name != b""


def is_wild(path: str) -> bool:
    """Whether a path, or a part of it, may stand for several."""
    return _WILD.search(path) is not None


def roots(path: bytes, exists: Exists, names: Names) -> Iterator[bytes]:
    """What a path with wildcards in any of its parts stands for, as far as it is there.

    A part that exists literally is meant literally, so that ``in[1]`` can be a directory. As in a
    shell, a wildcard doesn't stand for a dot at the beginning of a name.

    Args:
        path: absolute.
        exists: tells whether there is such a path.
        names: lists a directory; nothing for what is none.
    """
    yield from _expanded(b"/", [part for part in path.split(b"/") if part], exists, names)


def _expanded(base: bytes, parts: list[bytes], exists: Exists, names: Names) -> Iterator[bytes]:
    if not parts:
        yield base
        return
    first, *rest = parts
    literal = os.path.join(base, first)
    if exists(literal):
        yield from _expanded(literal, rest, exists, names)
    elif is_wild(os.fsdecode(first)):
        for name in sorted(names(base)):
            if _stands_for(first, name):
                yield from _expanded(os.path.join(base, name), rest, exists, names)


def _stands_for(pattern: bytes, name: bytes) -> bool:
    if name.startswith(b".") and not pattern.startswith(b"."):
        return False
    return _part(os.fsdecode(pattern)).match(os.fsdecode(name)) is not None


@lru_cache(maxsize=4096)
def _part(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
