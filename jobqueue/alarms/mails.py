"""The words of mails: plain text and HTML from the same facts.

What a Job is called, prints and is given as arguments is hostile: it is shown escaped, and only in
the body or behind our own words in a subject of one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import make_msgid
from typing import Any
from urllib.parse import urlsplit

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.text import Truncator

from .. import conf, output
from ..commandline import bash_line, printable
from ..languages import in_english
from ..models import Alarm, Execution, Notify, State
from .facts import data_of, event_of, is_reminder, link_to

#: Lines of output in a mail, and characters of one of them, of a command and of a subject.
LINES, WIDTH, COMMAND, SUBJECT = 20, 300, 2000, 150
#: So many alarms are told of in one digest, more of them are counted.
NAMED = 100
#: So many earlier mails are referred to.
_REFERENCES = 20

#: What a digest counts, in its order.
_DIGEST = {
    "alarm.bad": "went wrong",
    "alarm.reminder": "still bad",
    "alarm.good": "well again",
}
_ENDED = {
    "succeeded": "succeeded",
    "warned": "ended with errors",
    "failed": "failed",
    "timed_out": "timed out",
    "stopped": "was stopped",
    "lost": "was lost",
}


@dataclass(frozen=True)
class Mail:
    """What is to be sent, to whomever."""

    subject: str
    text: str
    html: str
    headers: dict[str, str]
    #: The same for programs: ``event``, ``alarms``, ``execution``, ``url``.
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def message_id(self) -> str:
        """The name by which later mails refer to it."""
        return self.headers["Message-ID"]


@dataclass(frozen=True)
class _Facts:
    """What both versions of a mail say."""

    intro: str
    rows: Sequence[tuple[str, str]] = ()
    items: Sequence[tuple[str, str]] = ()
    lines: str = ""
    url: str = ""
    closing: str = ""
    threads: Sequence[str] = field(default=())


def of_change(alarm: Alarm, execution: Execution | None, now: datetime) -> Mail:
    """That an alarm has become bad, or good again, or that it's still bad."""
    data = data_of(event_of(alarm), [alarm], execution)
    if alarm.is_bad and execution is not None and not is_reminder(alarm):
        return _of_bad(alarm, execution, data)
    happened = _what_happened(alarm, now)
    facts = _Facts(
        f"{_name(alarm)} {happened}.",
        _rows(execution) if execution else (),
        url=_url(alarm, execution),
        threads=[alarm.thread],
    )
    return _mail(_subject(f"{_name(alarm)} {happened}", execution), facts, data)


def _of_bad(alarm: Alarm, execution: Execution, data: dict[str, Any]) -> Mail:
    happened = _how_it_ended(execution, alarm.reason)
    only_once = alarm.job is None or alarm.job.notify == Notify.ON_CHANGE
    closing = _what_follows() if only_once else ""
    if alarm.in_a_row > 1:
        happened += f"; {alarm.in_a_row} in a row"
    facts = _about(execution, f"{_name(alarm)} {happened}.", closing=closing)
    return _mail(_subject(f"{_name(alarm)} {happened}", execution), facts, data)


def _what_follows() -> str:
    remind_after = conf.current().REMIND_AFTER
    if not remind_after:
        return "There is no further mail on this until it is well again."
    again = f"You are reminded of it after {lasting(remind_after)}"
    return f"{again}, until somebody acknowledges the alarm or it is well again."


def of_run(execution: Execution, alarm: Alarm) -> Mail:
    """How a single run of a Job ended, or that it takes too long."""
    reason = alarm.reason if "overdue" in execution.details else execution.reason
    happened = f"{_label(execution)} {_how_it_ended(execution, reason)}"
    facts = _about(execution, f"{happened}.", threads=[alarm.thread])
    return _mail(_subject(happened, execution), facts, data_of("run", [alarm], execution))


def of_text(execution: Execution, text: str, *, is_alarm: bool, thread: str = "") -> Mail:
    """What a run asked to tell."""
    said = output.readable(text).strip()
    first, _, _ = said.partition("\n")
    label = f"ALARM: {_label(execution)}" if is_alarm else _label(execution)
    facts = _about(execution, said, threads=[thread])
    data = data_of("alarm.raised" if is_alarm else "text", [], execution)
    return _mail(_subject(f"{label}: {first}", execution), facts, data)


def of_many(told: Sequence[tuple[Alarm, Execution | None]], now: datetime) -> Mail:
    """A digest of alarms that changed, or are to be reminded of, at about the same time."""
    events = Counter(event_of(alarm) for alarm, _ in told)
    counts = [f"{events[event]} {words}" for event, words in _DIGEST.items() if events[event]]
    items = [
        (
            f"{_name(alarm)} {_what_happened(alarm, now)}",
            _url(alarm, execution),
        )
        for alarm, execution in sorted(told, key=lambda one: not one[0].is_bad)[:NAMED]
    ]
    if len(told) > NAMED:
        items.append((f"and {len(told) - NAMED} more", ""))
    changed = "" if events["alarm.reminder"] else " changed"
    summary = f"{len(told)} alarms{changed}: {', '.join(counts)}"
    facts = _Facts(
        f"{summary}.",
        items=items,
        url=link_to("alarm"),
        closing="They are told of in one mail, as they came close to each other.",
        threads=[alarm.thread for alarm, _ in told],
    )
    return _mail(_subject(summary, None), facts, data_of("alarm.digest", [a for a, _ in told]))


def test_mail(way: str) -> Mail:
    """One that says only that it arrives, by an SMTP profile or a channel such as webhook:ops."""
    words = f"by {way}" if way else "by Django's own settings"
    intro = f"This is a test: messages of the job queue on {conf.current().HOST} arrive {words}."
    return _mail(_subject("Test", None), _Facts(intro), data_of("test", []))


def lasting(length: timedelta) -> str:
    """A length of time in one or two units: ``40 s``, ``5 min``, ``2 h 5 min``, ``3 d 4 h``."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def _about(
    execution: Execution, intro: str, *, closing: str = "", threads: Sequence[str] = ()
) -> _Facts:
    return _Facts(
        intro,
        _rows(execution),
        lines=_last_lines(execution.log_tail),
        url=link_to("execution", execution.pk),
        closing=closing,
        threads=threads,
    )


def _what_happened(alarm: Alarm, now: datetime) -> str:
    if is_reminder(alarm):
        since = f" since {lasting(now - alarm.since)}" if alarm.since else ""
        return f"is still bad{since}: {_reason(alarm.reason)}"
    if alarm.is_bad and alarm.job_id is None:
        return f"has trouble: {_reason(alarm.reason)}"
    if alarm.is_bad:
        since = f" since {_moment(alarm.since)}" if alarm.since and alarm.failures > 1 else ""
        return f"went wrong{since}: {_reason(alarm.reason)}"
    after = lasting((alarm.good_at or now) - alarm.since) if alarm.since else "a while"
    if alarm.job_id is None:
        return f"is well again after {after}"
    runs = "1 run" if alarm.failures == 1 else f"{alarm.failures} runs"
    return f"is well again after {after}; {runs} went wrong"


def _how_it_ended(execution: Execution, reason: str) -> str:
    """In words of this moment: what takes too long may have ended since that was found."""
    if execution.is_open:
        return f"takes too long: {_reason(reason)}, and goes on"
    if execution.details.get("overdue"):
        if execution.state == State.SUCCEEDED:
            return f"took too long: {_reason(reason)}"
        reason = execution.reason or reason
    words = _ENDED.get(execution.state, execution.state)
    if (plan := execution.plan) is not None and plan.attempt > 1:
        words += f" after {plan.attempt} attempts"
    return f"{words}: {_reason(reason)}" if reason else words


def _rows(execution: Execution) -> list[tuple[str, str]]:
    took, plan = execution.elapsed(timezone.now()), execution.plan
    with in_english():
        by = f"{execution.get_source_display()} {printable(execution.requested_by)}".strip()
    rows = [
        ("Job", printable(execution.job_name)),
        ("Command", Truncator(bash_line(execution.argv)).chars(COMMAND)),
        ("Reason", _reason(execution.reason)),
        ("Return code", "" if execution.return_code is None else str(execution.return_code)),
        ("Attempt", f"{plan.attempt} of {plan.attempts}" if plan else ""),
        ("Started", _moment(execution.started_at)),
        ("Ended", _moment(execution.ended_at)),
        ("Took", lasting(took) if took is not None and execution.ended_at else ""),
        ("Queue", execution.queue),
        ("Host", printable(execution.host)),
        ("Asked by", by),
        ("Execution", str(execution.pk)),
    ]
    return [(name, value) for name, value in rows if value]


def _mail(subject: str, facts: _Facts, data: dict[str, Any]) -> Mail:
    html = render_to_string("jobqueue/mail.html", {"subject": subject, "facts": facts})
    return Mail(subject, _plain(facts), html, _headers(facts.threads), data)


def _plain(facts: _Facts) -> str:
    parts = [facts.intro]
    parts += ["\n".join(f"{name + ':':<13}{value}" for name, value in facts.rows)]
    parts += ["\n".join(f"- {text}\n  {url}".rstrip() for text, url in facts.items)]
    parts += [f"The end of its output:\n\n{facts.lines}" if facts.lines else ""]
    parts += [facts.url, facts.closing]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headers(threads: Sequence[str]) -> dict[str, str]:
    """RFC 3834 for Auto-Submitted, which keeps holiday notes away; RFC 5322, 3.6.4 for the rest."""
    headers = {
        "Message-ID": make_msgid("jobqueue", _domain()),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    known = list(dict.fromkeys(filter(None, threads)))[-_REFERENCES:]
    if known:
        headers |= {"In-Reply-To": known[-1], "References": " ".join(known)}
    return headers


def _domain() -> str:
    """Where the names of mails come from: the site, else this host."""
    named = urlsplit(conf.current().SITE_URL).hostname or conf.current().HOST
    plain = "".join(c for c in named if c.isascii() and (c.isalnum() or c in ".-"))
    return plain or "localhost"


def _subject(words: str, execution: Execution | None) -> str:
    """One line: where, and what."""
    settings = conf.current()
    where = [execution.host or settings.HOST, execution.queue] if execution else [settings.HOST]
    line = " ".join(f"[{' '.join(where)}] {words}".split())
    return Truncator(printable(line)).chars(SUBJECT)


def _last_lines(text: str) -> str:
    lines = output.readable(text).rstrip().split("\n")[-LINES:]
    return "\n".join(Truncator(line).chars(WIDTH) for line in lines)


def _reason(text: str) -> str:
    return Truncator(printable(text).rstrip(".")).chars(WIDTH)


def _moment(moment: datetime | None) -> str:
    """In the site's zone, whoever's is current where a page sends a mail."""
    if moment is None:
        return ""
    local = timezone.localtime(moment, timezone.get_default_timezone())
    return f"{local:%Y-%m-%d %H:%M:%S %Z}"


def _label(execution: Execution) -> str:
    return Truncator(printable(execution.label)).chars(80)


def _name(alarm: Alarm) -> str:
    with in_english():
        return Truncator(str(alarm)).chars(80)


def _url(alarm: Alarm, execution: Execution | None) -> str:
    if execution is not None:
        return link_to("execution", execution.pk)
    return link_to("alarm", alarm.pk)
