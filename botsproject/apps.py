"""The site as an app, for its commands."""

from django.apps import AppConfig


class BotsprojectConfig(AppConfig):
    """Commands ``serve`` and ``demodata``; no models."""

    name = "botsproject"
    verbose_name = "Bots job queue site"
