"""Pages of one object beside the admin's own, and pages that ask before something is done."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Model, QuerySet
from django.forms import Form
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from . import links
from .permissions import ObjectPermissions

M = TypeVar("M", bound=Model)

#: So many objects are named on a page that asks; more of them are counted.
NAMED = 100


@dataclass(frozen=True)
class Question:
    """What is asked before something is done."""

    title: Promise
    text: Promise
    #: The word on the button that does it.
    button: Promise
    #: Whether it takes something away.
    danger: bool = False
    #: What else comes of it, where that isn't to be expected.
    warning: Promise | str = ""


class ObjectPages(ObjectPermissions[M]):
    """A ModelAdmin with pages at ``<id>/<name>/``.

    ``object_pages`` maps the name to the method that answers, ``method(request, object)``, and to
    the permission that it takes, as ``has_<permission>_permission``. Scripts ask for those in
    ``json_pages``: where the object is gone, they get a 404 instead of another page.
    """

    object_pages: Mapping[str, tuple[str, str]] = {}
    json_pages: Container[str] = ()

    class Media:
        js = ("jobqueue/submit_once.js",)

    def get_urls(self) -> list[URLPattern]:
        """The pages of one object, then the admin's own."""
        pages = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(self._page(*answer, name in self.json_pages)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, answer in self.object_pages.items()
        ]
        urls: list[URLPattern] = super().get_urls()
        return pages + urls

    def _page(self, method: str, permission: str, is_json: bool) -> Callable[..., HttpResponseBase]:
        answer = getattr(self, method)

        def page(request: HttpRequest, object_id: str) -> HttpResponseBase:
            obj = self.get_object(request, unquote(object_id))
            if obj is None and is_json:
                return JsonResponse({}, status=404)
            if obj is None:
                return self._gone(request, object_id)
            if not getattr(self, f"has_{permission}_permission")(request, obj):
                raise PermissionDenied
            response: HttpResponseBase = answer(request, obj)
            return response

        return update_wrapper(page, answer)

    def _gone(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Say so as Django does; back to where the user was, by default to the list."""
        to_index: HttpResponseBase = self._get_obj_does_not_exist_redirect(  # type: ignore[attr-defined]
            request, self.opts, object_id
        )
        if not self.has_view_permission(request):
            return to_index
        changelist = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return links.back(request, otherwise=links.to_admin(request, changelist))

    def permitted(self, request: HttpRequest, permission: str, objects: Iterable[M]) -> list[M]:
        """All of these, if the user has a permission for each, ``has_<permission>_permission``.

        Raises:
            PermissionDenied: not for one of them.
        """
        chosen, may = list(objects), getattr(self, f"has_{permission}_permission")
        if not all(may(request, obj) for obj in chosen):
            raise PermissionDenied
        return chosen

    def page_url(self, request: HttpRequest, obj: M, name: str) -> str:
        """The address of an object's page."""
        page = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return links.to_admin(request, page, obj.pk)

    def to_object(self, request: HttpRequest, obj: M) -> HttpResponseRedirect:
        """Back to where the user was, by default the object's page."""
        return links.back(request, otherwise=self.page_url(request, obj, "change"))

    def is_pressed(self, request: HttpRequest) -> bool:
        """Whether a button sent this; if not, as after a login, say that nothing was done."""
        if request.method != "POST":
            text = _("Nothing was done: press the button again.")
            messages.warning(request, text, fail_silently=True)
        return request.method == "POST"

    def ask(
        self,
        request: HttpRequest,
        question: Question,
        objects: Iterable[M],
        *,
        total: int = 1,
        hidden: Iterable[tuple[str, str]] = (),
        form: Form | None = None,
        left_out: str = "",
    ) -> HttpResponse:
        """A page that names what will be changed, of so many in all.

        Its button posts to the same address.
        """
        objects = list(objects)
        context = {
            "media": self.media + form.media if form else self.media,
            "title": question.title,
            "question": question,
            "objects": objects,
            "total": total,
            "unnamed": max(total - len(objects), 0),
            "kind": model_ngettext(self.opts, total),
            "left_out": left_out,
            "hidden": [("confirmed", "yes"), *links.carried(request), *hidden],
            "back_url": links.wanted(request),
            "form": form,
        }
        return self.rendered(request, "admin/jobqueue/ask.html", context)

    def rendered(
        self, request: HttpRequest, template: str, context: Mapping[str, Any]
    ) -> HttpResponse:
        """A page that isn't one of the admin's own, with what all of its pages have."""
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**common, **context})

    def ask_for_all(
        self,
        request: HttpRequest,
        question: Question,
        queryset: QuerySet[M],
        action: str,
        form: Form | None = None,
        left_out: str = "",
    ) -> HttpResponse:
        """Ask before an action on a list; say what of it is left out.

        Where the user chose all that the list's filters let through, which may be more than a
        form can carry, those are meant up to the newest one now.
        """
        named, count = list(queryset[:NAMED]), queryset.count()
        if request.POST.get("select_across") == "1":
            newest = queryset.aggregate(newest=Max("pk"))["newest"]
            hidden = [("select_across", "1"), ("up_to", str(newest))]
            pks: Iterable[Any] = [obj.pk for obj in named[:1]]  # the admin wants at least one
        else:
            hidden, pks = [], queryset.values_list("pk", flat=True)
        hidden += [("action", action), *((ACTION_CHECKBOX_NAME, str(pk)) for pk in pks)]
        more: Any = {"total": count, "hidden": hidden, "form": form, "left_out": left_out}
        return self.ask(request, question, named, **more)

    def chosen(self, request: HttpRequest, queryset: QuerySet[M], **still: Any) -> QuerySet[M]:
        """What the user was asked about; of all in a list, those that are ``still`` so."""
        up_to = links.number(request.POST.get("up_to"))
        return queryset if up_to is None else queryset.filter(pk__lte=up_to, **still)


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the user was asked and has agreed."""
    return request.method == "POST" and "confirmed" in request.POST


class NotEdited(ObjectPages[M]):
    """A ModelAdmin of objects that come and go by themselves: nobody adds, edits, deletes one."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Nobody."""
        return False
