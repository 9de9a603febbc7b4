"""Whether the service can use its database, asked before any of its processes starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import Error, OperationalError, connections, models, router

from .base import lacks_tables, refuse

#: The primary key of no row; MariaDB doesn't take 0.
_NOBODY = -1


def check(*apps_too: str) -> None:
    """Read from each table of ours and of django-q2, and write to it; leave no connection open.

    Args:
        apps_too: labels of apps whose tables the service needs as well.

    Raises:
        CommandError: that fails; says of which database, why, and what to do.
    """
    try:
        for model, alias in _tables(*apps_too):
            try:
                _try(model, alias)
            except Error as error:
                if _is_busy(error):
                    return
                refuse(_in_words(alias, error))
    finally:
        connections.close_all()


def _tables(*apps_too: str) -> Iterator[tuple[type[models.Model], str]]:
    from django_q.conf import Conf
    from django_q.models import OrmQ

    for app in ("jobqueue", "django_q", *apps_too):
        for model in apps.get_app_config(app).get_models():
            if model is not OrmQ:
                yield model, router.db_for_write(model)
            elif Conf.ORM:
                yield model, Conf.ORM


def _try(model: type[models.Model], alias: str) -> None:
    nothing = model._base_manager.using(alias).filter(pk=_NOBODY)
    nothing.first()
    nothing.update(**{model._meta.pk.attname: _NOBODY})


def _is_busy(error: Error) -> bool:
    """Whether SQLite had another one write for longer than it waits: it will be there."""
    return isinstance(error, OperationalError) and "is locked" in str(error)


def _in_words(alias: str, error: Error) -> str:
    to: dict[str, Any] = connections[alias].settings_dict
    server = f" at {to['HOST'] or 'localhost'}" + (f":{to['PORT']}" if to["PORT"] else "")
    is_file = connections[alias].vendor == "sqlite"
    name = f"The database {to['NAME']}{'' if is_file else server}"
    why = str(error.args[-1] if error.args else error).strip().rstrip(".")
    if lacks_tables(error):
        return f"{name} lacks tables of the queue: run `manage.py migrate`. ({why})"
    place = "file and directory" if is_file else "server"
    return f"{name} can't be used: {why}. See to its {place}, or to DATABASES in the settings."
