"""Users of the admin for tests."""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client

_numbers = itertools.count(1)


def a_user(*permissions: str, **over: Any) -> Any:
    """A staff user with these permissions of our apps."""
    values = {"username": f"user-{next(_numbers)}", "is_staff": True, **over}
    user = get_user_model().objects.create_user(**values)
    ours = Permission.objects.filter(content_type__app_label__in=("jobqueue", "dirmonitor"))
    found = ours.filter(codename__in=permissions)
    assert len(found) == len(permissions), f"one of {permissions} isn't there"
    user.user_permissions.set(found)
    return user


def a_client(*permissions: str, enforce_csrf_checks: bool = False, **over: Any) -> Client:
    """A browser in which such a user is logged in."""
    client = Client(enforce_csrf_checks=enforce_csrf_checks)
    client.force_login(a_user(*permissions, **over))
    return client


def told(answer: Any) -> str:
    """What the messages of an answer say, that of a redirection included."""
    return " | ".join(str(message) for message in get_messages(answer.wsgi_request))


def noted() -> list[tuple[str, str]]:
    """User and words of the admin's log, oldest first."""
    entries = LogEntry.objects.order_by("pk").select_related("user")
    return [(entry.user.get_username(), entry.get_change_message()) for entry in entries]
