"""A share for tests: a read-only FUSE file system that mirrors a directory.

``python -m tests.programs.share MIRRORED MOUNTPOINT`` mounts it, says ``mounted``, and obeys what
it reads: ``hang`` (take requests and answer none), ``answer`` (those that wait, too). It unmounts
itself at the end of its input. It speaks the kernel's protocol itself, by ``linux/fuse.h``, so that
nothing but root and ``/dev/fuse`` is needed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

_MS_NODEV, _MS_NOSUID, _MNT_DETACH = 4, 2, 2
_IN, _OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_INIT = struct.Struct("<4I2H2I2H8I")
_LONGEST_REQUEST = 1 << 17

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ = 1, 2, 3, 14, 15
_INIT_CODE, _OPENDIR, _READDIR, _INTERRUPT, _BATCH_FORGET = 26, 27, 28, 36, 42
_SILENT = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_NOTHING_TO_DO = {18, 25, 29, 34}  # release, flush, releasedir, access

_libc = ctypes.CDLL(None, use_errno=True)


class Share:
    """The file system; its nodes are numbers for paths of the directory that it mirrors."""

    def __init__(self, mirrored: bytes, mountpoint: bytes) -> None:
        self._mountpoint = mountpoint
        self._paths = {1: mirrored}
        self._nodes = {mirrored: 1}
        self._hangs = False
        self._unanswered: list[bytes] = []
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other"
        flags = _MS_NODEV | _MS_NOSUID
        if _libc.mount(b"share", mountpoint, b"fuse.share", flags, options.encode()):
            raise OSError(ctypes.get_errno(), "can't mount")
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            _LOOKUP: self._lookup,
            _GETATTR: self._getattr,
            _OPEN: lambda *_: bytes(16),
            _OPENDIR: lambda *_: bytes(16),
            _READ: self._read,
            _READDIR: self._readdir,
            _INIT_CODE: self._init,
        }

    def serve(self, commands: int) -> None:
        """Until its commands end."""
        poll = select.poll()
        poll.register(self._device, select.POLLIN)
        poll.register(commands, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._device:
                    self._take(os.read(self._device, _LONGEST_REQUEST))
                elif not self._obey(os.read(commands, 100)):
                    return

    def unmount(self) -> None:
        """Whoever waits for an answer gets an error."""
        _libc.umount2(self._mountpoint, _MNT_DETACH)
        os.close(self._device)

    def _obey(self, words: bytes) -> bool:
        for word in words.split():
            self._hangs = word == b"hang"
            waiting, self._unanswered = self._unanswered, []
            for request in waiting:
                self._take(request)
            print(word.decode(), flush=True)
        return bool(words)

    def _take(self, request: bytes) -> None:
        _, code, unique, node, *_ = _IN.unpack_from(request)
        if code in _SILENT:
            return
        if self._hangs:
            self._unanswered.append(request)
            return
        error, body = 0, b""
        try:
            if code not in _NOTHING_TO_DO:
                body = self._answers[code](node, request[_IN.size :])
        except KeyError:
            error = errno.ENOSYS
        except OSError as problem:
            error = problem.errno or errno.EIO
        with suppress(FileNotFoundError):  # who has asked is gone
            os.write(self._device, _OUT.pack(_OUT.size + len(body), -error, unique) + body)

    @staticmethod
    def _init(_: int, body: bytes) -> bytes:
        read_ahead = struct.unpack_from("<I", body, 8)[0]
        return _INIT.pack(7, 31, read_ahead, 0, 12, 9, 4096, 1, 1, 0, *(8 * [0]))

    def _lookup(self, node: int, body: bytes) -> bytes:
        path = os.path.join(self._paths[node], body.rstrip(b"\0"))
        status = os.lstat(path)
        child = self._nodes.setdefault(path, len(self._nodes) + 1)
        self._paths[child] = path
        return struct.pack("<4Q2I", child, 0, 0, 0, 0, 0) + _attributes(status)

    def _getattr(self, node: int, _: bytes) -> bytes:
        return struct.pack("<Q2I", 0, 0, 0) + _attributes(os.lstat(self._paths[node]))

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        with open(self._paths[node], "rb") as file:
            file.seek(offset)
            return file.read(size)

    def _readdir(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        found = b""
        entries = sorted(os.scandir(self._paths[node]), key=lambda entry: entry.name)
        for number, entry in enumerate(entries[offset:], offset + 1):
            name = entry.name
            kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) >> 12
            line = struct.pack("<QQII", entry.inode(), number, len(name), kind) + name
            line += bytes(-len(line) % 8)
            if len(found) + len(line) > size:
                break
            found += line
        return found


def _attributes(status: os.stat_result) -> bytes:
    times = [divmod(t, 10**9) for t in (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)]
    seconds, rests = [s for s, _ in times], [rest for _, rest in times]
    owner = (status.st_mode, status.st_nlink, status.st_uid, status.st_gid)
    size = (status.st_ino, status.st_size, status.st_blocks)
    return _ATTR.pack(*size, *seconds, *rests, *owner, 0, 4096, 0)


def main() -> None:
    """Mount, serve, unmount."""
    share = Share(*map(os.fsencode, sys.argv[1:3]))
    print("mounted", flush=True)
    try:
        share.serve(sys.stdin.fileno())
    finally:
        share.unmount()


if __name__ == "__main__":
    main()
