"""What is said in the reader's language, and what in English whatever is active.

Pages speak the language of the one who reads them. What is stored or printed (reasons, mails, logs,
the admin's log, commands) is read by others, later, and searched for: it is English.
"""

from __future__ import annotations

from django.utils.translation import get_language, gettext, override

from . import refusals


def translated(said: object) -> str:
    """A phrase or a refusal in the active language; of any other error its text."""
    return refusals.say(said, gettext)


def in_english() -> override:
    """A context in which texts are as they stand in the code.

    No decorator: one object would remember the language for all threads.
    """
    return override(None)


def is_english() -> bool:
    """Whether the reader gets the texts of the code."""
    return (get_language() or "en").split("-")[0] == "en"
