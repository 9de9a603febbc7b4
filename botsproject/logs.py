"""One log file that web, commands and workers write at the same time.

The standard library's ``RotatingFileHandler`` loses lines when several processes turn the file over
(8 % with eight of them). Here each record is one ``write`` in append mode, and the file is turned
over under a lock.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_CONTROL = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_ESCAPES = {code: ascii(chr(code))[1:-1] for code in _CONTROL}


class LineFormatter(logging.Formatter):
    """One line for each record, whatever is in the message; a traceback follows indented.

    Control characters are written as escapes, so that no job's name or argument can forge a line.
    """

    default_msec_format = "%s,%03d"
    _second = -1
    _shown = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time of the record, worked out once for each second."""
        if datefmt:
            return super().formatTime(record, datefmt)
        second = int(record.created)
        if second != self._second:
            self._shown = super().formatTime(record, self.default_time_format)
            self._second = second
        return self.default_msec_format % (self._shown, record.msecs)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message with its line ends escaped."""
        return _escaped(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The whole record."""
        message, *traceback = super().format(record).split("\n")
        return "\n    ".join([message, *map(_escaped, traceback)])


class SharedRotatingFileHandler(logging.Handler):
    """Appends to ``filename``; at ``max_bytes`` it becomes ``filename.1``, and so on to ``count``.

    ``max_bytes`` or ``count`` 0: never. A file that can't be written stops nobody: stderr is told
    once per process, and the next record tries again.
    """

    def __init__(self, filename: str | os.PathLike[str], max_bytes: int = 0, count: int = 0):
        super().__init__()
        self.path = Path(filename)
        self.max_bytes = max_bytes
        self.count = count
        self._fd = -1
        self._opened: os.stat_result | None = None
        self._complained = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = self.format(record) + "\n"
            self._append(line.encode(errors="backslashreplace"))
        except OSError as error:
            self._complain(error)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()

    def _append(self, data: bytes) -> None:
        if self._is_full(self._size(), data):
            self._turn_over(data)
        os.write(self._fd, data)

    def _size(self) -> int:
        """The file's size; opened if it isn't yet, or if another process has turned it over."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return self._open()
        if self._fd < 0 or self._opened is None or not os.path.samestat(found, self._opened):
            return self._open()
        return found.st_size

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._opened = new, os.fstat(new)
        return self._opened.st_size

    def _is_full(self, size: int, data: bytes) -> bool:
        return 0 < self.max_bytes < size + len(data) and size > 0 and self.count > 0

    def _turn_over(self, data: bytes) -> None:
        with _locked(self.path.parent):
            # Another process may have been first: then the file is small again.
            if not self._is_full(self._size(), data):
                return
            for number in range(self.count - 1, 0, -1):
                _rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
            _rename(str(self.path), f"{self.path}.1")
            self._open()

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            print(f"The log {self.path} can't be written: {error.strerror}", file=sys.stderr)


class ClusterFilter(logging.Filter):
    """Of django-q2's records, those on the cluster as a whole: not a line for each wake-up."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is of use."""
        return record.levelno >= logging.WARNING or record.module == "cluster"


def _escaped(line: str) -> str:
    return line if line.isprintable() else line.translate(_ESCAPES)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the kernel frees it when a process dies."""
    if sys.platform == "win32":  # an open file can't be renamed there: the log just grows
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _rename(old: str, new: str) -> None:
    try:
        os.replace(old, new)
    except FileNotFoundError:
        pass
