"""Permissions for single objects, as django-guardian grants them, on the admin's own pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db.models import Model
from django.http import HttpRequest

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:

    class _ModelAdmin(admin.ModelAdmin[M]):
        pass

else:

    class _ModelAdmin(admin.ModelAdmin, Generic[M]):
        pass


class ObjectPermissions(_ModelAdmin[M]):
    """A ModelAdmin that also asks backends for permissions for single objects.

    Django's own asks for all objects only, and leaves those of one to the project.
    """

    def has_view_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Whether the user may look at, or edit, all of them or this one."""
        may = super().has_view_permission(request, obj)
        return may or self._is_granted(request, obj, "view", "change")

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Whether the user may edit all of them or this one."""
        may = super().has_change_permission(request, obj)
        return may or self._is_granted(request, obj, "change")

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Whether the user may delete all of them or this one."""
        may = super().has_delete_permission(request, obj)
        return may or self._is_granted(request, obj, "delete")

    def _is_granted(self, request: HttpRequest, obj: M | None, *names: str) -> bool:
        """Whether one of these is permitted for this object."""
        if obj is None:
            return False
        wanted = (get_permission_codename(name, self.opts) for name in names)
        return any(request.user.has_perm(f"{self.opts.app_label}.{it}", obj) for it in wanted)
