"""A language in which each text that can be translated is in brackets, and what isn't in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

from django.utils import translation
from django.utils.translation import trans_real

#: A language that Django knows, whose catalogue is put aside meanwhile.
LANGUAGE = "eo"
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[A-Za-z]{2,}")
#: Attributes that people see or hear; of ``value`` only that of buttons.
_SHOWN = {"title", "aria-label", "placeholder", "alt", "abbr", "label"}
_UNSEEN = {"script", "style", "code", "pre", "textarea", "datalist", "head"}


class Pseudo(trans_real.DjangoTranslation):
    """Says each text in brackets, but for the forms of dates."""

    def gettext(self, message: str) -> str:
        context, _, text = message.rpartition(trans_real.CONTEXT_SEPARATOR)
        return message if context == "date format" else f"⟦{text}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@contextmanager
def spoken() -> Iterator[None]:
    """In the end, the language of this thread is again what it was."""
    translations: Any = trans_real._translations  # type: ignore[attr-defined]
    translations[LANGUAGE] = Pseudo(LANGUAGE)
    try:
        with translation.override(LANGUAGE):
            yield
    finally:
        del translations[LANGUAGE]


def unmarked(text: str) -> list[str]:
    """The words of a text that are in no brackets."""
    while (rest := _MARKED.sub(" ", text)) != text:
        text = rest
    return _WORD.findall(text)


class Shown(HTMLParser):
    """What a page shows: its texts in order, and the attributes with texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._hidden: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        is_button = given.get("type") in ("submit", "button")
        for name, value in given.items():
            says = name.startswith("data-") and " " in value and "{" not in value
            if name in _SHOWN or says or (name == "value" and is_button):
                self.attributes.append(value)
        if tag in _UNSEEN:
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and self._hidden[-1] == tag:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)

    @property
    def forgotten(self) -> set[str]:
        """Words that nobody can translate."""
        parts = [" ".join(self.texts), *self.attributes]
        return {word for part in parts for word in unmarked(part)}
