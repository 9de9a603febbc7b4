"""What several models share: validators that speak the rules of :mod:`jobqueue.commandline`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from .. import commandline, endpoints, recipients, retrying
from ..languages import translated

T = TypeVar("T")

DEFAULT_QUEUE = "default"

QUEUE_NAMES = gettext_noop(
    "A queue's name has 1 to 64 of the characters a-z, 0-9, dot, underscore and hyphen."
)
validate_queue_name = RegexValidator(r"\A[a-z0-9._-]{1,64}\Z", _(QUEUE_NAMES), code="invalid_queue")


def _as_form_error(check: Callable[[T], object], value: T) -> None:
    try:
        check(value)
    except ValueError as error:
        # (Not "invalid": for that the field has words of its own.)
        raise ValidationError(translated(error), code="unusable") from None


def validate_argv(value: object) -> None:
    """Refuse what :func:`jobqueue.commandline.validate` refuses."""
    _as_form_error(commandline.validate, value)


def validate_env(value: object) -> None:
    """Refuse what :func:`jobqueue.commandline.validate_env` refuses."""
    _as_form_error(commandline.validate_env, value)


def validate_recipients(value: str) -> None:
    """Refuse what :func:`jobqueue.recipients.parse` refuses."""
    _as_form_error(recipients.parse, value)


def validate_url(value: str) -> None:
    """Refuse what :func:`jobqueue.endpoints.parse` refuses."""
    _as_form_error(endpoints.parse, value)


def validate_outcomes(value: str) -> None:
    """Refuse what :func:`jobqueue.retrying.parse` refuses."""
    _as_form_error(retrying.parse, value)


def validate_not_negative(value: timedelta) -> None:
    """Refuse a duration below zero."""
    if value < timedelta(0):
        raise ValidationError(_("A duration can't be negative."), code="negative")


def validate_retry_delay(value: timedelta) -> None:
    """Refuse a delay that is negative, or longer than anybody waits."""
    validate_not_negative(value)
    if value > retrying.LONGEST:
        text = _("A delay can't be longer than %(days)d days.")
        raise ValidationError(text, code="too_long", params={"days": retrying.LONGEST.days})
