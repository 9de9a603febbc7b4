"""What the page that asks before a deletion says of histories: how much, not each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import NestedObjects
from django.db import router
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..models import Fire, Schedule
from . import links

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object


class _Related(NestedObjects):
    """All that goes with some objects, but for the fire times of schedules."""

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> Any:
        found = super().related_objects(related_model, related_fields, objs)
        return found.none() if related_model is Fire else found


class WithoutHistory(_Base):
    """A ModelAdmin whose objects take fire times with them, of which there may be many.

    Who may delete a schedule may delete its history, which nobody may delete on its own.
    """

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What will be deleted, how many of each kind, what isn't allowed, and what protects it."""
        related = _Related(using=router.db_for_write(self.model), origin=objs)
        related.collect(objs)
        models: dict[type[Model], Any] = dict(related.data)
        counts = {str(model._meta.verbose_name_plural): len(models[model]) for model in models}
        if number := Fire.objects.filter(schedule__in=models.get(Schedule, ())).count():
            counts[str(Fire._meta.verbose_name_plural)] = number
        forbidden = {
            str(model._meta.verbose_name)
            for model in models
            if not self._may_delete(request, model)
        }
        protected = [self._named(obj) for obj in related.protected]
        return related.nested(self._named), counts, forbidden, protected

    def _may_delete(self, request: HttpRequest, model: type[Model]) -> bool:
        if not self.admin_site.is_registered(model):
            return True
        return self.admin_site.get_model_admin(model).has_delete_permission(request)

    def _named(self, obj: Model) -> str:
        """``Schedule: nightly``, with a link where there is a page."""
        opts = obj._meta
        kind = capfirst(str(opts.verbose_name))
        url = links.in_site(
            self.admin_site.name, f"{opts.app_label}_{opts.model_name}_change", obj.pk
        )
        shown = format_html('<a href="{}">{}</a>', url, obj) if url else str(obj)
        return format_html(_("{}: {}"), kind, shown)
