"""Which names any of the databases may take for the same."""

from __future__ import annotations

import unicodedata


def folded(name: str) -> str:
    """The same for names that only differ in case, accents or blanks at their end."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in letters if not unicodedata.combining(char)).rstrip()
