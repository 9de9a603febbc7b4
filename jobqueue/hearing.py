"""What the doctor asks of alarms: whether somebody would hear of them."""

from __future__ import annotations

from collections.abc import Iterator

from . import recipients
from .alarms import profiles
from .commandline import printable
from .findings import Finding, warning
from .models import Alarm, Job, Notify
from .recipients import MAIL

#: So many Jobs, and words, are named.
NAMED = 5
#: Backends of Django that hand a mail to nobody.
_KEPT_HERE = {
    f"django.core.mail.backends.{name}" for name in ("console", "dummy", "filebased", "locmem")
}
_ADD = "Add them to the settings, or name others on the pages of the Jobs."
_NAME = "Set MANAGERS (Django's), or name recipients for the Job, or for its queue."

#: Name, recipients and queue of a Job.
_Told = tuple[str, str, str]


def unknown_recipients() -> Iterator[Finding]:
    """Words that meant somebody once, such as a group that the settings have no more."""
    words = {word: name for name, *who in _jobs() for word in recipients.unknown(*who)}
    if words:
        named = [f"{printable(word[:100])} ({printable(words[word])})" for word in sorted(words)]
        what = f"Recipients of Jobs that are not in the settings: {_listed(named)}."
        yield warning(what, "They hear nothing; others may be told instead.", _ADD)


def nobody_told() -> Iterator[Finding]:
    """Jobs of which nobody would hear, and the service itself."""
    jobs = _jobs()
    deaf = sorted(printable(name) for name, *who in jobs if not recipients.told(*who))
    if deaf:
        what = f"Nobody is told when these Jobs go wrong: {_listed(deaf)}."
        yield warning(what, "They, their queues and MANAGERS name nobody.", _NAME)


def mail_backend() -> Iterator[Finding]:
    """Whether mails would leave this machine."""
    backend = type(profiles.connect("")).__module__
    if backend in _KEPT_HERE and _is_mailed():
        what = f"Mails are handed to {backend}, which sends them to nobody."
        why = "Nobody hears of what goes wrong, though it all counts as sent."
        yield warning(what, why, "Set EMAIL_URL, or Django's own settings, to a mail server.")


def _jobs() -> list[_Told]:
    jobs = Job.objects.filter(enabled=True).exclude(notify=Notify.NEVER)
    return list(jobs.order_by("name").values_list("name", "recipients", "queue"))


def _is_mailed() -> bool:
    """Whether there is an alarm that is told by Django's own mail."""
    if not Alarm.objects.exists():
        return False
    people = [who for _, *words in _jobs() for who in recipients.told(*words)]
    people += recipients.audiences(())
    return any(who.channel == MAIL and who.profile == "" for who in people)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
