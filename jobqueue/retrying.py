"""Whether a run that went wrong is tried again, and when. Pure: no Django, no clock, no dice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Final, Self

from .refusals import Refusal
from .refusals import gettext_noop as _

FIXED: Final = "fixed"
EXPONENTIAL: Final = "exponential"
#: The ends that may be tried again.
STATES: Final = ("failed", "warned", "timed_out", "lost")
DEFAULT_ON: Final = "failed, timed_out"
#: Retries of one request at most, and the longest delay.
MOST: Final = 100
LONGEST: Final = timedelta(days=30)
#: So much of a delay is added by chance at most: what failed together doesn't come back together.
JITTER: Final = 0.1

_CODES = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
_HYPHEN = re.compile(r"\s*-\s*")
#: Doubled so often, the shortest delay of all is longer than the longest one.
_DOUBLINGS = 64


@dataclass(frozen=True)
class Outcomes:
    """Ends of runs: by their states, and by the return codes of those that ended by themselves."""

    states: frozenset[str]
    codes: frozenset[int]

    def have(self, state: str, return_code: int | None) -> bool:
        """Whether this is one of them."""
        by_itself = state in ("failed", "warned")
        return state in self.states or (by_itself and return_code in self.codes)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The attempts of one request; stored with it, as the Job said when it was made.

    Runs that are repeated for another reason (lost, or the engine was busy) are no attempts.
    """

    #: The number of this attempt, from 1, and of the last one.
    attempt: int = 1
    attempts: int
    #: Seconds.
    delay: float
    backoff: str = EXPONENTIAL
    #: Seconds; for exponential delays.
    max_delay: float
    #: As :func:`parse` reads it.
    on: str = DEFAULT_ON

    def after(self, state: str, return_code: int | None, chance: float) -> timedelta | None:
        """The delay until the next attempt after this end of a run; None if there is none.

        Args:
            state: the end of this attempt.
            return_code: its code, if it has one.
            chance: a random number from 0 to 1.
        """
        if self.attempt >= self.attempts or not parse(self.on).have(state, return_code):
            return None
        return self.nominal_delay() * (1 + JITTER * chance)

    def nominal_delay(self) -> timedelta:
        """What is at least between this attempt and the next one."""
        if self.backoff == FIXED:
            return timedelta(seconds=self.delay)
        doublings = min(self.attempt - 1, _DOUBLINGS)
        return timedelta(seconds=min(self.delay * 2.0**doublings, self.max_delay))

    def delays(self) -> Iterator[timedelta]:
        """What is at least between the attempts from this one on."""
        plan = self
        while plan.attempt < plan.attempts:
            yield plan.nominal_delay()
            plan = plan.next()

    def next(self) -> Self:
        """The same at the next attempt."""
        return replace(self, attempt=self.attempt + 1)


@lru_cache
def parse(text: str) -> Outcomes:
    """The outcomes that are named: states and return codes, such as ``timed_out, 1, 75-78``.

    Raises:
        Refusal: a word is neither, or there is none.
    """
    words = [_HYPHEN.sub("-", word.strip().lower()) for word in text.split(",") if word.strip()]
    if not words:
        text = _("No outcome is named: say failed, timed_out, or codes such as 1, 75-78.")
        raise Refusal(text)
    named = {word: word.replace(" ", "_") for word in words}
    states = frozenset(state for state in named.values() if state in STATES)
    codes = (code for word, name in named.items() if name not in STATES for code in _codes(word))
    return Outcomes(states, frozenset(codes))


def _codes(word: str) -> range:
    found = _CODES.fullmatch(word)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= 255:
        text = _("%(word)s is no outcome: say %(known)s, or codes from 1 to 255 such as 1, 75-78.")
        raise Refusal(text, word=repr(word[:40]), known=", ".join(STATES))
    return range(first, last + 1)
