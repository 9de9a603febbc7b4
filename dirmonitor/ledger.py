"""What was handed over, kept in the database, so that a restart hands nothing over again.

It has the files that are present and no others, and each only once its Job was queued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .models import HandedOver
from .settling import Signature

#: Rows in one statement.
_BATCH = 500


def known(monitor: int) -> dict[bytes, Signature]:
    """What was handed over for a monitor."""
    rows = HandedOver.objects.filter(monitor=monitor).values_list("path", "signature")
    return {unquote_to_bytes(path): _parsed(text) for path, text in rows.iterator()}


def recorded(monitor: int, paths: Iterable[bytes]) -> dict[bytes, Signature]:
    """The same of these paths alone, as the database has it now."""
    found: dict[bytes, Signature] = {}
    for batch in _batches(paths):
        rows = HandedOver.objects.filter(monitor=monitor, digest__in=map(_digest, batch))
        found |= {unquote_to_bytes(row.path): _parsed(row.signature) for row in rows}
    return found


def record(monitor: int, files: dict[bytes, Signature]) -> None:
    """These are handed over; to be called in the transaction that queues their Job."""
    forget(monitor, files)
    HandedOver.objects.bulk_create(
        (
            HandedOver(
                monitor_id=monitor,
                digest=_digest(path),
                path=quote_from_bytes(path),
                signature=":".join(map(str, signature)),
            )
            for path, signature in files.items()
        ),
        batch_size=_BATCH,
    )


def forget(monitor: int, paths: Iterable[bytes]) -> None:
    """These are there no more."""
    for batch in _batches(paths):
        HandedOver.objects.filter(monitor=monitor, digest__in=map(_digest, batch)).delete()


def _digest(path: bytes) -> str:
    return hashlib.sha256(path).hexdigest()


def _parsed(text: str) -> Signature:
    inode, size, mtime = map(int, text.split(":"))
    return inode, size, mtime


def _batches(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(paths)
    while batch := list(islice(left, _BATCH)):
        yield batch
