"""A share of a test's own, which stops answering when it is told to."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.service import CHECKOUT


class Share:
    """A FUSE file system that shows another directory; as a context manager it is mounted."""

    def __init__(self, mirrored: Path, mountpoint: Path) -> None:
        self.mirrored, self.path = mirrored, mountpoint

    def __enter__(self) -> Self:
        self.mirrored.mkdir(exist_ok=True)
        self.path.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.programs.share", str(self.mirrored), str(self.path)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self._hear("mounted")
        except AssertionError as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            subprocess.run(["umount", "-l", self.path], capture_output=True, check=False)

    def hang(self) -> None:
        """From now on whoever asks waits, and can't be killed."""
        self._say("hang")

    def answer(self) -> None:
        """Answer again, whoever waits as well."""
        self._say("answer")

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._hear(word)

    def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        heard = self._process.stdout.readline().strip()
        assert heard == word, f"{heard!r} instead of {word!r}"


def try_to_mount() -> None:
    """OSError if a share can't be mounted here."""
    if os.geteuid() != 0:
        raise OSError("only root may mount without helpers")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise OSError("there is no /dev/fuse")
    with tempfile.TemporaryDirectory() as directory:
        try:
            with Share(Path(directory) / "a", Path(directory) / "b"):
                return
        except AssertionError as error:
            raise OSError(f"it can't be mounted: {error}") from error
