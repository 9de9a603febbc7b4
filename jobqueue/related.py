"""What refers to rows, and what goes with them when they are deleted, in whichever apps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.db import router
from django.db.models import Model
from django.db.models.deletion import Collector

if TYPE_CHECKING:
    _Collector = Collector
else:
    _Collector = object

#: Rows by their model.
Rows = dict[type[Model], list[Model]]


class CountsParts(_Collector):
    """Makes a Collector count the parts of what it collects, without naming them.

    A part belongs to one other row, as the fire times of a schedule do, and there may be many. Its
    model says so by ``is_part = True``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parts: Counter[type[Model]] = Counter()

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> Any:
        """What refers to some objects; nothing for parts."""
        found: Any = super().related_objects(related_model, related_fields, objs)
        if not getattr(related_model, "is_part", False):
            return found
        self.parts[related_model] += found.count()
        return found.none()


class _Related(CountsParts, Collector):
    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> Any:
        """Whole rows, not only their keys."""
        found = super().related_objects(related_model, related_fields, objs)
        return found.select_related(*(field.name for field in related_fields))

    def can_fast_delete(self, *args: Any, **kwargs: Any) -> bool:
        """What is deleted without being read could not be named."""
        return False


def going_with(rows: Sequence[Model]) -> Rows:
    """What is deleted when these rows are, beside them and the parts of all of it.

    Args:
        rows: at least one, all of the same model.

    Raises:
        ProtectedError, RestrictedError: something refers to them that keeps them from it.
    """
    model = type(rows[0])
    related = _Related(using=router.db_for_write(model), origin=rows)
    related.collect(rows)
    found = {kind: sorted(set(objs) - set(rows), key=str) for kind, objs in related.data.items()}
    return {kind: objs for kind, objs in found.items() if objs}


def using(row: Model, most: int, *, besides: Container[type[Model]] = ()) -> Iterator[list[Model]]:
    """What refers to a row, by relation; parts of it, and rows of the models besides, are left out.

    Args:
        most: so many rows of a relation at most; each takes one query.
    """
    for relation in type(row)._meta.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or not relation.is_relation:
            continue  # a field of its own
        model: Any = relation.related_model
        is_ours = getattr(relation, "parent_link", False) or model._meta.auto_created
        if is_ours or model in besides or getattr(model, "is_part", False):
            continue
        field: Any = relation.remote_field
        found = model._base_manager.using(row._state.db).filter(**{field.name: row})
        named = found if field.many_to_many else found.select_related(field.name)
        if rows := list(named.order_by("pk")[:most]):
            yield rows
