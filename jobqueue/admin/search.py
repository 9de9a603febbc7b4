"""Search in commands, which are JSON in the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.text import smart_split, unescape_string_literal

from . import links

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object


class CommandSearch(_Base):
    """Has the admin's search look into ``argv`` beside ``search_fields``."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Those in which each word is found somewhere."""
        words = [_unquoted(word) for word in smart_split(search_term)]
        if words:
            queryset = queryset.alias(argv_text=Cast("argv", TextField()))
        for word in words:
            found = Q()
            for field in (*self.get_search_fields(request), "argv_text"):
                found |= Q(**{f"{field}__icontains": word})
            # As JSON, which some databases store with all but ASCII escaped.
            found |= Q(argv_text__icontains=json.dumps(word)[1:-1])
            queryset = queryset.filter(found | _with_number(word))
        return queryset, False


def _with_number(word: str) -> Q:
    number = links.number(word.removeprefix("#"))
    return Q() if number is None else Q(pk=number)


def _unquoted(word: str) -> str:
    quoted = len(word) > 1 and word[0] in "\"'" and word[0] == word[-1]
    return unescape_string_literal(word) if quoted else word
