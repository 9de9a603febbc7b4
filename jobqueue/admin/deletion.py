"""Pages that ask before something is deleted: what goes with it, by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import NestedObjects
from django.db import router
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..related import CountsParts
from . import links

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object

#: So many of what a user may not delete are named.
NAMED = 10


class _Related(CountsParts, NestedObjects):
    """All that goes with some objects, as a tree."""


class NamesWhatGoes(_Base):
    """A ModelAdmin whose objects have parts, of which there may be many: they are counted.

    Who may delete a schedule may delete its fire times, which nobody may delete on their own.
    """

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What will be deleted, how many of each kind, what isn't allowed, and what protects it."""
        related = _Related(using=router.db_for_write(self.model), origin=objs)
        related.collect(objs)
        models: dict[type[Model], Any] = dict(related.data)
        counts = {**{model: len(models[model]) for model in models}, **+related.parts}
        forbidden = {
            self._lacking(request, model, models[model])
            for model in models
            if not self._may(request, "delete", model, models[model])
        }
        protected = [self._named(obj) for obj in related.protected]
        shown = {str(model._meta.verbose_name_plural): count for model, count in counts.items()}
        return related.nested(self._named), shown, forbidden, protected

    def _may(
        self, request: HttpRequest, what: str, model: type[Model], objs: Collection[Model] = ()
    ) -> bool:
        """Whether the user may do this with all of a kind, or with each of these."""
        if not self.admin_site.is_registered(model):
            return True
        may = getattr(self.admin_site.get_model_admin(model), f"has_{what}_permission")
        return may(request) or (bool(objs) and all(may(request, obj) for obj in objs))

    def _lacking(self, request: HttpRequest, model: type[Model], objs: Collection[Model]) -> str:
        """What a user may not delete; its names for those who may see them."""
        kind = str(model._meta.verbose_name)
        if not self._may(request, "view", model, objs):
            return kind
        names = sorted(map(str, objs))
        more = ["…"] if len(names) > NAMED else []
        return _("{}: {}").format(kind, ", ".join(names[:NAMED] + more))

    def _named(self, obj: Model) -> str:
        """``Schedule: nightly``, with a link where there is a page."""
        opts = obj._meta
        kind = capfirst(str(opts.verbose_name))
        page = f"{opts.app_label}_{opts.model_name}_change"
        shown = links.linked(self.admin_site.name, page, obj.pk, str(obj))
        return format_html(_("{}: {}"), kind, shown)
