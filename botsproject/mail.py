"""``EMAIL_URL`` as Django's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import django

_OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
    "EMAIL_FILE_PATH": "file_path",
}


def managers(addresses: Sequence[str]) -> list[Any]:
    """Django's ``MANAGERS``: until version 6 pairs of name and address, then addresses."""
    return [("", address) for address in addresses] if django.VERSION < (6, 0) else [*addresses]


def mail_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Django's names for what django-environ's ``email_url`` returns.

    Django 6.1 has one setting ``MAILERS`` for what were several called ``EMAIL_...``.
    """
    given = {name: config[name] for name in _OPTIONS if config.get(name)}
    if django.VERSION < (6, 1):
        return {"EMAIL_BACKEND": config["EMAIL_BACKEND"], **given}
    options = {_OPTIONS[name]: value for name, value in given.items()}
    return {"MAILERS": {"default": {"BACKEND": config["EMAIL_BACKEND"], "OPTIONS": options}}}
