"""Names that are unique to any of the databases, whatever they take for the same."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable


class Names:
    """Those that are taken."""

    def __init__(self, names: Iterable[str]) -> None:
        self._taken = {folded(name) for name in names}
        self._numbers: Counter[str] = Counter()

    def unique(self, name: str) -> str:
        """The name, or with a number behind it if it is taken; it is taken then."""
        found = name
        while folded(found) in self._taken:
            self._numbers[name] += 1
            found = f"{name} ({self._numbers[name] + 1})"
        self._taken.add(folded(found))
        return found


def folded(name: str) -> str:
    """The same for names that only differ in case, accents or blanks at their end."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in letters if not unicodedata.combining(char)).rstrip()
