"""``manage.py qcluster``: django-q2's own, which begins with a look at the database."""

from __future__ import annotations

from typing import Any

from django_q.management.commands import qcluster

from .. import service_database
from ..base import one_line


class Command(qcluster.Command):  # type: ignore[misc]
    """In force where ``jobqueue`` stands before ``django_q`` in ``INSTALLED_APPS``."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the cluster, or say in one line why it can't be."""
        with one_line():
            service_database.check()
        super().handle(*args, **options)
