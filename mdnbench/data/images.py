"""Reading image files safely into float32, and writing them as PNG.

Nothing is converted silently: what a file holds is either read in full or refused by name. A file's header is checked
before a single pixel is decoded, so that a small file cannot claim a huge picture.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mdnbench.errors import BadImage
from mdnbench.quiet import without_warnings

if TYPE_CHECKING:
    import numpy as np

    from mdnbench.specs import Image

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
MAX_PIXELS = 100_000_000
ALLOWED = f"Allowed: gray or RGB, 8 or 16 bits, no palette, no alpha, at most {MAX_PIXELS // 10**6} megapixels"

# What a file is follows from its first bytes, never from its name.
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
}
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_CHANNELS = {"L": 1, "RGB": 3, "F": 1, **dict.fromkeys(_SIXTEEN, 1)}
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


class _RefusalError(Exception):
    """What was found in the file; turned into a BadImage that names the file."""


def read_image(path: Path | str) -> Image:
    """The image in a PNG, TIFF, JPEG or BMP file: float32 (H, W) or (H, W, 3) in [0, 1], as stored.

    8-bit values are divided by 255 and 16-bit values by 65535; float TIFF is taken if it lies in [0, 1]. Orientation
    tags, gamma and colour profiles are not applied. Anything else raises BadImage, in one line.
    """
    with _opened(Path(path)) as (image, file):
        return _scaled(_wide(image, file) if _is_wide(image) else _pixels(image))


def channels(path: Path | str) -> int:
    """How many channels (1 or 3) the file's header announces; nothing is decoded. BadImage where it is refused."""
    with _opened(Path(path)) as (image, _):
        return 1 if _is_old_deep_gray(image) else _CHANNELS[image.mode]


def write_png(path: Path | str, image: Image) -> None:
    """Write float (H, W) or (H, W, 3) as a lossless 8-bit PNG; values are clamped to [0, 1] and rounded."""
    import numpy as np
    import PIL.Image

    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or 0 in image.shape:
        raise BadImage(f"an image of shape {image.shape} cannot be written; allowed: (H, W) or (H, W, 3).")
    if not np.isfinite(image).all():
        raise BadImage("an image with NaN or infinite values cannot be written.")
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    PIL.Image.fromarray(levels).save(path, format="PNG")


def to_gray(image: Image) -> Image:
    """(H, W, 3) to (H, W) by ITU-R BT.601 luma, with the digits of MATLAB's rgb2gray; gray passes as it is.

    MATLAB documents its weights (0.2989, 0.5870, 0.1140) as the first row of the inverse of the NTSC YIQ matrix.
    """
    import numpy as np

    if image.ndim == 2:
        return image
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    gray: Image = (image * weights).sum(axis=2).astype(np.float32)
    return gray


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, IO[bytes]]]:
    """The Pillow image with its header checked, and its file; any fault inside the block becomes one BadImage."""
    try:
        with without_warnings(), path.open("rb") as file:  # of odd metadata: the pixels are ours to judge
            image = _parsed(file)
            _check_header(image)
            yield image, file
    except _RefusalError as refusal:
        found = str(refusal)
    except MemoryError:
        found = "needs more memory than there is"
    except Exception as error:  # Pillow raises whatever its parsers meet: OSError, SyntaxError, KeyError, struct.error…
        missing = isinstance(error, OSError) and error.strerror and error.errno is not None
        found = f"cannot be read: {error.strerror}" if missing else f"is damaged: {_one_line(error)}"  # type: ignore[attr-defined]
    else:
        return
    raise BadImage(f"the image {str(path)!r} {found}. {ALLOWED}, as PNG, TIFF, JPEG or BMP.")


def _parsed(file: IO[bytes]) -> Any:
    """The Pillow image of an open file. The parsers are called directly: PIL.Image.open has its own size rule."""
    start = file.read(24)
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    file.seek(0)
    if kind is None:
        raise _RefusalError("is empty" if not start else "is not an image file that is known here")
    if kind == "PNG" and len(start) == 24 and 0 in struct.unpack(">II", start[16:]):
        raise _RefusalError("has no pixels: its width or height is 0")
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

    parsers: dict[str, Any] = {
        "PNG": PngImagePlugin.PngImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
    }
    return parsers[kind](file)


def _check_header(image: Any) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise _RefusalError(f"has no pixels: it is {width}×{height}")
    if width * height > MAX_PIXELS:
        raise _RefusalError(f"claims {width}×{height} pixels, which is {width * height / 1e6:.0f} megapixels")
    if image.mode not in _CHANNELS and not _is_old_deep_gray(image):
        raise _RefusalError(_WORDS.get(image.mode, f"has pixels of the kind {image.mode!r}"))
    if image.info.get("transparency") is not None:
        raise _RefusalError("has a transparent colour")
    if getattr(image, "is_animated", False):
        raise _RefusalError(f"holds {image.n_frames} pictures; one is wanted")
    if image.format == "TIFF":
        _check_tiff(image)


def _check_tiff(image: Any) -> None:
    """Refuse what Pillow would shift, cut or invert without a word, or what libtiff reports to stderr by itself."""
    bits_tag, compression_tag, photometric_tag, white_is_zero, jpeg = 258, 259, 262, 0, {6, 7}
    if image.tag_v2.get(compression_tag) in jpeg:
        raise _RefusalError("is a TIFF with JPEG compression; write it as PNG")
    bits = set(image.tag_v2.get(bits_tag, (1,)))
    deep = bits != {8}
    if bits - {8, 16, 32} or (deep and image.mode == "RGB"):
        raise _RefusalError(
            f"is a TIFF with {max(bits)} bits a channel and mode {image.mode}; write deep colour as PNG"
        )
    if deep and image.tag_v2.get(photometric_tag) == white_is_zero:
        raise _RefusalError("is a deep TIFF in which 0 is white")


def _is_old_deep_gray(image: Any) -> bool:
    """Whether this is a 16-bit gray PNG as Pillow before 11 opens it: as 32-bit whole numbers."""
    return bool(image.format == "PNG" and image.mode == "I")


def _is_wide(image: Any) -> bool:
    """Whether this is a 16-bit RGB PNG, of which Pillow by itself keeps only the upper bytes."""
    return bool(image.format == "PNG" and image.mode == "RGB" and image.tile[0][3] == "RGB;16B")


def _pixels(image: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    pixels = np.asarray(image)
    return pixels.astype(np.uint16) if _is_old_deep_gray(image) else pixels


def _wide(image: Any, file: IO[bytes]) -> np.ndarray[Any, Any]:
    """The 16 bits of each channel: the file is decoded twice, once for the upper and once for the lower bytes."""
    import numpy as np

    upper: np.ndarray[Any, Any] = np.asarray(image).astype(np.uint16)
    file.seek(0)
    again = _parsed(file)
    again.tile = [(*again.tile[0][:3], "RGB;16L")]  # read as little-endian, the byte that is kept is the lower one
    lower: np.ndarray[Any, Any] = np.asarray(again).astype(np.uint16)
    whole: np.ndarray[Any, Any] = upper * np.uint16(256)
    whole += lower
    return whole


def _scaled(pixels: np.ndarray[Any, Any]) -> Image:
    import numpy as np

    image: Image = pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise _RefusalError("has NaN or infinite values")
        if image.min() < 0 or image.max() > 1:
            raise _RefusalError(f"has values from {image.min():g} to {image.max():g}; float pixels must lie in [0, 1]")
        return image
    return image / np.float32(255 if pixels.dtype.itemsize == 1 else 65535)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return repr(text)[1:-1][:200] or type(error).__name__
