"""Which models move from one system to another, and how their rows are written and read again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models, router
from django.utils import timezone

from . import conf, recipients
from .commandline import join
from .documents import Entry
from .models import Job, Schedule
from .models.schedule import OVER
from .secret_words import exposed_words, is_secret

#: What a file has to give for a field, and how that is said; for all others its field decides.
_TAKEN: tuple[tuple[type[models.Field[Any, Any]], tuple[type, ...], str], ...] = (
    (models.BooleanField, (bool,), "true or false"),
    (models.CharField, (str,), "text: put quotes around it"),
    (models.TextField, (str,), "text: put quotes around it"),
    (models.DateTimeField, (str,), "a moment, such as '2026-01-31T14:30:00+01:00'"),
    (models.DurationField, (str, int, float), "a length of time, such as '01:30:00'"),
    (models.IntegerField, (int,), "a whole number"),
    (models.FloatField, (int, float), "a number"),
)
#: The longest time that all databases can store, in microseconds.
_LONGEST = timedelta(microseconds=2**63 - 1)

#: The row of a model that goes by a name; raises a ValueError if there is none.
Find = Callable[[type[models.Model], str], models.Model]


class Need(NamedTuple):
    """What a row needs of the settings.

    field    of the row
    setting  a key of ``JOBQUEUE``
    name     what must be under it
    """

    field: str
    setting: str
    name: str

    @property
    def is_met(self) -> bool:
        """Whether it is there."""
        return self.name in getattr(conf.current(), self.setting)


class Portable:
    """A model whose rows move: all its editable fields, and none that is only kept as a record.

    Those that say what is the default are left out. A foreign key is written as the name of the
    row that it leads to, which must be of a portable model, too, and in the same database.
    """

    def __init__(
        self,
        model: type[models.Model],
        section: str,
        *,
        key: str = "name",
        kept: Collection[str] = (),
        tolerated: Collection[str] = (),
    ) -> None:
        """Describe it.

        Args:
            model: whose rows they are.
            section: what they stand under in a file, a word in the plural.
            key: the field that tells one from all others, on each system.
            kept: fields that stay as they are when a file doesn't give them.
            tolerated: codes of a ValidationError that say no more than what is worth knowing.

        Raises:
            ImproperlyConfigured: the model has no such field.
        """
        self.model, self.section, self.key = model, section, key
        self.kept, self.tolerated = frozenset(kept), frozenset(tolerated)
        try:
            first = model._meta.get_field(key)
        except FieldDoesNotExist as error:
            raise ImproperlyConfigured(f"{section}: {error}") from None
        others = (field for field in model._meta.concrete_fields if field is not first)
        self.fields: dict[str, Any] = {
            field.name: field
            for field in (first, *others)
            if field.editable and not getattr(field, "primary_key", False)
        }

    @property
    def kind(self) -> str:
        """What one of them is called."""
        return str(self.model._meta.verbose_name)

    @property
    def references(self) -> dict[str, type[models.Model]]:
        """The foreign keys, and where they lead."""
        return {
            name: field.related_model for name, field in self.fields.items() if field.is_relation
        }

    @property
    def database(self) -> str:
        """The alias of the one that is written to."""
        return router.db_for_write(self.model)

    def rows(self) -> list[models.Model]:
        """All of them as they are now, by their names."""
        rows = self.model._default_manager.using(self.database).select_related(*self.references)
        return sorted(rows, key=self.name)

    def name(self, row: models.Model) -> str:
        """What tells this one from the others."""
        return str(self.written(row, self.key))

    def write(self, row: models.Model, *, with_secrets: bool = False) -> Entry:
        """What is to be said of a row, in the order of its fields."""
        return {
            name: self.written(row, name, with_secrets=with_secrets)
            for name in self.fields
            if name == self.key or not self._is_default(row, name)
        }

    def written(self, row: models.Model, name: str, *, with_secrets: bool = False) -> Any:
        """The value of a field: None, a truth value, a number, text, or lists and dicts of them."""
        field = self.fields[name]
        if field.is_relation:
            related = getattr(row, name)
            return None if related is None else portable_of(field.related_model).name(related)
        value = field.value_from_object(row)
        if isinstance(field, models.JSONField):
            return _in_order(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        return field.value_to_string(row)

    def _is_default(self, row: models.Model, name: str) -> bool:
        """Whether it says the same on each system when it isn't said."""
        field = self.fields[name]
        if callable(field.default) and not isinstance(field.default, type):
            return False  # another system may have another one
        return bool(self.raw(row, name) == field.get_default())

    def raw(self, row: models.Model, name: str) -> Any:
        """The value of a field as two rows are compared by it."""
        field = self.fields[name]
        return self.written(row, name) if field.is_relation else field.value_from_object(row)

    def read(self, row: models.Model, entry: Entry, find: Find) -> Iterator[str]:
        """Give a row what a file says of it.

        Yields:
            What is wrong with that, each in one line.
        """
        for name, field in self.fields.items():
            try:
                if name in entry:
                    setattr(row, name, self.value(row, name, entry[name], find))
                elif name == self.key or not (field.has_default() or field.blank):
                    yield f"{name} is missing."
                elif name not in self.kept or row._state.adding:
                    setattr(row, name, field.get_default())
            except ValidationError as error:
                yield f"{name}: {' '.join(error.messages)}"
            except (OverflowError, ValueError) as error:
                yield f"{name}: {error}"

    def value(self, row: models.Model, name: str, given: Any, find: Find) -> Any:
        """What a field gets when a file says this.

        Raises:
            ValidationError, ValueError, OverflowError: it can't be that.
        """
        field = self.fields[name]
        if given is None:
            if not field.null:
                raise ValueError("it can't be null.")
            return None
        if field.is_relation:
            if not isinstance(given, str):
                raise ValueError(f"it takes a name, not {given!r:.40}.")
            return find(field.related_model, given)
        _refuse_other_type(field, given)
        if isinstance(field, models.DurationField):
            given = str(given)
        return _storable(field.to_python(given))

    def secrets(self, row: models.Model) -> list[str]:
        """What is left out of a file, in words."""
        return []

    def exposed(self, row: models.Model) -> list[str]:
        """What looks secret and is written all the same, in words."""
        return []

    def shown(self, row: models.Model) -> list[str]:
        """What a file has the value of and may be a secret though it doesn't look so."""
        return []

    def needs(self, entry: Entry) -> Iterator[Need]:
        """What the row of which a file says this needs of the settings."""
        return iter(())

    def notes(self, row: models.Model, entry: Entry) -> Iterator[str]:
        """What else is to be known when a row became what a file says of it."""
        return iter(())


class _Jobs(Portable):
    """Secrets among their variables stay where they are: a file has null for them.

    So does the address of pings: who knows it can ping, and a copy of a system would.
    """

    def written(self, row: Any, name: str, *, with_secrets: bool = False) -> Any:
        value = super().written(row, name, with_secrets=with_secrets)
        if name == "ping_url" and not with_secrets:
            return value and None
        if name != "env" or with_secrets or not isinstance(value, dict):
            return value
        return {key: None if is_secret(key, text) else text for key, text in value.items()}

    def value(self, row: Any, name: str, given: Any, find: Find) -> Any:
        if name == "ping_url" and given is None:
            return row.ping_url
        if name == "recipients" and isinstance(given, str):
            recipients.check_form(given)
        if name == "env" and isinstance(given, dict):
            there = {key: row.env.get(key) if text is None else text for key, text in given.items()}
            given = {key: text for key, text in there.items() if text is not None}
        return super().value(row, name, given, find)

    def secrets(self, row: Any) -> list[str]:
        env = row.env if isinstance(row.env, dict) else {}
        found = sorted(name for name, text in env.items() if is_secret(name, text))
        return [*found, *(["ping_url"] if row.ping_url else [])]

    def exposed(self, row: Any) -> list[str]:
        """Words of the command line: without them it would be another one."""
        argv = row.argv if isinstance(row.argv, list) else []
        found = exposed_words(list(map(str, argv)))
        return [f"word {number} of its command line" for number in found]

    def shown(self, row: Any) -> list[str]:
        env = row.env if isinstance(row.env, dict) else {}
        return sorted(name for name, text in env.items() if not is_secret(name, text))

    def needs(self, entry: Entry) -> Iterator[Need]:
        environment, told = entry.get("environment"), entry.get("recipients")
        if environment and isinstance(environment, str):
            yield Need("environment", "ENVIRONMENTS", environment)
        words = recipients.names(told) if isinstance(told, str) else ()
        for word in filter(recipients.may_be_name, words):
            setting = "CHANNELS" if recipients.is_channel(word) else "RECIPIENTS"
            yield Need("recipients", setting, word)

    def notes(self, row: Any, entry: Entry) -> Iterator[str]:
        for key in entry.get("env", ()):
            if key not in row.env:
                edit = f"manage.py jobs edit {join([row.name])} --env {key}=..."
                yield f"the variable {key} has no value in the file, nor here: {edit}"


_registered: dict[str, Portable] = {}


def register_portable(portable: Portable) -> None:
    """Let a model move with the others; to be called in ``AppConfig.ready()``.

    Raises:
        ImproperlyConfigured: another model has its section.
    """
    there = _registered.setdefault(portable.section, portable)
    if there.model is not portable.model:
        raise ImproperlyConfigured(f"Both {there.model} and {portable.model} are {there.section}.")


def register_own() -> None:
    """Let Jobs and schedules move; called once, by the app."""
    register_portable(_Jobs(Job, "jobs"))
    # An interval is counted from when it was first stored, unless somebody says from when.
    register_portable(Portable(Schedule, "schedules", kept={"anchor_at"}, tolerated={OVER}))


def portables() -> list[Portable]:
    """All that move, each behind those that it refers to, whatever the order of the apps."""
    needs = {
        section: {portable_of(model).section for model in _registered[section].references.values()}
        for section in sorted(_registered)
    }
    return [_registered[section] for section in TopologicalSorter(needs).static_order()]


def portable_of(model: type[models.Model]) -> Portable:
    """How the rows of a model are written.

    Raises:
        ImproperlyConfigured: they don't move.
    """
    for portable in _registered.values():
        if portable.model is model:
            return portable
    raise ImproperlyConfigured(f"{model} isn't portable, but a portable model refers to it.")


def _in_order(value: Any) -> Any:
    """JSON with its keys in order: databases keep them in another one, or in none."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


def _refuse_other_type(field: Any, given: object) -> None:
    if isinstance(field, models.JSONField):
        if field.default is dict and not isinstance(given, dict):
            raise ValueError(f"it takes names with values, not {given!r:.40}.")
        return
    for kind, types, words in _TAKEN:
        if isinstance(field, kind):
            if not isinstance(given, types) or (isinstance(given, bool) and bool not in types):
                raise ValueError(f"it takes {words}, not {given!r:.40}.")
            return


def _storable(value: Any) -> Any:
    if isinstance(value, datetime):
        if timezone.is_naive(value):
            raise ValueError("it needs its distance from UTC, such as +01:00 or Z.")
        return value.astimezone(UTC)
    if isinstance(value, timedelta) and abs(value) > _LONGEST:
        raise OverflowError("it is too long.")
    return value
