"""The app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DirmonitorConfig(AppConfig):
    """Lets monitors move with a set-up; doctor, desk and metrics tell of them."""

    name = "dirmonitor"
    verbose_name = _("Directory monitor")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect; no logic here."""
        from jobqueue.api import Portable, add_gauges, desk_drawn, register_portable

        from . import desk, doctor, metrics
        from .models import DirMonitor

        doctor.add_checks()
        register_portable(Portable(DirMonitor, "monitors"))
        add_gauges("dirmonitor", metrics.gauges)
        desk_drawn.connect(desk.lines, dispatch_uid="dirmonitor")
