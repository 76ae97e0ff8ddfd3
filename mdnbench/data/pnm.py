"""Read PNM files (PGM and PPM, binary and plain) in full; Pillow keeps only 8 bits of deep colour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mdnbench.data.pixels import BYTE_TOP, WORD_TOP, RefusalError, check_size, whole_numbers
from mdnbench.util.limits import MAX_PIXELS_DECODED_SLOWLY, MAX_PNM_HEADER_BYTES, MAX_PNM_SAMPLE_BYTES

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

_SPACE = rb"(?:[ \t\n\v\f\r]|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P([2356])" + 3 * (_SPACE + rb"([0-9]{1,10})") + rb"(?:#[^\n\r]*)?[ \t\n\v\f\r]")
_OTHERS = {b"P1": "has 1 bit a pixel", b"P4": "has 1 bit a pixel", b"P7": "is a PAM file", b"Pf": "is a PFM file",
           b"PF": "is a PFM file"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Header:
    plain: bool
    channels: int
    width: int
    height: int
    top: int  # the value of white
    end: int  # where the pixels begin

    @property
    def samples(self) -> int:
        return self.width * self.height * self.channels


def channels(file: BinaryIO) -> int:
    """Return the number of channels (1 or 3) in the header."""
    return _header(file).channels


def read(file: BinaryIO) -> Image:
    """Return the image as float32 (H, W) or (H, W, 3) in [0, 1].

    Values are divided by the largest value that the header allows.
    """
    header = _header(file)
    file.seek(header.end)
    values = _plain(file, header) if header.plain else _binary(file, header)
    if values.max() > header.top:
        raise RefusalError(f"is damaged: it has a value of {values.max():.0f}, and its header allows {header.top}")
    shape = (header.height, header.width) + ((3,) if header.channels == 3 else ())
    return whole_numbers(values.reshape(shape), header.top)


def _header(file: BinaryIO) -> _Header:
    file.seek(0)
    start = file.read(MAX_PNM_HEADER_BYTES)
    if start[:2] in _OTHERS:
        raise RefusalError(_OTHERS[start[:2]])
    found = _HEADER.match(start)
    if not found:
        raise RefusalError("is damaged: its PNM header is not complete")
    kind, width, height, top = map(int, found.groups())
    check_size(width, height)
    if kind < 5 and width * height > MAX_PIXELS_DECODED_SLOWLY:
        raise RefusalError(
            f"is a plain PNM of {width}×{height} pixels; at most {MAX_PIXELS_DECODED_SLOWLY:,} pixels are read of "
            "these, write it as binary PNM or PNG"
        )
    if not 1 <= top <= WORD_TOP:
        raise RefusalError(f"is damaged: the largest value that its header allows is {top}, not 1 to {WORD_TOP}")
    return _Header(kind < 5, 3 if kind in (3, 6) else 1, width, height, top, found.end())


def _binary(file: BinaryIO, header: _Header) -> np.ndarray[Any, Any]:
    kind = np.dtype(np.uint8 if header.top <= BYTE_TOP else ">u2")
    size = header.samples * kind.itemsize
    content = file.read(size + 1)
    if len(content) < size:
        raise RefusalError(f"is damaged: it has {len(content):,} bytes of pixels, and needs {size:,}")
    if len(content) > size:
        raise RefusalError("holds more than one picture, or bytes after its pixels; one picture is wanted")
    return np.frombuffer(content, kind)


def _plain(file: BinaryIO, header: _Header) -> np.ndarray[Any, Any]:
    most = header.samples * MAX_PNM_SAMPLE_BYTES
    content = file.read(most + 1)
    if len(content) > most:
        raise RefusalError(f"is damaged: it has more than {MAX_PNM_SAMPLE_BYTES} characters a number")
    if re.search(rb"[^0-9 \t\n\v\f\r]", content):
        raise RefusalError("is damaged: something other than whole numbers stands among its pixels")
    values = np.fromstring(content.decode(), dtype=np.float64, sep=" ")
    if len(values) != header.samples:
        raise RefusalError(f"is damaged: it has {len(values):,} values, and needs {header.samples:,}")
    return values
