"""Find the files of wrapped methods, and compute the digests that become part of their revisions."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from mdnbench import data
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.spec.specs import DataFile
from mdnbench.util import digests, limits
from mdnbench.weights.reader import check_plain

MISSING = "missing"

WeightsFile = str | Path | DataFile
# Key and length of the value of a protobuf StringStringEntryProto; a length above 127 takes a second byte.
_EXTERNAL = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")


def digest_of(file: WeightsFile) -> str:
    """Return the SHA-256 of a file's content, or 'missing'; a file that appears later changes the revision.

    A file that exceeds the size limit of weights is not read; its size replaces the digest.
    """
    if isinstance(file, DataFile):
        return file.sha256
    path = Path(file)
    if not path.is_file():
        return MISSING
    size, changed = _state(path)
    return f"{size} bytes" if size > limits.MAX_WEIGHTS_BYTES else _digest(path.resolve(), size, changed)


def locate(file: WeightsFile, method: str) -> Path:
    """Return the path of a file, ready to be read.

    Args:
        file: A path, or a DataFile, which is searched as `weights/METHOD/FILE` and downloaded if it is missing.
        method: The name of the method.

    Raises:
        Unavailable: The file is missing; the message gives the place where it should be.
        WeightsError: The path is not a regular file.

    """
    if isinstance(file, DataFile):
        try:
            return data.locate(f"weights/{method}", file)
        except DataMissing as error:
            raise Unavailable(str(error)) from None
    path = Path(file)
    if not os.path.lexists(path):
        raise Unavailable(f"{method} lacks its file: put it at {path.resolve()}.")
    check_plain(path)
    return path


def onnx_digest(path: Path) -> str:
    """Return the digest of an ONNX file and all files with its tensors, or 'missing' if one of them is missing."""
    if not path.is_file():
        return MISSING
    found = [digest_of(path), *(digest_of(path.parent / name) for name in external_files(path))]
    return MISSING if MISSING in found else digests.of_parts(*found)


def external_files(path: Path) -> list[str]:
    """Return the names of the files that hold an ONNX file's tensors, relative to its folder."""
    return list(_external(path.resolve(), *_state(path)))


@lru_cache(maxsize=64)
def _external(path: Path, size: int, mtime_ns: int) -> tuple[str, ...]:
    """Read the names from the bytes of the file, so that listing methods needs no onnx package."""
    content, names = path.read_bytes(), set()
    for match in _EXTERNAL.finditer(content):
        length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(match[1]))
        names.add(content[match.end() : match.end() + length].decode("utf-8", "backslashreplace"))
    return tuple(sorted(names))


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    return digests.of_file(path)
