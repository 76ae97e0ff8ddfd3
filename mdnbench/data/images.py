"""Read image files safely into float32, and write images as PNG.

Nothing is converted silently: a file is either read in full or refused with the reason. A file's header is checked
before any pixel is decoded, so a small file cannot claim a huge image.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mdnbench.data.pixels import RefusalError
from mdnbench.errors import BadImage
from mdnbench.util import untrusted
from mdnbench.util.limits import MAX_IMAGE_BYTES, MAX_PIXELS
from mdnbench.util.silenced import without_warnings

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm", ".pnm")
ALLOWED = f"Allowed: gray or RGB, 8 or 16 bits, no palette, no alpha, at most {MAX_PIXELS // 10**6} megapixels"
FORMATS = "PNG, TIFF, JPEG, WebP, BMP or PNM"

# All other formats are read by `bypillow`.
_MODULES = {"TIFF": "mdnbench.data.tiff", "PNM": "mdnbench.data.pnm"}
# The format of a file is determined by its first bytes, never by its name.
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    **{b"P" + kind: "PNM" for kind in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"f", b"F")},
}
_UNSUPPORTED = ("unsupported", "not supported", "cannot handle", "too large", "too long")  # words of Pillow's messages


def read_image(path: Path | str) -> Image:
    """Read a PNG, TIFF, JPEG, WebP, BMP or PNM file.

    Orientation tags, gamma and colour profiles are not applied in any format.

    Returns:
        float32 (H, W) or (H, W, 3) in [0, 1]. 8-bit values are divided by 255, 16-bit values by 65535, and those of PNM
        by the largest value that the file declares. Floats (TIFF only) stay as they are.

    Raises:
        BadImage: The file cannot be read in full; the message gives the reason in one line.

    """
    with _opened(Path(path)) as (file, kind):
        image: Image = _reader(kind, "read")(file)
        return image


def channels(path: Path | str) -> int:
    """Return the number of channels (1 or 3) in a file's header, without decoding the image.

    Raises:
        BadImage: The file is refused.

    """
    with _opened(Path(path)) as (file, kind):
        count: int = _reader(kind, "channels")(file)
        return count


def write_png(path: Path | str, image: Image) -> None:
    """Write a float image (H, W) or (H, W, 3) as a lossless 8-bit PNG; values are clamped to [0, 1] and rounded.

    Raises:
        BadImage: The image has another shape, or NaN or infinite values.

    """
    import numpy as np
    import PIL.Image

    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or 0 in image.shape:
        raise BadImage(f"an image of shape {image.shape} cannot be written; allowed: (H, W) or (H, W, 3).")
    if not np.isfinite(image).all():
        raise BadImage("an image with NaN or infinite values cannot be written.")
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    PIL.Image.fromarray(levels).save(path, format="PNG")


def to_gray(image: Image) -> Image:
    """Convert (H, W, 3) to (H, W) by ITU-R BT.601 luma with the digits of MATLAB's rgb2gray; return gray unchanged.

    MATLAB documents its weights (0.2989, 0.5870, 0.1140) as the first row of the inverse of the NTSC YIQ matrix.
    """
    import numpy as np

    if image.ndim == 2:
        return image
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    gray: Image = (image * weights).sum(axis=2).astype(np.float32)
    return gray


def _reader(kind: str, function: str) -> Callable[[BinaryIO], Any]:
    """Import the module that reads a format, and return a function of it. Most commands read no image."""
    if kind in _MODULES:
        found: Callable[[BinaryIO], Any] = getattr(import_module(_MODULES[kind]), function)
        return found
    by_pillow = getattr(import_module("mdnbench.data.pillow_formats"), function)
    return lambda file: by_pillow(file, kind)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Yield the open file and its format; convert every error in the block to a BadImage that names the file."""
    try:
        with (
            without_warnings(),
            untrusted.opened(path, MAX_IMAGE_BYTES) as file,
        ):  # libraries warn about unusual metadata
            yield file, _format(file)
    except RefusalError as refusal:
        found = str(refusal)
    except MemoryError:
        found = "needs more memory than there is"
    except Exception as error:  # parsers raise all kinds of errors: OSError, SyntaxError, KeyError, struct.error…
        found = _in_words(error)
    else:
        return
    raise BadImage(f"the image {str(path)!r} {found}. {ALLOWED}, as {FORMATS}.")


def _format(file: BinaryIO) -> str:
    """Return the format of a file according to its first bytes."""
    start = file.read(16)
    if not start:
        raise RefusalError("is empty")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    raise RefusalError("is not an image file that is known here")


def _in_words(error: Exception) -> str:
    """Return a phrase for a parser's error: the file cannot be opened, is not supported, or is damaged."""
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        return f"cannot be read: {error.strerror}"
    text = _one_line(error)
    if any(words in text.lower() for words in _UNSUPPORTED):
        return f"is not read here: {text}"
    return f"is damaged: {text}"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return repr(text)[1:-1][:200] or type(error).__name__
