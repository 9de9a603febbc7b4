"""What several models share: validators that speak the rules of :mod:`jobqueue.commandline`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from .. import commandline

DEFAULT_QUEUE = "default"

validate_queue_name = RegexValidator(
    r"\A[a-z0-9._-]{1,64}\Z",
    _("A queue's name has 1 to 64 of the characters a-z, 0-9, dot, underscore and hyphen."),
    code="invalid_queue",
)


def _as_form_error(check: Callable[[object], object], value: object) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValidationError(str(error), code="invalid") from None


def validate_argv(value: object) -> None:
    """Refuse what :func:`jobqueue.commandline.validate` refuses."""
    _as_form_error(commandline.validate, value)


def validate_env(value: object) -> None:
    """Refuse what :func:`jobqueue.commandline.validate_env` refuses."""
    _as_form_error(commandline.validate_env, value)


def validate_not_negative(value: timedelta) -> None:
    """Refuse a duration below zero."""
    if value < timedelta(0):
        raise ValidationError(_("A duration can't be negative."), code="negative")
