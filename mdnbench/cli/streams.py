"""Make stdout and stderr reliable: they accept every character, and a reader that closes the pipe causes no error."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any

from mdnbench.errors import MdnbenchError


class _Output(io.FileIO):
    """A file descriptor whose reader may close the pipe, as `head` does.

    What nobody reads is discarded, and the command continues to its end and keeps its own exit code. A full disk raises
    an error once, but only for stdout.
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
    """Replace stdout and stderr with reliable streams, which write characters that their encoding lacks as escapes.

    A stream that something else has replaced stays as it is. If stderr cannot be written, its messages are discarded,
    because the exit code is more important than a message.
    """
    if sys.stdout is sys.__stdout__:
        sys.stdout = _sturdy(sys.stdout, telling=True)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _sturdy(sys.stderr, telling=False)


def _sturdy(stream: Any, *, telling: bool) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # there is no stream, or it is not one of Python's own
        return stream
    if sys.platform == "win32" and stream.isatty():  # a console on Windows takes characters, not bytes
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), telling=telling)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )
