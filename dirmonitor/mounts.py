"""Which paths lead to shares. The kernel's list of mounts is asked, and never a share itself."""

from __future__ import annotations

import os
import re

from . import matching

#: File systems whose changes are made elsewhere, or of which the kernel can't tell.
_REMOTE = {
    *("9p", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs"),
    *("lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "vboxsf"),
    "virtiofs",
}
#: So many links the kernel follows in one path.
_LINKS = 40
_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mounts:
    """Where shares are mounted.

    Args:
        mountinfo: as in proc_pid_mountinfo(5).
    """

    def __init__(self, mountinfo: bytes) -> None:
        self._kinds = kinds(mountinfo)
        self._shares = {point: kind for point, kind in self._kinds.items() if is_remote(kind)}

    def share(
        self, path: bytes, *, recursive: bool, links: dict[bytes, bytes | None] | None = None
    ) -> str:
        """The type of the share that a path leads to, or that lies below it; "" if it is local.

        Args:
            path: absolute; from a part with a wildcard on, whatever lies below counts.
            recursive: whether what lies below the path counts.
            links: what was read of parts of other paths a moment ago; it is added to.
        """
        if not self._shares:
            return ""
        resolved, parts = b"/", _parts(path)
        links, left = {} if links is None else links, _LINKS
        while parts:
            part = parts.pop()
            if part == b"..":
                resolved = os.path.dirname(resolved)
                continue
            here = os.path.join(resolved, part)
            if here in self._shares:
                return self._shares[here]
            if here not in links:
                links[here] = _link(here)
            if (link := links[here]) is not None and left:
                left -= 1
                parts += _parts(link)
                resolved = b"/" if link.startswith(b"/") else resolved
            elif matching.is_wild(os.fsdecode(part)) and not os.path.lexists(here):
                return self._below(resolved)
            else:
                resolved = here
        return (self._below(resolved) if recursive else "") or self._under(resolved)

    def _under(self, path: bytes) -> str:
        """Where the root itself is a share, all is one but what lies on other mounts."""
        while path not in self._kinds and path != b"/":
            path = os.path.dirname(path)
        return self._shares.get(path, "")

    def _below(self, directory: bytes) -> str:
        beginning = directory.rstrip(b"/") + b"/"
        found = {kind for path, kind in self._shares.items() if path.startswith(beginning)}
        return ", ".join(sorted(found))


def kinds(mountinfo: bytes) -> dict[bytes, str]:
    """Mount points with the types of what is mounted; of several at one place the last counts."""
    found: dict[bytes, str] = {}
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(b" - ")
        point = _OCTAL.sub(lambda code: bytes([int(code[1], 8)]), mount.split()[4])
        found[point] = os.fsdecode(rest.split()[0])
    return found


def is_remote(kind: str) -> bool:
    """Whether changes on a file system of this type may happen without the kernel's knowledge."""
    return kind in _REMOTE or kind.startswith("fuse")


def _parts(path: bytes) -> list[bytes]:
    """The parts of a path, the first one last."""
    return [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]


def _link(path: bytes) -> bytes | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):  # it is no link, or no path, as one with a NUL
        return None
