"""Bad alarms on the desk, for those who may look at alarms."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from ...desk.bad_alarms import BadAlarms
from ...models import Alarm
from .. import actions, alarm_record, display, links
from . import words


@dataclass
class AlarmRow:
    """An alarm that is bad."""

    pk: int
    state: SafeString
    since: SafeString | str
    what: SafeString | str
    reason: SafeString | str
    #: Who is on it.
    on_it: SafeString | str


@dataclass
class AlarmRows:
    """Those that are told."""

    #: In sight, and in a fold.
    rows: list[AlarmRow]
    more_rows: list[AlarmRow]
    #: How many more there are.
    others: int
    #: The list of the bad ones.
    url: str

    @property
    def folded(self) -> int:
        """How many aren't in sight."""
        return len(self.more_rows) + self.others


def of(request: HttpRequest, found: BadAlarms) -> AlarmRows:
    """The alarms that this user may see; none where he may see none."""
    user = request.user
    may_see = actions.may(user, "view_alarm") or actions.may(user, "acknowledge_alarm")
    if not may_see:
        return AlarmRows([], [], 0, "")
    rows = [_row(request, alarm) for alarm in found.told]
    url = links.to_admin(request, "jobqueue_alarm_changelist")
    return AlarmRows(
        rows=rows[: words.IN_SIGHT],
        more_rows=rows[words.IN_SIGHT :],
        others=len(found.found) - len(rows),
        url=f"{url}?is_bad__exact=1" if url else "",
    )


def _row(request: HttpRequest, alarm: Alarm) -> AlarmRow:
    url = links.to_admin(request, "jobqueue_alarm_change", alarm.pk)
    return AlarmRow(
        pk=alarm.pk,
        state=alarm_record.state(alarm),
        since=display.moment(alarm.since),
        what=links.anchor(url, display.short(str(alarm), 80)),
        reason=display.short(alarm.reason, 200),
        on_it=alarm_record.acknowledged(alarm) if alarm.acknowledged_at else "",
    )
