"""The list of a long history: none of its pages counts or sorts the whole table."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from .filters import REACH, ReachFilter

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

#: The newest ones of what is asked for can be turned over; older ones are found by filters.
MOST = 5000


class NewestPaginator(_Paginator):
    """Counts no further than this."""

    @cached_property
    def count(self) -> int:
        """How many there are, or `MOST`."""
        return min(self._counted, MOST)

    @property
    def is_cut(self) -> bool:
        """Whether there are more than `MOST`."""
        return self._counted > MOST

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        # Whichever these are: a sort would read all.
        return int(rows.order_by().values("pk")[: MOST + 1].count())


class HistoryList(ChangeList):
    """Knows the longest duration of the page, which its bars are measured by, and what it left."""

    #: The address of the same with nothing left out; "" if nothing is.
    further_url = ""
    reach = REACH

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page."""
        super().get_results(request)
        now = timezone.now()
        rows = list(self.result_list)
        longest = max((row.elapsed(now) or timedelta() for row in rows), default=timedelta())
        for row in rows:
            row.longest = longest
        self.result_list = rows
        if any(isinstance(each, ReachFilter) and each.is_near for each in self.filter_specs):
            self.further_url = self.get_query_string({ReachFilter.parameter_name: "all"}, ["p"])
