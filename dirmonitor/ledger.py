"""What was handed over, kept in the database, so that a restart hands nothing over again.

It has the files that are present and no others, and each only once its Job was queued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import quote_from_bytes, unquote_to_bytes

from django.db import connections, router

from .models import HandedOver
from .settling import Signature

#: Rows in one statement.
_BATCH = 500
#: Of more paths than these it is quicker to read all of a monitor's.
_MANY = 5000


def known(monitor: int) -> dict[bytes, Signature]:
    """What was handed over for a monitor."""
    rows = HandedOver.objects.filter(monitor=monitor).values_list("path", "signature")
    return {unquote_to_bytes(path): _parsed(text) for path, text in rows.iterator()}


def recorded(monitor: int, paths: Iterable[bytes]) -> dict[bytes, Signature]:
    """The same of these paths alone, as the database has it now."""
    asked = set(paths)
    if len(asked) > _MANY:
        return {path: signature for path, signature in known(monitor).items() if path in asked}
    found: dict[bytes, Signature] = {}
    for batch in _batches(asked):
        rows = HandedOver.objects.filter(monitor=monitor, digest__in=map(_digest, batch))
        found |= {unquote_to_bytes(row.path): _parsed(row.signature) for row in rows}
    return found


def record(monitor: int, files: dict[bytes, Signature], before: Iterable[bytes]) -> None:
    """These are handed over; to be called in the transaction that queues their Job.

    Args:
        before: those of them that are recorded already.
    """
    forget(monitor, before)
    rows = [
        (monitor, _digest(path), quote_from_bytes(path), _text(signature))
        for path, signature in files.items()
    ]
    # Three times as fast as the ORM, and others wait while a hundred thousand are recorded.
    connection = connections[router.db_for_write(HandedOver)]
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, ("monitor_id", "digest", "path", "signature")))
    table = quote(HandedOver._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES (%s, %s, %s, %s)", rows)


def forget(monitor: int, paths: Iterable[bytes]) -> None:
    """These are there no more."""
    for batch in _batches(paths):
        HandedOver.objects.filter(monitor=monitor, digest__in=map(_digest, batch)).delete()


def renew(monitor: int, files: dict[bytes, Signature]) -> None:
    """Only the times of these were set since they were handed over."""
    for path, signature in files.items():
        rows = HandedOver.objects.filter(monitor=monitor, digest=_digest(path))
        rows.update(signature=_text(signature))


def _digest(path: bytes) -> str:
    return hashlib.sha256(path).hexdigest()


def _text(signature: Signature) -> str:
    return ":".join(map(str, signature))


def _parsed(text: str) -> Signature:
    inode, size, mtime = map(int, text.split(":"))
    return inode, size, mtime


def _batches(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(paths)
    while batch := list(islice(left, _BATCH)):
        yield batch
