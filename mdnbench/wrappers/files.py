"""The files behind a wrapped method: where they lie, and the digest that becomes part of its revision."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from mdnbench import data, digests
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.specs import DataFile

MISSING = "missing"

WeightsFile = str | Path | DataFile
# Key and length of the value of a protobuf StringStringEntryProto; a length above 127 takes a second byte.
_EXTERNAL = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")


def digest_of(file: WeightsFile) -> str:
    """The SHA-256 of a file's content, or 'missing': a file that appears later is another revision."""
    if isinstance(file, DataFile):
        return file.sha256
    path = Path(file)
    return _digest(path.resolve(), *_state(path)) if path.is_file() else MISSING


def locate(file: WeightsFile, method: str) -> Path:
    """The path of a file, ready to be read; a DataFile is looked for as `weights/METHOD/FILE`, and fetched.

    Unavailable says where the file should be.
    """
    if isinstance(file, DataFile):
        try:
            return data.locate(f"weights/{method}", file)
        except DataMissing as error:
            raise Unavailable(str(error)) from None
    if not Path(file).is_file():
        raise Unavailable(f"{method} lacks its file: put it at {Path(file).resolve()}.")
    return Path(file)


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
