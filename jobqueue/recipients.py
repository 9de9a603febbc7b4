"""Who is told: addresses, the groups of them that the settings name, and other channels."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from email.utils import parseaddr
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.encoding import punycode

from . import conf
from .commandline import printable
from .refusals import Refusal
from .refusals import gettext_noop as _

#: So many get the same copy of a mail; for more of them there are several.
AT_ONCE = 50
#: So many may be named in all.
MOST = 10_000
#: So many that nobody knows are named in one refusal.
TOLD = 10
#: Characters of an address (RFC 5321, 4.5.3.1.3).
_LONGEST = 254
_SEPARATORS = re.compile(r"[,;\r\n]+")
#: The kind of a channel, and the name of its settings.
CHANNEL_WORD = re.compile(r"[a-z][a-z0-9_]{0,49}:[A-Za-z0-9._-]{1,100}")
#: The kind of channel that addresses are reached by.
MAIL = "mail"
_valid_address = EmailValidator()


class Audience(NamedTuple):
    """Those who get one copy of a message.

    profile    the name of the SMTP profile, ``""`` is Django's; else of the channel's settings
    addresses  of mail; another channel has its word here, such as ``webhook:ops``
    channel    its kind
    """

    profile: str
    addresses: tuple[str, ...]
    channel: str = MAIL


def parse(text: str) -> list[str]:
    """The words of a field: addresses, names of groups and channels, each checked.

    Args:
        text: words with commas, semicolons or line ends between them.

    Raises:
        ValueError: one is neither a mail address nor in the settings, or there are too many.
    """
    words = _words(text)
    if len(words) > MOST:
        text = _("%(count)s recipients are more than %(most)s: use a mailing list.")
        raise Refusal(text, count=len(words), most=MOST)
    unknown = [repr(printable(word[:100])) for word in words if not ("@" in word or _is_set(word))]
    if len(unknown) > 1:
        text = _(
            "None of these is a mail address, a group in JOBQUEUE['RECIPIENTS'] or a channel in "
            "JOBQUEUE['CHANNELS']: %(words)s."
        )
        raise Refusal(
            text, words=", ".join([*unknown[:TOLD], *(["…"] if len(unknown) > TOLD else [])])
        )
    return [check(word) for word in words]


def check(word: str) -> str:
    """A word that is a mail address, or a group or channel of the settings.

    Raises:
        ValueError: it is none of them.
    """
    if "@" in word:
        address(word)
    elif not _is_set(word):
        text = _(
            "%(word)s is no mail address, and no group in JOBQUEUE['RECIPIENTS'] or channel in "
            "JOBQUEUE['CHANNELS']."
        )
        raise Refusal(text, word=repr(printable(word[:100])))
    return word


def _is_set(word: str) -> bool:
    """Whether the settings have a group or channel of this name."""
    return word in conf.current().RECIPIENTS or word in conf.current().CHANNELS


def address(text: str) -> str:
    """A mail address as SMTP takes it: ``name@host.example``, in ASCII.

    Raises:
        ValueError: it isn't one; names and comments around it are none either.
    """
    name, _at, domain = text.rpartition("@")
    try:
        # Hosts of a local network have no dot in their name.
        _valid_address(text if "." in domain or "[" in domain else f"{text}.invalid")
        name.encode("ascii")
        plain = f"{name}@{punycode(domain)}"
    except (ValidationError, UnicodeError):
        plain = ""
    if not plain or len(plain) > _LONGEST:
        raise Refusal(_("%(word)s is no mail address."), word=repr(printable(text[:100])))
    return plain


def told(own: str, queue: str) -> list[Audience]:
    """Who is told of a Job: whom it names, else whom its queue names, else the managers.

    Words that mean nobody (any more) count as none.
    """
    for words in _named_for(own, queue):
        if words and (found := audiences(words)):
            return found
    return audiences(())


def unknown(own: str, queue: str) -> list[str]:
    """The words for a Job that mean nobody, as a group that the settings had once."""
    own_words, queue_s = _named_for(own, queue)
    return [word for word in own_words or queue_s if not audiences([word])]


def _named_for(own: str, queue: str) -> tuple[list[str], list[str]]:
    """The words of a Job, and those of its queue."""
    return _words(own), list(_texts(conf.current().QUEUE_RECIPIENTS.get(queue)))


def audiences(words: Iterable[str]) -> list[Audience]:
    """Who is meant by these words, without a word the managers; each address once.

    A word that means nobody any more is passed over: the others are told.
    """
    meant: dict[str, str] = {}
    channels: dict[str, Audience] = {}
    for profile, text in _meant(list(words)):
        try:
            if is_channel(text):
                channels[text] = of_channel(text)
            else:
                meant.setdefault(address(text), profile)
        except ValueError:
            continue
    by_profile: dict[str, list[str]] = {}
    for plain, profile in meant.items():
        by_profile.setdefault(profile, []).append(plain)
    by_mail = (
        Audience(profile, tuple(addresses[start : start + AT_ONCE]))
        for profile, addresses in by_profile.items()
        for start in range(0, len(addresses), AT_ONCE)
    )
    return [*by_mail, *channels.values()]


def is_channel(word: str) -> bool:
    """Whether it looks like the name of a channel, such as ``webhook:ops``."""
    return bool(CHANNEL_WORD.fullmatch(word))


def of_channel(word: str) -> Audience:
    """Who is reached by a channel.

    Raises:
        ValueError: the settings have no such channel.
    """
    if word not in conf.current().CHANNELS:
        known = ", ".join(map(repr, conf.current().CHANNELS)) or "none"
        raise ValueError(f"There is no channel {printable(word[:100])!r}; known: {known}.")
    kind, _, name = word.partition(":")
    return Audience(name, (word,), kind)


def may_be_name(word: str) -> bool:
    """Whether some settings may have a group or channel of this name."""
    return _is_set(word) or is_channel(word) or (word.isprintable() and ":" not in word)


def check_form(text: str) -> None:
    """Refuse a word that no settings can make an address, a group or a channel.

    Raises:
        ValueError: there is one.
    """
    for word in _words(text):
        if "@" in word or not may_be_name(word):
            check(word)


def names(text: str) -> list[str]:
    """The words of a field that are no addresses: groups and channels, known or not."""
    return [word for word in _words(text) if "@" not in word]


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, map(str.strip, _SEPARATORS.split(text)))))


def _meant(words: list[str]) -> Iterator[tuple[str, str]]:
    if not words:
        yield from (("", manager) for manager in _managers())
    groups = conf.current().RECIPIENTS
    for word in words:
        if "@" in word or is_channel(word):
            yield "", word
        elif word in groups:
            yield from of_group(groups[word])


def problems(
    group: object, profiles: Container[str], channels: Container[str] = ()
) -> Iterator[str]:
    """What is wrong with a group in the settings, in words."""
    if not isinstance(group, Mapping):
        yield "it isn't a dict"
        return
    if unknown := sorted(map(str, set(group) - {"to", "profile"})):
        yield f"it has no setting {unknown[0]!r}; known: profile, to"
    if (profile := group.get("profile", "")) and profile not in profiles:
        yield f"there is no SMTP profile {profile!r}"
    people = group.get("to")
    if not isinstance(people, list | tuple) or not people:
        yield "its 'to' isn't a list of addresses"
        return
    yield from filter(None, (problem(one, channels) for one in people))


def problem(word: object, channels: Container[str] = ()) -> str:
    """Why a word is neither a mail address nor one of these channels; "" if it is."""
    try:
        if word not in channels:
            address(str(word))
    except ValueError as error:
        return str(error).rstrip(".")
    return ""


def problem_of_sender(text: str) -> str:
    """Why mail can't come from ``address`` or ``Name <address>``; "" if it can."""
    return problem(parseaddr(text)[1] if text.isprintable() else text)


def of_group(group: object) -> Iterator[tuple[str, str]]:
    """Profile and address of each in a group of the settings; of a broken one what can be read."""
    if isinstance(group, Mapping):
        profile = str(group.get("profile", ""))
        yield from ((profile, text) for text in _texts(group.get("to")))


def _texts(given: object) -> Iterator[str]:
    """The words of a list in the settings; none if it isn't a list."""
    yield from map(str, given if isinstance(given, list | tuple) else ())


def _managers() -> list[str]:
    """Django's; until version 6 each is a pair of name and address."""
    named: Any = settings.MANAGERS
    return [one if isinstance(one, str) else one[1] for one in named]
