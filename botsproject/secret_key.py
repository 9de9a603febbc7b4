"""The site's secret key, when the environment brings none."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def kept_in(path: Path) -> str:
    """Read the key in ``path`` (mode 0600); a random one is put there the first time.

    Many processes may come at once: all get the same key.

    Raises:
        ImproperlyConfigured: the file can't be read, or can't be made.
    """
    try:
        if not path.exists():
            _create(path)
        key = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"Set SECRET_KEY: none can be kept in {path}: {error}") from None
    if not key:
        raise ImproperlyConfigured(f"{path} is empty: remove it, or set SECRET_KEY.")
    return key


def _create(path: Path) -> None:
    # A hard link appears whole or not at all, and never over another process's key.
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        os.unlink(draft)
