"""The app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobqueueConfig(AppConfig):
    """Registers the system checks and joins django-q2's workers."""

    name = "jobqueue"
    verbose_name = _("Job queue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect; no logic here."""
        from . import checks, portable, worker

        checks.register_all()
        portable.register_own()
        worker.join()
