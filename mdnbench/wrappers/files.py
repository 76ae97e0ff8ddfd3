"""The files behind a wrapped method: where they lie, and the digest that becomes part of its revision."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from mdnbench import data
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.spec.specs import DataFile
from mdnbench.util import digests, limits
from mdnbench.weights.reading import check_plain

MISSING = "missing"

WeightsFile = str | Path | DataFile
# Key and length of the value of a protobuf StringStringEntryProto; a length above 127 takes a second byte.
_EXTERNAL = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")


def digest_of(file: WeightsFile) -> str:
    """The SHA-256 of a file's content, or 'missing': a file that appears later is another revision.

    A file that is larger than weights may be is not read, and has its size in place of a digest.
    """
    if isinstance(file, DataFile):
        return file.sha256
    path = Path(file)
    if not path.is_file():
        return MISSING
    size, changed = _state(path)
    return f"{size} bytes" if size > limits.MAX_WEIGHTS_BYTES else _digest(path.resolve(), size, changed)


def locate(file: WeightsFile, method: str) -> Path:
    """The path of a file, ready to be read; a DataFile is looked for as `weights/METHOD/FILE`, and fetched.

    Unavailable says where the file should be; WeightsError, what is there in place of a file.
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
    """The digest of an ONNX file and of every file that it keeps tensors in, or 'missing' where one is missing."""
    if not path.is_file():
        return MISSING
    found = [digest_of(path), *(digest_of(path.parent / name) for name in external_files(path))]
    return MISSING if MISSING in found else digests.of_parts(*found)


def external_files(path: Path) -> list[str]:
    """The names of the files that an ONNX file keeps tensors in, as exporters write them: relative to its folder."""
    return list(_external(path.resolve(), *_state(path)))


@lru_cache(maxsize=64)
def _external(path: Path, size: int, mtime_ns: int) -> tuple[str, ...]:
    """Read from the bytes themselves, so that a list of methods needs no onnx package."""
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
