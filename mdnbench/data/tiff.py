"""Read TIFF files: tifffile reads the directory, and every strip or tile is read in full, or the file is refused.

Pillow reads the parts of a TIFF that it knows and silently drops the rest: further channels, planes and pages. Here the
directory is checked first, then the sizes of all strips, and only then a pixel is decoded.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from tifffile import TiffFile

from mdnbench.data import codecs, tiff_kind, tiff_tags
from mdnbench.data.pixels import BYTE_TOP, WORD_TOP, RefusalError, check_size, unit_floats, whole_numbers
from mdnbench.util.limits import MAX_SEGMENT_BYTES

if TYPE_CHECKING:
    from tifffile import TiffPage

    from mdnbench.spec.specs import Image

_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
_PLANES_APART = 2
_BATCH_BYTES = 1 << 26  # bytes of strips or tiles that are unpacked in one go

# tifffile logs unusual content; without a handler Python would print these lines to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class _Layout:
    """How strips or tiles cover the image; a strip is a tile as wide as the image.

    Each of the `planes` has its own tiles. A tile has `rows` by `columns` pixels with `samples` values each.
    """

    planes: int
    samples: int
    rows: int
    columns: int
    down: int
    across: int
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Return the size in bytes of one row of a strip or tile."""
        return self.columns * self.samples * self.dtype.itemsize

    @property
    def count(self) -> int:
        """Return the number of strips or tiles."""
        return self.planes * self.down * self.across


def channels(file: BinaryIO) -> int:
    """Return the number of channels (1 or 3) of a TIFF; its directory is checked, but no pixel is decoded."""
    with _page(file) as page:
        return int(page.samplesperpixel)


def read(file: BinaryIO) -> Image:
    """Return the image as float32 (H, W) or (H, W, 3) in [0, 1]; 0 is black, also if white is 0 in the file."""
    with _page(file) as page:
        pixels = _pixels(file, page)
    if page.samplesperpixel == 1:
        pixels = pixels[..., 0]
    if pixels.dtype.kind == "f":
        return unit_floats(pixels)
    if page.photometric == tiff_kind.WHITE_IS_ZERO:
        np.invert(pixels, out=pixels)
    return whole_numbers(pixels, BYTE_TOP if pixels.dtype.itemsize == 1 else WORD_TOP)


@contextlib.contextmanager
def _page(file: BinaryIO) -> Iterator[TiffPage]:
    """Yield the only page of a file after all checks."""
    pages = tiff_tags.check(file)
    file.seek(0)
    # Without these arguments, tifffile reads the files of some vendors by its own rules and not by their tags.
    with TiffFile(file, is_lsm=False, is_scanimage=False, is_ndpi=False) as opened:
        page = opened.pages.first
        codecs.check(int(page.compression))
        tiff_kind.check(page, pages)
        check_size(page.imagewidth, page.imagelength)
        _check_layout(page, _layout(page), file)
        yield page


def _layout(page: TiffPage) -> _Layout:
    apart = page.planarconfig == _PLANES_APART
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    if rows < 1 or columns < 1 or page.dtype is None:
        raise RefusalError("is damaged: its strips or tiles have no size, or its values no form")
    return _Layout(
        planes=page.samplesperpixel if apart else 1,
        samples=1 if apart else page.samplesperpixel,
        rows=rows,
        columns=columns,
        down=math.ceil(page.imagelength / rows),
        across=math.ceil(page.imagewidth / columns),
        dtype=page.dtype,
    )


def _check_layout(page: TiffPage, layout: _Layout, file: BinaryIO) -> None:
    """Refuse strips or tiles that are missing, too many, too large, or beyond the end of the file."""
    offsets, lengths = page.dataoffsets, page.databytecounts
    listed = page.tags.get(324 if page.is_tiled else 273)
    if listed is None or not listed.count == len(offsets) == len(lengths) == layout.count:
        raise RefusalError(f"is damaged: {layout.count:,} strips or tiles are needed, and its directory lists others")
    claimed = layout.count * layout.rows * layout.row_bytes
    if claimed > MAX_SEGMENT_BYTES:
        raise RefusalError(
            f"claims strips or tiles of {claimed:,} bytes for {page.imagewidth}×{page.imagelength} pixels; at most "
            f"{MAX_SEGMENT_BYTES:,} are decoded"
        )
    if page.compression == codecs.NONE and max(lengths) * layout.count > claimed:
        raise RefusalError("is damaged: its strips or tiles have more bytes than its pixels need")
    end = file.seek(0, 2)
    if min(offsets) < 8 or min(lengths) < 1 or sum(lengths) > end:
        raise RefusalError("is damaged: some of its strips or tiles are empty, or share their bytes")
    if any(offset + length > end for offset, length in zip(offsets, lengths, strict=True)):
        raise RefusalError("is damaged: it ends before its pixels do")
    if page.predictor not in (_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES):
        raise RefusalError(f"is a TIFF with the predictor {int(page.predictor)}, which is not read")
    if page.predictor == _FLOAT_DIFFERENCES and layout.dtype.kind != "f":
        raise RefusalError("is damaged: whole numbers have a predictor for floats")


def _pixels(file: BinaryIO, page: TiffPage) -> np.ndarray[Any, Any]:
    """Return the values of all strips or tiles, (H, W, channels), in this machine's byte order."""
    layout = _layout(page)
    image = np.empty((page.imagelength, page.imagewidth, page.samplesperpixel), layout.dtype)
    for index, content in _contents(file, page, layout):
        plane, place = divmod(index, layout.down * layout.across)
        top, left = place // layout.across * layout.rows, place % layout.across * layout.columns
        block = _values(content, page, layout)
        into = image[top : top + layout.rows, left : left + layout.columns]
        into = into[..., plane : plane + 1] if layout.planes > 1 else into
        into[...] = block[: into.shape[0], : into.shape[1]]
    return image


def _contents(file: BinaryIO, page: TiffPage, layout: _Layout) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the decompressed content of each strip or tile.

    All of them have the same size except the last strip of each plane.
    """
    full = layout.row_bytes * layout.rows
    last = full if page.is_tiled else layout.row_bytes * (page.imagelength - (layout.down - 1) * layout.rows)
    ends = [index for index in range(layout.count) if last < full and index % layout.down == layout.down - 1]
    whole = sorted({*range(layout.count)} - {*ends})
    batch = max(1, _BATCH_BYTES // full)
    for start in range(0, len(whole), batch):
        yield from _unpacked(file, page, whole[start : start + batch], full)
    for index in ends:
        yield from _unpacked(file, page, [index], last)


def _unpacked(file: BinaryIO, page: TiffPage, numbers: list[int], size: int) -> Iterator[tuple[int, bytes]]:
    packed = []
    for number in numbers:
        file.seek(page.dataoffsets[number])
        packed.append(file.read(page.databytecounts[number]))
    for number, content in zip(numbers, codecs.unpacked(packed, int(page.compression), size), strict=True):
        if len(content) < size:
            raise RefusalError(f"is damaged: strip or tile {number} holds {len(content):,} bytes, and needs {size:,}")
        yield number, content


def _values(content: bytes, page: TiffPage, layout: _Layout) -> np.ndarray[Any, Any]:
    """Return the values of a strip or tile (rows, columns, samples) with its predictor undone."""
    shape = (len(content) // layout.row_bytes, layout.columns, layout.samples)
    if page.predictor == _FLOAT_DIFFERENCES:
        return _float_sums(content, layout.dtype.itemsize, shape)
    stored = np.frombuffer(content, layout.dtype.newbyteorder(page.parent.byteorder)).reshape(shape)
    values = stored.astype(layout.dtype, copy=False)
    if page.predictor == _DIFFERENCES:
        whole = values.view(f"u{layout.dtype.itemsize}")  # the differences of floats are computed on their bits
        values = np.cumsum(whole, axis=1, dtype=whole.dtype).view(layout.dtype)
    return values


def _float_sums(content: bytes, size: int, shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Undo the predictor for floats of `size` bytes.

    Each row has all first bytes, then all second ones, and so on, as differences.
    """
    rows, columns, samples = shape
    differences = np.frombuffer(content, np.uint8).reshape(rows, size * columns, samples)
    ordered = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(rows, size, columns * samples)
    floats: np.ndarray[Any, Any] = np.ascontiguousarray(ordered.transpose(0, 2, 1)).view(f">f{size}")
    return floats.reshape(shape)
