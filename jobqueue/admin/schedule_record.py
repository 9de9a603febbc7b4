"""How schedules look in the admin: the list, and what was made of their times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Fire, Schedule
from . import display, fire_words, links, schedule_preview
from .filters import LastOutcomeFilter

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Schedule]
else:
    _Base = object

#: What a list needs of the last fire time.
_LAST = ("outcome", "missed", "reason", "execution_id", "execution__state")


def with_last_fire(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """Each with what became of its last fire time."""
    last = Fire.objects.filter(schedule=OuterRef("pk")).order_by("-fire_at")
    return schedules.annotate(
        **{f"last_{name.replace('__', '_')}": Subquery(last.values(name)[:1]) for name in _LAST}
    )


class ScheduleRecord(_Base):
    """The list of schedules: when they fire, what became of the last time."""

    list_display = (
        "shown_name", "shown_job", "words", "next_fire", "last_fire", "shown_priority", "enabled",
    )  # fmt: skip
    list_filter = ("enabled", "kind", LastOutcomeFilter, "job__queue")
    list_select_related = ("job",)
    search_fields = ("name", "job__name", "expression")
    search_help_text = gettext_lazy("Name, Job or expression")
    list_per_page = 100

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Schedules with what became of their last fire time."""
        return with_last_fire(super().get_queryset(request))

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def shown_name(self, schedule: Schedule) -> str:
        return display.short(schedule.name)

    @admin.display(description=gettext_lazy("Job"), ordering="job__name")
    def shown_job(self, schedule: Schedule) -> str:
        name, page = display.short(schedule.job.name), "jobqueue_job_change"
        link = links.linked(self.admin_site.name, page, schedule.job_id, name)
        if schedule.job.enabled:
            return link
        return display.two_lines(link, display.signed("paused", "!", _("disabled")))

    @admin.display(description=gettext_lazy("when"))
    def words(self, schedule: Schedule) -> str:
        return schedule_preview.words(schedule)

    @admin.display(description=gettext_lazy("next"), ordering="next_fire_at")
    def next_fire(self, schedule: Schedule) -> str:
        return display.two_lines(display.next_fire(schedule), display.short(schedule.problem, 90))

    @admin.display(description=gettext_lazy("last"), ordering="last_fire_at")
    def last_fire(self, schedule: Any) -> str:
        moment = display.moment(schedule.last_fire_at, schedule.zone())
        return display.two_lines(moment, self._last_outcome(schedule))

    def _last_outcome(self, schedule: Any) -> str:
        """The state of what it led to; of what it didn't lead to, why."""
        if schedule.last_outcome is None:
            return ""
        fire = Fire(
            outcome=schedule.last_outcome,
            missed=schedule.last_missed,
            reason=schedule.last_reason,
            execution_id=schedule.last_execution_id,
        )
        return fire_words.of_fire(self.admin_site.name, fire, schedule.last_execution_state)

    @admin.display(description=gettext_lazy("priority"), ordering="priority")
    def shown_priority(self, schedule: Schedule) -> str:
        return display.two_lines(str(schedule.priority), schedule.queue or schedule.job.queue)

    # Facts of one, for those who may only look

    @admin.display(description=gettext_lazy("limits"))
    def limits_in_words(self, schedule: Schedule) -> str:
        zone = schedule.zone()
        texts = {
            "first_at": _("not before {}"),
            "last_at": _("not after {}"),
            "anchor_at": _("counted from {}"),
        }
        shown = [
            (format_html(text, display.moment(getattr(schedule, name), zone)),)
            for name, text in texts.items()
            if getattr(schedule, name)
        ]
        return format_html_join(", ", "{}", shown) or display.EMPTY

    @admin.display(description=gettext_lazy("next times"))
    def times(self, schedule: Schedule) -> str:
        """The next ones and the calendar, of what was typed last."""
        preview = schedule_preview.of_schedule(schedule, timezone.now()).render()
        # A screen reader says what is in the second while somebody types, not the whole calendar.
        both = '<div class="jobqueue-times">{}</div><p class="{}" role="status"></p>'
        return format_html(both, preview, "jobqueue-said visually-hidden")


class HistoryRow:
    """A fire time for the list on a page."""

    def __init__(self, site: str, fire: Fire) -> None:
        self.at = display.moment(fire.fire_at, fire.schedule.zone())
        self.late = display.duration(fire.lateness)
        state = fire.execution.state if fire.execution else None
        self.outcome = fire_words.of_fire(site, fire, state)
