"""``manage.py demodata``."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from botsproject.demo import data


class Command(BaseCommand):
    """Fill an empty database."""

    help = (
        "Puts a login, some Jobs and Schedules into an empty database, and shows the login. "
        "A database with users or Jobs of its own is left as it is."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing; show the login."""
        file = Path(settings.DATA_DIR) / "demo-login.txt"
        data.create_login(file)
        if data.create_jobs():
            self.stdout.write("Added Jobs and Schedules to look at.")
        if file.exists():
            self.stdout.write(f"The login ({file}):\n{file.read_text(encoding='ascii').rstrip()}")
