"""Why something is refused: in English, and in parts that can be said in other languages. Pure.

Whoever finds out often knows no Django, and the same words go to a terminal, into the database and
onto a page. The first two are English; a page translates: see :mod:`jobqueue.languages`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self


def gettext_noop(text: str) -> str:
    """Mark a text for translators, as Django's function of this name does."""
    return text


@dataclass(frozen=True)
class Phrase:
    """A text with ``%(name)s`` for its values; a value may be a phrase, or a tuple of some."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return say(self)


class Refusal(ValueError):
    """Why something can't be done, in one line.

    Args:
        text: English, with ``%(name)s`` for each value; without values it is taken as it is.
        values: texts, phrases and other refusals.
    """

    def __init__(self, text: str, **values: object) -> None:
        self.phrase = Phrase(text, values)
        super().__init__(say(self.phrase))

    @classmethod
    def like(cls, error: ValueError) -> Self:
        """The same refusal as an error of this class."""
        phrase = error.phrase if isinstance(error, Refusal) else Phrase(str(error))
        return cls(phrase.text, **phrase.values)


def told(error: ValueError) -> Phrase | str:
    """What an error says, so that it can be translated if it is a refusal."""
    return error.phrase if isinstance(error, Refusal) else str(error)


def say(said: object, translate: Callable[[str], str] = str) -> str:
    """The words of a phrase or a refusal, by default in English; of anything else its text."""
    if isinstance(said, Refusal):
        said = said.phrase
    if isinstance(said, tuple):
        return ", ".join(say(one, translate) for one in said)
    if not isinstance(said, Phrase):
        return str(said)
    text = translate(said.text)
    values = {name: say(value, translate) for name, value in said.values.items()}
    return text % values if values else text
