"""Read PNG, JPEG, WebP and BMP files with Pillow after a check of their headers."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mdnbench.data.pixels import BYTE_TOP, WORD_TOP, RefusalError, check_size, whole_numbers
from mdnbench.util.limits import (
    MAX_JPEG_FILL_BYTES,
    MAX_JPEG_SCAN_PIXELS,
    MAX_JPEG_SCANS,
    MAX_JPEG_SEGMENTS,
    MAX_PIXELS_DECODED_SLOWLY,
)

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_CHANNELS = {"L": 1, "RGB": 3, **dict.fromkeys(_SIXTEEN, 1)}
_WORDS = {
    "1": "has 1 bit a pixel",
    "P": "has palette colours",
    "LA": "is gray with an alpha channel",
    "La": "is gray with an alpha channel",
    "PA": "has palette colours with an alpha channel",
    "RGBA": "is RGB with an alpha channel",
    "RGBa": "is RGB with an alpha channel",
    "CMYK": "is CMYK",
    "I": "has 32-bit whole numbers",
}
_PNG_SIZE = slice(16, 24)  # the bytes of a PNG with its width and height
_VIEWS_TAG = 0xB002
_SEVERAL_VIEWS = "Multi-Frame Image"  # Pillow's term for panoramas, stereo pairs and angles; previews are none of these


def channels(file: BinaryIO, kind: str) -> int:
    """Return the number of channels (1 or 3) in the header of a PNG, JPEG, WebP or BMP."""
    image = _opened(file, kind)
    return 1 if _is_old_deep_gray(image) else _CHANNELS[image.mode]


def read(file: BinaryIO, kind: str) -> Image:
    """Return the image as float32 (H, W) or (H, W, 3) in [0, 1]."""
    image = _opened(file, kind)
    pixels = _wide(image, file) if _is_wide(image) else _pixels(image)
    return whole_numbers(pixels, BYTE_TOP if pixels.dtype.itemsize == 1 else WORD_TOP)


def _opened(file: BinaryIO, kind: str) -> Any:
    """Return the Pillow image after a check of its header; nothing is decoded yet."""
    _check_before(file, kind)
    image = _parsed(file, kind)
    check_size(*image.size)
    if image.mode not in _CHANNELS and not _is_old_deep_gray(image):
        raise RefusalError(_WORDS.get(image.mode, f"has pixels of the kind {image.mode!r}"))
    if image.info.get("transparency") is not None:
        raise RefusalError("has a transparent colour")
    if getattr(image, "is_animated", False):
        raise RefusalError(f"holds {image.n_frames} pictures; one is wanted")
    if kind == "JPEG":
        _check_views(image)
    if kind == "BMP":
        _check_run_lengths(image)
    return image


def _check_before(file: BinaryIO, kind: str) -> None:
    """Check the parts of a file that Pillow processes as soon as it opens the file."""
    file.seek(0)
    if kind == "JPEG":
        check_jpeg(file.read())
    elif kind == "WebP":
        check_webp(file.read(HEADER_BYTES))
    elif kind == "PNG":
        size = file.read(_PNG_SIZE.stop)[_PNG_SIZE]
        if len(size) == 8 and 0 in struct.unpack(">II", size):
            raise RefusalError("has no pixels: its width or height is 0")


def _parsed(file: BinaryIO, kind: str) -> Any:
    """Return the Pillow image; its parser is called directly because PIL.Image.open has its own size limit."""
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    parsers: dict[str, Any] = {
        "PNG": PngImagePlugin.PngImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "WebP": WebPImagePlugin.WebPImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
    }
    file.seek(0)
    return parsers[kind](file)


def _check_views(image: Any) -> None:
    """Refuse a JPEG that holds several views; previews and gain maps of one view are allowed."""
    if "mp" not in image.info:
        return
    try:
        entries = (image._getmp() or {}).get(_VIEWS_TAG, ())
    except SyntaxError:  # the list of views is damaged, but the first picture is not affected
        return
    if any(entry["Attribute"]["MPType"].startswith(_SEVERAL_VIEWS) for entry in entries):
        raise RefusalError(f"holds {len(entries)} pictures; one is wanted")


def _check_run_lengths(image: Any) -> None:
    """Refuse a large run-length BMP, because Pillow would expand its runs in slow Python code."""
    width, height = image.size
    if image.tile[0][0] == "bmp_rle" and width * height > MAX_PIXELS_DECODED_SLOWLY:
        raise RefusalError(
            f"is a run-length BMP of {width}×{height} pixels; at most {MAX_PIXELS_DECODED_SLOWLY:,} pixels are "
            "decoded of these, write it as PNG"
        )


def _is_old_deep_gray(image: Any) -> bool:
    """Return whether this is a 16-bit gray PNG that Pillow before version 11 opened as 32-bit whole numbers."""
    return bool(image.format == "PNG" and image.mode == "I")


def _is_wide(image: Any) -> bool:
    """Return whether this is a 16-bit RGB PNG, of which Pillow on its own keeps only the upper bytes."""
    return bool(image.format == "PNG" and image.mode == "RGB" and image.tile[0][3] == "RGB;16B")


def _pixels(image: Any) -> np.ndarray[Any, Any]:
    pixels = np.asarray(image)
    return pixels.astype(np.uint16) if _is_old_deep_gray(image) else pixels


def _wide(image: Any, file: BinaryIO) -> np.ndarray[Any, Any]:
    """Return all 16 bits of each channel by decoding the file twice: for the upper and for the lower bytes."""
    upper: np.ndarray[Any, Any] = np.asarray(image).astype(np.uint16)
    again = _parsed(file, "PNG")
    # If the values are read as little-endian, Pillow keeps the lower byte.
    again.tile = [(*again.tile[0][:3], "RGB;16L")]
    lower: np.ndarray[Any, Any] = np.asarray(again).astype(np.uint16)
    whole: np.ndarray[Any, Any] = upper * np.uint16(256)
    whole += lower
    return whole


HEADER_BYTES = 30
_ANIMATED, _ALPHA = 0x02, 0x10


def check_webp(start: bytes) -> None:
    """Refuse a WebP that is too large, is animated, or has an alpha channel.

    Pillow allocates memory for the whole picture when it opens a WebP, and reports its size only afterwards.

    Args:
        start: The first 30 bytes of the file.

    """
    kind = start[12:16]
    if len(start) < HEADER_BYTES or kind not in (b"VP8 ", b"VP8L", b"VP8X"):
        raise RefusalError("is damaged: it has no WebP header")
    if kind == b"VP8X":
        if start[20] & _ANIMATED:
            raise RefusalError("is animated; one picture is wanted")
        width, height = _number(start[24:27]) + 1, _number(start[27:30]) + 1
    elif kind == b"VP8L":
        packed = _number(start[21:25])
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = _number(start[26:28]) & 0x3FFF, _number(start[28:30]) & 0x3FFF
    check_size(width, height)
    if kind == b"VP8X" and start[20] & _ALPHA:
        raise RefusalError("is RGB with an alpha channel")


def _number(little_endian: bytes) -> int:
    return int.from_bytes(little_endian, "little")


_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_ALONE = {0x01, _START, *range(0xD0, 0xD8)}  # markers that have no length and no body
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_HUFFMAN_DCT = {0xC0, 0xC1, 0xC2}
_FILL = re.compile(rb"\xff+")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not a stuffed byte, a restart or a fill byte


@dataclass(slots=True)
class _Found:
    """The size and the number of scans, according to the markers so far."""

    width: int = 0
    height: int = 0
    scans: int = 0


def check_jpeg(content: bytes) -> None:
    """Refuse a JPEG that is not read in full, or that has so many scans that decoding takes long.

    A progressive JPEG may have any number of scans over its pixels: a file of 1 MB can keep a decoder busy for hours.
    """
    found, place = _Found(), 2
    for _ in range(MAX_JPEG_SEGMENTS):
        fill = _FILL.search(content, place)
        if fill is None:
            return
        if fill.end() - fill.start() > MAX_JPEG_FILL_BYTES:
            raise RefusalError(f"is damaged: it has {fill.end() - fill.start():,} bytes of padding in one place")
        if fill.end() + 3 > len(content) or content[fill.end()] == _END:
            return
        place = _after(content, fill.end() - 1, found)
    raise RefusalError(f"has more than {MAX_JPEG_SEGMENTS:,} marker segments")


def _after(content: bytes, place: int, found: _Found) -> int:
    """Process the segment that begins at `place`, and return the position at which the next one may begin."""
    marker = content[place + 1]
    if not marker:
        raise RefusalError("is damaged: it has pixels where a marker must be")
    if marker in _ALONE:
        return place + 2
    end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    if marker in _FRAMES:
        _take_frame(marker, content[place + 4 : end], found)
    if marker != _SCAN:
        return end
    _count_scan(found)
    following = _MARKER_IN_SCAN.search(content, end)
    return following.start() if following else len(content)


def _take_frame(marker: int, body: bytes, found: _Found) -> None:
    if len(body) < 6:
        return  # damaged: the decoder will report it
    bits, channels = body[0], body[5]
    found.height, found.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if marker not in _HUFFMAN_DCT:
        raise RefusalError("is a lossless, hierarchical or arithmetic-coded JPEG; write it as PNG")
    if bits != 8:
        raise RefusalError(f"is a JPEG of {bits} bits a channel; write deep images as PNG")
    if channels not in (1, 3, 4):
        raise RefusalError(f"is a JPEG of {channels} channels")
    check_size(found.width, found.height)


def _count_scan(found: _Found) -> None:
    found.scans += 1
    work = found.scans * found.width * found.height
    if found.scans > MAX_JPEG_SCANS or work > MAX_JPEG_SCAN_PIXELS:
        raise RefusalError(
            f"is a JPEG of {found.scans} scans or more over {found.width}×{found.height} pixels; at most "
            f"{MAX_JPEG_SCANS} scans, and {MAX_JPEG_SCAN_PIXELS / 1e6:,.0f} megapixels over all scans, are decoded"
        )
