"""Reads where a project has replicas, which its database router sends other reads to."""

from __future__ import annotations

from typing import TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model)


class PrimaryManager(models.Manager[M]):
    """Reads from the database that is written to, unless another one is named.

    A replica may be seconds behind, and nearly all that is read of a queue decides something:
    whether a run can start, whether it is to be stopped, whether its Job is enabled. As the base
    manager it also reads deferred fields and what a foreign key points to.
    """

    def get_queryset(self) -> models.QuerySet[M]:
        """All rows, as they are now."""
        return super().get_queryset().using(self._db or router.db_for_write(self.model))
