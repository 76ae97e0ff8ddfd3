"""A log in which forked children record their file accesses for the parent process."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


class ChildLog:
    """The file accesses of forked children, in an unnamed file that they inherit and only append to."""

    def __init__(self) -> None:
        self.is_child = False
        self._fd = -1
        self._which: tuple[int, int] | None = None
        self._read_to = 0
        self._noted: set[tuple[str, str]] = set()

    def make(self) -> None:
        """Create the file on systems that can fork."""
        try:
            import fcntl
        except ImportError:  # Windows, where nothing forks
            return
        with contextlib.suppress(OSError), tempfile.TemporaryFile() as file:
            # At least 64: the descriptors that a plugin opens rarely reach that number.
            self._fd = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 64)
            fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_APPEND)
            self._which = self._now()

    def write(self, path: str, what: str, *, again: bool) -> None:
        """Add an access, in a child.

        Args:
            path: The path.
            what: The kind of access (see `hook`).
            again: Add it even if it was added before. By default each access is added once, because a child may open
                the same file any number of times.

        """
        if (again or (path, what) not in self._noted) and self._is_ours():
            self._noted.add((path, what))
            with contextlib.suppress(OSError):
                os.write(self._fd, f"{what}{path}\0".encode("utf-8", "surrogateescape"))

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield the accesses added since the last call, in the parent: each path and the kind of access."""
        if self._which is None:
            return
        with contextlib.suppress(OSError):
            if not self._is_ours():
                return
            size = os.fstat(self._fd).st_size
            if size == self._read_to:
                return
            text = os.pread(self._fd, size - self._read_to, self._read_to)
            whole = text[: text.rfind(b"\0") + 1]
            self._read_to += len(whole)
            for line in whole.split(b"\0")[:-1]:
                yield line[1:].decode("utf-8", "surrogateescape"), line[:1].decode()

    def close(self) -> None:
        """Close the file unless a plugin has closed it."""
        if self._which is not None and self._is_ours():
            os.close(self._fd)
        self._which = None

    def _is_ours(self) -> bool:
        """Return whether the descriptor is still this file; a plugin may have closed it and opened another."""
        return self._which is not None and self._now() == self._which

    def _now(self) -> tuple[int, int] | None:
        try:
            found = os.fstat(self._fd)
        except OSError:
            return None
        return found.st_dev, found.st_ino
