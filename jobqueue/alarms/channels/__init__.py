"""The ways of a message out of here: a class for each kind of channel.

A channel is named by the words that recipients are named by, such as ``webhook:ops``: its kind, and
the name of its settings in ``JOBQUEUE["CHANNELS"]``. Mail has no such word: it goes by the SMTP
profile of its recipients. Kinds of the host's own are in ``JOBQUEUE["CHANNEL_KINDS"]``.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.utils.module_loading import import_string

from ... import conf
from ...models import Message
from ...recipients import CHANNEL_WORD
from ...refusals import Phrase, Refusal
from ...refusals import gettext_noop as _

_KINDS = ("mail", "webhook", "ping", "apprise")
_OURS = {kind: f"{__name__}.{kind}.{kind.title()}Channel" for kind in _KINDS}
#: Kinds that no recipient can name: what they need is elsewhere.
_NOT_NAMED = ("mail", "ping")


class NotSent(Exception):
    """Why a message wasn't accepted, in words without secrets.

    Args:
        problem: the words; a phrase or a refusal can be told in other languages as well.
        for_good: see below.
        closes: see below.
    """

    def __init__(
        self, problem: str | Phrase | Refusal, *, for_good: bool = False, closes: bool = False
    ) -> None:
        super().__init__(str(problem))
        #: For pages: :func:`jobqueue.languages.translated`; ``str()`` of this is English.
        self.problem = problem
        #: Whether the receiver said that it never will be.
        self.for_good = for_good
        #: Whether it is the receiver that is out of order, not the message: the others that go
        #: there aren't tried for a while.
        self.closes = closes


@dataclass(frozen=True)
class Receipt:
    """That a message was accepted."""

    #: What the receiver said, for who tests the channel.
    answer: str = ""
    #: Recipients that it refused, and why: these alone are tried again.
    refused: Mapping[str, str] = field(default_factory=dict)


class Channel(ABC):
    """What hands messages over that go the same way, one after another, in a thread of its own.

    Args:
        profile: the name of its settings.
    """

    #: For so long a message is tried again; then it waits for somebody to see to it.
    tried_for: ClassVar[timedelta] = timedelta(days=5)

    def __init__(self, profile: str) -> None:
        self.profile = profile

    @abstractmethod
    def deliver(self, message: Message) -> Receipt:
        """Hand a message over; to take longer than a minute or two is to have it sent twice.

        Raises:
            NotSent: it wasn't accepted, and is tried again later.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """Nothing more goes this way for now."""

    @classmethod
    def problems(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with its settings, in words without their values."""
        return iter(())

    @classmethod
    def described(cls, options: Mapping[str, Any]) -> str:
        """Where it leads, in words that anybody may see."""
        return ""


def names() -> list[str]:
    """The channels that the settings have, as recipients name them."""
    return list(conf.current().CHANNELS)


def kind_of(word: str) -> type[Channel]:
    """The class of a channel.

    Raises:
        ValueError: there is no such kind, or it can't be imported.
    """
    kind = word.partition(":")[0]
    known = {**_OURS, **conf.current().CHANNEL_KINDS}
    try:
        return cast("type[Channel]", import_string(known[kind]))
    except KeyError:
        raise Refusal(_("there is no kind of channel %(kind)s"), kind=repr(kind)) from None
    except ImportError:
        text = _("the kind of channel %(kind)s can't be imported")
        raise Refusal(text, kind=repr(kind)) from None


def open_channel(kind: str, profile: str) -> Channel:
    """A way for messages.

    Raises:
        NotSent: there is no such channel (any more), or it is broken.
    """
    try:
        channel = kind_of(kind)
    except ValueError as error:
        raise NotSent(Phrase(_("It has no way: %(why)s."), {"why": error}), closes=True) from error
    try:
        return channel(profile)
    except NotSent:
        raise
    except Exception as error:  # the settings may say anything, and a host's class do anything
        text = _("The settings of this way are broken: %(why)s.")
        raise NotSent(Phrase(text, {"why": type(error).__name__}), closes=True) from error


def described(word: str) -> str:
    """Where a channel of the settings leads, in words that anybody may see."""
    try:
        return kind_of(word).described(conf.current().CHANNELS[word])
    except Exception:  # the settings may say anything; the system checks say what is wrong
        return ""


def options_of(word: str) -> Mapping[str, Any]:
    """The settings of a channel.

    Raises:
        NotSent: it has none (any more).
    """
    try:
        return conf.current().CHANNELS[word]
    except KeyError:
        text = _("%(setting)s has no %(name)s any more.")
        values = {"setting": "JOBQUEUE['CHANNELS']", "name": repr(word)}
        raise NotSent(Phrase(text, values), closes=True) from None


def problems(word: str, options: object) -> Iterator[str]:
    """What is wrong with a channel in the settings, in words."""
    if not CHANNEL_WORD.fullmatch(word):
        yield "its name isn't kind:name, such as webhook:ops"
        return
    if word.partition(":")[0] in _NOT_NAMED:
        yield "mail and pings have their own settings"
        return
    if not isinstance(options, Mapping):
        yield "it isn't a dict"
        return
    try:
        yield from kind_of(word).problems(options)
    except ValueError as error:
        yield str(error)


@contextmanager
def cut_after(seconds: float, cut: Callable[[], None]) -> Iterator[None]:
    """End what takes longer, from a thread beside it: a server may keep us waiting word by word."""
    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
