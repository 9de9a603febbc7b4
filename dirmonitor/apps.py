"""The app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DirmonitorConfig(AppConfig):
    """Nothing to connect: the service is a command of its own."""

    name = "dirmonitor"
    verbose_name = _("Directory monitor")
    default_auto_field = "django.db.models.BigAutoField"
