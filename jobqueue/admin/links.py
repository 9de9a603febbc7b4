"""Addresses in whichever admin site a request is in, what is typed into them, and the way back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme

#: The field of a form that names the page to come back to.
NEXT = "next"


def in_admin(request: HttpRequest) -> bool:
    """Whether the request is for a page of an admin site."""
    return request.resolver_match is not None and "admin" in request.resolver_match.app_names


def to_admin(request: HttpRequest, name: str, *args: object) -> str:
    """The address of a page in this admin site, or the default one; "" if it has no such page."""
    site = request.resolver_match.namespace if request.resolver_match else None
    return in_site(site, name, *args)


def in_site(site: str | None, name: str, *args: object) -> str:
    """The address of a page in the admin site of this name; "" if it has no such page."""
    try:
        return reverse(f"admin:{name}", args=args, current_app=site)
    except NoReverseMatch:
        return ""


def linked(site: str | None, name: str, pk: object, shown: str) -> str:
    """A text as a link to the page of an object; as it is where there's no such page."""
    return anchor(in_site(site, name, pk), shown)


def anchor(url: str, shown: str) -> str:
    """A text as a link; as it is where there is no address."""
    return format_html('<a href="{}">{}</a>', url, shown) if url else shown


def to_execution(request: HttpRequest, pk: int) -> str:
    """``#12`` as a link for those who may look at executions."""
    user = request.user
    may_look = user.is_staff and user.has_perm("jobqueue.view_execution")
    if may_look and (url := to_admin(request, "jobqueue_execution_change", pk)):
        return format_html('<a href="{}">#{}</a>', url, pk)
    return f"#{pk}"


def wanted(request: HttpRequest) -> str:
    """The page that the form or the address names to come back to; "" if it isn't of this site."""
    url = request.POST.get(NEXT) or request.GET.get(NEXT, "")
    safe = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return url if safe else ""


def carried(request: HttpRequest) -> list[tuple[str, str]]:
    """That page as a field of the next form."""
    url = wanted(request)
    return [(NEXT, url)] if url else []


def back(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """To the page that was named, if it is one of this site."""
    return HttpResponseRedirect(wanted(request) or otherwise)


def has_it(request: HttpRequest, tag: str) -> bool:
    """Whether the browser has what this entity tag is of; a proxy that compresses weakens tags."""
    return request.headers.get("If-None-Match", "").removeprefix("W/") == tag


def number(typed: str | None) -> int | None:
    """What an address or a form gives as a number of rows or bytes; a forged one is none."""
    is_number = typed is not None and typed.isascii() and typed.isdecimal() and len(typed) < 19
    return int(typed) if is_number and typed else None
