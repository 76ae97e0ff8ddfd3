"""Read PNG, JPEG, WebP and BMP files with Pillow after a check of their headers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from mdnbench.data import jpeg, webp
from mdnbench.data.pixels import BYTE_TOP, WORD_TOP, RefusalError, check_size, whole_numbers
from mdnbench.util.limits import MAX_PIXELS_DECODED_SLOWLY

if TYPE_CHECKING:
    import numpy as np

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
        jpeg.check(file.read())
    elif kind == "WebP":
        webp.check(file.read(webp.HEADER_BYTES))
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
    import numpy as np

    pixels = np.asarray(image)
    return pixels.astype(np.uint16) if _is_old_deep_gray(image) else pixels


def _wide(image: Any, file: BinaryIO) -> np.ndarray[Any, Any]:
    """Return all 16 bits of each channel by decoding the file twice: for the upper and for the lower bytes."""
    import numpy as np

    upper: np.ndarray[Any, Any] = np.asarray(image).astype(np.uint16)
    again = _parsed(file, "PNG")
    # If the values are read as little-endian, Pillow keeps the lower byte.
    again.tile = [(*again.tile[0][:3], "RGB;16L")]
    lower: np.ndarray[Any, Any] = np.asarray(again).astype(np.uint16)
    whole: np.ndarray[Any, Any] = upper * np.uint16(256)
    whole += lower
    return whole
