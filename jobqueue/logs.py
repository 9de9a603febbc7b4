"""Logs for programs: one JSON object in a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

#: What each record has by itself; all else are fields of the event.
_USUAL = {*logging.makeLogRecord({}).__dict__, "asctime", "message", "taskName"}
_PLAIN = (str, int, float, bool, type(None))


class JsonFormatter(logging.Formatter):
    """``time`` (UTC, ISO 8601), ``level``, ``logger``, ``event``, ``message``, the event's fields.

    An exception is in ``exception``. Fields that aren't plain values are left out: what others hang
    to a record, such as a request, may have anything in it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII, whatever is in the record."""
        fields = {
            name: value
            for name, value in record.__dict__.items()
            if name not in _USUAL and isinstance(value, _PLAIN)
        }
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": fields.pop("event", None),
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
