"""System checks: ``jobqueue.E…`` can't work, ``jobqueue.W…`` is unwise. Each says what to do."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connections, router

from . import conf, environments, leases, recipients
from .alarms import channels
from .alarms import profiles as smtp_profiles
from .commandline import printable

#: Seconds: with less, hosts that are well look silent; with more, the queue of one that vanished
#: stands still for days.
_LEASE = (3, 24 * 3600)
#: No error, so that jobs run; the doctor makes one of it.
BROKEN_MAIL = "jobqueue.W017"
#: RFC 6750, section 2.1, and long enough not to be guessed.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{20,}=*")
#: Settings that may have a password in them, whatever else is wrong with them.
_SECRET = ("METRICS_TOKEN", "MAIL_PROFILES", "CHANNELS")
_SITE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "DATA_DIR": ((str, Path), "a path"),
    "HOST": ((str,), "a string"),
    "CLUSTER": ((str, type(None)), "a string or None"),
    "ENVIRONMENTS": ((Mapping,), "a dict of dicts"),
    "ALLOWED_PROGRAMS": ((list, tuple, type(None)), "a list of patterns or None"),
    "MAX_RUNTIME": ((timedelta, int, float, type(None)), "a timedelta, seconds or None"),
    "KILL_AFTER": ((timedelta, int, float, type(None)), "a timedelta, seconds or None"),
    "LOG_LIMIT": ((int,), "a number of bytes"),
    "LOG_TAIL": ((int,), "a number of bytes"),
    "LEASE": ((timedelta, int, float), "a timedelta or seconds"),
    "BUSY_DELAY": ((timedelta, int, float), "a timedelta or seconds"),
    "BUSY_DELAY_MAX": ((timedelta, int, float), "a timedelta or seconds"),
    "BUSY_ATTEMPTS": ((int,), "a number"),
    "KEEP_RUNS": ((int,), "a number"),
    "KEEP_DAYS": ((int, type(None)), "a number of days or None"),
    "KEEP_FAILED_DAYS": ((int, type(None)), "a number of days or None"),
    "KEEP_OUTPUT_DAYS": ((int, type(None)), "a number of days or None"),
    "HEALTH": ((bool,), "True or False"),
    "METRICS_TOKEN": ((str, type(None)), "a secret string or None"),
    "QUEUE_RECIPIENTS": ((Mapping,), "a dict of lists, one for each queue"),
    "RECIPIENTS": ((Mapping,), "a dict of dicts"),
    "MAIL_PROFILES": ((Mapping,), "a dict of dicts"),
    "CHANNELS": ((Mapping,), "a dict of dicts"),
    "CHANNEL_KINDS": ((Mapping,), "a dict of dotted paths"),
    "ALLOWED_NETWORKS": ((list, tuple), "a list of networks, such as 10.1.0.0/16"),
    "MAIL_FROM": ((str, type(None)), "an address or None"),
    "SITE_URL": ((str,), "an address that begins with http:// or https://"),
    "ALARM_QUIET": ((timedelta, int, float), "a timedelta or seconds"),
    "REMIND_AFTER": ((timedelta, int, float, type(None)), "a timedelta, seconds or None"),
}


def check_settings(**_: Any) -> list[CheckMessage]:
    """Names and types in ``JOBQUEUE``."""
    given = getattr(settings, "JOBQUEUE", None)
    if given is not None and not isinstance(given, Mapping):
        return [Error("JOBQUEUE is not a dict.", hint="JOBQUEUE = {...}", id="jobqueue.E001")]
    given = given or {}
    return [*_unknown_keys(given), *_wrong_types(given), *_environments(given), *_mail(given)]


def _unknown_keys(given: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    for key in given:
        if key not in conf.KEYS:
            near = difflib.get_close_matches(str(key).upper(), conf.KEYS, n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(conf.KEYS)}."
            yield Error(f"JOBQUEUE has no setting {key!r}.", hint=hint, id="jobqueue.E001")


def _wrong_types(given: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    for key, (types, words) in _TYPES.items():
        if key in given and (wrong := _wrong(key, given[key], types, words)):
            shown = "a secret" if key in _SECRET else repr(given[key])
            yield Error(
                f"JOBQUEUE[{key!r}] is {shown}.",
                hint=f"It takes {wrong}.",
                id="jobqueue.E002",
            )


def _wrong(key: str, value: Any, types: tuple[type, ...], words: str) -> str:
    """What the setting takes instead of this value; "" if the value is fine."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return words
    if key == "METRICS_TOKEN" and value is not None and not _TOKEN.fullmatch(str(value)):
        return f"{words}: 20 or more of the characters that an Authorization header has"
    if isinstance(value, list | tuple) and not all(isinstance(item, str) for item in value):
        return words
    seconds: Any = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, int | float) and not 0 <= seconds < math.inf:
        return f"{words}, finite and not below zero"
    networks: Any = value if key == "ALLOWED_NETWORKS" else ()
    if not all(_is_network(network) for network in networks):
        return words
    shortest, longest = _LEASE
    if key == "LEASE" and not shortest <= float(seconds) <= longest:
        return f"{words}, from {shortest} seconds to a day"
    if key.startswith("KEEP_") and seconds is not None and seconds > conf.KEEP_MOST:
        return f"{words}, up to {conf.KEEP_MOST}"
    return ""


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _environments(given: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    known = given.get("ENVIRONMENTS", {})
    for name, environment in known.items() if isinstance(known, Mapping) else ():
        for problem in environments.problems(environment):
            yield Warning(
                f"The environment {name!r} in JOBQUEUE['ENVIRONMENTS'] is broken: {problem}.",
                hint="Jobs that name it are refused until it is mended.",
                id="jobqueue.W003",
            )


def _mail(given: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    """Names and addresses that mail would stumble over; no value is shown, it may be a secret.

    Jobs are to run all the same, so none of it is an error that keeps the service from starting.
    """
    for problem in _mail_problems(given):
        yield Warning(
            f"A setting on mail or channels in JOBQUEUE is broken: {problem}.",
            hint="Jobs run, but what goes to these recipients, or this way, may not be sent until "
            "it is mended.",
            id=BROKEN_MAIL,
        )
    profiles = given.get("MAIL_PROFILES", {})
    for name, profile in profiles.items() if isinstance(profiles, Mapping) else ():
        if smtp_profiles.shows_password(profile):
            yield Warning(
                f"The password of JOBQUEUE['MAIL_PROFILES'][{name!r}] isn't encrypted on its way.",
                hint="Set its tls to 'starttls' or 'ssl', or its port to 587 or 465.",
                id="jobqueue.W018",
            )


def _mail_problems(given: Mapping[Any, Any]) -> Iterator[str]:
    profiles, groups, by_queue, ways = (
        value if isinstance(value := given.get(name, {}), Mapping) else {}
        for name in ("MAIL_PROFILES", "RECIPIENTS", "QUEUE_RECIPIENTS", "CHANNELS")
    )
    site = given.get("SITE_URL", "")
    if isinstance(site, str) and site and not _SITE.fullmatch(site):
        yield "SITE_URL isn't the address of a site, such as https://edi.example.com"
    sender = given.get("MAIL_FROM")
    if isinstance(sender, str) and (problem := recipients.problem_of_sender(sender)):
        yield f"MAIL_FROM: {problem}"
    for name, profile in profiles.items():
        found = smtp_profiles.problems(profile)
        yield from (f"MAIL_PROFILES[{name!r}]: {problem}" for problem in found)
    kinds_are_known = isinstance(given.get("CHANNEL_KINDS", {}), Mapping)
    for word, options in ways.items() if kinds_are_known else ():
        yield from (f"CHANNELS[{word!r}]: {p}" for p in channels.problems(str(word), options))
    for name, group in groups.items():
        found = recipients.problems(group, profiles, ways)
        yield from (f"RECIPIENTS[{name!r}]: {problem}" for problem in found)
    yield from _recipient_problems(by_queue, [*groups, *ways])


def _recipient_problems(by_queue: Mapping[Any, Any], known: Sequence[str]) -> Iterator[str]:
    for name, words in by_queue.items():
        if not isinstance(words, list | tuple):
            yield f"QUEUE_RECIPIENTS[{name!r}]: it isn't a list"
            continue
        for word in words:
            if problem := recipients.problem(word, known):
                yield f"QUEUE_RECIPIENTS[{name!r}]: {problem}"


def check_host(**_: Any) -> list[CheckMessage]:
    """What the host project must have."""
    found: list[CheckMessage] = []
    if not apps.is_installed("django_q"):
        found.append(
            Error(
                "jobqueue runs on django-q2, which isn't installed.",
                hint="Add 'django_q' to INSTALLED_APPS.",
                id="jobqueue.E004",
            )
        )
    if not settings.USE_TZ:
        found.append(
            Error(
                "jobqueue stores moments in UTC, but USE_TZ is off.",
                hint="Set USE_TZ = True.",
                id="jobqueue.E005",
            )
        )
    installed = [config.name for config in apps.get_app_configs()]
    admin = "django.contrib.admin"
    if admin in installed and installed.index("jobqueue") > installed.index(admin):
        found.append(
            Warning(
                "The Run menu is missing in the admin's header: Django's own template is first.",
                hint=f"Put 'jobqueue' before {admin!r} in INSTALLED_APPS.",
                id="jobqueue.W015",
            )
        )
    return found


def check_told(**_: Any) -> list[CheckMessage]:
    """Whether somebody hears of the service's own alarm (``check --deploy``)."""
    if recipients.told("", ""):
        return []
    return [
        Warning(
            "Nobody is told when the service itself is in trouble: MANAGERS names nobody.",
            hint="Set MANAGERS, Django's list of mail addresses.",
            id="jobqueue.W019",
        )
    ]


def check_cluster(**_: Any) -> list[CheckMessage]:
    """What is unwise in ``Q_CLUSTER``; it stays the host's to decide."""
    given = getattr(settings, "Q_CLUSTER", {})
    found: list[CheckMessage] = []
    if given.get("sync"):
        found.append(
            Warning(
                "Q_CLUSTER['sync'] is on: wake-ups send nothing, so queues are served only when "
                "a worker's clock looks.",
                hint="Leave 'sync' off where jobs shall run; use jobqueue.testing in tests.",
                id="jobqueue.W010",
            )
        )
    if not given.get("timeout") or given["timeout"] > 120:
        found.append(
            Warning(
                "Q_CLUSTER['timeout'] is unset or long: a stop may wait for it after a crash.",
                hint="A short one, such as 20 seconds, doesn't limit jobs: they have KILL_AFTER.",
                id="jobqueue.W011",
            )
        )
    return found


def check_databases(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Whether the database fits, asked from the database itself (``check --database default``)."""
    from .models import Execution

    alias = router.db_for_write(Execution)
    connection = connections[alias]
    if not _is_supported(connection):
        return [
            Error(
                f"jobqueue doesn't run on {connection.display_name}.",
                hint="Use SQLite, PostgreSQL or MariaDB.",
                id="jobqueue.E006",
            )
        ]
    if alias not in (databases or ()):
        return []
    try:
        return [*_durability(connection), *_host_tasks(), *_namesakes()]
    except DatabaseError:
        return []  # not migrated yet, or not there: Django says so itself


def _is_supported(connection: Any) -> bool:
    if connection.vendor == "mysql":
        try:
            return bool(connection.mysql_is_mariadb)
        except DatabaseError:
            return True  # it is not there: Django says so itself
    return connection.vendor in ("sqlite", "postgresql")


_POWER_CUT = "a power cut may take requests that were accepted"
#: What each database is asked: the query, good answers, what follows from any other, what to set.
_DURABILITY: dict[str, list[tuple[str, tuple[str, ...], str, str]]] = {
    "sqlite": [
        (
            "PRAGMA journal_mode",
            ("wal", "memory"),
            "readers and writers hold each other up",
            "init_command: PRAGMA journal_mode=WAL",
        ),
        # Outside of a transaction, a request is stored with FULL whatever the host has set.
        (
            "PRAGMA synchronous",
            ("2", "3"),
            f"{_POWER_CUT} inside of a transaction",
            "init_command: PRAGMA synchronous=FULL",
        ),
    ],
    "postgresql": [
        (
            "SHOW synchronous_commit",
            ("on", "local", "remote_write", "remote_apply"),
            _POWER_CUT,
            "synchronous_commit = on",
        ),
        ("SHOW fsync", ("on",), _POWER_CUT, "fsync = on"),
    ],
    "mysql": [
        (
            "SELECT @@innodb_flush_log_at_trx_commit",
            ("1", "3"),
            _POWER_CUT,
            "innodb_flush_log_at_trx_commit = 1",
        ),
        # With a binary log, what a crash took of it is rolled back; but not with 3. Source: MariaDB
        # Knowledge Base, "Binary Log Group Commit and InnoDB Flushing Performance".
        (
            """SELECT IF(@@log_bin AND @@innodb_flush_log_at_trx_commit = 1, @@sync_binlog, 1)
               AS sync_binlog""",
            ("1",),
            _POWER_CUT,
            "sync_binlog = 1",
        ),
    ],
}


def _durability(connection: Any) -> Iterator[CheckMessage]:
    for query, good, problem, advice in _DURABILITY[connection.vendor]:
        with connection.cursor() as cursor:
            cursor.execute(query)
            value = str(cursor.fetchone()[0]).lower()
        if value not in good:
            yield Warning(
                f"{query.split()[-1].strip('@')} is {value!r}: {problem}.",
                hint=f"Set {advice}.",
                id="jobqueue.W012",
            )
    if connection.vendor == "sqlite" and connection.transaction_mode != "IMMEDIATE":
        yield Warning(
            "SQLite transactions that read before they write fail when another process writes.",
            hint="Set OPTIONS['transaction_mode'] = 'IMMEDIATE' for this database.",
            id="jobqueue.W013",
        )


def _host_tasks() -> Iterator[CheckMessage]:
    from django_q.conf import Conf
    from django_q.models import Schedule

    if Conf.WORKERS == 1 and Schedule.objects.exists():
        yield Warning(
            "Q_CLUSTER has one worker, and django-q2 has schedules of its own: they wait while a "
            "job runs, however long that takes.",
            hint="Set Q_CLUSTER['workers'] to 2 or more; a queue still runs one job at a time.",
            id="jobqueue.W014",
        )


def _namesakes() -> Iterator[CheckMessage]:
    if places := leases.namesakes():
        host = printable(conf.current().HOST)
        yield Warning(
            f"Another place runs jobs as host {host}, too: {', '.join(map(printable, places))}.",
            hint="Give each machine, container and DATA_DIR its own name (JOBQUEUE['HOST']). If "
            "this one was just restarted, that may be itself, and passes.",
            id="jobqueue.W016",
        )


def register_all() -> None:
    """Register the checks; called once, by the app."""
    register(check_settings)
    register(check_host)
    # To develop, nobody needs to be told.
    register(check_told, deploy=True)
    register(check_cluster)
    register(check_databases, Tags.database)
