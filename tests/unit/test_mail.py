"""``EMAIL_URL``: :mod:`botsproject.mail`."""

from __future__ import annotations

import django
import environ
import pytest

from botsproject.mail import mail_settings, managers

SMTP = environ.Env.email_url_config("smtp+tls://clerk:secret@mail.example:587")


def test_before_django_6_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django, "VERSION", (5, 2, 0, "final", 0))
    assert mail_settings(SMTP) == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example",
        "EMAIL_PORT": 587,
        "EMAIL_HOST_USER": "clerk",
        "EMAIL_HOST_PASSWORD": "secret",
        "EMAIL_USE_TLS": True,
    }


def test_since_django_6_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django, "VERSION", (6, 1, 0, "final", 0))
    assert mail_settings(SMTP) == {
        "MAILERS": {
            "default": {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": {
                    "host": "mail.example",
                    "port": 587,
                    "username": "clerk",
                    "password": "secret",
                    "use_tls": True,
                },
            }
        }
    }


def test_a_backend_without_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django, "VERSION", (5, 2, 0, "final", 0))
    console = environ.Env.email_url_config("consolemail://")
    backend = "django.core.mail.backends.console.EmailBackend"
    assert mail_settings(console) == {"EMAIL_BACKEND": backend}


def test_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django, "VERSION", (5, 2, 0, "final", 0))
    assert managers(["a@example.com"]) == [("", "a@example.com")]
    monkeypatch.setattr(django, "VERSION", (6, 0, 0, "final", 0))
    assert managers(["a@example.com"]) == ["a@example.com"]
