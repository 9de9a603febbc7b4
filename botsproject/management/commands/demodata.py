"""``manage.py demodata``."""

from argparse import Namespace
from pathlib import Path

from django.conf import settings

from botsproject.demo import data
from jobqueue.commands import QueueCommand


class Command(QueueCommand):
    """Fill an empty database."""

    help = (
        "Puts a login, some Jobs, Schedules and a directory monitor into an empty database, and "
        "shows the login. "
        "A database with users or Jobs of its own is left as it is."
    )

    def run(self, options: Namespace) -> None:
        """Create what is missing; show the login."""
        file = Path(settings.DATA_DIR) / "demo-login.txt"
        data.create_login(file)
        if data.create_jobs():
            inbox = Path(settings.DATA_DIR) / "inbox"
            data.create_monitor(inbox)
            self.console.say("Added Jobs, Schedules and a directory monitor to look at.")
            self.console.say(f"A file that is put into {inbox} has a Job run.")
        if file.exists():
            self.console.say(f"The login ({file}):\n{file.read_text(encoding='ascii').rstrip()}")
