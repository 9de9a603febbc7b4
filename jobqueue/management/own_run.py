"""What a job says from inside of its run, by ``jobs alarm`` and ``jobs notify``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from django.utils import timezone

from ..alarms import judging
from ..commandline import printable
from ..models import Execution, Message
from .base import refuse

#: Where a run finds its own number.
VARIABLE = "JOBQUEUE_EXECUTION"
#: Characters of a text.
LONGEST = 100_000
NOBODY = "Nobody is told: its Job says so, or there are no recipients."
TOLD = "Nothing is mailed: it was told before, or other words of this alarm are on their way."


def tell(words: Sequence[str], *, is_alarm: bool) -> list[Message] | None:
    """Have the words mailed to who is told of this run; the mails, None if they were told before.

    Raises:
        CommandError: there is no such run, or nothing to say.
    """
    execution = find()
    text = sys.stdin.read(LONGEST + 1) if list(words) == ["-"] else " ".join(words)
    if not text.strip() or len(text) > LONGEST:
        refuse(f"The text is empty, or longer than {LONGEST} characters.")
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    step = judging.raise_alarm if is_alarm else judging.notify
    return step(execution, text, timezone.now())


def find() -> Execution:
    """The run that this process belongs to.

    Raises:
        CommandError: it belongs to none, or that is gone.
    """
    number = os.environ.get(VARIABLE, "")
    if not number:
        refuse(f"It's for use inside of a job, which finds its run by {VARIABLE}; that isn't set.")
    pk = int(number) if re.fullmatch(r"[0-9]{1,18}", number) else 0
    execution = Execution.objects.select_related("job").filter(pk=pk).first()
    if execution is None:
        refuse(f"There is no execution {printable(number[:100])!r}, which {VARIABLE} names.")
    return execution
