"""Permissions for all objects or, as django-guardian grants them, for single ones.

And what the address of a list may ask: pages hide values of variables, and no filter tells them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.contrib import admin
from django.contrib.admin.widgets import url_params_from_lookup_dict
from django.contrib.auth import get_permission_codename
from django.db.models import Model
from django.http import HttpRequest

from ..models import Execution, Job

M = TypeVar("M", bound=Model)


def may(user: Any, permission: str, instance: Model | None = None) -> bool:
    """Whether a user has a permission of this app, for all objects or for this one."""
    name = f"jobqueue.{permission}"
    return user.has_perm(name) or (instance is not None and user.has_perm(name, instance))


def may_run(user: Any, job: Job | None = None) -> bool:
    """Whether a user may queue a Job: who may see it and has ``run_job``."""
    may_see = may(user, "view_job", job) or may(user, "change_job", job)
    return may_see and may(user, "run_job", job)


def may_run_again(user: Any, execution: Execution) -> bool:
    """Whether a user may queue the same again: its Job, or a bare command with ``run_job``."""
    job = execution.job
    return may(user, "run_job") if job is None else may_run(user, job)


if TYPE_CHECKING:

    class _ModelAdmin(admin.ModelAdmin[M]):
        pass

else:

    class _ModelAdmin(admin.ModelAdmin, Generic[M]):
        pass


class ObjectPermissions(_ModelAdmin[M]):
    """A ModelAdmin that also asks backends for permissions for single objects.

    Django's own asks for all objects only, and leaves those of one to the project. It also lets
    the address of a list ask for any field, a hidden one too, whose value could then be guessed
    letter by letter; here it may ask what the list's filters offer.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether it is a filter of the list, or what a field elsewhere limits its choices to."""
        if _limits_choices(self.model, lookup, value):
            return True
        filters = (*self.get_list_filter(request), self.date_hierarchy)
        offered = any(_offers(each, lookup) for each in filters)
        return offered and super().lookup_allowed(lookup, value, request)

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


def _offers(each: Any, lookup: str) -> bool:
    """Whether this member of ``list_filter`` asks so: its own parameter, or its field somehow."""
    if isinstance(each, type):
        return lookup == getattr(each, "parameter_name", None)
    name = each if isinstance(each, str) else next(iter(each or ()), None)
    return name is not None and (lookup == name or lookup.startswith(f"{name}__"))


def _limits_choices(model: type[Model], lookup: str, value: str) -> bool:
    """Whether ``limit_choices_to`` of a field elsewhere asks this of its popup."""
    limits = (it() if callable(it) else it for it in model._meta.related_fkey_lookups)
    return any((lookup, value) in url_params_from_lookup_dict(it).items() for it in limits)
