"""Streams that a command can rely on: they survive a reader that goes away, and take every character."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any

from mdnbench.errors import MdnbenchError


class _Output(io.FileIO):
    """A file descriptor whose reader may go away, as `head` does: what nobody reads is dropped, and no error.

    The command goes on to its end, and its exit code is its own. A disk that is full is told of once, if it is stdout
    that it has no room for.
    """

    _dropping = False

    def __init__(self, descriptor: int, *, telling: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._telling = telling

    def write(self, data: object) -> int:
        if not self._dropping:
            try:
                return super().write(data)  # type: ignore[arg-type]
            except OSError as error:
                self._dropping = True
                if self._telling and error.errno != errno.EPIPE:
                    raise MdnbenchError(f"the output cannot be written: {error.strerror or error}.") from None
        return memoryview(data).nbytes  # type: ignore[arg-type]


def prepare() -> None:
    """Make this process's stdout and stderr so; what their encoding lacks is written as an escape.

    Not where they were replaced. What stderr cannot take is dropped: an exit code is worth more than a message.
    """
    if sys.stdout is sys.__stdout__:
        sys.stdout = _sturdy(sys.stdout, telling=True)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _sturdy(sys.stderr, telling=False)


def _sturdy(stream: Any, *, telling: bool) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # there is none, or not one of Python's own
        return stream
    if sys.platform == "win32" and stream.isatty():  # a console there takes characters, and no bytes
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), telling=telling)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )
