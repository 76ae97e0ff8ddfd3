"""Stdout that a command can rely on: it survives a reader that goes away, and takes every character."""

from __future__ import annotations

import errno
import io
import sys

from mdnbench.errors import MdnbenchError


class _Output(io.FileIO):
    """A file descriptor whose reader may go away, as `head` does: what nobody reads is dropped, and no error.

    The command goes on to its end, and its exit code is its own. A disk that is full is told of once.
    """

    _dropping = False

    def write(self, data: object) -> int:
        if not self._dropping:
            try:
                return super().write(data)  # type: ignore[arg-type]
            except OSError as error:
                self._dropping = True
                if error.errno != errno.EPIPE:
                    raise MdnbenchError(f"the output cannot be written: {error.strerror or error}.") from None
        return memoryview(data).nbytes  # type: ignore[arg-type]


def prepare() -> None:
    """Make this process's stdout so; what its encoding lacks is written as an escape. Not where it was replaced."""
    before = sys.stdout
    if before is None or before is not sys.__stdout__ or not isinstance(before, io.TextIOWrapper):
        return
    if sys.platform == "win32" and before.isatty():  # a console there takes characters, and no bytes
        return
    raw = _Output(before.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=before.line_buffering,
    )
