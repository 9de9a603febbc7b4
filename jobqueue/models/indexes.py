"""An index that leaves out what nobody looks for."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Q


class GivenIndex(models.Index):
    """Of the rows in which its first field is given (not NULL): others cost nothing when added.

    MariaDB has no such index and takes all rows. An ``Index`` with a condition would say that in
    each ``manage.py check`` there (models.W037).
    """

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Any:
        """The statement that makes it."""
        is_given = Q(**{f"{self.fields[0]}__isnull": False})
        index = models.Index(fields=self.fields, name=self.name, condition=is_given)
        return index.create_sql(model, schema_editor, using, **kwargs)
