"""Handle untrusted input: open files without waiting and up to a size, and shorten long texts."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mdnbench.util.limits import AROUND_BYTES, LONGEST_TEXT_BYTES, LONGEST_VALUE

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# A pipe that nobody writes to would block the call that opens it; Windows has neither such pipes nor the flag.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


@contextlib.contextmanager
def opened(path: Path | str, most: int) -> Iterator[BinaryIO]:
    """Open a regular file of at most `most` bytes for reading, and check at the end that it did not change meanwhile.

    Args:
        path: The file.
        most: The largest size in bytes.

    Raises:
        OSError: The file cannot be opened, is a folder, a pipe, a socket or a device, is larger, or has another size or
            time of change afterwards. `strerror` gives the reason.

    """
    with open(path, "rb", opener=without_wait) as file:  # Path.open takes no opener
        before = os.fstat(file.fileno())
        _check(before, path, most)
        try:
            yield file
        finally:
            # Also after an error in the block, which may have read half of the old file and half of the new one.
            if _state(os.fstat(file.fileno())) != _state(before):
                raise OSError(errno.EBUSY, "it was changed while it was read", str(path))


def read_bytes(path: Path | str, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes; raise OSError as `opened` does."""
    with opened(path, most) as file:
        return file.read(most + 1)


def cut(text: str) -> str:
    """Return the text, shortened to 64 KiB of UTF-8 with a note of its length; a shortened text stays as it is.

    The middle is left out: a message begins with what is wrong, and a traceback ends with the exception.
    """
    most = LONGEST_TEXT_BYTES + AROUND_BYTES
    if len(text) <= most and len(_utf8(text)) <= most:
        return text
    half = LONGEST_TEXT_BYTES // 2
    # No character is shorter than a byte. A character of which only some bytes would be kept is left out.
    start = _utf8(text[:half])[:half].decode("utf-8", "ignore")
    end = _utf8(text[-half:])[-half:].decode("utf-8", "ignore")
    return f"{start} … (cut: {len(text):,} characters in all) … {end}"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # file names may have surrogates, which UTF-8 has no bytes for


def shortened(value: object) -> str:
    """Return a value as Python writes it, cut if it is too long for a message."""
    try:
        text = repr(value)
    except ValueError:  # Python converts no whole number of more than 4300 digits to text
        return "a whole number of thousands of digits"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters)"


def without_wait(path: str, flags: int) -> int:
    """Open a file as an opener of `open`, without waiting for the other end of a pipe."""
    return os.open(path, flags | _NO_WAIT)


def _check(found: os.stat_result, path: Path | str, most: int) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, not a file", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"it has {found.st_size:,} bytes, and at most {most:,} are read", str(path))


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
