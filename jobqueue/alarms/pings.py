"""What is told of each run of a Job that has an address for pings: that it started, how it ended.

The worker does nothing for it: the courier sees which runs go on, and judges those that have ended.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import Q

from .. import conf, endpoints, output
from ..models import Execution, Job, Message, Source, State
from ..models.message import PING
from . import rules
from .channels.web import DEADLINE
from .rules import Verdict

#: Characters of output that go with an end.
OUTPUT = 10_000
#: For so long a ping that is on its way may be; the next one on the same run waits for it.
UNDER_WAY = timedelta(seconds=DEADLINE + 5)
_TABLES = Execution._meta.db_table, Job._meta.db_table, Message._meta.db_table
#: Whether a run goes on whose start is to be told. ``+ 0``: from the few that run to their Jobs,
#: and not from each Job to all of its runs.
IS_STARTED = """EXISTS (SELECT 1 FROM {} e JOIN {} j ON j.id = e.job_id + 0
    WHERE e.state = 'running' AND e.source <> 'recovery' AND j.ping_url <> ''
    AND NOT EXISTS (SELECT 1 FROM {} m WHERE m.starts = e.id))""".format(*_TABLES)


def tell_starts(now: datetime) -> None:
    """Post a ping for each run that goes on and has none."""
    running = Execution.objects.running().exclude(source=Source.RECOVERY).order_by()
    jobs = dict(running.values_list("pk", "job"))
    pinged = Job.objects.filter(pk__in=jobs.values()).exclude(ping_url="")
    known = set(pinged.values_list("pk", flat=True))
    for pk in (pk for pk, job in jobs.items() if job in known):
        with transaction.atomic(using=router.db_for_write(Message)):
            _tell_start(pk, now)


def _tell_start(pk: int, now: datetime) -> None:
    # Locked, so that it neither ends nor is told by another courier in between.
    row = Execution.objects.filter(pk=pk, state=State.RUNNING).select_for_update().defer("log_tail")
    run = row.first()
    if run is None or run.job is None or Message.objects.filter(starts=pk).exists():
        return
    _post(run, run.job, "start", "", now, starts=pk)


def tell_end(run: Execution, job: Job, now: datetime) -> None:
    """Post how it ended; that it started, or how another one ended before, may come too late.

    What wasn't accepted at once would be taken for news when it is tried again.
    """
    if not job.ping_url:
        return
    tried = Q(channel=PING, data__job=job.pk, due_at__isnull=False, attempts__gt=0)
    late = Message.objects.filter(Q(starts=run.pk) | tried)
    is_under_way = late.filter(sent_at=None, taken_until__gt=now).exists()
    late.delete()
    text = f"{run.reason}\n\n{output.readable(run.log_tail)[-OUTPUT:]}".strip()
    _post(run, job, signal_of(run), text, now + UNDER_WAY if is_under_way else now)


def signal_of(run: Execution) -> str:
    """What stands behind the address: the code of the run, ``fail``, or ``log`` if it says nothing.

    It agrees with the alarm: what doesn't make that bad or good is only noted.
    """
    found = rules.verdict(run.state, run.details, recovers=run.source == Source.RECOVERY)
    if found is Verdict.NEITHER:
        return "log"
    if run.state == State.SUCCEEDED:
        return "0"
    has_code = run.state in (State.FAILED, State.WARNED)
    return str(run.return_code) if has_code and 0 < (run.return_code or 0) < 256 else "fail"


def rid_of(run: Execution) -> str:
    """The UUID of a run, by which its start and its end belong together."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"jobqueue {run.pk} {run.queued_at.timestamp()}"))


def test_of(job: Job) -> Message:
    """An unsaved ping that changes nothing for who receives it."""
    text = f"This is a test of the job queue on {conf.current().HOST}."
    return _ping(job, "log", str(uuid.uuid4()), subject="/log", text=text)


def _post(
    run: Execution, job: Job, signal: str, text: str, due_at: datetime, starts: int | None = None
) -> None:
    about = {"subject": f"/{signal} of execution {run.pk}", "text": text}
    ping = _ping(job, signal, rid_of(run), **about, due_at=due_at, starts=starts)
    ping.data["execution"] = run.pk
    ping.save(force_insert=True)


def _ping(job: Job, signal: str, rid: str, **more: Any) -> Message:
    try:
        place = endpoints.parse(job.ping_url).place
    except ValueError:
        place = ""  # it was valid once; when it's sent, that is said
    data = {"job": job.pk, "signal": signal, "rid": rid}
    recipients = [str(job)]
    return Message(channel=PING, profile=place[:100], recipients=recipients, data=data, **more)
