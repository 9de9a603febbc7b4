"""The log file of a run, as far as this host has it, and what of it the page shows."""

from __future__ import annotations

import os
from pathlib import Path

from .. import conf, output
from ..models import Execution


def of(execution: Execution) -> Path | None:
    """The readable log file of an Execution; None if it has none here.

    Only a file inside the directory of logs counts, whatever the row or a link says.
    """
    directory = conf.current().log_dir.resolve()
    named = [Path(execution.log_path)] if execution.log_path else []
    for path in (conf.current().log_path(execution.pk), *named):
        try:
            real = path.resolve()
            if real.is_relative_to(directory) and real.is_file() and os.access(real, os.R_OK):
                return real
        except (OSError, ValueError):
            continue
    return None


def is_longer(execution: Execution, path: Path | None) -> bool:
    """Whether there was more output than the end that the database keeps."""
    limit = conf.current().LOG_TAIL
    try:
        if path is not None:
            return path.stat().st_size > limit
    except OSError:
        pass
    # A tail may begin a little later, with a line.
    least = max(limit - output.NEAR - 4, limit // 2)
    return len(execution.log_tail.encode(errors="replace")) >= least
