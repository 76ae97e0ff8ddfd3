"""Refuse TIFF pages that are not one gray or RGB image of whole numbers or floats, with the reason in words."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from mdnbench.data.pixels import RefusalError
from mdnbench.util.limits import MAX_TIFF_PAGES_COUNTED, MAX_TIFF_SHAPE_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tifffile import TiffPage

    from mdnbench.data.tiff_tags import Page

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_WIDTH, _HEIGHT, _PHOTOMETRIC, _SUBIFDS, _STK_PLANES, _CAMERA_RAW = 256, 257, 262, 330, 33629, 50706
_COLOURS = {
    3: "has palette colours",
    4: "is a transparency mask",
    5: "is CMYK",
    6: "is YCbCr",
    8: "is CIELab",
    9: "is CIELab",
    10: "is CIELab",
    32803: "is the raw data of a colour sensor",
    32844: "is LogL",
    32845: "is LogLuv",
    34892: "is the raw data of a camera",
}
_ALPHA = {1, 2}  # values of ExtraSamples that mean alpha; 0 means unspecified
_OME_SIZES = re.compile(r"\bSize[ZTC]\s*=\s*[\"']([0-9]{1,9})[\"']")
_IMAGEJ_SIZES = re.compile(r"^(images|channels|slices|frames)=([0-9]{1,9})\s*$", re.MULTILINE)
_MOST_LISTED = 4  # pages that a message names


def check(page: TiffPage, pages: Sequence[Page]) -> None:
    """Raise RefusalError for a page that is not read in full.

    Args:
        page: The first page.
        pages: The pages that `tiff_tags.check` returned.

    """
    _check_pages(pages)
    if missing := pages[0].tags - {tag.code for tag in page.tags}:
        raise RefusalError(f"is damaged: its tag {min(missing)} cannot be read")
    _check_planes(page)
    for tag, name in ((_WIDTH, "ImageWidth"), (_HEIGHT, "ImageLength"), (_PHOTOMETRIC, "PhotometricInterpretation")):
        if tag not in page.tags:
            raise RefusalError(f"is damaged: it lacks the tag {name}, or the tag cannot be read")
    if page.photometric in _COLOURS:
        raise RefusalError(_COLOURS[page.photometric])
    if page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        raise RefusalError(f"has colours of the kind {int(page.photometric)}")
    _check_channels(page)
    _check_values(page)
    if page.fillorder != 1:
        raise RefusalError("has the bits of its bytes in reverse order (FillOrder 2)")


def _check_pages(pages: Sequence[Page]) -> None:
    """Refuse a file of several pages: as a stack if several are pictures of their own, otherwise by what they are."""
    if len(pages) > MAX_TIFF_PAGES_COUNTED:
        raise RefusalError(f"holds more than {MAX_TIFF_PAGES_COUNTED:,} pictures, or its directories form a loop")
    if _CAMERA_RAW in pages[0].tags:
        raise RefusalError("is a camera's raw file (DNG)")
    pictures = [number for number, page in enumerate(pages) if page.is_picture]
    others = [*(page for page in pages if not page.is_picture), *pages[0].below]
    if len(pictures) > 1:
        more = f" (and {_listed(others)})" if others else ""
        raise RefusalError(
            f"holds {len(pictures)} pictures{more}: it is a stack, which is not read yet; one picture is wanted"
        )
    if len(pages) > 1 or pages[0].below:
        whole = pictures[0] if pictures else 0
        raise RefusalError(
            f"holds, next to {pages[whole]}, also {_listed([page for page in others if page is not pages[whole]])}"
            f"{' (in SubIFDs)' if pages[0].below else ''}; write the page that is meant into a file of its own: "
            f"tifffile.imwrite(NEW, tifffile.imread(OLD, key={whole}))"
        )
    if _SUBIFDS in pages[0].tags:
        raise RefusalError("is damaged: its tag SubIFDs names no page")


def _listed(pages: Sequence[Page]) -> str:
    more = f" and {len(pages) - _MOST_LISTED} more" if len(pages) > _MOST_LISTED else ""
    return ", ".join(map(str, pages[:_MOST_LISTED])) + more


def _check_planes(page: TiffPage) -> None:
    """Refuse a stack whose planes are all under one TIFF directory.

    The number of planes is the largest that the ImageDepth tag, MetaMorph's tag or the description states.
    """
    planes = max(page.imagedepth, *_noted_planes(page))
    if planes > 1:
        raise RefusalError(f"is a stack of {planes} planes under one directory, which is not read yet")


def _noted_planes(page: TiffPage) -> list[int]:
    found = [1]
    if _STK_PLANES in page.tags:  # MetaMorph
        found.append(page.tags[_STK_PLANES].count)
    for text in (page.description, page.description1):
        if text.startswith("ImageJ="):
            sizes = dict(_IMAGEJ_SIZES.findall(text))
            found += [int(size) for size in sizes.values()]
        elif "<OME" in text[:5000]:
            found.append(_ome_planes(text, page))
        elif text.startswith("{") and len(text) <= MAX_TIFF_SHAPE_CHARACTERS:
            found.append(_shaped_planes(text, page))
    return found


def _ome_planes(text: str, page: TiffPage) -> int:
    """Return the number of planes in OME-XML; the channels of one RGB plane do not count."""
    images = text.count("<Pixels")
    sizes = [int(size) for size in _OME_SIZES.findall(text)]
    return max(images, math.prod(sizes) // page.samplesperpixel)


def _shaped_planes(text: str, page: TiffPage) -> int:
    """Return how many pages of this shape make up the array whose shape tifffile has written into the description."""
    try:
        shape = json.loads(text).get("shape", [])
        whole = math.prod(max(int(length), 0) for length in shape)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return 1
    return whole // max(math.prod(page.shape), 1)


def _check_channels(page: TiffPage) -> None:
    samples, alpha = page.samplesperpixel, bool(_ALPHA & set(page.extrasamples))
    wanted, name = (3, "RGB") if page.photometric == RGB else (1, "gray")
    if samples == wanted:
        return
    if samples < wanted:
        raise RefusalError(f"is damaged: it is RGB with {samples} channels")
    if samples == wanted + 1 and alpha:
        raise RefusalError(f"is {name} with an alpha channel")
    if name == "gray":
        raise RefusalError(f"has {samples} gray channels, which are not declared to be red, green and blue")
    more = "a fourth channel (near infrared, for example)" if samples == 4 else f"{samples - 3} more channels"
    raise RefusalError(f"is RGB with {more}: {samples} channels in all")


def _check_values(page: TiffPage) -> None:
    """Refuse all values except unsigned ones of 8 and 16 bits and floats of 16, 32 and 64 bits."""
    bits, form = page.bitspersample, page.sampleformat
    if isinstance(bits, tuple):
        raise RefusalError(f"has channels of unequal bits ({', '.join(map(str, bits))})")
    if form == _SIGNED:
        raise RefusalError(f"has signed {bits}-bit whole numbers; write them as unsigned ones, or as floats in [0, 1]")
    if form not in (_UNSIGNED, _FLOAT):
        raise RefusalError(f"has complex or undefined values (SampleFormat {int(form)})")
    if form == _FLOAT:
        _check_float(page, bits)
    elif bits == 1:
        raise RefusalError("has 1 bit a pixel")
    elif bits not in (8, 16):
        packed = ", packed; write them as 16-bit ones" if bits < 16 else ""
        raise RefusalError(f"has {bits}-bit whole numbers{packed}")


def _check_float(page: TiffPage, bits: int) -> None:
    if bits not in (16, 32, 64):
        raise RefusalError(f"has floats of {bits} bits; 16, 32 and 64 are read")
    if page.photometric == WHITE_IS_ZERO:
        raise RefusalError("is a float TIFF in which 0 is white")
