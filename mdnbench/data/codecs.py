"""Decompress TIFF strips and tiles with lossless codecs, never to more bytes than requested."""

from __future__ import annotations

import contextlib
import importlib
import io
import lzma
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from PIL import TiffImagePlugin

from mdnbench.data.pixels import RefusalError

NONE, LZW, PACKBITS = 1, 5, 32773
_ZSTD, _OLD_ZSTD = 50000, 34926
_DEFLATE, _LZMA, _ZSTDS = {8, 32946}, {34925}, {_ZSTD, _OLD_ZSTD}
_LIBTIFF = {LZW, PACKBITS}
_ZSTD_SAMPLE = b"\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00A"  # the letter A, compressed
_silence = threading.Lock()
_NAMES = {
    2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "JPEG", 7: "JPEG", 99: "JPEG", 33007: "JPEG", 34892: "JPEG",
    33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 34933: "PNG",
    34934: "JPEG XR", 22610: "JPEG XR", 50001: "WebP", 34927: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
    9: "JBIG", 10: "JBIG", 34661: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 50013: "Pixar",
}  # fmt: skip


def check(compression: int) -> None:
    """Raise RefusalError for a compression that is not supported, or whose package is missing.

    Args:
        compression: The value of the TIFF tag Compression.

    """
    if compression in _ZSTDS:
        _zstd()
    elif compression not in {NONE, *_DEFLATE, *_LZMA, *_LIBTIFF}:
        name = _NAMES.get(compression, f"number {compression}")
        raise RefusalError(
            f"is a TIFF with {name} compression, which is not read here (with the package imagecodecs, tifffile may "
            "read it); write it as PNG, or as TIFF without compression or with LZW, Deflate or Zstandard"
        )


def unpacked(segments: Sequence[bytes], compression: int, size: int) -> list[bytes]:
    """Return the decompressed content of strips or tiles: `size` bytes each, or fewer if one is incomplete."""
    if compression in _LIBTIFF:
        return _by_libtiff(segments, compression, size)
    if compression in _ZSTDS:
        return _zstd()(segments, size)
    return [_one(segment, compression, size) for segment in segments]


def _one(segment: bytes, compression: int, size: int) -> bytes:
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(segment, size)
    if compression in _LZMA:
        return lzma.LZMADecompressor(memlimit=1 << 28).decompress(segment, size)
    return segment[:size]


@cache
def _zstd() -> Callable[[Sequence[bytes], int], list[bytes]]:
    """Return a function that decompresses Zstandard: with Python's module (3.14 and later), libtiff or imagecodecs."""
    with contextlib.suppress(ImportError):
        own: Any = importlib.import_module("compression.zstd")
        return lambda segments, size: [own.ZstdDecompressor().decompress(segment, size) for segment in segments]
    with contextlib.suppress(RefusalError):  # a libtiff that was built without Zstandard
        if _by_libtiff([_ZSTD_SAMPLE], _ZSTD, 1) == [b"A"]:
            return lambda segments, size: _by_libtiff(segments, _ZSTD, size)
    with contextlib.suppress(ImportError):
        package: Any = importlib.import_module("imagecodecs")
        return lambda segments, size: [bytes(package.zstd_decode(segment, out=size)) for segment in segments]
    raise RefusalError(
        "is a TIFF with Zstandard compression, which needs the package imagecodecs: pip install imagecodecs, or write "
        "it with Deflate"
    )


def _by_libtiff(segments: Sequence[bytes], compression: int, size: int) -> list[bytes]:
    """Decompress segments with the libtiff in Pillow, which reads them as the rows of one gray image.

    Each row is a strip of its own.
    """
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(_tiff_of(segments, compression, size)))
    try:
        with _silent():
            content = image.tobytes()
    except OSError:
        raise RefusalError("is damaged: one of its strips or tiles cannot be unpacked") from None
    return [content[start : start + size] for start in range(0, len(content), size)]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Discard the messages about damaged data that libtiff writes directly to the process's stderr."""
    with _silence, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a process without stderr is silent anyway
            usual = os.dup(2)
            stack.callback(os.close, usual)
            stack.callback(os.dup2, usual, 2)
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        yield


def _tiff_of(segments: Sequence[bytes], compression: int, size: int) -> bytes:
    """Return an 8-bit gray TIFF that is `size` pixels wide and whose rows are these segments."""
    count, first = len(segments), 8 + 2 + 9 * 12 + 4
    offsets, place = [], first + (8 * count if count > 1 else 0)
    for segment in segments:
        offsets.append(place)
        place += len(segment)
    lengths = [len(segment) for segment in segments]
    wide = struct.pack(f"<{2 * count}I", *offsets, *lengths) if count > 1 else b""
    at, counts = (first, first + 4 * count) if count > 1 else (offsets[0], lengths[0])
    entries = (
        (256, 1, size), (257, 1, count), (258, 1, 8), (259, 1, compression), (262, 1, 1), (273, count, at),
        (277, 1, 1), (278, 1, 1), (279, count, counts),
    )  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, number, value) for tag, number, value in entries)
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0)
    return b"".join([header, wide, *segments])
